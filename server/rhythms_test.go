package server

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"trellis/history"
	"trellis/rhythm"
)

func TestDevicesAreQuietByTheirRhythm(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	shed := s.key(t, "shed")
	for n := range 60 {
		record(t, s, shed, `{"data":{"t":1}}`, now.Add(time.Duration(n-64)*5*time.Minute))
	}
	asked := func() (body string) {
		answer, body := send(t, s.browser(t), http.MethodGet, s.URL+"/api/history/devices", nil, "Authorization", "Bearer "+shed.Key)
		holdTo(t, "/api/history/devices", answer, body)
		return body
	}
	for until := time.Now().Add(10 * time.Second); ; { // it is learned beside the answers
		body := asked()
		if strings.Contains(body, `"rhythm":"steady"`) {
			if !strings.Contains(body, `"usual":300`) || !strings.Contains(body, `"quiet":true`) {
				t.Errorf("25 minutes after the last of a message every 5: %s", body)
			}
			break
		}
		if time.Now().After(until) {
			t.Fatalf("nothing is learned: %s", body)
		}
	}
	now = now.Add(-14 * time.Minute) // 11 minutes after its last word
	if body := asked(); !strings.Contains(body, `"quiet":false`) {
		t.Errorf("after two gaps: %s", body)
	}
}

func TestRhythmsAreBoundedAndLearnedOnce(t *testing.T) {
	now := time.Now()
	asked, learn := 0, []func(context.Context){}
	r := newRhythms(func(context.Context, history.Speaker, int) ([]time.Time, error) { asked++; return nil, nil },
		func() time.Time { return now }, func(run func(context.Context)) bool { learn = append(learn, run); return true })
	for n := range maxToLearn + 100 {
		for range 3 {
			if got := r.of(history.Speaker{About: string(rune('a' + n))}); got.Kind != "" {
				t.Fatalf("%+v is known of nobody", got)
			}
		}
	}
	if len(learn) != 1 || len(r.waiting) != maxToLearn {
		t.Fatalf("%d learn, %d wait", len(learn), len(r.waiting))
	}
	learn[0](t.Context())
	if asked != maxToLearn || r.running {
		t.Errorf("%d were asked for, and it goes on: %v", asked, r.running)
	}
	if got := r.of(history.Speaker{About: "a"}); got.Kind != rhythm.Unknown || len(learn) != 1 {
		t.Errorf("%+v, and %d learn", got, len(learn))
	}
	now = now.Add(2 * learnAgain)
	r.of(history.Speaker{About: "a"})
	if len(learn) != 2 {
		t.Error("what is old is not learned again")
	}
}
