// Package hostile is a network in the way: a proxy in front of the program under test that does what proxies are known to
// do to connections that last.
//
// It knows HTTP and WebSocket frames and nothing of the product but the addresses of a pipe's requests. Start at [Start]
// and [Bad].
package hostile

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bad is what the network does. The zero value hands everything on.
type Bad struct {
	// To WebSockets. Refused: "403", "400", "page" (200), "redirect". Accepted: "swallow" passes nothing on, "cut" ends it
	// after so many Frames to the page.
	Upgrade string
	Frames  int

	// To whatever lasts.
	Idle  time.Duration // a connection on which nothing moved for so long is cut
	Last  time.Duration // a tunnel, or the answer to a POST, is cut after so long; pages load
	Lag   time.Duration // what goes up a tunnel arrives so much later
	Still bool          // nothing moves until this is taken back: the page's machine sleeps
	From  string        // the address that the server sees; when it changes, everything that is open is cut

	// To requests.
	Delay   time.Duration // each waits so long, an upgrade too
	Portal  string        // each is answered by a login page ("page") or sent to one ("redirect")
	MaxBody int           // longer bodies are refused with 413
	Strip   bool          // headers that a proxy need not know are taken off, and off the answers
	Cache   string        // answers to POST are kept and given again: "polite" obeys no-store, "rude" does not

	// To answers: so many bytes are held back until there are more; below 0 until the answer ends.
	Hold     int
	HoldOnly string // "GET": only answers to GET. "others": all but event streams

	// To answers of a pipe's polls: each is kept back for so long.
	Keep time.Duration

	// To uploads of a pipe.
	Drop   int  // one of so many gets no answer, though it arrived
	Late   int  // one of so many gets no answer, and arrives after the next one
	Double bool // they are sent twice
}

// Proxy stands in front of one server.
type Proxy struct {
	URL  string
	Seen func(what string) // told of every upgrade, stream, poll, upload; may be nil

	to      string // host:port
	server  http.Server
	upward  *http.Transport
	conns   *conns
	running sync.WaitGroup
	uploads atomic.Int64

	mu   sync.Mutex
	bad  Bad
	late []func()              // uploads that are to arrive after the next one
	kept map[string]remembered // what a cache has
}

// Start begins to listen, in front of host:port.
func Start(to string, bad Bad, seen func(string)) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{URL: "http://" + l.Addr().String(), Seen: seen, to: to, bad: bad, conns: newConns(), kept: map[string]remembered{}}
	p.upward = &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dial(ctx) }}
	p.conns.rule(bad.Idle, bad.Still)
	p.server.Handler = http.HandlerFunc(p.handle)
	p.server.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, ofPage{}, c) }
	p.running.Go(func() { _ = p.server.Serve(listener{l, p.conns}) })
	return p, nil
}

// Set changes what the network does from now on.
func (p *Proxy) Set(bad Bad) {
	p.mu.Lock()
	moved := bad.From != p.bad.From
	p.bad = bad
	p.mu.Unlock()
	p.conns.rule(bad.Idle, bad.Still)
	if moved {
		p.Cut()
	}
}

// Cut ends every connection there is, on both sides.
func (p *Proxy) Cut() { p.conns.cut(false) }

// Close cuts everything and waits until nothing runs any more.
func (p *Proxy) Close() {
	_ = p.server.Close()
	p.conns.cut(true)
	p.upward.CloseIdleConnections()
	p.running.Wait()
}

func (p *Proxy) now() Bad {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bad
}

func (p *Proxy) saw(what string) {
	if p.Seen != nil {
		p.Seen(what)
	}
}

// ofPage finds a request's connection in its context.
type ofPage struct{}

func (p *Proxy) handle(w http.ResponseWriter, r *http.Request) {
	bad := p.now()
	upgrade := r.Header.Get("Upgrade") != ""
	p.saw(name(r, upgrade))
	if bad.Delay > 0 {
		select {
		case <-time.After(bad.Delay):
		case <-r.Context().Done():
			return
		}
	}
	if bad.Last > 0 && (upgrade || r.Method == http.MethodPost) { // pages and scripts are got, messages are posted for
		defer time.AfterFunc(bad.Last, func() { _ = r.Context().Value(ofPage{}).(net.Conn).Close() }).Stop()
	}
	switch {
	case bad.Portal != "":
		portal(w, r, bad.Portal)
	case upgrade:
		p.upgrade(w, r, bad)
	default:
		p.forward(w, r, bad)
	}
}

// name is what Seen is told of a request.
func name(r *http.Request, upgrade bool) string {
	if _, pipe, is := strings.Cut(r.URL.Path, "/live/"); is {
		return pipe + " " + r.Header.Get("X-Mode")
	}
	if upgrade {
		return "upgrade " + r.Header.Get("Sec-WebSocket-Protocol")
	}
	return r.Method + " " + r.URL.Path
}
