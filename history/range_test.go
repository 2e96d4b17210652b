package history

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"trellis/message"
)

// at is a message of the shed with this data, as it arrives at this moment.
func at(id string, when time.Time, data string) message.Message {
	m := publish(id, "acme/local/SHED/publish", data)
	m.Received = when
	return m
}

func mustRange(t testing.TB, s *Store, span Span) Drawn {
	t.Helper()
	d, err := s.Range(context.Background(), nil, span)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRangeSumsUp(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	mustAppend(t, s, at("1", noon.Add(5*time.Second), `{"t":20}`), at("2", noon.Add(25*time.Second), `{"t":22}`))
	mustAppend(t, s, at("3", noon.Add(45*time.Second), `{"t":18}`), at("4", noon.Add(90*time.Second), `{"t":30}`))
	mustAppend(t, s, at("4", noon.Add(90*time.Second), `{"t":30}`)) // again: it counts once
	by := publish("5", "acme/local/SHED/publish", `{"t":99}`)
	by.Payload = []byte(`{"data":{"t":99},"context":{"by":"page"}}`)
	mustAppend(t, s, by) // a person's: nothing that was measured
	got := mustRange(t, s, Span{About: "shed", Reading: "t", From: noon, To: noon.Add(time.Hour), Points: 60})
	want := Drawn{Every: time.Minute, Points: []Point{{noon, 18, 22, 20, 3}, {noon.Add(time.Minute), 30, 30, 30, 1}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("range (-want +got):\n%s", diff)
	}
	got = mustRange(t, s, Span{About: "shed", Reading: "t", From: noon, To: noon.Add(time.Hour), Points: 1})
	if diff := cmp.Diff([]Point{{noon, 18, 30, 22.5, 4}}, got.Points); diff != "" {
		t.Errorf("range in one (-want +got):\n%s", diff)
	}
	nobody, err := s.Range(context.Background(), func(string) bool { return false }, Span{About: "shed", Reading: "t", From: noon, To: noon.Add(time.Hour), Points: 60})
	if err != nil || len(nobody.Points) != 0 {
		t.Errorf("a reader of no topic is given %v, %v", nobody.Points, err)
	}
	if _, err := s.Range(context.Background(), nil, Span{About: "shed", Reading: "t", From: noon, To: noon, Points: 60}); err == nil {
		t.Error("a span in which nothing can be is no error")
	}
}

// Whatever the span and the points, the sums are those of the numbers in it.
func TestRangeAgreesWithCounting(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	random := rand.New(rand.NewPCG(1, 2))
	type number struct {
		at time.Time
		v  float64
	}
	var all []number
	var batch []message.Message
	for i := range 3000 {
		n := number{noon.Add(time.Duration(random.IntN(40*24*60)) * time.Minute), math.Round(random.Float64() * 1000)}
		all = append(all, n)
		batch = append(batch, at(fmt.Sprint(i), n.at, fmt.Sprintf(`{"t":%v}`, n.v)))
	}
	mustAppend(t, s, batch...)
	rapid.Check(t, func(t *rapid.T) {
		from := noon.Add(time.Duration(rapid.IntRange(-60, 40*24*60).Draw(t, "from")) * time.Minute)
		to := from.Add(time.Duration(rapid.IntRange(1, 45*24*60).Draw(t, "minutes")) * time.Minute)
		points := rapid.IntRange(1, 500).Draw(t, "points")
		d, err := s.Range(context.Background(), nil, Span{About: "shed", Reading: "t", From: from, To: to, Points: points})
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Points) > points {
			t.Fatalf("%d points, asked for %d", len(d.Points), points)
		}
		// The first and the last hour may be whole ones.
		edge := time.Minute
		if d.Every%time.Hour == 0 && to.Sub(from)/time.Duration(points) >= 2*time.Hour {
			edge = time.Hour
		}
		begin := from.Truncate(edge)
		end := to
		if end.Truncate(edge) != end {
			end = end.Truncate(edge).Add(edge)
		}
		var n int64
		sum := 0.0
		for _, one := range all {
			if !one.at.Before(begin) && one.at.Before(end) {
				n++
				sum += one.v
			}
		}
		var got int64
		total := 0.0
		for i, p := range d.Points {
			got += p.N
			total += p.Mean * float64(p.N)
			if p.Low > p.Mean+1e-9 || p.Mean > p.High+1e-9 || (i > 0 && !p.At.After(d.Points[i-1].At)) {
				t.Fatalf("point %+v after %+v", p, d.Points[max(0, i-1)])
			}
		}
		if got != n || math.Abs(total-sum) > 1e-6*math.Max(1, sum) {
			t.Fatalf("%d numbers with the sum %v, want %d with %v", got, total, n, sum)
		}
	})
}

func TestWordsAreDrawnWhereTheyChange(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	for i, word := range []string{`"open"`, `"open"`, `"shut"`, `true`, `"shut"`, `"shut"`} {
		mustAppend(t, s, at(fmt.Sprint(i), noon.Add(time.Duration(i)*time.Minute), `{"door":`+word+`}`))
	}
	got := mustRange(t, s, Span{About: "shed", Reading: "door", From: noon.Add(90 * time.Second), To: noon.Add(time.Hour), Points: 10})
	minute := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }
	want := []Change{{noon, "open"}, {minute(2), "shut"}, {minute(3), true}, {minute(4), "shut"}}
	if diff := cmp.Diff(want, got.Changes); diff != "" || len(got.Points) > 0 {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestKeysOfOneEntityAreDrawnTogether(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	other := at("b", noon, `{"t":10}`)
	other.Topic = "acme/local/SPARE/publish"
	mustAppend(t, s, at("a", noon, `{"t":20}`), other)
	got := mustRange(t, s, Span{About: "shed", Reading: "t", From: noon, To: noon.Add(time.Hour), Points: 10})
	if diff := cmp.Diff([]Point{{noon, 10, 20, 15, 2}}, got.Points); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Somebody who makes up names fills no disk.
func TestATopicDrawsOnlySoMany(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	for i := range maxSeries + 10 {
		mustAppend(t, s, at(fmt.Sprint(i), noon, fmt.Sprintf(`{"t%d":1}`, i)))
	}
	if n := count(t, s, "series"); n != maxSeries {
		t.Errorf("%d series, want %d", n, maxSeries)
	}
	if n := count(t, s, "messages"); n != maxSeries+10 {
		t.Errorf("%d messages, want all", n)
	}
}

func TestWhatIsTooOldGoes(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{Keep: 24 * time.Hour})
	now := noon.Add(10 * 24 * time.Hour)
	s.clock = func() time.Time { return now }
	for day := range 10 {
		when := noon.Add(time.Duration(day)*24*time.Hour + time.Minute)
		mustAppend(t, s, at(fmt.Sprint(day), when, fmt.Sprintf(`{"t":%d,"door":"w%d"}`, day, day)))
	}
	old := publish("old", "acme/local/OLD/publish", `{"t":1}`)
	mustAppend(t, s, old) // the newest of its reading: it stays, as what was heard last
	for range 2 {
		if err := s.sweep(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	for table, want := range map[string]int{"messages": 2, "minutes": 1, "hours": 1, "changes": 2} {
		if n := count(t, s, table); n != want {
			t.Errorf("%d %s are left, want %d", n, table, want)
		}
	}
	got := mustRange(t, s, Span{About: "shed", Reading: "door", From: now.Add(-24 * time.Hour), To: now, Points: 10})
	if len(got.Changes) != 2 || got.Changes[0].Value != "w8" {
		t.Errorf("what held when the kept time begins is not known: %v", got.Changes)
	}
}

func TestMinutesGoWhenMessagesAreNotEnough(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{KeepBytes: 400 << 10})
	for day := range 16 {
		var batch []message.Message
		for minute := range 500 {
			when := noon.Add(time.Duration(day)*24*time.Hour + time.Duration(minute)*time.Minute)
			batch = append(batch, at(fmt.Sprint(day, "-", minute), when, `{"t":1}`))
		}
		mustAppend(t, s, batch...)
	}
	if err := s.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	used, err := s.used(context.Background())
	if err != nil || used > 400<<10 {
		t.Errorf("%d bytes are left, %v", used, err)
	}
	if n := count(t, s, "hours"); n != 16*9 {
		t.Errorf("%d hours are left, want all %d", n, 16*9)
	}
}

func BenchmarkRange24Hours(b *testing.B) {
	s := openStore(b, b.TempDir(), Config{Sync: time.Hour})
	for day := range 7 {
		var batch []message.Message
		for minute := range 24 * 60 {
			when := noon.Add(time.Duration(day)*24*time.Hour + time.Duration(minute)*time.Minute)
			batch = append(batch, at(fmt.Sprint(day, "-", minute), when, fmt.Sprintf(`{"t":%d,"h":%d}`, minute%40, minute%90)))
		}
		mustAppend(b, s, batch...)
	}
	for b.Loop() {
		d := mustRange(b, s, Span{About: "shed", Reading: "t", From: noon.Add(72 * time.Hour), To: noon.Add(96 * time.Hour), Points: 300})
		if len(d.Points) != 288 {
			b.Fatal(len(d.Points))
		}
	}
}

// Somebody who makes up topics leaves no message that may not go.
func TestTopicsThatAreManyAreForgotten(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{KeepMessages: 50})
	s.topics = 20
	for n := range 200 {
		m := publish(fmt.Sprint(n), fmt.Sprintf("home/made-up-%d", n), `{"t":1}`)
		mustAppend(t, s, m)
	}
	if err := s.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if topics, messages := count(t, s, "(SELECT DISTINCT topic FROM latest)"), count(t, s, "messages"); topics != 20 || messages > 50 {
		t.Errorf("%d topics are remembered, and %d messages kept", topics, messages)
	}
	if n := count(t, s, "latest WHERE topic = 'home/made-up-199'"); n != 1 {
		t.Error("the newest is forgotten")
	}
}
