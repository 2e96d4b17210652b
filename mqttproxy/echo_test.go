package mqttproxy

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trellis/access"
)

// echoing gives Pipes for anybody, as the page that checks connections has them.
func echoing(t *testing.T, ctx context.Context, config PipesConfig) (*Pipes, <-chan Reason) {
	ended := make(chan Reason, 10)
	config.Serve = func(c Carrier, _ access.Grant) bool {
		go func() { ended <- Echo(ctx, c) }()
		return true
	}
	return NewPipes(config), ended
}

func TestEchoSendsBackWhatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes, ended := echoing(t, t.Context(), PipesConfig{Away: 2 * time.Minute})
		w := dialLine(t, pipes, Visitor{Address: "10.0.0.1"})
		w.join("", 0, true)
		w.sayBytes(frameData, []byte("is anybody there?"), 0, 0)
		synctest.Wait()
		if w.got() != "is anybody there?" {
			t.Errorf("got %q", w.got())
		}
		a, _ := w.lastTold()
		c := &client{t: t, pipes: pipes, visitor: Visitor{Address: "10.0.0.1"}, id: a.ID, got: []byte(w.got())}
		c.up(17, strings.NewReader(" and here?"))
		c.down("poll", 1<<20, -1)
		if string(c.got) != "is anybody there? and here?" {
			t.Errorf("by requests: %q", c.got)
		}
		began := time.Now()
		if reason := <-ended; reason != Done || time.Since(began) > time.Minute {
			t.Errorf("ended with %v after %v", reason, time.Since(began))
		}
		w.close()
		pipes.Close()
	})
}

func TestEchoIsSmallAndShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		pipes, ended := echoing(t, ctx, PipesConfig{})
		w := dialLine(t, pipes, Visitor{})
		w.join("", 0, true)
		for at := 0; at <= maxEcho; at += 1 << 14 {
			w.sayBytes(frameData, bytes.Repeat([]byte{7}, 1<<14), int64(at), 0)
		}
		<-w.over
		if reason := <-ended; reason != Limit || len(w.got()) != maxEcho || w.code != Limit.Code() {
			t.Errorf("ended with %v after %d bytes, the page was told %d", reason, len(w.got()), w.code)
		}
		again := dialLine(t, pipes, Visitor{})
		again.join("", 0, true)
		again.sayBytes(frameData, []byte("hello"), 0, 0)
		synctest.Wait()
		stop()
		if reason := <-ended; reason != Restart {
			t.Errorf("ended with %v", reason)
		}
		<-again.over
		pipes.Close()
		synctest.Wait()
	})
}
