package mqttproxy

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// swallower stands before a broker and, once told, lets nothing of the connections there are through any more, without a word to
// either side: as a network does that has forgotten them.
type swallower struct {
	at  *url.URL
	age atomic.Int64 // connections of an earlier age are swallowed
}

func newSwallower(t *testing.T, to string) *swallower {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &swallower{at: &url.URL{Scheme: "mqtt", Host: l.Addr().String()}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", to)
			if err != nil {
				_ = conn.Close()
				continue
			}
			age := s.age.Load()
			t.Cleanup(func() { _, _ = conn.Close(), up.Close() })
			all.Go(func() { s.carry(up, conn, age) })
			all.Go(func() { s.carry(conn, up, age) })
		}
	})
	t.Cleanup(all.Wait)
	t.Cleanup(func() { _ = l.Close() })
	return s
}

// carry hands on until one side ends. What comes of an earlier age is read and forgotten, and so is its end.
func (s *swallower) carry(to io.WriteCloser, from io.Reader, age int64) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if s.age.Load() > age {
			if err != nil {
				return
			}
			continue
		}
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			_ = to.Close()
			return
		}
	}
}

func TestAConnectionThatTheNetworkForgotIsNoticedAndLosesNothing(t *testing.T) {
	const all = 300
	m := lenient(t, fullACL)
	s := newSwallower(t, m.address().Host)
	f := newFront(t, s.at, func(c *UplinksConfig) {
		c.PingEvery, c.Silence, c.Blink = time.Second, 2*time.Second, time.Nanosecond // a tenth of what they are
	})
	t.Cleanup(f.Need(shed()))
	f.up()
	service := m.service()
	for n := range all {
		if n == all/3 {
			s.age.Add(1)
		}
		send(t, service, shedHeard, fmt.Sprint(n), 1)
	}
	began := time.Now()
	f.is(func(s State) bool { return s.Down })
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %v to notice", took)
	}
	seen := map[string]int{}
	f.until(func(a []Arrival) bool {
		clear(seen)
		for _, one := range a {
			seen[string(one.Payload)]++
		}
		return len(seen) == all
	})
	twice := 0
	for _, n := range seen {
		twice += n - 1
	}
	t.Logf("%d messages, %d came twice", all, twice)
}
