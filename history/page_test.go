package history

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"trellis/message"
)

// Whatever is asked for: page after page gives every message once, newest first.
func TestPagesGiveEveryMessageOnce(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	topics := []string{"A", "B", "C"}
	type said struct {
		topic, about string
		at           time.Time
	}
	var all []said
	for i := range 300 {
		one := said{topics[i*i%3], []string{"shed", "gate", ""}[i%7%3], noon.Add(time.Duration(i) * time.Second)}
		m := publish(fmt.Sprint(i), "acme/local/"+one.topic+"/publish", fmt.Sprintf(`{"n":%d}`, i))
		m.Received, m.About = one.at, one.about
		mustAppend(t, s, m)
		all = append(all, one)
	}
	rapid.Check(t, func(t *rapid.T) {
		about := rapid.SampledFrom([]string{"", "shed", "gate", "nobody"}).Draw(t, "about")
		only := rapid.SampledFrom([]string{"", "A", "B"}).Draw(t, "topic")
		of := PageOf{About: about, Limit: rapid.IntRange(1, 400).Draw(t, "limit")}
		if rapid.Bool().Draw(t, "from") {
			of.From = noon.Add(time.Duration(rapid.IntRange(-5, 320).Draw(t, "since")) * time.Second)
		}
		if rapid.Bool().Draw(t, "to") {
			of.To = noon.Add(time.Duration(rapid.IntRange(-5, 320).Draw(t, "until")) * time.Second)
		}
		wanted := func(topic string) bool { return only == "" || topic == "acme/local/"+only+"/publish" }
		var want []time.Time
		for i := len(all) - 1; i >= 0; i-- {
			one := all[i]
			if (about == "" || one.about == about) && (only == "" || one.topic == only) && (of.From.IsZero() || !one.at.Before(of.From)) &&
				(of.To.IsZero() || one.at.Before(of.To)) {
				want = append(want, one.at)
			}
		}
		var got []time.Time
		for range len(all) + 2 {
			page, err := s.Page(context.Background(), wanted, of)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range page.Messages {
				got = append(got, m.Received)
			}
			if len(page.Messages) > of.Limit {
				t.Fatalf("%d messages, asked for %d", len(page.Messages), of.Limit)
			}
			if of.Before = page.Next; page.Next == 0 {
				break
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%d messages %v, want %d %v", len(got), got, len(want), want)
		}
	})
}

// What a page holds is bounded by bytes too, and nothing is lost between two of them.
func TestAPageOfLongMessagesIsShort(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	for i := range 60 {
		m := publish(fmt.Sprint(i), "acme/local/A/publish", `{"n":1}`)
		m.Payload = append(m.Payload, make([]byte, 128<<10)...)
		mustAppend(t, s, m)
	}
	seen, of := 0, PageOf{Limit: 1000}
	for range 10 {
		page, err := s.Page(context.Background(), nil, of)
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, m := range page.Messages {
			size += len(m.Payload)
		}
		if size > maxPage+256<<10 {
			t.Errorf("a page of %d bytes", size)
		}
		seen += len(page.Messages)
		if of.Before = page.Next; page.Next == 0 {
			break
		}
	}
	if seen != 60 {
		t.Errorf("%d messages, want 60", seen)
	}
}

// A clock that was set back puts nothing on a page that is not of its time.
func TestAPageHoldsItsTimeWhenTheClockWasSetBack(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	for i, when := range []time.Duration{0, time.Hour, 10 * time.Minute, 20 * time.Minute} {
		m := publish(fmt.Sprint(i), "acme/local/A/publish", `{"n":1}`)
		m.Received = noon.Add(when)
		mustAppend(t, s, m)
	}
	page, err := s.Page(context.Background(), nil, PageOf{From: noon, To: noon.Add(30 * time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Messages) != 3 {
		t.Errorf("%d messages of half an hour, want 3", len(page.Messages))
	}
	for _, m := range page.Messages {
		if m.Received.After(noon.Add(30 * time.Minute)) {
			t.Errorf("a message of %s is on it", m.Received)
		}
	}
}

// A clock that was set back must not hide what comes until it has caught up.
func TestAClockThatWasSetBackHidesNothing(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	minute := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }
	var all []message.Message
	for n := range 60 { // until 13:00, when it becomes 12:00
		all = append(all, at(fmt.Sprint("before", n), minute(n), `{"t":1}`))
	}
	for n := range 30 {
		all = append(all, at(fmt.Sprint("after", n), minute(n).Add(30*time.Second), `{"t":2}`))
	}
	mustAppend(t, s, all...)
	for name, tt := range map[string]struct {
		from, to time.Time
		want     int
	}{
		"up to now":               {time.Time{}, minute(30), 60},
		"from before it jumped":   {minute(10), minute(30), 40},
		"what was to come":        {minute(40), time.Time{}, 20},
		"to when it has been":     {minute(20), minute(50), 40},
		"nothing is of that time": {minute(90), time.Time{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			page, err := s.Page(t.Context(), nil, PageOf{From: tt.from, To: tt.to, Limit: 1000})
			if err != nil || len(page.Messages) != tt.want {
				t.Errorf("a page of %d, %v, want %d", len(page.Messages), err, tt.want)
			}
			piece, err := s.Walk(t.Context(), nil, WalkOf{About: "shed", From: tt.from, To: tt.to})
			if err != nil || len(piece.Messages) != tt.want {
				t.Errorf("an export of %d, %v, want %d", len(piece.Messages), err, tt.want)
			}
		})
	}
}
