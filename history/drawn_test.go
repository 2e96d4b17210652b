package history

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"trellis/message"
)

// Somebody whose words are others each time fills no disk, and takes nobody's record.
func TestWordsThatAreManyTakeNobodysPlace(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{KeepBytes: 2 << 20})
	mustAppend(t, s, at("quiet", noon, `{"t":20,"door":"open"}`))
	for round := range 40 {
		var batch []message.Message
		for n := range 50 {
			var words []string
			for w := range 20 {
				words = append(words, fmt.Sprintf(`"w%d":"%d-%d-%s"`, w, round, n, strings.Repeat("x", 150)))
			}
			m := publish(fmt.Sprint(round, "-", n), "acme/local/LOUD/publish", "{"+strings.Join(words, ",")+"}")
			m.Received = noon.Add(time.Duration(round*50+n) * time.Second)
			batch = append(batch, m)
		}
		mustAppend(t, s, batch...)
		mustAppend(t, s, at(fmt.Sprint("quiet", round), noon.Add(time.Duration(round)*time.Minute), `{"t":20}`))
	}
	for range 3 {
		if err := s.sweep(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if used, err := s.used(context.Background()); err != nil || used > 2<<20 {
		t.Errorf("%d bytes are left of 2 MiB, %v", used, err)
	}
	if n := count(t, s, "messages WHERE topic = 'acme/local/SHED/publish'"); n != 41 {
		t.Errorf("%d messages of another are left, want all 41", n)
	}
	if n := count(t, s, "minutes"); n != 40 {
		t.Errorf("%d minutes of another are left, want all 40", n)
	}
	if n := count(t, s, "changes"); n < 100 {
		t.Errorf("%d words are left: more went than had to", n)
	}
}

// Whoever makes up topics is forgotten with everything that was drawn of them.
func TestTopicsThatAreForgottenAreDrawnNoMore(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	s.topics = 20
	for n := range 200 {
		mustAppend(t, s, publish(fmt.Sprint(n), fmt.Sprintf("home/made-up-%d", n), `{"t":1,"w":"a"}`))
	}
	if err := s.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int{"series": 40, "minutes": 20, "hours": 20, "changes": 20} {
		if n := count(t, s, table); n != want {
			t.Errorf("%d %s are left, want %d", n, table, want)
		}
	}
}

// Where nothing else is left to go, what is drawn goes to the last.
func TestTheFileIsSmallWhateverFillsIt(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{KeepBytes: 300 << 10})
	for day := range 60 {
		var batch []message.Message
		for hour := range 24 {
			for e := range 5 {
				m := at(fmt.Sprint(day, hour, e), noon.Add(time.Duration(24*day+hour)*time.Hour), fmt.Sprintf(`{"t":1,"w":"%d %s"}`, hour, strings.Repeat("x", 90)))
				m.About = fmt.Sprint("entity", e)
				batch = append(batch, m)
			}
		}
		mustAppend(t, s, batch...)
	}
	if err := s.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if used, err := s.used(context.Background()); err != nil || used > 300<<10 {
		t.Errorf("%d bytes are left of 300 KiB, %v", used, err)
	}
}

// A gateway names each of its words after somebody who passes by: what is not remembered any more takes no place for ever.
func TestWordsThatAreNeverSaidAgainMakeRoom(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{Keep: 24 * time.Hour})
	now := noon
	s.clock = func() time.Time { return now }
	for n := 0; n < maxSeries+200; n += 50 {
		var words []string
		for w := range 50 {
			words = append(words, fmt.Sprintf(`"passer-%d":"home"`, n+w))
		}
		mustAppend(t, s, at(fmt.Sprint(n), noon.Add(time.Duration(n)*time.Second), "{"+strings.Join(words, ",")+"}"))
	}
	if n := count(t, s, "series"); n != maxSeries {
		t.Fatalf("%d series, want as many as there may be", n)
	}
	now = noon.Add(72 * time.Hour)
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, at("new", now, `{"t":20}`))
	if n := count(t, s, "minutes"); n != 1 {
		t.Errorf("%d minutes of a new reading are drawn beside %d series, want 1", n, count(t, s, "series"))
	}
}
