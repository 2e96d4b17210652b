package broker

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// slowToLeave is a device whose closing takes a second, as that of a WebSocket does when the other end is silent.
type slowToLeave struct {
	net.Conn
	once sync.Once
	gone atomic.Bool
}

func (s *slowToLeave) Close() error {
	s.once.Do(func() {
		<-time.After(time.Second)
		s.Conn.Close()
		s.gone.Store(true)
	})
	return nil
}

// slow lets in a device that is slow to leave; over is closed when ServeConn has returned.
func (h *house) slow(k key, change ...func(*connect)) (d *device, over chan struct{}) {
	h.t.Helper()
	near, far := tcpPair(h.t)
	over = make(chan struct{})
	go func() {
		defer close(over)
		h.b.ServeConn(context.Background(), &slowToLeave{Conn: far})
	}()
	d = &device{t: h.t, conn: near, in: source{from: near}}
	c := k.connect()
	for _, f := range change {
		f(&c)
	}
	if code := d.connect(c); code != 0 {
		h.t.Fatalf("CONNACK %d", code)
	}
	return d, over
}

func numbered(i int) func(*connect) {
	return func(c *connect) { c.client += fmt.Sprintf("#%d", i) }
}

func TestEndKeyDoesNotWaitForSlowDevices(t *testing.T) {
	h := start(t)
	var all []*device
	var left []chan struct{}
	for i := range 12 {
		d, over := h.slow(shed, numbered(i), withWill(shed))
		all, left = append(all, d), append(left, over)
	}
	began := time.Now()
	h.b.EndKey(shed.jti)
	for _, d := range all { // each of them is still connected, and is not heard any more
		d.send(publishPacket(shed.publishTopic(), []byte("after the end"), 1, 0, 7))
	}
	if took := time.Since(began); took > 200*time.Millisecond {
		t.Errorf("took %v", took)
	}
	for _, over := range left {
		<-over
	}
	if took := time.Since(began); took < time.Second || took > 2*time.Second {
		t.Errorf("ServeConn returned after %v: it must wait for its device, and for no other", took)
	}
	h.alive()
	if got := h.book.hold(t, 1); len(got) != 1 || got[0] != "are you there" {
		t.Errorf("recorded %q", got)
	}
}

func TestCloseEndsSlowDevicesAllAtOnce(t *testing.T) {
	h := start(t)
	for i := range 64 {
		h.slow(shed, numbered(i))
	}
	began := time.Now()
	h.stop()
	if took := time.Since(began); took < time.Second || took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestCloseWaitsForWhoIsStillTakingItsLeave(t *testing.T) {
	h := start(t)
	near, far := tcpPair(t)
	leaving := &slowToLeave{Conn: far}
	over := make(chan struct{})
	go func() {
		defer close(over)
		h.b.ServeConn(context.Background(), leaving)
	}()
	d := &device{t: t, conn: near, in: source{from: near}}
	d.connect(shed.connect())
	d.send([]byte{typeDisconnect << 4, 0})
	h.stop()
	if !leaving.gone.Load() {
		t.Error("it is still there")
	}
	<-over
}

func TestTakeOverDoesNotWaitForASlowDevice(t *testing.T) {
	h := start(t)
	_, over := h.slow(shed, withWill(shed))
	began := time.Now()
	h.login(shed)
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("took %v", took)
	}
	<-over
}

func TestOnesTakenOverCountUntilTheyHaveLeft(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.PerKey = 1 })
	h.slow(shed)
	_, over := h.slow(shed)
	if code := h.dial().connect(shed.connect()); code != 3 {
		t.Errorf("CONNACK %d", code)
	}
	h.b.EndKey(shed.jti)
	<-over
}

func TestCloseMayBeCalledAgainToWaitForTheRest(t *testing.T) {
	h := start(t)
	h.login(shed)
	now, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.b.Close(now); err == nil {
		t.Error("Close said that everything is finished when it was given no time")
	}
	h.stop() // waits, and reports what Close says
	h.open()
	h.alive()
}

// TestAnEndedSessionHearsNoMore: a slow device is still there when its key has ended.
func TestAnEndedSessionHearsNoMore(t *testing.T) {
	upstream, nats := loopback(t)
	near, far := tcpPair(t)
	s := newSession(newLine(&slowToLeave{Conn: far}), Limits{}.withDefaults(), newHold(func() error { return nil }))
	s.upstream = upstream
	over := make(chan error, 1)
	go func() { over <- s.pumpDown() }()
	nats.Write([]byte("heard"))
	d := &device{t: t, conn: near}
	got := make([]byte, 5)
	if _, err := io.ReadFull(near, got); err != nil {
		t.Fatal(err)
	}
	s.end(ErrKeyEnded)
	nats.Write([]byte("too late"))
	<-over
	s.device.Close()
	if said := d.closed(); len(said) > 0 {
		t.Errorf("heard %q", said)
	}
}
