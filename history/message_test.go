package history

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trellis/message"
)

const shed = "acme/local/SHED/publish"

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// publish is a message with the readings in data of the entity "shed".
func publish(id, topic, data string) message.Message {
	return message.Message{
		Origin:  message.Origin{Topic: topic, Source: "acme:local:shed", Entity: "shed", ID: id, Received: noon},
		Data:    json.RawMessage(data),
		About:   "shed",
		Payload: []byte(`{"data":` + data + `}`),
	}
}

// batchOf is n messages whose ids begin with id.
func batchOf(id string, n int) []message.Message {
	all := make([]message.Message, n)
	for i := range all {
		all[i] = publish(fmt.Sprint(id, "-", i), "acme/local/"+id+"/publish", fmt.Sprintf(`{"t":%d}`, i))
	}
	return all
}

func mustAppend(t testing.TB, s *Store, batch ...message.Message) {
	t.Helper()
	if err := s.Append(context.Background(), batch); err != nil {
		t.Fatal(err)
	}
}

// latest gives, in short, what Latest gives.
func latest(t testing.TB, s *Store) []string {
	t.Helper()
	found, err := s.Latest(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	short := []string{}
	for _, r := range found {
		short = append(short, fmt.Sprintf("%s %s %s", r.About, strings.Join(r.Readings, ","), r.Payload))
	}
	return short
}

func TestLatestHoldsTheNewestOfEachReading(t *testing.T) {
	about := func(m message.Message, entity string) message.Message {
		m.About = entity
		return m
	}
	for name, tt := range map[string]struct {
		batches [][]message.Message
		want    []string
	}{
		"nothing yet": {nil, []string{}},
		"one message with two readings": {
			[][]message.Message{{publish("1", shed, `{"t":1,"h":2}`)}},
			[]string{`shed h,t {"data":{"t":1,"h":2}}`},
		},
		"the newer one takes over what it holds": {
			[][]message.Message{{publish("1", shed, `{"t":1,"h":2}`)}, {publish("2", shed, `{"t":3}`)}},
			[]string{`shed h {"data":{"t":1,"h":2}}`, `shed t {"data":{"t":3}}`},
		},
		"within one batch as well": {
			[][]message.Message{{publish("1", shed, `{"t":1,"h":2}`), publish("2", shed, `{"t":3}`)}},
			[]string{`shed h {"data":{"t":1,"h":2}}`, `shed t {"data":{"t":3}}`},
		},
		"one that came before changes nothing": {
			[][]message.Message{{publish("1", shed, `{"t":1}`)}, {publish("2", shed, `{"t":3}`)}, {publish("1", shed, `{"t":1}`)}},
			[]string{`shed t {"data":{"t":3}}`},
		},
		"other topics and other entities stand beside": {
			[][]message.Message{{
				publish("1", shed, `{"t":1}`), publish("2", "acme/local/BARN/publish", `{"t":2}`), about(publish("3", shed, `{"t":3}`), "pond"),
			}},
			[]string{`shed t {"data":{"t":1}}`, `shed t {"data":{"t":2}}`, `pond t {"data":{"t":3}}`},
		},
		"a message to somebody is no reading": {
			[][]message.Message{{about(publish("1", shed, `{"t":1}`), "")}},
			[]string{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, t.TempDir(), Config{})
			for _, b := range tt.batches {
				mustAppend(t, s, b...)
			}
			if diff := cmp.Diff(tt.want, latest(t, s)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAppendIgnoresWhatCameBefore(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	mustAppend(t, s, publish("1", shed, `{"t":1}`), publish("1", shed, `{"t":1}`), publish("2", shed, `{"t":2}`), publish("1", shed, `{"t":1}`))
	mustAppend(t, s, publish("2", shed, `{"t":2}`))
	mustAppend(t, s, publish("", shed, `{"t":3}`), publish("", shed, `{"t":3}`))
	if n := count(t, s, "messages"); n != 4 {
		t.Errorf("%d messages, want 4: two named and two that have no name", n)
	}
	var last int
	if err := s.read.QueryRow("SELECT max(id) FROM messages").Scan(&last); err != nil || last != 4 {
		t.Errorf("last id %d, %v, want 4: what is ignored takes none", last, err)
	}
}

func TestAppendIsAllOrNothing(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Append(ctx, batchOf("A", 1000)); err == nil {
		t.Error("no error")
	}
	if n := count(t, s, "messages"); n != 0 {
		t.Errorf("%d messages", n)
	}
	mustAppend(t, s, batchOf("A", 1000)...)
	mustAppend(t, s)
	if n := count(t, s, "messages"); n != 1000 {
		t.Errorf("%d messages, want 1000", n)
	}
}

func TestRecordsSurviveReopening(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(context.Background(), dir, Config{})
	if err != nil {
		t.Fatal(err)
	}
	m := publish("1", shed, `{"t":1}`)
	m.Received = noon.Add(1234 * time.Microsecond)
	mustAppend(t, s, m)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, Config{})
	mustAppend(t, s, m)
	want := []Record{{Topic: shed, Payload: m.Payload, Received: m.Received, About: "shed", Readings: []string{"t"}}}
	got, err := s.Latest(context.Background())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	want[0].Readings = nil
	got, err = s.Recent(context.Background(), nil, 10)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestLatestIsBounded(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	for i := range 10 { // 640 names, of which the last 256 stay
		values := map[string]int{}
		for j := range message.MaxReadings {
			values[fmt.Sprintf("n%03d", i*message.MaxReadings+j)] = j
		}
		data, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, s, publish(fmt.Sprint(i), shed, string(data)))
	}
	if n := count(t, s, "latest"); n != maxLatest {
		t.Errorf("%d readings remembered, want %d", n, maxLatest)
	}
	found, err := s.Latest(context.Background())
	if err != nil || len(found) != maxLatest/message.MaxReadings {
		t.Fatalf("%d messages, %v, want the newest four", len(found), err)
	}
	if first := found[0].Readings[0]; first != "n384" {
		t.Errorf("the oldest reading is %s, want n384", first)
	}
}

func TestRecent(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	for i := range 5 {
		for _, key := range []string{"A", "B", "C"} {
			mustAppend(t, s, publish(fmt.Sprint(key, i), "acme/local/"+key+"/publish", fmt.Sprintf(`"%s%d"`, key, i)))
		}
	}
	only := func(keys string) func(string) bool {
		return func(topic string) bool { return strings.Contains(keys, strings.Split(topic, "/")[2]) }
	}
	for name, tt := range map[string]struct {
		wanted func(string) bool
		limit  int
		want   string
	}{
		"of all topics":          {nil, 4, "C4 B4 A4 C3"},
		"of one":                 {only("B"), 3, "B4 B3 B2"},
		"of two":                 {only("AC"), 3, "C4 A4 C3"},
		"fewer than asked for":   {only("A"), 50, "A4 A3 A2 A1 A0"},
		"of none":                {only(""), 3, ""},
		"none wanted":            {nil, 0, ""},
		"a limit out of bounds":  {nil, -1, ""},
		"exactly what there are": {only("C"), 5, "C4 C3 C2 C1 C0"},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := s.Recent(context.Background(), tt.wanted, tt.limit)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range found {
				got = append(got, strings.Trim(string(r.Payload), `{"dat:}`))
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1, 100, 2000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := openStore(b, b.TempDir(), Config{})
			n := 0
			for b.Loop() {
				n++
				mustAppend(b, s, batchOf(fmt.Sprint("K", n), size)...)
			}
			b.ReportMetric(float64(n*size)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

func TestRecentTellsWhatAPersonSent(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	hand, operator := publish("2", shed, `{"t":2}`), publish("3", shed, `{"t":3}`)
	hand.Payload = []byte(`{"data":{"t":2},"context":{"by":"page"}}`)
	operator.Source = "acme:local:operator"
	mustAppend(t, s, publish("1", shed, `{"t":1}`), hand, operator)
	found, err := s.Recent(t.Context(), nil, 10)
	if err != nil || len(found) != 3 || !found[0].ByHand || !found[1].ByHand || found[2].ByHand {
		t.Errorf("%+v %v", found, err)
	}
}

// One message that the program cannot read must not keep all others out of the record.
func TestAMessageThatCannotBeReadIsRecordedWithoutReadings(t *testing.T) {
	var said bytes.Buffer
	s := openStore(t, t.TempDir(), Config{Log: slog.New(slog.NewTextHandler(&said, nil))})
	s.reader = func(m *message.Message) (time.Time, []message.Reading) {
		if bytes.Contains(m.Payload, []byte("13")) {
			panic("thirteen")
		}
		return m.Heard()
	}
	mustAppend(t, s, publish("1", shed, `{"t":12}`), publish("2", shed, `{"t":13}`), publish("3", shed, `{"u":13}`), publish("4", shed, `{"v":14}`))
	values, err := s.Values(t.Context(), nil)
	if err != nil || len(values) != 2 || values[0].Value != 12.0 || values[1].Value != 14.0 {
		t.Errorf("values %+v, %v", values, err)
	}
	if n := count(t, s, "messages"); n != 4 {
		t.Errorf("%d messages are recorded", n)
	}
	if got := s.Stats().Unread; got != 2 {
		t.Errorf("%d are counted", got)
	}
	if n := strings.Count(said.String(), "thirteen"); n != 1 {
		t.Errorf("it was said %d times: %s", n, said.String())
	}
}
