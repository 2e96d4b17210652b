package history

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trellis/message"
)

func TestExtremesAreBeyondTheWeekBefore(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	var batch []message.Message
	for n := range 8 * 24 { // a week and a day, each half an hour past
		when := noon.Add(time.Duration(n)*time.Hour + 30*time.Minute)
		t := 20 + 5*math.Sin(float64(n)/24*2*math.Pi)
		batch = append(batch, at(fmt.Sprint(n), when, fmt.Sprintf(`{"t":%.2f,"meter":%d,"level":7}`, t, n)))
	}
	from := noon.Add(7*24*time.Hour + 10*time.Minute)
	hot, low := from.Add(5*time.Hour), from.Add(9*time.Hour)
	batch = append(batch, at("hot", hot, `{"t":31}`), at("level", low, `{"level":6}`), at("new", hot, `{"fresh":99}`))
	mustAppend(t, s, batch...)
	got, err := s.Extremes(context.Background(), nil, from, from.Add(20*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	want := []Extreme{
		{About: "shed", Reading: "level", At: low.Truncate(time.Minute), Value: 6, Low: 7, Most: 7},
		{About: "shed", Reading: "t", At: hot.Truncate(time.Minute), Value: 31, High: true, Low: 15, Most: 25},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err = s.Extremes(context.Background(), nil, from, from.Add(4*time.Hour)); err != nil || len(got) != 0 {
		t.Errorf("before anything unusual: %v, %v", got, err)
	}
	// A time within one hour is summed up by minutes alone, and both ends of a longer one are.
	if got, err = s.Extremes(context.Background(), nil, hot.Add(-time.Minute), hot.Add(time.Minute)); err != nil || len(got) != 1 || got[0].Value != 31 {
		t.Errorf("two minutes: %v, %v", got, err)
	}
	if got, err = s.Extremes(context.Background(), nil, hot.Add(time.Minute), hot.Add(3*time.Hour)); err != nil || len(got) != 0 {
		t.Errorf("right afterwards: %v, %v", got, err)
	}
}
