package mqttproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// puppet is a broker whose every byte a test decides. It answers CONNECT and SUBSCRIBE as asked, and then plays.
type puppet struct {
	t    *testing.T
	at   *url.URL
	play func(p *puppeteer)
	runs atomic.Int32

	connack []byte
	suback  func(id []byte) []byte
	script  atomic.Pointer[script] // what connections say instead; nil: they are as any other
	deaf    <-chan struct{}        // after its subscriptions nothing is read until this is closed; nil: everything is
}

// script gives what the connection of this number answers to one packet after the other before it is closed; nil: it is as any other.
type script func(run int) (answers [][]byte)

// puppeteer is one connection of a puppet.
type puppeteer struct {
	net.Conn
	*puppet
	acks  atomic.Int32
	pings atomic.Int32
}

func newPuppet(t *testing.T, play func(*puppeteer)) *puppet {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &puppet{t: t, at: &url.URL{Scheme: "mqtt", Host: l.Addr().String()}, play: play, connack: []byte{0x20, 2, 0, 0},
		suback: func(id []byte) []byte { return []byte{0x90, 3, id[0], id[1], 1} }}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return p
}

func (p *puppet) serve(conn net.Conn) {
	defer conn.Close()
	run := int(p.runs.Add(1))
	if script := p.script.Load(); script != nil {
		if answers := (*script)(run); answers != nil {
			recite(conn, answers)
			return
		}
	}
	one := &puppeteer{Conn: conn, puppet: p}
	var playing sync.WaitGroup
	defer playing.Wait()
	var buffer []byte
	chunk := make([]byte, 64<<10)
	for begun := false; ; {
		n, err := conn.Read(chunk)
		if err != nil {
			return
		}
		buffer = append(buffer, chunk[:n]...)
		for {
			packet, rest, ok, err := cut(buffer, 1<<20)
			if err != nil || !ok {
				break
			}
			one.answer(packet)
			if packet.kind == typeSubscribe && !begun && p.play != nil {
				begun = true
				playing.Go(func() { p.play(one) })
			}
			buffer = bytes.Clone(rest)
			if p.deaf != nil && packet.kind == typeSubscribe && packet.body[1] == 2 {
				<-p.deaf
			}
		}
	}
}

// recite answers whatever comes with one after the other, says that there is no more, and waits for the client to go.
func recite(conn net.Conn, answers [][]byte) {
	chunk := make([]byte, 64<<10)
	for _, answer := range answers {
		if _, err := conn.Read(chunk); err != nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
	if tcp, is := conn.(*net.TCPConn); is {
		_ = tcp.CloseWrite()
	}
	_, _ = io.Copy(io.Discard, conn)
}

func (p *puppeteer) answer(in inbound) {
	switch in.kind {
	case typeConnect:
		_, _ = p.Write(p.connack)
	case typeSubscribe:
		_, _ = p.Write(p.suback(in.body[:2]))
	case typePuback:
		p.acks.Add(1)
	case typePingreq:
		p.pings.Add(1)
		_, _ = p.Write([]byte{typePingresp << 4, 0})
	}
}

func TestAHostileBrokerCostsLittle(t *testing.T) {
	for name, tt := range map[string]struct {
		puppet func(*puppet)
		says   []byte
	}{
		"a PUBLISH of 256 MB is announced": {says: []byte{0x30, 0xff, 0xff, 0xff, 0x7f}},
		"a length without end":             {says: []byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x7f}},
		"a CONNACK of 256 MB":              {puppet: func(p *puppet) { p.connack = []byte{0x20, 0xff, 0xff, 0xff, 0x7f} }},
		"a SUBACK with codes for everybody": {puppet: func(p *puppet) {
			p.suback = func(id []byte) []byte { return append([]byte{0x90, 6, id[0], id[1]}, 1, 1, 1, 1) }
		}},
		"a CONNACK with a code that is none": {puppet: func(p *puppet) { p.connack = []byte{0x20, 2, 0, 6} }},
		"a PUBLISH at QoS 2":                 {says: publishPacket(shedHeard, "x", 2, 1)},
		"a PUBLISH without topic":            {says: []byte{0x30, 0}},
		"a SUBSCRIBE":                        {says: subscribePacket(1, 0, "#")},
		"a CONNECT":                          {says: connectPacket(0)},
		"a PUBREL with a long way":           {says: []byte{0x62, 0x80, 0x80, 0x01}},
		"a packet of no type":                {says: []byte{0xf0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPuppet(t, func(p *puppeteer) { _, _ = p.Write(tt.says) })
			if tt.puppet != nil {
				tt.puppet(p)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			f := newFront(t, p.at, func(c *UplinksConfig) { c.RetryFirst, c.RetryMost = time.Hour, time.Hour })
			t.Cleanup(f.Need(shed()))
			f.is(func(s State) bool { return s.Down })
			runtime.ReadMemStats(&after)
			if grew := after.TotalAlloc - before.TotalAlloc; grew > 16<<20 {
				t.Errorf("%d MB were allocated", grew>>20)
			}
		})
	}
}

func TestAFloodIsBounded(t *testing.T) {
	t.Run("at QoS 0 the oldest go, and are counted", func(t *testing.T) {
		const all = 20_000
		p := newPuppet(t, func(p *puppeteer) {
			for n := range all {
				_, _ = p.Write(publishPacket(shedHeard, fmt.Sprint(n), 0, 0))
			}
		})
		hold := make(chan struct{})
		var f *front
		f = newFront(t, p.at, func(c *UplinksConfig) {
			c.Waiting = 100
			c.Take = func(ctx context.Context, a []Arrival) error {
				<-hold
				return f.take(ctx, a)
			}
		})
		t.Cleanup(f.Need(shed()))
		for until := time.Now().Add(20 * time.Second); f.Stats().Dropped < all-100-atOnce && time.Now().Before(until); {
			time.Sleep(5 * time.Millisecond) // counts are asked for, nothing tells them
		}
		close(hold)
		took := f.until(func(a []Arrival) bool { return len(a) > 0 && string(a[len(a)-1].Payload) == fmt.Sprint(all-1) })
		if got := uint64(len(took)) + f.Stats().Dropped; got != all {
			t.Errorf("%d came and %d were counted as dropped, of %d", len(took), f.Stats().Dropped, all)
		}
	})
	t.Run("at QoS 1 whoever sends more than was acknowledged is hung up on", func(t *testing.T) {
		p := newPuppet(t, func(p *puppeteer) {
			for n := range 1000 {
				if _, err := p.Write(publishPacket(shedHeard, "x", 1, uint16(n+1))); err != nil {
					return
				}
			}
		})
		hold := make(chan struct{})
		f := newFront(t, p.at, func(c *UplinksConfig) {
			c.Waiting, c.RetryFirst, c.RetryMost = 100, time.Hour, time.Hour
			c.Take = func(ctx context.Context, _ []Arrival) error {
				select {
				case <-hold:
				case <-ctx.Done():
				}
				return ctx.Err()
			}
		})
		t.Cleanup(func() { close(hold) })
		t.Cleanup(f.Need(shed()))
		f.is(func(s State) bool { return s.Down && s.Why == WhyAway })
	})
}

func TestASlowTakerHoldsUpNeitherPingsNorOrder(t *testing.T) {
	const all = 3000
	var one atomic.Pointer[puppeteer]
	p := newPuppet(t, func(p *puppeteer) {
		one.Store(p)
		for n := range all {
			_, _ = p.Write(publishPacket(shedHeard, fmt.Sprint(n), 1, uint16(n+1)))
		}
	})
	hold := make(chan struct{})
	var f *front
	f = newFront(t, p.at, func(c *UplinksConfig) {
		c.PingEvery = time.Second
		c.Take = func(ctx context.Context, a []Arrival) error {
			<-hold
			return f.take(ctx, a)
		}
	})
	t.Cleanup(f.Need(shed()))
	for until := time.Now().Add(10 * time.Second); one.Load() == nil || one.Load().pings.Load() < 2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("no pings while the taker is slow")
		}
	}
	if n := one.Load().acks.Load(); n != 0 {
		t.Errorf("%d messages were acknowledged before they were safe", n)
	}
	close(hold)
	for n, a := range f.count(all) {
		if string(a.Payload) != fmt.Sprint(n) {
			t.Fatalf("message %d is %q", n, a.Payload)
		}
	}
	for until := time.Now().Add(10 * time.Second); one.Load().acks.Load() < all; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d of %d were acknowledged", one.Load().acks.Load(), all)
		}
	}
}

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func TestWhatWasNotAskedForIsAcknowledgedAndDropped(t *testing.T) {
	var one atomic.Pointer[puppeteer]
	p := newPuppet(t, func(p *puppeteer) {
		one.Store(p)
		_, _ = p.Write(publishPacket("acme/eu/somebody-else/messages", "x", 0, 0))
		_, _ = p.Write(publishPacket("acme/eu/somebody-else/messages", "x", 1, 1))
		_, _ = p.Write(publishPacket(strings.Repeat("long/", 1000), "x", 1, 2))
		_, _ = p.Write(publishPacket(shedHeard, "ours", 1, 3))
	})
	var log lockedBuffer
	f := newFront(t, p.at, func(c *UplinksConfig) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	t.Cleanup(f.Need(shed()))
	f.count(1)
	for until := time.Now().Add(10 * time.Second); one.Load().acks.Load() < 3; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d of 3 messages were acknowledged", one.Load().acks.Load())
		}
	}
	if took := f.count(1); len(took) != 1 || took[0].Topic != shedHeard || f.Stats().Strays != 3 {
		t.Errorf("came %+v; %+v", took, f.Stats())
	}
	if n := strings.Count(log.String(), "not asked for"); n != 1 {
		t.Errorf("that was said %d times:\n%s", n, &log)
	}
}

func TestEveryConnectionSubscribes(t *testing.T) {
	var subscribed atomic.Int32
	p := newPuppet(t, nil)
	p.suback = func(id []byte) []byte { subscribed.Add(1); return []byte{0x90, 3, id[0], id[1], 1} }
	p.play = func(p *puppeteer) { _ = p.Close() }
	f := newFront(t, p.at, func(c *UplinksConfig) { c.Soon = time.Nanosecond })
	t.Cleanup(f.Need(shed()))
	for until := time.Now().Add(10 * time.Second); p.runs.Load() < 5; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d connections", p.runs.Load())
		}
	}
	if n := subscribed.Load(); n < 4 {
		t.Errorf("%d subscriptions in %d connections", n, p.runs.Load())
	}
}

func TestABrokerThatHangsUpOnASubscriptionIsNotAskedAgain(t *testing.T) {
	var asked atomic.Int32
	p := newPuppet(t, nil)
	p.suback = func(id []byte) []byte {
		if asked.Add(1) == 2 { // our own publish topic
			return []byte{0xf0, 0}
		}
		return []byte{0x90, 3, id[0], id[1], 1}
	}
	f := newFront(t, p.at)
	t.Cleanup(f.Need(shed()))
	f.up()
	if n := asked.Load(); n != 3 {
		t.Errorf("%d subscriptions, want two and then one", n)
	}
}

func TestPublishingWhileTheConnectionDies(t *testing.T) {
	p := newPuppet(t, nil)
	f := newFront(t, p.at)
	t.Cleanup(f.Need(shed()))
	f.up()
	var sent sync.WaitGroup
	var unsure atomic.Int32
	for range 20 {
		sent.Go(func() {
			err := f.Publish(t.Context(), shedOwn, []byte("x"), 1) // the puppet acknowledges nothing
			if errors.As(err, &unsureError{}) || errors.Is(err, errLinkDown) {
				unsure.Add(1)
			}
		})
	}
	f.links["k1"].current().end(io.ErrUnexpectedEOF)
	sent.Wait()
	if n := unsure.Load(); n != 20 {
		t.Errorf("%d of 20 were told that nobody knows", n)
	}
	if err := f.Publish(t.Context(), "acme/eu/k2/publish", nil, 1); err == nil || strings.Contains(err.Error(), shedKey) {
		t.Errorf("by a key that is not here: %v", err)
	}
}

func FuzzFraming(f *testing.F) {
	f.Add([]byte{0x20, 2, 0, 0, 0x90, 3, 0, 1, 1, 0x30, 0xff, 0xff, 0x7f}, 3)
	f.Add(publishPacket("a/b", "hello", 1, 7), 1)
	f.Fuzz(func(t *testing.T, stream []byte, step int) {
		whole, parts := framing{most: 1 << 16}, framing{most: 1 << 16}
		at := whole.feed(stream)
		step = max(1, min(step, 1<<16))
		var by error
		for rest := stream; len(rest) > 0 && by == nil; {
			n := min(step, len(rest))
			by = parts.feed(rest[:n])
			rest = rest[n:]
		}
		if (at == nil) != (by == nil) {
			t.Errorf("in one piece %v, in pieces %v", at, by)
		}
		if at == nil && whole != parts {
			t.Errorf("in one piece %+v, in pieces %+v", whole, parts)
		}
	})
}
