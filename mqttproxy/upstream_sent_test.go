package mqttproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// publishOn sends as soon as the link is up, and gives what became of it.
func (f *front) publishOn(limit time.Duration, payload []byte) error {
	f.t.Helper()
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(f.t.Context(), limit)
		err := f.Publish(ctx, shedOwn, payload, 1)
		cancel()
		if !errors.Is(err, errLinkDown) {
			return err
		}
		if time.Now().After(until) {
			f.t.Fatalf("the link does not come up: %+v", f.StateOf(shed()))
		}
	}
}

func TestABrokerThatConfirmsNothingIsGivenUp(t *testing.T) {
	p := newPuppet(t, nil) // it answers pings
	f := newFront(t, p.at, func(c *UplinksConfig) { c.PingEvery, c.Silence = time.Second, 2200*time.Millisecond })
	t.Cleanup(f.Need(shed()))
	err := f.publishOn(time.Minute, []byte("waits for ever"))
	if unsure := (unsureError{}); !errors.As(err, &unsure) || !errors.Is(err, errNoPubAnswer) || errors.Is(err, errDropped) {
		t.Errorf("who waits is told %v", err)
	}
	if err := f.publishOn(10*time.Millisecond, []byte("goes on")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("who does not wait is told %v", err)
	}
	for until := time.Now().Add(20 * time.Second); p.runs.Load() < 3; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("nobody waits, and the library keeps the message for ever")
		}
	}
}

func TestWhatIsNotConfirmedIsBounded(t *testing.T) {
	for name, tt := range map[string]struct{ size, most int }{"by count": {1, 4}, "by bytes": {250, 100}} {
		t.Run(name, func(t *testing.T) {
			confirm := make(chan struct{})
			p := newPuppet(t, func(p *puppeteer) {
				for range confirm {
					_, _ = p.Write([]byte{0x40, 2, 0, 3}) // the first after two subscriptions
				}
			})
			f := newFront(t, p.at, func(c *UplinksConfig) { c.Waiting, c.WaitBytes = tt.most, 1000 })
			t.Cleanup(f.Need(shed()))
			t.Cleanup(func() { close(confirm) })
			payload, moment := bytes.Repeat([]byte("x"), tt.size), 10*time.Millisecond
			for n := range 4 {
				if err := f.publishOn(moment, payload); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("message %d: %v", n, err)
				}
			}
			if err := f.publishOn(moment, payload); !errors.Is(err, errCrowded) {
				t.Errorf("one more: %v", err)
			}
			confirm <- struct{}{}
			for until := time.Now().Add(10 * time.Second); errors.Is(f.publishOn(moment, payload), errCrowded); {
				if time.Now().After(until) {
					t.Fatal("there is no room after one was confirmed")
				}
			}
			if err := f.publishOn(moment, payload); !errors.Is(err, errCrowded) {
				t.Errorf("then one more: %v", err)
			}
		})
	}
}

func TestABrokerThatHangsUpOverAMessageIsNoFight(t *testing.T) {
	p := newPuppet(t, nil)
	says := script(func(run int) [][]byte { // the last answer, to the message, is none
		return [][]byte{{0x20, 2, 0, 0}, {0x90, 3, 0, 1, 1}, {0x90, 3, 0, 2, 1}, {}}
	})
	p.script.Store(&says)
	f := newFront(t, p.at, func(c *UplinksConfig) { c.FightPause = time.Hour })
	t.Cleanup(f.Need(shed()))
	for n := range 2 * fightRounds {
		if err := f.publishOn(time.Minute, []byte("poison")); !errors.Is(err, errDropped) {
			t.Fatalf("try %d: %v", n, err)
		}
	}
	f.up()
}

func TestAFightIsStillKnownWhileWeSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &uplink{up: &Uplinks{UplinksConfig: UplinksConfig{}.withDefaults()}, errand: &keyErrand{}}
		lose := func(err error) Why {
			time.Sleep(time.Second)
			l.judge(t.Context(), time.Second, err, 0)
			return l.state().Why
		}
		dropped := fmt.Errorf("%w: by somebody", errDropped)
		sending := fmt.Errorf("%w, and %w", dropped, errMidSend)
		for n, step := range []struct {
			err  error
			want Why
		}{
			{sending, WhyAway}, {dropped, WhyAway}, {sending, WhyAway}, {dropped, WhyAway}, {sending, WhyAway},
			{dropped, WhyTaken}, {sending, WhyTaken}, {dropped, WhyTaken},
		} {
			if why := lose(step.err); why != step.want {
				t.Errorf("loss %d makes it %q, want %q", n, why, step.want)
			}
		}
	})
}
