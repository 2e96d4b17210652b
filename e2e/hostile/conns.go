package hostile

import (
	"context"
	"net"
	"sync"
	"time"
)

// conns are a proxy's connections, to pages and to the server, so that all of them can be cut, found idle or stopped.
type conns struct {
	mu   sync.Mutex
	open map[*conn]struct{}
	idle time.Duration // of a page's connection; 0 means that none is too idle
	gate chan struct{} // closed while bytes may pass
	over bool          // no more are wanted
}

func newConns() *conns {
	s := &conns{open: map[*conn]struct{}{}, gate: make(chan struct{})}
	close(s.gate)
	return s
}

// rule says what holds from now on; a connection that is there counts its idle time from now.
func (s *conns) rule(idle time.Duration, still bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = idle
	select {
	case <-s.gate:
		if still {
			s.gate = make(chan struct{})
		}
	default:
		if !still {
			close(s.gate)
		}
	}
	for c := range s.open {
		c.wind(idle)
	}
}

// cut ends those that are open; for the last time also those that still come.
func (s *conns) cut(last bool) {
	s.mu.Lock()
	s.over = s.over || last
	all := make([]*conn, 0, len(s.open))
	for c := range s.open {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

// keep takes note of a connection. Only a page's can be too idle: the other side ends with it.
func (s *conns) keep(c net.Conn, page bool) *conn {
	kept := &conn{Conn: c, all: s, over: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		_ = c.Close()
	}
	s.open[kept] = struct{}{}
	if page {
		kept.timer = time.AfterFunc(time.Hour, func() { _ = kept.Close() })
	}
	kept.wind(s.idle)
	return kept
}

func (s *conns) rules() (idle time.Duration, gate chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.idle, s.gate
}

// conn is one of them.
type conn struct {
	net.Conn
	all   *conns
	timer *time.Timer // ends it when it is too idle; none on the server's side
	once  sync.Once
	over  chan struct{} // closed with it
}

// wind counts idle time anew.
func (c *conn) wind(idle time.Duration) {
	switch {
	case c.timer == nil:
	case idle == 0:
		c.timer.Stop()
	default:
		c.timer.Reset(idle)
	}
}

// pass waits until bytes may pass, and takes note that some do.
func (c *conn) pass() error {
	idle, gate := c.all.rules()
	c.wind(idle)
	select {
	case <-gate:
		return nil
	case <-c.over:
		return net.ErrClosed
	}
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		if held := c.pass(); held != nil {
			return 0, held
		}
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	if err := c.pass(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.over)
		c.all.mu.Lock()
		defer c.all.mu.Unlock()
		c.wind(0)
		delete(c.all.open, c)
	})
	return c.Conn.Close()
}

// listener keeps what it accepts.
type listener struct {
	net.Listener
	conns *conns
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.conns.keep(c, true), nil
}

// dial opens a connection to the server, from the address that this network has now.
func (p *Proxy) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{}
	if from := p.now().From; from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	c, err := d.DialContext(ctx, "tcp", p.to)
	if err != nil {
		return nil, err
	}
	return p.conns.keep(c, false), nil
}
