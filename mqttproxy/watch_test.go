package mqttproxy

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
	"trellis/access"
)

// bubble runs a test in which time passes only when everybody waits.
func bubble(t *testing.T, config Config, test func(t *testing.T, h *Hub, source *fakeSource)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		source, _ := config.Source.(*fakeSource)
		if source == nil {
			source = &fakeSource{}
		}
		config.Source = source
		h := NewHub(config)
		h.Start()
		test(t, h, source)
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// endsBetween waits for the end and says whether it came in that time.
func endsBetween(t *testing.T, p *page, reason Reason, from, to time.Duration) {
	t.Helper()
	began := time.Now()
	if got := <-p.ended; got != reason {
		t.Errorf("ended with %v, want %v", got, reason)
	}
	if took := time.Since(began); took < from || took > to {
		t.Errorf("ended after %v, want %v to %v", took, from, to)
	}
}

func TestNoConnectIsCutOffByAnAbsoluteTime(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *Hub, _ *fakeSource) {
		p := open(t, h, testGrant(), false)
		quit := make(chan struct{})
		go func() { // one byte now and then does not help
			for _, b := range connectPacket(0) {
				select {
				case <-quit:
					return
				case <-time.After(time.Second):
					p.say([]byte{b})
				}
			}
		}()
		endsBetween(t, p, Silent, 5*time.Second, 5*time.Second+2*watchEvery)
		close(quit)
	})
}

func TestKeepAliveIsEnforced(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *Hub, _ *fakeSource) {
		p := open(t, h, testGrant(), false)
		p.say(connectPacket(10))
		for range 10 {
			time.Sleep(14 * time.Second)
			p.say([]byte{typePingreq << 4, 0})
		}
		synctest.Wait()
		endsBetween(t, p, Silent, 15*time.Second, 15*time.Second+2*watchEvery)
	})
}

func TestWithoutKeepAliveSilenceIsPermitted(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *Hub, _ *fakeSource) {
		p := open(t, h, testGrant(), true)
		time.Sleep(24 * time.Hour)
		if got := p.leave(); got != Done {
			t.Errorf("ended with %v", got)
		}
	})
}

func TestAWriteThatTakesTooLongEndsTheSession(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *Hub, source *fakeSource) {
		p, other := open(t, h, testGrant(), true), open(t, h, testGrant(), true)
		p.subscribe(0, "acme/local/+/publish")
		other.subscribe(0, "acme/local/+/publish")
		p.mu.Lock()
		p.stuck = make(chan struct{})
		p.mu.Unlock()
		source.deliver(Message{Topic: "acme/local/a/publish"})
		other.message()
		endsBetween(t, p, Behind, 10*time.Second, 10*time.Second)
		source.deliver(Message{Topic: "acme/local/a/publish"})
		other.message()
		other.leave()
	})
}

func TestAGrantEndsInTime(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *Hub, _ *fakeSource) {
		g := testGrant()
		g.Until = time.Now().Add(time.Hour)
		endsBetween(t, open(t, h, g, true), Refused, time.Hour, time.Hour+2*watchEvery)
		endsBetween(t, open(t, h, g, false), Refused, 0, 0)
	})
}

func TestAKeyThatEndsTakesItsSessionsAlong(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *Hub, _ *fakeSource) {
		other := testGrant()
		other.KeyID = "k2"
		one, two, stays := open(t, h, testGrant(), true), open(t, h, testGrant(), false), open(t, h, other, true)
		synctest.Wait()
		h.EndKey("k1")
		h.EndKey("")
		endsBetween(t, one, Refused, 0, time.Second)
		endsBetween(t, two, Refused, 0, time.Second)
		stays.leave()
	})
}

func TestASessionWhoseKeyEndedOnItsWayInIsRefused(t *testing.T) {
	good := func(g access.Grant) bool { return g.KeyID != "k1" }
	bubble(t, Config{Good: good}, func(t *testing.T, h *Hub, _ *fakeSource) {
		other := testGrant()
		other.KeyID = "k2"
		stays := open(t, h, other, true)
		endsBetween(t, open(t, h, testGrant(), false), Refused, 0, 0)
		stays.leave()
	})
}

func TestOneKeyCannotTakeEveryPlace(t *testing.T) {
	bubble(t, Config{MaxPerKey: 2}, func(t *testing.T, h *Hub, _ *fakeSource) {
		other := testGrant()
		other.KeyID = "k2"
		one, two := open(t, h, testGrant(), true), open(t, h, testGrant(), true)
		synctest.Wait()
		endsBetween(t, open(t, h, testGrant(), false), TooManyOfKey, 0, 0)
		open(t, h, other, true).leave()
		one.leave()
		synctest.Wait()
		open(t, h, testGrant(), true).leave()
		two.leave()
	})
}

func TestSigningOutEndsThatSignInsSessions(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *Hub, _ *fakeSource) {
		mine, other := testGrant(), testGrant()
		mine.SignIn, other.SignIn = "here", "there"
		goes, stays, bare := open(t, h, mine, true), open(t, h, other, true), open(t, h, testGrant(), true)
		synctest.Wait()
		h.EndSignIn("here")
		h.EndSignIn("")
		endsBetween(t, goes, SignedOut, 0, time.Second)
		stays.leave()
		bare.leave()
	})
}

func TestWhatEndsAllSessions(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(*Hub, context.CancelCauseFunc)
		want Reason
	}{
		"the hub closes":             {func(h *Hub, _ context.CancelCauseFunc) { _ = h.Close(context.Background()) }, Restart},
		"the context ends":           {func(_ *Hub, cancel context.CancelCauseFunc) { cancel(nil) }, Restart},
		"the context ends for Taken": {func(_ *Hub, cancel context.CancelCauseFunc) { cancel(Taken) }, Taken},
		"the context ends, wrapped":  {func(_ *Hub, cancel context.CancelCauseFunc) { cancel(fmt.Errorf("x: %w", Gone)) }, Gone},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, h *Hub, _ *fakeSource) {
				ctx, cancel := context.WithCancelCause(context.Background())
				defer cancel(nil)
				ended := make(chan Reason, 3)
				for range 3 {
					go func() { ended <- h.Serve(ctx, newFakeCarrier(), testGrant()) }()
				}
				synctest.Wait()
				tt.end(h, cancel)
				for range 3 {
					if got := <-ended; got != tt.want {
						t.Errorf("ended with %v", got)
					}
				}
			})
		})
	}
}

func TestAClosedOrFullHubLetsNobodyIn(t *testing.T) {
	bubble(t, Config{MaxSessions: 1}, func(t *testing.T, h *Hub, _ *fakeSource) {
		first := open(t, h, testGrant(), true)
		endsBetween(t, open(t, h, testGrant(), false), TooMany, 0, 0)
		first.leave()
		_ = h.Close(context.Background())
		endsBetween(t, open(t, h, testGrant(), false), Restart, 0, 0)
	})
}

func TestPagesAreToldOfTheLink(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *Hub, source *fakeSource) {
		p := open(t, h, testGrant(), true)
		source.mu.Lock()
		source.state = State{Down: true, Since: time.Date(2026, 1, 2, 14, 2, 0, 0, time.UTC)}
		source.mu.Unlock()
		want := `{"link":{"up":false,"since":"2026-01-02T14:02:00Z"}}`
		if m := p.message(); m.topic != sessionTopic || string(m.payload) != want {
			t.Errorf("got %s", m.payload)
		}
		late := open(t, h, testGrant(), true)
		if m := late.message(); string(m.payload) != want {
			t.Errorf("who came later got %s", m.payload)
		}
		source.mu.Lock()
		source.state = State{}
		source.mu.Unlock()
		if m := p.message(); string(m.payload) != `{"link":{"up":true}}` {
			t.Errorf("got %s", m.payload)
		}
		p.leave()
		late.leave()
	})
}

func TestAPageIsKeptToItsRateByMakingItWait(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, h *Hub, source *fakeSource) {
		p := open(t, h, testGrant(), false)
		p.say(connectPacket(1)) // waiting for us is not silence
		began := time.Now()
		for range 700 {
			p.say(publishPacket("acme/local/k1/publish", "x", 0, 0))
		}
		p.leave()
		if took := time.Since(began); took < 4900*time.Millisecond || took > 5100*time.Millisecond {
			t.Errorf("700 messages took %v, want 5 s: 200 at once, then 100 each second", took)
		}
		if len(source.taken) != 700 {
			t.Errorf("%d handed on", len(source.taken))
		}
	})
}

func TestAStuckSourceMakesThePageWait(t *testing.T) {
	gate := make(chan struct{})
	source := &fakeSource{}
	config := Config{Source: source, UnackedUp: 4, PublishIn: time.Hour}
	bubble(t, config, func(t *testing.T, h *Hub, source *fakeSource) {
		gate = make(chan struct{})
		source.refuse = func(publish) error { <-gate; return nil }
		p := open(t, h, testGrant(), false)
		p.say(connectPacket(2))
		for i := range 10 {
			p.say(publishPacket("acme/local/k1/publish", "x", 1, uint16(i+1)))
		}
		time.Sleep(time.Minute)
		if left := len(p.up); left != 5 { // four taken in, a fifth in the hand of the reader
			t.Errorf("%d not read yet, want 5", left)
		}
		close(gate)
		p.next()
		for i := range 10 {
			if got := p.next(); got.kind != typePuback || int(got.body[1]) != i+1 {
				t.Fatalf("got %+v", got)
			}
		}
		p.leave()
	})
}
