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
	leave <-chan struct{} // when it closes; nil: after a second
	once  sync.Once
	gone  atomic.Bool
}

func (s *slowToLeave) Close() error {
	s.once.Do(func() {
		if s.leave == nil {
			<-time.After(time.Second)
		} else {
			<-s.leave
		}
		s.Conn.Close()
		s.gone.Store(true)
	})
	return nil
}

// slow lets in a device that is slow to leave: it does so when leave says, or after a second; over is closed when ServeConn has returned.
func (h *house) slow(k key, leave <-chan struct{}, change ...func(*connect)) (d *device, over chan struct{}) {
	h.t.Helper()
	near, far := tcpPair(h.t)
	over = make(chan struct{})
	go func() {
		defer close(over)
		h.b.ServeConn(context.Background(), &slowToLeave{Conn: far, leave: leave})
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
	leave := make(chan struct{})
	var all []*device
	var left []chan struct{}
	for i := range 12 {
		d, over := h.slow(shed, leave, numbered(i), withWill(shed))
		all, left = append(all, d), append(left, over)
	}
	h.b.EndKey(shed.jti)
	for i, d := range all { // each of them is still connected, and is not heard any more
		d.send(publishPacket(shed.publishTopic(), []byte("after the end"), 1, 0, 7))
		select {
		case <-left[i]:
			t.Error("ServeConn did not wait for its device")
		default:
		}
	}
	close(leave)
	for _, over := range left {
		<-over
	}
	h.alive()
	if got := h.book.hold(t, 1); len(got) != 1 || got[0] != "are you there" {
		t.Errorf("recorded %q", got)
	}
}

func TestCloseEndsSlowDevicesAllAtOnce(t *testing.T) {
	h := start(t)
	for i := range 64 {
		h.slow(shed, nil, numbered(i))
	}
	began := time.Now()
	h.stop()
	if took := time.Since(began); took < time.Second || took > 10*time.Second { // one after the other they would take 64
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
	leave := make(chan struct{})
	_, over := h.slow(shed, leave, withWill(shed))
	h.login(shed) // gives up after a while
	close(leave)
	<-over
}

func TestOnesTakenOverCountUntilTheyHaveLeft(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.PerKey = 1 })
	leave := make(chan struct{})
	h.slow(shed, leave)
	_, over := h.slow(shed, leave)
	if code := h.dial().connect(shed.connect()); code != 3 {
		t.Errorf("CONNACK %d", code)
	}
	h.b.EndKey(shed.jti)
	close(leave)
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
