package history

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trellis/message"
)

func TestTimesBeyondALimit(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	for n, v := range []int{20, 31, 33, 29, 20, 35, 10, 36, 34} { // one every 10 minutes
		m := publish(fmt.Sprint(n), shed, fmt.Sprintf(`{"t":%d,"u":99}`, v))
		m.Received = noon.Add(time.Duration(n) * 10 * time.Minute)
		mustAppend(t, s, m)
	}
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	high, low := 30.0, 15.0
	limits := []Limit{{"shed", "t", &low, &high}, {"elsewhere", "t", nil, &low}}
	all := []Passed{
		{"shed", "t", true, at(70), time.Time{}, 36}, {"shed", "t", false, at(60), at(70), 10},
		{"shed", "t", true, at(50), at(60), 35}, {"shed", "t", true, at(10), at(30), 33},
	}
	for name, tt := range map[string]struct {
		from, to time.Time
		want     []Passed
	}{
		"all of it":                    {at(0), at(90), all},
		"from the middle of it on":     {at(20), at(90), all},
		"from its end on":              {at(30), at(90), all[:3]},
		"until the middle of it":       {at(0), at(20), []Passed{{"shed", "t", true, at(10), time.Time{}, 31}}},
		"before anything was beyond":   {at(-90), at(10), nil},
		"after, with nothing heard in": {at(600), at(900), nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, more, err := s.Passed(t.Context(), nil, limits, tt.from, tt.to)
			if err != nil || more {
				t.Fatal(more, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	if got, _, err := s.Passed(t.Context(), func(string) bool { return false }, limits, at(0), at(90)); err != nil || len(got) > 0 {
		t.Errorf("who may hear nothing is told %v, %v", got, err)
	}
	if _, err := s.write.db.Exec(`DELETE FROM minutes`); err != nil {
		t.Fatal(err)
	}
	got, _, err := s.Passed(t.Context(), nil, limits[:1], at(0), at(90))
	want := []Passed{{"shed", "t", true, at(0), time.Time{}, 36}, {"shed", "t", false, at(60), time.Time{}, 10}}
	slices.SortFunc(got, func(a, b Passed) int { return a.From.Compare(b.From) })
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("by the hour: %v, -want +got:\n%s", err, diff)
	}
}

// What is not read any more is not said to last.
func TestWhatWasNotReadDoesNotLast(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	mustAppend(t, s, at("1", noon, `{"t":9}`))
	last := noon.Add((maxLimitSums + 100) * time.Minute) // 9 for all of the time that is read, and 1 afterwards
	_, err := s.write.db.ExecContext(t.Context(), `WITH RECURSIVE m (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM m WHERE n < ?1 + 100)
		INSERT INTO minutes (series, at, n, low, high, total) SELECT 1, ?2 + n * 60000000, 1, iif(n > ?1 + 50, 1, 9), iif(n > ?1 + 50, 1, 9), 9 FROM m`, maxLimitSums, stamp(noon))
	if err != nil {
		t.Fatal(err)
	}
	high := 5.0
	found, more, err := s.Passed(t.Context(), nil, []Limit{{About: "shed", Reading: "t", High: &high}}, noon.Add(-time.Hour), last)
	if err != nil || len(found) != 0 || !more {
		t.Errorf("%+v, more %t, %v: it ended in what was not read", found, more, err)
	}
}

// What came back at once is over, and what happened within one minute is told in its order.
func TestTimesBeyondALimitAreExactWhereMessagesAreKept(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	for at, v := range map[int]string{0: "25", 70: "18.1", 100: "21", 110: "22", 130: "31", 250: "32", 260: "26", 400: "25", 600: "35"} {
		mustAppend(t, s, atSecond(at, v))
	}
	low, high := 20.0, 30.0
	at := func(second int) time.Time { return noon.Add(time.Duration(second) * time.Second) }
	below, above := Passed{"shed", "t", false, at(70), at(100), 18.1}, Passed{"shed", "t", true, at(130), at(260), 32}
	for name, tt := range map[string]struct {
		from, to int
		want     []Passed
	}{
		"after it came back":              {0, 105, []Passed{below}},
		"before it came back":             {0, 95, []Passed{{"shed", "t", false, at(70), time.Time{}, 18.1}}},
		"before it began, in that minute": {0, 65, nil},
		"all of it":                       {0, 500, []Passed{above, below}},
		"from when it was back on":        {101, 300, []Passed{above}},
		"and what lasts":                  {300, 900, []Passed{{"shed", "t", true, at(600), time.Time{}, 35}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := s.Passed(t.Context(), nil, []Limit{{"shed", "t", &low, &high}}, at(tt.from), at(tt.to))
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func atSecond(second int, v string) message.Message {
	m := publish(fmt.Sprint(second), shed, `{"t":`+v+`}`)
	m.Received = noon.Add(time.Duration(second) * time.Second)
	return m
}
