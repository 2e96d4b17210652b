package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestNoConnectIsClosedInTime(t *testing.T) {
	for name, first := range map[string][]byte{"silent": nil, "half a CONNECT": {0x10, 0x20, 0, 4}} {
		t.Run(name, func(t *testing.T) {
			h := start(t, func(c *Config) { c.Limits.ConnectWithin = 200 * time.Millisecond })
			near, far := tcpPair(t)
			why := make(chan error, 1)
			began := time.Now()
			go func() { why <- h.b.ServeConn(context.Background(), far) }()
			near.Write(first)
			// Now and then a byte: the time allowed is for the whole packet.
			slow := time.NewTicker(50 * time.Millisecond)
			defer slow.Stop()
			for {
				select {
				case <-slow.C:
					if first != nil {
						near.Write([]byte{0})
					}
					continue
				case err := <-why:
					if took := time.Since(began); took > soon || took < 200*time.Millisecond {
						t.Errorf("took %v", took)
					}
					if !errors.Is(err, ErrConnectLate) {
						t.Errorf("reason: %v", err)
					}
				}
				return
			}
		})
	}
}

func TestStrangersCannotMakeUsKeepMuch(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.HalfOpenAddress = 1000 })
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	greedy := append([]byte{0x10, 0xff, 0xff, 0xff, 0x7f}, make([]byte, 1024)...)
	modest := append([]byte{0x10, 0x80, 0x40}, make([]byte, 7000)...) // 8 KiB announced, not all of it sent
	var all []*device
	began := time.Now()
	for range 200 {
		d := h.dial()
		d.send(greedy)
		all = append(all, d)
	}
	for _, d := range all {
		if said := d.closed(); len(said) > 0 {
			t.Errorf("said %x", said)
		}
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("took %v", took)
	}
	for range 200 {
		h.dial().send(modest)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 8<<20 {
		t.Errorf("heap grew by %d bytes", grown)
	}
	h.alive()
}

func TestHalfOpenConnectionsAreBounded(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.HalfOpenAddress = 3 })
	var waiting []*device
	for range 3 {
		d := h.dial()
		d.send([]byte{0x10})
		waiting = append(waiting, d)
	}
	await(t, func() bool { return h.halfOpen() == 3 })
	h.dial().closed()
	waiting[0].conn.Close()
	for h.dialRefused() {
	}
	if n := h.halfOpen(); n > 3 {
		t.Errorf("%d half open", n)
	}
}

func (h *house) halfOpen() int {
	h.b.door.mu.Lock()
	defer h.b.door.mu.Unlock()
	return h.b.door.halfOpen.Len()
}

// dialRefused says whether a login is turned away at the door.
func (h *house) dialRefused() bool {
	conn, err := net.Dial("tcp", h.address)
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close()
	d := &device{t: h.t, conn: conn, in: source{from: conn}}
	c := shed.connect()
	d.send(c.encode(c.client, c.user, c.key))
	_, err = d.read(soon)
	return err != nil
}

func TestConnectionsOfAKeyAreBounded(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.PerKey = 2 })
	named := func(name string) func(*connect) { return func(c *connect) { c.client += "#" + name } }
	one := h.login(shed, named("1"))
	h.login(shed, named("2"))
	c := shed.connect()
	if got := h.dial().connect(c); got != 3 {
		t.Errorf("CONNACK %d", got)
	}
	h.login(shed, named("1")) // takes over, so it is not one more
	one.closed()
	h.login(door)
}

func TestAllConnectionsAreBounded(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.Connections = 1 })
	d := h.login(shed)
	if got := h.dial().connect(door.connect()); got != 3 {
		t.Errorf("CONNACK %d", got)
	}
	d.leave()
}

func TestAFastPublisherIsSlowedAndLosesNothing(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.Rate, c.Limits.Burst = 200, 100 })
	d := h.login(shed)
	began := time.Now()
	const n = 200
	for i := range n {
		d.send(publishPacket(shed.publishTopic(), fmt.Appendf(nil, "%d", i), 1, 0, uint16(i+1)))
	}
	for range n {
		d.await(typePuback)
	}
	if took := time.Since(began); took < 450*time.Millisecond || took > soon {
		t.Errorf("took %v, want about 500 ms", took)
	}
	for i, got := range h.book.hold(t, n) {
		if got != fmt.Sprint(i) {
			t.Fatalf("line %d is %s", i, got)
		}
	}
}

func TestUnfinishedQoS2IsBounded(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.UnfinishedTwo = 3 })
	d := h.login(shed)
	for range 5 {
		d.publish(shed.publishTopic(), "finished", 2)
	}
	for id := range uint16(4) {
		d.send(publishPacket(shed.publishTopic(), nil, 2, 0, 100+id))
	}
	d.closed()
}

func TestLargePayloadsPassWhole(t *testing.T) {
	h := start(t)
	for name, change := range map[string]func(*connect){"streamed": func(*connect) {}, "held for a will": withWill(shed)} {
		t.Run(name, func(t *testing.T) {
			d := h.login(shed, change)
			d.subscribe(1, shed.publishTopic())
			for _, size := range []int{0, 1, 4060, 4096, 4097, 50_000, 128<<10 - 22} {
				payload := string(bytes.Repeat([]byte("trellis"), size/7+1)[:size])
				d.publish(shed.publishTopic(), payload, 1)
				if got := d.receive(); got.payload != payload {
					t.Errorf("%d bytes: %d came back", size, len(got.payload))
				}
			}
			d.leave()
		})
	}
}

// TestAcceptBacksOff: out of file descriptors the listener pauses, then goes on.
func TestAcceptBacksOff(t *testing.T) {
	h := start(t)
	synctest.Test(t, func(t *testing.T) {
		l := &poorListener{}
		began := time.Now()
		if err := h.b.ServeListener(t.Context(), l); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != (5+10+20+40)*time.Millisecond {
			t.Errorf("paused %v", took)
		}
	})
}

// poorListener is out of file descriptors four times and then closed.
type poorListener struct{ calls int }

func (l *poorListener) Accept() (net.Conn, error) {
	if l.calls++; l.calls <= 4 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return nil, net.ErrClosed
}
func (l *poorListener) Close() error   { return nil }
func (l *poorListener) Addr() net.Addr { return &net.TCPAddr{} }
