package history

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
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
