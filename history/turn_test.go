package history

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trellis/message"
)

func TestTurnsSayWhatWasBefore(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	minute := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }
	for n, door := range []string{"closed", "closed", "open", "open", "closed"} {
		mustAppend(t, s, at(fmt.Sprint(n), minute(n*10), `{"door":"`+door+`","t":1}`))
	}
	mustAppend(t, s, at("lamp", minute(25), `{"lamp":true}`))
	got, more, err := s.Turns(context.Background(), nil, minute(5), minute(40))
	if err != nil || more {
		t.Fatal(more, err)
	}
	want := []Turn{
		{About: "shed", Reading: "door", At: minute(40), Before: "open", Value: "closed"},
		{About: "shed", Reading: "lamp", At: minute(25), Value: true},
		{About: "shed", Reading: "door", At: minute(20), Before: "closed", Value: "open"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, _, err = s.Turns(context.Background(), nil, minute(40), minute(90)); err != nil || len(got) != 0 {
		t.Errorf("afterwards: %v, %v", got, err)
	}
	if got, _, err = s.Turns(context.Background(), func(string) bool { return false }, minute(5), minute(40)); err != nil || len(got) != 0 {
		t.Errorf("a reader of no topic is given %v, %v", got, err)
	}
}

// onTwo is what a device says once and sends on two topics.
func onTwo(id string, when time.Time, data string) []message.Message {
	one, other := at(id, when, data), at(id+" again", when.Add(time.Second), data)
	other.Topic = "acme/local/OTHER/publish"
	return []message.Message{one, other}
}

// A device that speaks on two topics, or had a key before this one, is told of once.
func TestWhatIsSaidOnTwoTopicsIsToldOnce(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	var week []message.Message
	for n := range 8 * 24 {
		week = append(week, onTwo(fmt.Sprint("hour", n), noon.Add(time.Duration(n)*time.Hour), fmt.Sprintf(`{"t":%d,"door":"closed"}`, 20+n%3))...)
	}
	mustAppend(t, s, week...)
	from := noon.Add(7*24*time.Hour + time.Minute)
	when := from.Add(5 * time.Hour)
	mustAppend(t, s, onTwo("hot", when, `{"t":31,"door":"open"}`)...)
	mustAppend(t, s, onTwo("cool", when.Add(10*time.Minute), `{"t":21}`)...)
	to := when.Add(time.Hour)
	turns, _, err := s.Turns(t.Context(), nil, from, to)
	if diff := cmp.Diff([]Turn{{About: "shed", Reading: "door", At: when, Before: "closed", Value: "open"}}, turns); diff != "" || err != nil {
		t.Errorf("turns: %v (-want +got):\n%s", err, diff)
	}
	minute := when.Truncate(time.Minute)
	extremes, err := s.Extremes(t.Context(), nil, from, to)
	if diff := cmp.Diff([]Extreme{{About: "shed", Reading: "t", At: minute, Value: 31, High: true, Low: 20, Most: 22}}, extremes); diff != "" || err != nil {
		t.Errorf("extremes: %v (-want +got):\n%s", err, diff)
	}
	high := 30.0
	passed, _, err := s.Passed(t.Context(), nil, []Limit{{About: "shed", Reading: "t", High: &high}}, from, to)
	if diff := cmp.Diff([]Passed{{"shed", "t", true, minute, minute.Add(10 * time.Minute), 31}}, passed); diff != "" || err != nil {
		t.Errorf("beyond limits: %v (-want +got):\n%s", err, diff)
	}
	// What was heard on the topic that came before counts as what was before.
	mustAppend(t, s, func() message.Message {
		m := at("third", to.Add(time.Minute), `{"door":"closed"}`)
		m.Topic = "acme/local/NEW/publish"
		return m
	}())
	if turns, _, err = s.Turns(t.Context(), nil, to, to.Add(time.Hour)); err != nil || len(turns) != 1 || turns[0].Before != "open" {
		t.Errorf("with a new key: %+v, %v", turns, err)
	}
}

func TestTurnsAreBounded(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	for n := range turnsOfReading + 50 {
		mustAppend(t, s, at(fmt.Sprint(n), noon.Add(time.Duration(n)*time.Second), `{"door":"`+[]string{"open", "closed"}[n%2]+`"}`))
	}
	got, more, err := s.Turns(context.Background(), nil, noon.Add(-time.Hour), noon.Add(time.Hour))
	if err != nil || !more || len(got) < turnsOfReading || len(got) > turnsOfReading+1 {
		t.Fatalf("%d turns, more: %v, %v", len(got), more, err)
	}
	if got[0].Before != "open" || got[0].Value != "closed" || got[len(got)-1].Before == nil {
		t.Errorf("the newest is %+v, the oldest %+v", got[0], got[len(got)-1])
	}
}

func TestMessagesAreCounted(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	for n := range 10 {
		mustAppend(t, s, at(fmt.Sprint(n), noon.Add(time.Duration(n)*time.Minute), `{"t":1}`))
	}
	n, many, err := s.MessageCount(context.Background(), nil, noon.Add(time.Minute), noon.Add(5*time.Minute))
	if err != nil || many || n != 4 {
		t.Errorf("%d, %v, %v; want the 4 of 4 minutes", n, many, err)
	}
	if n, _, err = s.MessageCount(context.Background(), func(string) bool { return false }, noon, noon.Add(time.Hour)); err != nil || n != 0 {
		t.Errorf("a reader of no topic counts %d, %v", n, err)
	}
}
