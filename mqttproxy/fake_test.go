package mqttproxy

import (
	"context"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"trellis/access"
)

// fakeSource hands on what a test says and notes what pages publish.
type fakeSource struct {
	mu      sync.Mutex
	deliver func(Message)
	state   State
	taken   []publish
	refuse  func(publish) error // nil accepts
}

func (f *fakeSource) Subscribe(deliver func(Message)) func() {
	f.deliver = deliver
	return func() {}
}

func (f *fakeSource) Publish(ctx context.Context, topic string, payload []byte, qos byte) error {
	m := publish{topic: topic, payload: payload, qos: qos}
	if f.refuse != nil {
		if err := f.refuse(m); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taken = append(f.taken, m)
	return nil
}

func (f *fakeSource) State() State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

// fakeCarrier is one end of a conversation in memory. What the hub sends is collected; a test may keep it from being read.
type fakeCarrier struct {
	up   chan []byte
	over chan struct{}
	once sync.Once

	mu     sync.Mutex
	came   *sync.Cond
	got    []byte
	sends  int
	stuck  chan struct{} // while not nil, Send waits for it to be closed
	reason Reason
	rest   []byte
}

func newFakeCarrier() *fakeCarrier {
	c := &fakeCarrier{up: make(chan []byte, 1024), over: make(chan struct{})}
	c.came = sync.NewCond(&c.mu)
	return c
}

func (c *fakeCarrier) Receive(p []byte) (int, error) {
	for len(c.rest) == 0 {
		select {
		case b, ok := <-c.up:
			if !ok {
				return 0, io.EOF
			}
			c.rest = b
		case <-c.over:
			return 0, io.ErrClosedPipe
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *fakeCarrier) Send(p []byte, by time.Time) error {
	c.mu.Lock()
	stuck := c.stuck
	c.mu.Unlock()
	if stuck != nil {
		timer := time.NewTimer(time.Until(by))
		defer timer.Stop()
		select {
		case <-stuck:
		case <-timer.C:
			return os.ErrDeadlineExceeded
		case <-c.over:
			return io.ErrClosedPipe
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, p...)
	c.sends++
	c.came.Broadcast()
	return nil
}

func (c *fakeCarrier) End(r Reason) {
	c.once.Do(func() {
		c.mu.Lock()
		c.reason = r
		c.mu.Unlock()
		close(c.over)
		c.mu.Lock()
		c.came.Broadcast()
		c.mu.Unlock()
	})
}

// page is a session under test: the fake carrier, and what Serve said.
type page struct {
	*fakeCarrier
	t      *testing.T
	ended  chan Reason
	parsed int
}

// open starts a session and, if connect is set, goes as far as CONNACK.
func open(t *testing.T, h *Hub, g access.Grant, connected bool) *page {
	t.Helper()
	p := &page{fakeCarrier: newFakeCarrier(), t: t, ended: make(chan Reason, 1)}
	go func() { p.ended <- h.Serve(context.Background(), p.fakeCarrier, g) }()
	if connected {
		p.say(connectPacket(0))
		if got := p.next(); got.kind != typeConnack || got.body[1] != 0 {
			t.Fatalf("answer to CONNECT: %+v", got)
		}
	}
	return p
}

func (p *page) say(chunks ...[]byte) {
	for _, c := range chunks {
		p.up <- c
	}
}

// next waits for one whole packet from the hub.
func (p *page) next() inbound {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		packet, rest, ok, err := cut(p.got[p.parsed:], 1<<20)
		if err != nil {
			p.t.Fatalf("packet from the hub: %v", err)
		}
		if ok {
			p.parsed = len(p.got) - len(rest)
			return packet
		}
		select {
		case <-p.over:
			return inbound{}
		default:
			p.came.Wait()
		}
	}
}

// message waits for a PUBLISH.
func (p *page) message() publish {
	p.t.Helper()
	got := p.next()
	if got.kind != typePublish {
		p.t.Fatalf("wanted PUBLISH, got %+v", got)
	}
	m, err := readPublish(got)
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

// subscribe asks for filters and waits for the answer.
func (p *page) subscribe(qos byte, filters ...string) []byte {
	p.t.Helper()
	p.say(subscribePacket(7, qos, filters...))
	got := p.next()
	if got.kind != typeSuback {
		p.t.Fatalf("wanted SUBACK, got %+v", got)
	}
	return got.body[2:]
}

// leave says DISCONNECT and waits for the end.
func (p *page) leave() Reason {
	p.say([]byte{typeDisconnect << 4, 0})
	return <-p.ended
}

func newTestHub(t *testing.T, config Config) (*Hub, *fakeSource) {
	t.Helper()
	source, _ := config.Source.(*fakeSource)
	if source == nil {
		source = &fakeSource{}
		config.Source = source
	}
	h := NewHub(config)
	h.Start()
	t.Cleanup(func() { _ = h.Close(context.Background()) })
	return h, source
}

func testGrant() access.Grant {
	return access.Grant{
		Holder: "shed", KeyID: "k1",
		Subscribe: []string{"acme/local/+/publish", "acme/local/k1/messages"},
		Publish:   []string{"acme/local/k1/publish"},
	}
}

func connectPacket(keepAlive byte) []byte {
	return []byte{0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, keepAlive, 0, 2, 'i', 'd'}
}

func subscribePacket(id uint16, qos byte, filters ...string) []byte {
	body := []byte{byte(id >> 8), byte(id)}
	for _, f := range filters {
		body = append(appendString(body, f), qos)
	}
	return append(appendHead(nil, typeSubscribe<<4|2, len(body)), body...)
}

func publishPacket(topic, payload string, qos byte, id uint16) []byte {
	body := appendString(nil, topic)
	if qos > 0 {
		body = append(body, byte(id>>8), byte(id))
	}
	body = append(body, payload...)
	return append(appendHead(nil, typePublish<<4|qos<<1, len(body)), body...)
}
