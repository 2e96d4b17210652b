package mqttproxy

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"trellis/access"
)

// taking serves a pipe by receiving all that comes.
func taking(c Carrier, _ access.Grant) bool {
	go func() {
		into := make([]byte, 4096)
		for {
			if _, err := c.Receive(into); err != nil {
				return
			}
		}
	}()
	return true
}

func TestPipeWithoutItsPageEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := testPipes(PipesConfig{})
		defer pipes.Close()
		p, _ := pipes.open(Visitor{})
		time.Sleep(50 * time.Second)
		turn, ok := p.attach(0)
		if !ok {
			t.Fatalf("attach %d %v", turn, ok)
		}
		time.Sleep(10 * time.Minute)
		p.detach()
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if _, over := p.ended(); over {
			t.Fatal("ended too soon")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if reason, over := p.ended(); !over || reason != Idle {
			t.Fatalf("ended: %v, %v", over, reason)
		}
		time.Sleep(16 * time.Second)
		synctest.Wait()
		if _, known := pipes.find(p.id, Visitor{}); known {
			t.Error("still known")
		}
	})
}

// The hub's own limit for silence is not for a pipe, which has limits of its own.
func TestHubLeavesSilenceToThePipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(Config{Source: &fakeSource{}})
		h.Start()
		pipes := testPipes(PipesConfig{})
		p, _ := pipes.open(Visitor{})
		ended := make(chan Reason, 1)
		go func() { ended <- h.Serve(context.Background(), p, testGrant()) }()
		p.upload(t.Context(), 0, connectPacket(10))
		time.Sleep(50 * time.Second) // five times what it promised
		if reason, over := p.ended(); over {
			t.Fatalf("ended with %v", reason)
		}
		time.Sleep(10 * time.Second)
		if reason := <-ended; reason != Idle {
			t.Errorf("ended with %v, want what a pipe without its page ends with", reason)
		}
		_ = h.Close(context.Background())
		pipes.Close()
	})
}

// visit is a page on one pipe that a hub serves; it comes and goes.
type visit struct {
	*client
	source *fakeSource
	sent   *noted
}

func inVisit(t *testing.T, test func(v visit)) {
	synctest.Test(t, func(t *testing.T) {
		source := &fakeSource{}
		h := NewHub(Config{Source: source})
		h.Start()
		pipes, sent := served(h, PipesConfig{})
		c := &client{t: t, pipes: pipes, visitor: Visitor{Grant: testGrant()}}
		c.open()
		c.up(0, bytes.NewReader(slices.Concat(connectPacket(25), subscribePacket(1, 0, "acme/local/+/publish"))))
		synctest.Wait()
		test(visit{c, source, sent})
		_ = h.Close(context.Background())
		pipes.Close()
		synctest.Wait()
	})
}

func (v visit) deliver(text string) {
	v.source.deliver(Message{Topic: "acme/local/x/publish", Payload: []byte(text), Parts: []string{"x"}})
	synctest.Wait()
}

func TestAPageThatWasAwayForALittleKeepsItsSession(t *testing.T) {
	for name, back := range map[string]func(v visit) (got []byte){
		"by a poll": func(v visit) []byte {
			v.down("poll", 1<<20, -1)
			return v.got
		},
		"by a WebSocket": func(v visit) []byte {
			w := dialLine(v.t, v.pipes, v.visitor)
			w.join(v.id, 0, true)
			synctest.Wait()
			defer w.close()
			return []byte(w.got())
		},
	} {
		t.Run(name, func(t *testing.T) {
			inVisit(t, func(v visit) {
				time.Sleep(50 * time.Second)
				v.deliver("while it was away")
				if got := back(v); !bytes.Equal(got, v.sent.sent) || !bytes.Contains(got, []byte("while it was away")) {
					t.Errorf("got %q, want %q", got, v.sent.sent)
				}
			})
		})
	}
}

func TestAPageThatWasAwayForLongOpensANewSession(t *testing.T) {
	inVisit(t, func(v visit) {
		line := dialLine(v.t, v.pipes, v.visitor)
		line.join(v.id, 0, true)
		synctest.Wait()
		line.close()
		p := mustFind(t, v.pipes, v.client)
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if reason, over := p.ended(); over {
			t.Fatalf("ended with %v", reason)
		}
		time.Sleep(2 * time.Second)
		if status, a := v.up(0, http.NoBody); status != http.StatusGone || a.Code != Idle.Code() || a.Words == "" {
			t.Errorf("just too late, it was answered %d %+v", status, a)
		}
		time.Sleep(9 * time.Minute)
		if status, a := v.up(0, http.NoBody); status != http.StatusNotFound || a.Code != Gone.Code() {
			t.Errorf("after ten minutes it was answered %d %+v", status, a)
		}
		if n := v.pipes.buffered.Load(); n != 0 {
			t.Errorf("%d bytes are still kept", n)
		}
	})
}

// A page that sleeps does not close its stream. What it does not say tells us.
func TestASilentPagesStreamIsBrokenOff(t *testing.T) {
	inVisit(t, func(v visit) {
		began := time.Now()
		events := v.down("stream", 1<<20, -1)
		if took := time.Since(began); took != 40*time.Second || events[len(events)-1].kind != "beat" {
			t.Errorf("it was over after %v with %+v", took, events)
		}
		p := mustFind(t, v.pipes, v.client)
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if reason, over := p.ended(); over {
			t.Fatalf("ended with %v", reason)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if reason, over := p.ended(); !over || reason != Idle {
			t.Errorf("ended: %v, with %v", over, reason)
		}
	})
}

func TestAPageThatSpeaksNowAndThenStays(t *testing.T) {
	inVisit(t, func(v visit) {
		stop := alive(v.client)
		for range 3 {
			v.down("stream", 1<<20, -1)
		}
		stop()
		v.deliver("after a quarter of an hour")
		v.down("poll", 1<<20, -1)
		if !bytes.Contains(v.got, []byte("after a quarter of an hour")) || !bytes.Equal(v.got, v.sent.sent) {
			t.Errorf("got %q", v.got)
		}
	})
}

func TestAPipeMayHaveALimitedLife(t *testing.T) {
	inLine(t, PipesConfig{Life: time.Minute, Away: 10 * time.Second}, func(t *testing.T, pipes *Pipes) {
		w, p := opened(t, pipes)
		for range 5 {
			time.Sleep(11 * time.Second)
			w.say(framePing, 0)
		}
		<-w.over
		if reason, _ := p.ended(); reason != Done || w.code != Done.Code() || p.pipes.clock()-p.opened != time.Minute {
			t.Errorf("ended with %v after %v", reason, p.pipes.clock()-p.opened)
		}
	})
}
