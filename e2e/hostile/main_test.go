package hostile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	prompt = 10 * time.Second       // for what should happen at once; test machines are busy
	moment = 150 * time.Millisecond // for what should not happen
)

// bench is a server, a network in front of it, and a page.
type bench struct {
	*Proxy
	t      *testing.T
	client *http.Client
	say    chan string // what the server's stream says next; closed at its end

	mu      sync.Mutex
	uploads []string // bodies, as they arrived
	from    []string // addresses that requests came from
	header  http.Header
}

func newBench(t *testing.T, bad Bad) *bench {
	b := &bench{t: t, say: make(chan string, 10)}
	upstream := httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(upstream.Close)
	p, err := Start(upstream.Listener.Addr().String(), bad, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	b.Proxy = p
	b.client = &http.Client{Transport: &http.Transport{}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(b.client.CloseIdleConnections)
	return b
}

// serve is the server: it takes uploads, sends a stream, and answers bytes of a tunnel with themselves in a frame.
func (b *bench) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	b.header = r.Header
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	b.from = append(b.from, host)
	if r.URL.Path == "/live/up" {
		b.uploads = append(b.uploads, string(body))
	}
	n := len(b.from)
	b.mu.Unlock()
	switch {
	case r.Header.Get("Upgrade") != "":
		echo(w)
	case r.URL.Path == "/stream":
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		b.stream(w, r)
	case r.URL.Path == "/kept":
		_, _ = fmt.Fprint(w, n)
	default:
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Accel-Buffering", "no")
		_, _ = fmt.Fprint(w, n)
	}
}

// stream sends what say says until its end, or until nobody listens.
func (b *bench) stream(w http.ResponseWriter, r *http.Request) {
	for {
		select {
		case part, more := <-b.say:
			if !more {
				return
			}
			_, _ = io.WriteString(w, part)
			_ = http.NewResponseController(w).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// echo upgrades and sends every byte back in a frame of its own.
func echo(w http.ResponseWriter) {
	conn, in, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	for {
		b, err := in.ReadByte()
		if err != nil {
			return
		}
		if _, err := conn.Write([]byte{0x82, 1, b}); err != nil {
			return
		}
	}
}

// post gives an answer's status and body.
func (b *bench) post(path, body string) (int, string, error) {
	answer, err := b.client.Post(b.URL+path, "text/plain", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

// arrived are the uploads that the server has.
func (b *bench) arrived() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.uploads, " ")
}

// tunnel is the page's end of an upgraded connection.
type tunnel struct {
	net.Conn
	in     *bufio.Reader
	status int
}

func (b *bench) upgrade() *tunnel {
	b.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.URL, "http://"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(prompt))
	_, _ = io.WriteString(conn, "GET /live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	in := bufio.NewReader(conn)
	answer, err := http.ReadResponse(in, &http.Request{Method: http.MethodGet})
	if err != nil {
		b.t.Fatal(err)
	}
	return &tunnel{conn, in, answer.StatusCode}
}

// echoed sends a byte and waits for its frame.
func (c *tunnel) echoed(within time.Duration) error {
	_ = c.SetDeadline(time.Now().Add(within))
	if _, err := c.Write([]byte{'x'}); err != nil {
		return err
	}
	var got [3]byte
	_, err := io.ReadFull(c.in, got[:])
	return err
}

func timedOut(err error) bool {
	var slow net.Error
	return errors.As(err, &slow) && slow.Timeout()
}

// reads reads an answer's body in the background, part by part.
func reads(body io.Reader) <-chan string {
	parts := make(chan string, 10)
	go func() {
		defer close(parts)
		b := make([]byte, 128<<10)
		for {
			n, err := body.Read(b)
			if n > 0 {
				parts <- string(b[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	return parts
}
