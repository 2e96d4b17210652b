package mqttproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
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
	f := newFront(t, p.at, func(c *UplinksConfig) { c.PingEvery, c.Silence = time.Second, 5*time.Second })
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

// The client library knows that a connection is lost a moment before we do, and takes nothing from then on.
func TestWhatTheLibraryDoesNotTakeIsNotSent(t *testing.T) {
	u, err := NewUplinks(UplinksConfig{
		Addresses: []*url.URL{{Scheme: "mqtt", Host: "127.0.0.1:1"}}, Take: func(context.Context, []Arrival) error { return nil }, House: anyHouse("home/#"),
	})
	if err != nil {
		t.Fatal(err)
	}
	lost := &upstreamConn{link: &uplink{up: u}, client: mqtt.NewClient(mqtt.NewClientOptions()), gone: make(chan struct{})}
	for qos := range byte(2) {
		if err := lost.publish(t.Context(), "home/shed/set", []byte("on"), qos); !errors.Is(err, errLinkDown) || errors.As(err, &unsureError{}) {
			t.Errorf("at QoS %d who sent is told %v", qos, err)
		}
	}
	if err := u.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// What the broker has acknowledged is shown and recorded here, however full it is by then.
func TestWhatWasSentHasRoomHere(t *testing.T) {
	q := newInbox(2, 100)
	for n := range 2 {
		if !q.has(5) || !q.put(numbered(n, 5), 1) {
			t.Fatalf("no room for message %d", n)
		}
	}
	if q.has(5) || q.put(numbered(2, 5), 1) {
		t.Error("there is room for a third")
	}
	q.sent(numbered(3, 5))
	if got := q.take(10); len(got) != 3 || string(got[2].Payload) != string(numbered(3, 5).Payload) {
		t.Errorf("taken are %v", got)
	}
	if !q.has(5) || !q.has(1000) { // one may be as long as it likes
		t.Error("an empty one has no room")
	}
}
