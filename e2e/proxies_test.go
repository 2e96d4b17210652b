package e2e

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// front is a real proxy between a page and the server; testdata/proxies has its settings under this name.
type front struct {
	name    string
	ways    []string
	won     string // by the ladder
	forward bool   // the page's own proxy, which it asks for everything; otherwise the server's
	more    int    // bytes of the longest message
	cuts    bool   // whatever says nothing for 4 s
}

var fronts = []front{
	{name: "nginx-default", ways: requests, won: wire.ByStream, more: 60 << 10},
	{name: "nginx-buffering", ways: polls, won: wire.ByPoll},
	{name: "nginx-tuned", ways: all, won: wire.BySocket, more: 60 << 10},
	{name: "nginx-small-bodies", ways: requests, won: wire.ByStream, more: 20 << 10},
	{name: "nginx-short", ways: all, won: wire.BySocket, cuts: true},
	{name: "haproxy-plain", ways: all, won: wire.BySocket, more: 60 << 10},
	{name: "haproxy-strip", ways: requests, won: wire.ByStream},
	{name: "haproxy-short", ways: all[:1], won: wire.BySocket, cuts: true},
	{name: "squid-forward", ways: all, won: wire.BySocket, forward: true, more: 60 << 10},
	{name: "squid-only-443", ways: requests, won: wire.ByStream, forward: true},
	{name: "squid-reverse", ways: requests, won: wire.ByStream, more: 60 << 10},
}

func TestRealProxies(t *testing.T) {
	rows := make([][]row, len(fronts))
	turns := make(chan struct{}, 3)
	var running sync.WaitGroup
	for n, f := range fronts {
		turns <- struct{}{}
		running.Go(func() {
			defer func() { <-turns }()
			t.Run(f.name, func(t *testing.T) { rows[n] = f.cells(t) })
		})
	}
	running.Wait()
	logTable(t, slices.Concat(rows...))
}

// cells has a page live behind a proxy, by each way that can and by the ladder.
func (f front) cells(t *testing.T) (rows []row) {
	at := freeAddress(t)
	var s *server
	if f.forward {
		s = start(t)
	} else {
		s = startBehind(t, at)
	}
	f.start(t, at, s.listen)
	for _, plan := range append([]string{"ladder"}, f.ways...) {
		t.Run(plan, func(t *testing.T) {
			c := &cell{server: s.in(t)}
			c.settle()
			door := c.page.door("http://" + at)
			if f.forward {
				door = c.page.door(s.url)
				through(&door, at)
			}
			rows = append(rows, c.begin(f.name, plan, f.won, soonLive, door))
			converse(c, 12, "first", f.more)
			if f.cuts {
				if !c.pipe.Broken(prompt) {
					t.Errorf("nothing was cut within %v", prompt)
				}
				converse(c, 12, "then", 0)
			}
		})
	}
	return rows
}

// through has everything of a page go through its proxy: plain requests as they are, and WebSockets by CONNECT.
func through(door *wire.Door, proxy string) {
	door.HTTP.Transport.(*http.Transport).Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: proxy})
	door.Dial = func(ctx context.Context, host string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", proxy)
		if err != nil {
			return nil, err
		}
		_, _ = fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", host, host)
		answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodConnect})
		if err == nil && answer.StatusCode != http.StatusOK {
			err = fmt.Errorf("the proxy answered %s", answer.Status)
		}
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		return conn, nil
	}
}

// freeAddress is one where nobody listens. It is none of those that the system gives away by itself, so that it is still
// free when a program comes to listen there.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000)))
		if err == nil {
			defer func() { _ = l.Close() }()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

// start runs the proxy there, in front of a server, until the test ends.
func (f front) start(t testing.TB, at, to string) {
	t.Helper()
	dir := t.TempDir()
	settings, err := os.ReadFile(filepath.Join("testdata", "proxies", f.name+".conf"))
	must(t, err)
	host, port, err := net.SplitHostPort(to)
	must(t, err)
	file := filepath.Join(dir, "conf")
	text := strings.NewReplacer("LISTEN", at, "DIR", dir, "HOST", host, "PORT", port, "TO", to).Replace(string(settings))
	must(t, os.WriteFile(file, []byte(text), 0o644))
	name, _, _ := strings.Cut(f.name, "-")
	args := map[string][]string{
		"nginx":   {"-p", dir, "-e", "stderr", "-c", file},
		"haproxy": {"-db", "-f", file},
		"squid":   {"-N", "-d1", "-n", "trellis" + port, "-f", file}, // a name of its own for what it keeps in shared memory
	}[name]
	p := run(t, daemon(name), nil, args...)
	t.Cleanup(func() {
		_ = p.Process.Signal(syscall.SIGTERM) // killed, squid leaves its shared memory behind
		p.end(t, prompt)
	})
	answers(t, p, at)
}

// daemon finds a program that may be outside an ordinary user's path.
func daemon(name string) string {
	if found, err := exec.LookPath(name); err == nil {
		return found
	}
	return "/usr/sbin/" + name
}

// answers waits until a program takes connections.
func answers(t testing.TB, p *program, at string) {
	t.Helper()
	for began := time.Now(); time.Since(began) < prompt; {
		select {
		case <-p.gone:
			t.Fatalf("%s has ended:\n%s%s", p.Path, p.out, p.errs)
		case <-time.After(20 * time.Millisecond):
		}
		if conn, err := net.Dial("tcp", at); err == nil {
			_ = conn.Close()
			return
		}
	}
	t.Fatalf("%s takes no connections:\n%s%s", p.Path, p.out, p.errs)
}
