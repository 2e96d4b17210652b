// Package hostile is a network in the way: a proxy in front of the program under test that does what proxies are known to
// do to connections that last.
//
// It knows HTTP and WebSocket frames and nothing of the product but the addresses of a pipe's requests. Start at [Start].
package hostile

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bad is what the network does. The zero value hands everything on.
type Bad struct {
	Upgrade string // refusal of a WebSocket: "403", "400", "page" (200), "redirect"; "swallow" accepts it and passes nothing; "cut" ends it after Frames
	Frames  int    // frames to the page before a cut
	Hold    int    // bytes of an answer that are held back until there are more; below 0 until the answer ends
	Delay   time.Duration
	Drop    int  // one upload of so many gets no answer, though it arrived
	Double  bool // uploads are sent twice
	Strip   bool // headers that a proxy need not know are taken off
}

// Proxy stands in front of one server.
type Proxy struct {
	URL  string
	Seen func(what string) // told of every upgrade, stream, poll, upload; may be nil

	to       string // host:port
	listener net.Listener
	server   http.Server
	upward   *http.Transport
	uploads  atomic.Int64
	tunnels  sync.WaitGroup

	mu   sync.Mutex
	bad  Bad
	open map[net.Conn]struct{} // both ends of tunnels
}

// Start begins to listen, in front of host:port.
func Start(to string, bad Bad, seen func(string)) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		URL: "http://" + l.Addr().String(), Seen: seen, to: to, listener: l, bad: bad,
		upward: &http.Transport{DisableCompression: true}, open: map[net.Conn]struct{}{},
	}
	p.server.Handler = http.HandlerFunc(p.handle)
	p.tunnels.Go(func() { _ = p.server.Serve(l) })
	return p, nil
}

// Set changes what the network does to what comes from now on.
func (p *Proxy) Set(bad Bad) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bad = bad
}

// Close cuts everything.
func (p *Proxy) Close() {
	_ = p.server.Close()
	p.mu.Lock()
	for c := range p.open {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.upward.CloseIdleConnections()
	p.tunnels.Wait()
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

func (p *Proxy) handle(w http.ResponseWriter, r *http.Request) {
	bad := p.now()
	if bad.Delay > 0 {
		select {
		case <-time.After(bad.Delay):
		case <-r.Context().Done():
			return
		}
	}
	if r.Header.Get("Upgrade") != "" {
		p.saw("upgrade")
		p.upgrade(w, r, bad)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/live/") {
		p.saw(strings.TrimPrefix(r.URL.Path, "/live/") + " " + r.Header.Get("X-Mode"))
	}
	p.forward(w, r, bad)
}

// forward hands a plain request on, and its answer back, doing to both what this network does.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request, bad Bad) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	upload := r.URL.Path == "/live/up"
	ask := func() (*http.Response, error) {
		out := r.Clone(r.Context())
		out.URL.Scheme, out.URL.Host, out.RequestURI = "http", p.to, ""
		out.Host = r.Host
		out.Body, out.ContentLength = io.NopCloser(strings.NewReader(string(body))), int64(len(body))
		if bad.Strip {
			strip(out.Header, "Accept", "Accept-Language", "Cache-Control", "Pragma", "Priority", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest")
		}
		return p.upward.RoundTrip(out)
	}
	if upload && bad.Double {
		if first, err := ask(); err == nil {
			_, _ = io.Copy(io.Discard, first.Body)
			_ = first.Body.Close()
		}
	}
	answer, err := ask()
	if err != nil {
		http.Error(w, "no answer from the server", http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	if upload && bad.Drop > 0 && p.uploads.Add(1)%int64(bad.Drop) == 0 {
		panic(http.ErrAbortHandler)
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	if bad.Strip {
		strip(w.Header(), "X-Accel-Buffering", "Cache-Control", "Permissions-Policy", "Cross-Origin-Opener-Policy", "Referrer-Policy")
	}
	w.WriteHeader(answer.StatusCode)
	pass(w, answer.Body, bad.Hold)
}

func strip(h http.Header, names ...string) {
	for _, name := range names {
		h.Del(name)
	}
}

// pass copies an answer, flushing whatever comes, or holding it back.
func pass(w http.ResponseWriter, from io.Reader, hold int) {
	part := make([]byte, 32<<10)
	var held []byte
	for {
		n, err := from.Read(part)
		held = append(held, part[:n]...)
		if len(held) > 0 && (err != nil || (hold >= 0 && len(held) >= hold)) {
			if _, writing := w.Write(held); writing != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			held = held[:0]
		}
		if err != nil {
			return
		}
	}
}

// upgrade does to a WebSocket what this network does.
func (p *Proxy) upgrade(w http.ResponseWriter, r *http.Request, bad Bad) {
	switch bad.Upgrade {
	case "403":
		http.Error(w, "WebSocket is not allowed by the policy of this network.", http.StatusForbidden)
	case "400":
		http.Error(w, "bad request", http.StatusBadRequest)
	case "page":
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>Welcome</title><p>Welcome to our network.")
	case "redirect":
		http.Redirect(w, r, "/login-of-the-hotel", http.StatusFound)
	default:
		p.tunnel(w, r, bad)
	}
}

func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request, bad Bad) {
	up, err := net.Dial("tcp", p.to)
	if err != nil {
		http.Error(w, "no answer from the server", http.StatusBadGateway)
		return
	}
	defer up.Close()
	if err := r.Write(up); err != nil {
		return
	}
	down, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer down.Close()
	defer p.keep(down, up)()
	in := bufio.NewReader(up)
	answer, err := http.ReadResponse(in, r)
	if err != nil {
		return
	}
	if err := answer.Write(down); err != nil {
		return
	}
	if bad.Upgrade == "swallow" {
		p.tunnels.Go(func() { _, _ = io.Copy(io.Discard, in) })
		_, _ = io.Copy(io.Discard, buffered)
		_ = up.Close()
		return
	}
	p.tunnels.Go(func() {
		_, _ = io.Copy(up, buffered)
		_ = up.Close()
	})
	if bad.Upgrade == "cut" {
		for range bad.Frames {
			if frame(down, in) != nil {
				break
			}
		}
	} else {
		_, _ = io.Copy(down, in)
	}
}

// keep has Close end a tunnel's two ends.
func (p *Proxy) keep(ends ...net.Conn) (forget func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range ends {
		p.open[c] = struct{}{}
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range ends {
			delete(p.open, c)
		}
	}
}

// frame copies one frame of a server, which has no mask (RFC 6455 section 5.2).
func frame(to io.Writer, from *bufio.Reader) error {
	head, err := from.Peek(2)
	if err != nil {
		return err
	}
	size, length := 2, int64(head[1]&0x7f)
	switch length {
	case 126:
		size = 4
	case 127:
		size = 10
	}
	if head, err = from.Peek(size); err != nil {
		return err
	}
	if size > 2 {
		length = 0
		for _, b := range head[2:] {
			length = length<<8 | int64(b)
		}
	}
	_, err = io.CopyN(to, from, int64(size)+length)
	return err
}
