package history

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
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

// The sum of numbers that are too large is none, and a sum that is none would let nothing be recorded any more.
func TestHugeNumbersStopNobodysRecord(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	for i, data := range []string{`{"t":1.7e308}`, `{"t":1.7e308}`, `{"t":-1.7e308}`, `{"t":-1.7e308}`, `{"t":1e250}`, `{"t":20}`} {
		mustAppend(t, s, at(fmt.Sprint("a", i), noon, data), at(fmt.Sprint("b", i), noon, data))
	}
	got := mustRange(t, s, Span{About: "shed", Reading: "t", From: noon, To: noon.Add(time.Hour), Points: 60})
	if len(got.Points) != 1 || math.IsInf(got.Points[0].Mean, 0) || math.IsNaN(got.Points[0].Mean) {
		t.Errorf("points %+v, which no JSON can say", got.Points)
	}
	if n := count(t, s, "messages"); n != 12 {
		t.Errorf("%d messages are recorded, want all", n)
	}
}

// A range finds its series by an index, whatever others have made up, and reads nothing of their topics.
func TestARangeReadsItsOwnSeriesOnly(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	for n := range 3 * maxTogether {
		m := at(fmt.Sprint(n), noon, `{"t":1}`)
		m.Topic = fmt.Sprintf("home/made-up-%02d", n)
		mustAppend(t, s, m)
	}
	span := Span{About: "shed", Reading: "t", From: noon, To: noon.Add(time.Hour), Points: 60}
	got, err := s.Range(context.Background(), func(topic string) bool { return topic > "home/made-up-10" }, span)
	if err != nil || len(got.Points) != 1 || got.Points[0].N != maxTogether {
		t.Errorf("%+v, %v; want %d of them together", got.Points, err, maxTogether)
	}
	for query, want := range map[string]string{
		`SELECT id, topic FROM series WHERE about = 'a' AND reading = 'b' ORDER BY id`:                                                                                                "series_about",
		`SELECT (at - 1) / 2, sum(n) FROM minutes WHERE series = 1 AND at >= 1 AND at < 2 GROUP BY 1 ORDER BY 1`:                                                                      "SEARCH minutes USING PRIMARY KEY (series=? AND at>? AND at<?)",
		`SELECT id, received, about FROM messages WHERE topic = 'a' AND id BETWEEN 1 AND 2 ORDER BY id DESC LIMIT 3`:                                                                  "USING INDEX messages_topic (topic=? AND rowid>? AND rowid<?)",
		`SELECT min(id) FROM (SELECT id FROM messages WHERE received >= 1 ORDER BY received, id LIMIT 200)`:                                                                           "USING COVERING INDEX messages_received",
		`SELECT id FROM messages WHERE topic = 'a' AND id > 1 ORDER BY id LIMIT 1`:                                                                                                    "messages_topic",
		`SELECT at, n FROM hours WHERE series = 1 AND at >= 1 AND at < 2 AND NOT EXISTS (SELECT 1 FROM minutes AS m WHERE m.series = 1 AND m.at >= hours.at AND m.at < hours.at + 3)`: "SEARCH m USING PRIMARY KEY (series=? AND at>? AND at<?)",
		`SELECT whose FROM gaps WHERE whose IN ('', 'k') AND began < 2 AND (ended IS NULL OR ended > 1) ORDER BY began DESC LIMIT 1`:                                                  "USING INDEX gaps_whose (whose=? AND began<?)",
	} {
		if plan := planOf(t, s, query); !strings.Contains(plan, want) {
			t.Errorf("%s\nis answered by %s\nwant %s", query, plan, want)
		}
	}
}

// planOf is how SQLite answers a query.
func planOf(t *testing.T, s *Store, query string) string {
	t.Helper()
	rows, err := s.read.QueryContext(context.Background(), "EXPLAIN QUERY PLAN "+query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "; ")
}

// Minutes go before hours: a day of which only the hours are kept is no day in which nothing was heard.
func TestADayIsDrawnByTheHourWhereItsMinutesAreGone(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	var all []message.Message
	for n := range 24 * 12 {
		all = append(all, at(fmt.Sprint(n), noon.Add(time.Duration(n)*5*time.Minute), fmt.Sprintf(`{"t":%d}`, n%12)))
	}
	mustAppend(t, s, all...)
	day := Span{About: "shed", Reading: "t", From: noon, To: noon.Add(24 * time.Hour), Points: 288}
	before := mustRange(t, s, day)
	for {
		if more, err := s.thin(t.Context()); err != nil || !more {
			t.Fatal(more, err)
		}
		if n := count(t, s, "minutes WHERE at < "+fmt.Sprint(stamp(noon.Add(12*time.Hour)))); n == 0 {
			break
		}
	}
	after := mustRange(t, s, day)
	if len(after.Points) <= 12 || len(after.Points) >= len(before.Points) {
		t.Fatalf("%d points, and %d before: the first hours are to be one each", len(after.Points), len(before.Points))
	}
	if first := after.Points[0]; !first.At.Equal(noon) || first.N != 12 || first.Low != 0 || first.High != 11 || first.Mean != 5.5 {
		t.Errorf("%+v is not the first hour", first)
	}
}

func TestWhenTheRecordOfAReadingBegins(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	begins := func(reading string) time.Time {
		t.Helper()
		at, err := s.Begins(t.Context(), nil, "shed", reading)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	first := noon.Add(17*time.Minute + 3*time.Second)
	mustAppend(t, s, at("1", first, `{"t":9,"door":"open"}`), at("2", first.Add(2*time.Hour), `{"t":9,"door":"shut"}`))
	if got := begins("t"); !got.Equal(first.Truncate(time.Minute)) {
		t.Errorf("numbers begin %s", got)
	}
	if got := begins("door"); !got.Equal(first) {
		t.Errorf("words begin %s", got)
	}
	if got := begins("none"); !got.IsZero() {
		t.Errorf("nothing begins %s", got)
	}
	if _, err := s.write.db.Exec(`DELETE FROM minutes`); err != nil {
		t.Fatal(err)
	}
	if got := begins("t"); !got.Equal(noon) {
		t.Errorf("hours begin %s", got)
	}
	if got, err := s.Begins(t.Context(), func(string) bool { return false }, "shed", "t"); err != nil || !got.IsZero() {
		t.Errorf("who may hear nothing is told %s, %v", got, err)
	}
}
