package history

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trellis/message"
)

var shedSpeaks = Speaker{"acme/local/SHED/publish", "shed"}

func TestSilencesAreWhatWasNotHeard(t *testing.T) {
	minute := func(n int) time.Time { return noon.Add(time.Duration(n)*time.Minute + 20*time.Second) }
	long := func(last, next time.Time) bool { return next.Sub(last) > 15*time.Minute }
	for name, tt := range map[string]struct {
		heard map[int]string // by minute
		from  int
		want  []Silence
	}{
		"one in the middle, and one that lasts": {
			map[int]string{0: `{"t":1}`, 10: `{"t":1}`, 20: `{"t":1}`, 50: `{"t":1}`, 60: `{"t":1}`}, 5,
			[]Silence{{minute(20), minute(50)}, {From: minute(60)}},
		},
		"one that began before":       {map[int]string{0: `{"t":1}`, 40: `{"t":1}`, 50: `{"t":1}`, 60: `{"t":1}`, 75: `{"t":1}`, 85: `{"t":1}`}, 30, []Silence{{minute(0), minute(40)}}},
		"none that ended before":      {map[int]string{0: `{"t":1}`, 40: `{"t":1}`, 50: `{"t":1}`, 60: `{"t":1}`, 75: `{"t":1}`, 85: `{"t":1}`}, 45, nil},
		"words are signs of life":     {map[int]string{0: `{"t":1}`, 10: `{"on":true}`, 20: `{"on":true}`, 30: `{"on":true}`, 40: `{"t":1}`, 80: `{"t":1}`}, 0, []Silence{{minute(40), minute(80)}}},
		"of somebody who says words":  {map[int]string{0: `{"on":true}`, 10: `{"on":true}`, 50: `{"on":true}`, 60: `{"on":false}`, 75: `{"on":true}`, 85: `{"on":true}`}, 5, []Silence{{minute(10), minute(50)}}},
		"what speaks of pages itself": {map[int]string{0: `{"t":1}`, 10: `{"page":"menu"}`, 20: `{"page":"menu"}`, 30: `{"page":"menu"}`, 40: `{"t":1}`, 80: `{"page":"home"}`}, 0, []Silence{{minute(40), minute(80)}}},
		"two readings that alternate": {map[int]string{0: `{"t":1}`, 10: `{"h":1}`, 20: `{"t":1}`, 30: `{"h":1}`, 40: `{"t":1}`, 75: `{"h":1}`, 85: `{"t":1}`}, 0, []Silence{{minute(40), minute(75)}}},
		"never heard before":          {map[int]string{70: `{"t":1}`, 80: `{"t":1}`}, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, t.TempDir(), Config{})
			for n := range 91 { // others speak all the time, and a person does to the device
				other := at(fmt.Sprint("other", n), minute(n), `{"t":1}`)
				other.About = "gate"
				hand := at(fmt.Sprint("hand", n), minute(n), `{"t":1}`)
				hand.Payload = []byte(`{"data":{"t":1},"context":{"by":"page"}}`)
				mustAppend(t, s, other, hand)
				if data, heard := tt.heard[n]; heard {
					mustAppend(t, s, at(fmt.Sprint(n), minute(n), data))
				}
			}
			got, err := s.Silences(context.Background(), shedSpeaks, minute(tt.from), minute(90).Add(500*time.Nanosecond), 10*time.Minute, long)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What is not kept any more, or is behind too much of others, is not said to be silence.
func TestNoSilenceIsMadeUp(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	var batch []message.Message
	batch = append(batch, at("first", noon, `{"t":1}`))
	for n := range messagesRead + 10 {
		other := at(fmt.Sprint("other", n), noon.Add(2*time.Minute+time.Duration(n)*time.Second/2), `{"t":1}`)
		other.About = "gate"
		batch = append(batch, other)
	}
	batch = append(batch, at("last", noon.Add(time.Hour), `{"t":1}`))
	mustAppend(t, s, batch...)
	got, err := s.Silences(context.Background(), shedSpeaks, noon, noon.Add(61*time.Minute), time.Minute, func(last, next time.Time) bool { return true })
	if err != nil || len(got) != 0 {
		t.Errorf("%v, %v: so much was not looked at", got, err)
	}
}

func TestSpeakersAreThoseWhoMayBeHeard(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	other := at("2", noon, `{"t":1}`)
	other.About = "gate"
	mustAppend(t, s, at("1", noon, `{"t":1,"h":2}`), other)
	got, more, err := s.Speakers(context.Background(), nil)
	if diff := cmp.Diff([]Speaker{{shedSpeaks.Topic, "gate"}, shedSpeaks}, got); diff != "" || more || err != nil {
		t.Errorf("%v, %v (-want +got):\n%s", more, err, diff)
	}
	if got, _, err := s.Speakers(context.Background(), func(string) bool { return false }); err != nil || len(got) != 0 {
		t.Errorf("a reader of no topic is given %v, %v", got, err)
	}
}

// The newest message of a reading stays when its neighbours go: what comes next in the record is not what came next.
func TestWhatWasRemovedIsNoSilence(t *testing.T) {
	long := func(last, next time.Time) bool { return next.Sub(last) > time.Hour }
	now := noon.Add(20 * 24 * time.Hour)
	for name, tt := range map[string]struct {
		config Config
		said   string
	}{
		"what is too old":  {Config{Keep: 7 * 24 * time.Hour}, `"t":1`},
		"what is too much": {Config{KeepMessages: 200}, `"on":true`},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, t.TempDir(), tt.config)
			s.clock = func() time.Time { return now }
			all := []message.Message{at("boot", noon, `{"version":"1.2"}`)}
			for n := range 12 * 24 * 6 { // every ten minutes without a break, for twelve days
				data := "{" + tt.said + "}"
				if n == 1000 {
					data = "{" + tt.said + `,"place":"roof"}` // which stays as well
				}
				all = append(all, at(fmt.Sprint("m", n), now.Add(time.Duration(n-12*24*6)*10*time.Minute), data))
			}
			mustAppend(t, s, all...)
			if err := s.sweep(context.Background()); err != nil {
				t.Fatal(err)
			}
			if n := count(t, s, "messages WHERE uid = 'boot'"); n != 1 {
				t.Fatal("the newest message of a reading is gone")
			}
			got, err := s.Silences(context.Background(), shedSpeaks, now.Add(-10*24*time.Hour), now, 10*time.Minute, long)
			if err != nil || len(got) != 0 {
				t.Errorf("%v, %v: it spoke all the time", got, err)
			}
		})
	}
}

// A record from before that was noted may have been swept.
func TestARecordOfAnEarlierVersionIsTakenForSwept(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	mustAppend(t, s, at("boot", noon, `{"version":"1.2"}`))
	for n := range 10 {
		mustAppend(t, s, at(fmt.Sprint(n), noon.Add(24*time.Hour+time.Duration(n)*time.Minute), `{"t":1}`))
	}
	mustAppend(t, s, publish("alone", "acme/local/DOOR/publish", `{"open":true}`))
	file, err := migrations.ReadFile("migrations/00021_swept.sql")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.db.ExecContext(t.Context(), `DROP TABLE swept; `+string(file)); err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[string]int64{shedSpeaks.Topic: 2, "acme/local/DOOR/publish": 13, "acme/local/NONE/publish": 0} {
		err := s.looking(t.Context(), func(tx *sql.Tx) error {
			got, err := wholeFrom(t.Context(), tx, topic)
			if got != want {
				t.Errorf("%s is whole from %d on, want %d", topic, got, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
