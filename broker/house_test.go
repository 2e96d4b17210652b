package broker

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"trellis/access"
	"trellis/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// key is an API key of a test: the token is the id with "key-" before it.
type key struct {
	jti string
	sub access.Subject
}

var (
	shed  = key{"k1", access.Subject{Account: "acme", Region: "eu", Entity: "shed"}}
	shed2 = key{"k2", access.Subject{Account: "acme", Region: "eu", Entity: "shed"}}
	door  = key{"k3", access.Subject{Account: "acme", Region: "eu", Entity: "house:door"}}
	other = key{"k4", access.Subject{Account: "rival", Region: "eu", Entity: "shed"}}
)

func (k key) publishTopic() string  { return k.sub.PublishTopic(k.jti) }
func (k key) messagesTopic() string { return k.sub.MessagesTopic(k.jti) }
func (k key) connect() connect {
	return connect{clean: true, keepAlive: 60, client: k.sub.String(), user: k.jti, key: "key-" + k.jti}
}

// ring is a Keys that holds the keys above.
type ring struct {
	mu    sync.Mutex
	ended map[string]error
	until time.Time
}

func (r *ring) end(k key, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended[k.jti] = why
}

func (r *ring) Verify(token string) (access.Grant, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range []key{shed, shed2, door, other} {
		if token != "key-"+k.jti {
			continue
		}
		if err := r.ended[k.jti]; err != nil {
			return access.Grant{}, err
		}
		return access.KeyGrant(k.sub, k.jti, r.until), nil
	}
	return access.Grant{}, access.ErrKeyUnknown
}

func (r *ring) Known(account, name string) bool { return len(r.Addressees(account, name)) > 0 }

func (r *ring) Addressees(account, name string) []access.Grant {
	var all []access.Grant
	for _, k := range []key{shed, shed2, door, other} {
		if k.sub.Account == account && k.sub.Entity == name {
			all = append(all, access.KeyGrant(k.sub, k.jti, time.Time{}))
		}
	}
	return all
}

func (r *ring) Subject(account, jti string) (access.Subject, bool) {
	for _, k := range []key{shed, shed2, door, other} {
		if k.sub.Account == account && k.jti == jti {
			return k.sub, true
		}
	}
	return access.Subject{}, false
}

// book is a record in memory.
type book struct {
	mu     sync.Mutex
	lines  []message.Message
	seen   map[string]bool
	broken bool
	times  int // that it was written in
	grown  chan struct{}
}

var errBook = errors.New("the book is wet")

func newBook() *book { return &book{seen: map[string]bool{}, grown: make(chan struct{}, 1)} }

func (b *book) record(_ context.Context, all []message.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken {
		return errBook
	}
	b.times++
	for _, m := range all {
		if m.ID == "" || !b.seen[m.ID] {
			b.seen[m.ID] = true
			b.lines = append(b.lines, m)
		}
	}
	select {
	case b.grown <- struct{}{}:
	default:
	}
	return nil
}

func (b *book) setBroken(broken bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = broken
}

func (b *book) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.lines)
}

// hold waits until the book has n lines and gives their payloads.
func (b *book) hold(t testing.TB, n int) []string {
	t.Helper()
	timeout := time.After(4 * soon)
	for {
		b.mu.Lock()
		var all []string
		for _, m := range b.lines {
			all = append(all, string(m.Payload))
		}
		b.mu.Unlock()
		if len(all) >= n {
			return all
		}
		select {
		case <-b.grown:
		case <-timeout:
			t.Fatalf("record holds %d of %d: %q", len(all), n, all)
		}
	}
}

// plainly is a normaliser that leaves the payload alone: {"for": name, "hops": n} in it is obeyed, an array is taken apart.
func plainly(payload []byte, from message.Origin, _ func(string) bool) []message.Message {
	var parts []json.RawMessage
	if json.Unmarshal(payload, &parts) != nil {
		parts = []json.RawMessage{payload}
	}
	var all []message.Message
	for i, part := range parts {
		if i > 0 && from.ID != "" {
			from.ID += "+"
		}
		var says struct {
			For  string
			Hops int
		}
		json.Unmarshal(part, &says)
		if says.For == "panic" {
			panic("told to")
		}
		all = append(all, message.Message{Origin: from, For: says.For, Hops: says.Hops, Payload: part})
	}
	return all
}

// house is a broker with a TCP door on a loopback port.
type house struct {
	t       testing.TB
	b       *Broker
	ring    *ring
	book    *book
	dir     string
	address string
	stop    func()
}

func start(t testing.TB, change ...func(*Config)) *house {
	t.Helper()
	h := &house{t: t, ring: &ring{ended: map[string]error{}}, book: newBook(), dir: t.TempDir()}
	h.open(change...)
	t.Cleanup(func() { h.stop() })
	return h
}

func (h *house) open(change ...func(*Config)) {
	h.t.Helper()
	c := Config{Dir: h.dir, SyncEvery: time.Second, Keys: h.ring, Record: h.book.record, Log: testLog()}
	for _, f := range change {
		f(&c)
	}
	b, err := open(context.Background(), c, plainly)
	if err != nil {
		h.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.b, h.address = b, l.Addr().String()
	served := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { served <- b.ServeListener(ctx, l) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			h.t.Error(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*soon)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			h.t.Error(err)
		}
	})
}

func testLog() *slog.Logger {
	if os.Getenv("BROKER_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// watch collects what a listener is told.
func (h *house) watch() (<-chan delivery, func()) {
	seen := make(chan delivery, 1000)
	stop := h.b.Subscribe(func(topic string, m message.Message) {
		seen <- delivery{topic: topic, payload: string(m.Payload)}
	})
	return seen, stop
}

// alive checks that the broker still serves: a second client's QoS 1 round trip.
func (h *house) alive() {
	h.t.Helper()
	d := h.login(door, func(c *connect) { c.client += "#alive" })
	if got := d.subscribe(1, door.publishTopic()); got[0] != 1 {
		h.t.Fatalf("SUBACK %d", got[0])
	}
	d.publish(door.publishTopic(), "are you there", 1)
	if got := d.receive(); got.payload != "are you there" {
		h.t.Fatalf("received %+v", got)
	}
	d.leave()
	if n := h.b.Stats().Panics; n != 0 {
		h.t.Fatalf("%d panics", n)
	}
}

func take(t testing.TB, from <-chan delivery) delivery {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(soon):
		t.Fatal("nothing came")
		return delivery{}
	}
}
