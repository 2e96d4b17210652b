package broker

import (
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

func persistent(i int) func(*connect) {
	return func(c *connect) { numbered(i)(c); c.clean = false }
}

func TestPersistentSessionsOfAKeyAreBounded(t *testing.T) {
	said := &lines{}
	few := func(c *Config) { c.Limits.SessionsPerKey, c.Log = 3, slog.New(slog.NewTextHandler(said, nil)) }
	h := start(t, few)
	for i := range 3 {
		h.login(shed, persistent(i)).leave()
	}
	refused := func() {
		t.Helper()
		c := shed.connect()
		persistent(3)(&c)
		if code := h.dial().connect(c); code != 2 {
			t.Errorf("CONNACK %d", code)
		}
	}
	refused()
	if !strings.Contains(said.String(), "too many persistent sessions") {
		t.Errorf("the log says %s", said)
	}
	h.login(shed, persistent(1)).leave() // one that is known
	h.login(shed, numbered(3)).leave()   // a clean one
	h.login(door, persistent(0)).leave() // of another key
	h.stop()
	h.open(few)
	refused()
	h.login(shed, persistent(2)).leave()
	h.login(shed, numbered(2)).leave() // ends it
	h.login(shed, persistent(3)).leave()
	h.login(shed, numbered(3)).leave()
	h.stop()
	h.open(few)
	h.login(shed, persistent(4)).leave()
}

// TestASessionCountsAsSoonAsNatsHasIt: nats keeps a session as soon as it has seen the CONNECT.
func TestASessionCountsAsSoonAsNatsHasIt(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.SessionsPerKey = 1 })
	near, far := tcpPair(t)
	c := shed.connect()
	persistent(0)(&c)
	near.Write(c.encode(c.client, c.user, c.key))
	h.b.ServeConn(t.Context(), unwritable{far})
	c = shed.connect()
	persistent(1)(&c)
	if code := h.dial().connect(c); code != 2 {
		t.Errorf("CONNACK %d", code)
	}
}

func TestSessionsThatNobodyCameBackForAreForgotten(t *testing.T) {
	h := start(t)
	h.login(shed, persistent(0)).leave()
	h.stop()
	<-time.After(100 * time.Millisecond) // nats knows no shorter age
	h.open(func(c *Config) { c.Limits.SessionAge = 100 * time.Millisecond })
	if n := len(h.b.lasting.clients); n != 0 {
		t.Errorf("%d sessions known", n)
	}
	h.stop()
	h.open()
	if n := len(h.b.lasting.clients); n != 0 {
		t.Errorf("nats still has %d sessions", n)
	}
}

// unwritable is a device that is gone before its CONNACK.
type unwritable struct{ net.Conn }

func (unwritable) Write([]byte) (int, error) { return 0, net.ErrClosed }

// lines is a log in memory.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
