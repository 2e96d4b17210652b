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
	listen := listener{heard: func(context.Context, history.Speaker, int) ([]time.Time, error) { asked++; return nil, nil }}
	r := newRhythms(listen,
		func() time.Time { return now }, func(run func(context.Context)) bool { learn = append(learn, run); return true })
	for n := range maxToLearn + 100 {
		for range 3 {
			if got := r.of(speaker{Speaker: history.Speaker{About: string(rune('a' + n))}}); got.Kind != "" {
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
	if got := r.of(speaker{Speaker: history.Speaker{About: "a"}}); got.Kind != rhythm.Unknown || len(learn) != 1 {
		t.Errorf("%+v, and %d learn", got, len(learn))
	}
	now = now.Add(2 * learnAgain)
	r.of(speaker{Speaker: history.Speaker{About: "a"}})
	if len(learn) != 2 {
		t.Error("what is old is not learned again")
	}
}

// When this server was off, the devices were not: nobody is called quiet because we begin to listen again, and nothing is learned of it.
func TestOurOwnOutageMakesNobodyQuiet(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	shed := s.key(t, "shed")
	back := now.Add(-8 * time.Minute)
	for n := range 60 {
		record(t, s, shed, `{"data":{"t":1}}`, now.Add(-3*time.Hour-time.Duration(60-n)*5*time.Minute))
	}
	quietNow := func() bool {
		t.Helper()
		_, body := send(t, s.browser(t), http.MethodGet, s.URL+"/api/history/devices", nil, "Authorization", "Bearer "+shed.Key)
		return strings.Contains(body, `"quiet":true`)
	}
	knowsRhythm(t, s, comeIn(t, s, shed))
	if !quietNow() {
		t.Fatal("this test shows nothing: three hours of silence are usual")
	}
	if err := s.store.BeginGap(t.Context(), "", history.GapStopped, now.Add(-3*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := s.store.EndGap(t.Context(), "", history.GapStopped, back); err != nil {
		t.Fatal(err)
	}
	if quietNow() {
		t.Error("a device is quiet because we were away")
	}
	now = now.Add(20 * time.Minute)
	if !quietNow() {
		t.Error("28 minutes after we listen again it still says nothing, and is not quiet")
	}
}

func TestARhythmIsLearnedWithoutOurOutages(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	var heard []time.Time
	var gaps []history.Gap
	for n := range 100 { // every 5 minutes, and we are away for half an hour of each
		if at := now.Add(time.Duration(n-100) * 5 * time.Minute); n%12 < 6 {
			heard = append(heard, at)
		} else if n%12 == 6 {
			gaps = append(gaps, history.Gap{Began: at.Add(-time.Minute), Ended: at.Add(29 * time.Minute)})
		}
	}
	gaps[len(gaps)-1].Ended = time.Time{}
	l := listener{
		heard: func(context.Context, history.Speaker, int) ([]time.Time, error) { return heard, nil },
		gaps: func(_ context.Context, whose string, from, to time.Time) ([]history.Gap, error) {
			if whose != "k" || !from.Equal(heard[0]) || !to.Equal(now) {
				t.Errorf("asked for gaps of %q from %s to %s", whose, from, to)
			}
			return gaps, nil
		},
	}
	r, err := l.learn(t.Context(), speaker{key: "k"}, now)
	if err != nil || r.Kind != rhythm.Steady || r.Usual != 5*time.Minute {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWhatIsKnownStaysWhenTheRecordCannotBeRead(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	fails := error(nil)
	l := listener{
		heard: func(context.Context, history.Speaker, int) (heard []time.Time, err error) {
			for n := range 40 {
				heard = append(heard, now.Add(time.Duration(n-40)*5*time.Minute))
			}
			return heard, fails
		},
		gaps: func(context.Context, string, time.Time, time.Time) ([]history.Gap, error) { return nil, nil },
	}
	r := newRhythms(l, func() time.Time { return now }, func(run func(context.Context)) bool { return true })
	for _, fails = range []error{nil, context.DeadlineExceeded} {
		r.of(speaker{})
		r.learn(t.Context())
		now = now.Add(2 * learnAgain)
	}
	if got := r.of(speaker{}); got.Kind != rhythm.Steady {
		t.Errorf("%+v is left", got)
	}
}
