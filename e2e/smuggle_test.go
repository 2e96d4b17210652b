package e2e

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// A request that two readers take for different requests lets a stranger put words into another visitor's connection. So what
// can be read in two ways is sent to the server, and through proxies to it.
//
// Each case is a request to a pipe, its head up to here. inner is a second request that hides in the body, or follows it.
const (
	pipeHead = "POST /live/up HTTP/1.1\r\nHost: HOST\r\n"
	inner    = "GET /healthz?inner HTTP/1.1\r\nHost: HOST\r\n\r\n"
	chunks   = "1\r\nx\r\n0\r\n\r\n"
)

// ambiguous are such requests, and the statuses that answer them, separated by spaces. Where they are more than one, the
// server has read inner as a request of its own, which it is: the sender has written it there for everybody to see. Go reads
// a request with both lengths by its chunks, as the standard allows, and an old folded line as one line; a reader who is
// stricter and answers 400 would do as well.
var ambiguous = map[string]struct{ raw, want string }{
	"a length and chunks, the length longer":  {pipeHead + "Content-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + inner, "(403 200 )?(400|200)"},
	"a length and chunks, the length shorter": {pipeHead + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n" + chunks + inner, "(403 200 )?(400|200)"},
	"two lengths":                      {pipeHead + "Content-Length: 0\r\nContent-Length: 9\r\n\r\n" + inner, "400"},
	"the same length twice":            {pipeHead + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx" + inner, "403 200 200|400"},
	"two lengths in a line":            {pipeHead + "Content-Length: 1, 1\r\n\r\nx" + inner, "400"},
	"a length with a sign":             {pipeHead + "Content-Length: +1\r\n\r\nx" + inner, "400"},
	"a length below 0":                 {pipeHead + "Content-Length: -1\r\n\r\n" + inner, "400"},
	"a length in hexadecimal":          {pipeHead + "Content-Length: 0x1\r\n\r\nx" + inner, "400"},
	"no encoding that there is":        {pipeHead + "Transfer-Encoding: xchunked\r\n\r\n" + chunks + inner, "501|400"},
	"an encoding after chunked":        {pipeHead + "Transfer-Encoding: chunked, identity\r\n\r\n" + chunks + inner, "501|400"},
	"chunked twice":                    {pipeHead + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + inner, "501|400"},
	"chunked after a vertical tab":     {pipeHead + "Transfer-Encoding: \vchunked\r\n\r\n" + chunks + inner, "400"},
	"a space before the colon":         {pipeHead + "Transfer-Encoding : chunked\r\n\r\n" + chunks + inner, "400"},
	"a folded line":                    {pipeHead + "X-Pos: 0\r\n 1\r\nContent-Length: 0\r\n\r\n" + inner, "403 200 200|400"},
	"chunked in a folded line":         {pipeHead + "Transfer-Encoding:\r\n chunked\r\n\r\n" + chunks + inner, "403 200 200|400"},
	"a fold before the first header":   {"POST /live/up HTTP/1.1\r\n X: y\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n" + inner, "400"},
	"a carriage return in a header":    {pipeHead + "X-A: a\rContent-Length: 0\r\n\r\n" + inner, "400"},
	"NUL in a header":                  {pipeHead + "X-A: a\x00b\r\nContent-Length: 0\r\n\r\n" + inner, "400"},
	"no host":                          {"POST /live/up HTTP/1.1\r\nContent-Length: 0\r\n\r\n" + inner, "400"},
	"two hosts":                        {"POST /live/up HTTP/1.1\r\nHost: HOST\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n" + inner, "400"},
	"a request in the body of a GET":   {"GET /healthz HTTP/1.1\r\nHost: HOST\r\nContent-Length: INNER\r\n\r\n" + inner, "200 200|400"},
	"headers of 64 KiB":                {pipeHead + "X-A: " + strings.Repeat("a", 64<<10) + "\r\nContent-Length: 0\r\n\r\n" + inner, "431"},
	"a chunk of hexadecimal with 0x":   {pipeHead + "Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n" + inner, "403|400"},
	"a chunk longer than can be":       {pipeHead + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx" + inner, "403|400"},
	"an upgrade to another protocol":   {"GET /healthz HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n" + inner, "200 200 200"},
	"an expectation nobody can fulfil": {pipeHead + "Expect: nonsense\r\nContent-Length: 1\r\n\r\nx" + inner, "417|400"},
}

var statusLine = regexp.MustCompile(`HTTP/1\.[01] (\d\d\d)`)

// statuses are those in what an HTTP server sent, but for the one that only says to go on.
func statuses(sent string) (all []string) {
	for _, found := range statusLine.FindAllStringSubmatch(sent, -1) {
		if found[1] != "100" {
			all = append(all, found[1])
		}
	}
	return all
}

// say sends something raw, and then a request after which the connection is over. It gives the statuses that came back.
func say(t *testing.T, at, host, raw string) []string {
	t.Helper()
	conn, err := net.Dial("tcp", at)
	must(t, err)
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(prompt))
	words := strings.NewReplacer("HOST", host, "INNER", fmt.Sprint(len(strings.ReplaceAll(inner, "HOST", host))))
	_, _ = io.WriteString(conn, words.Replace(raw+"GET /healthz?last HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"))
	answer, _ := io.ReadAll(conn) // may end in a reset: we sent more than was wanted
	return statuses(string(answer))
}

func TestRequestsAreReadInOneWay(t *testing.T) {
	s := start(t)
	for name, tt := range ambiguous {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(say(t, s.listen, s.listen, tt.raw), " ")
			if !regexp.MustCompile("^(" + tt.want + ")$").MatchString(got) {
				t.Errorf("answered %s, want %s", got, tt.want)
			}
		})
	}
}

// tap stands between a proxy and the server and counts the server's answers.
type tap struct {
	net.Listener
	mu   sync.Mutex
	sent strings.Builder
}

func (p *tap) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent.Write(b)
}

func (p *tap) answers() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(statuses(p.sent.String()))
}

// newTap listens in front of a server until the test ends.
func newTap(t *testing.T, to string) *tap {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &tap{Listener: l}
	var running sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.pass(down, to) })
		}
	})
	return p
}

func (p *tap) pass(down net.Conn, to string) {
	defer func() { _ = down.Close() }()
	up, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = up.Close() }()
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(up, down)
		_ = up.Close()
	})
	_, _ = io.Copy(io.MultiWriter(p, down), up)
	_ = down.Close()
	both.Wait()
}

// TestProxiesAndTheServerReadAlike wants the server never to have answered more requests than the proxy in front of it gave
// answers: one too many would be the next visitor's.
func TestProxiesAndTheServerReadAlike(t *testing.T) {
	for _, name := range []string{"nginx-tuned", "nginx-default", "haproxy-plain", "squid-reverse"} {
		t.Run(name, func(t *testing.T) {
			at := freeAddress(t)
			s := startBehind(t, at)
			between := newTap(t, s.listen)
			front{name: name}.start(t, at, between.Addr().String())
			before := between.answers()
			for what, tt := range ambiguous {
				given := len(say(t, at, at, tt.raw))
				now := between.answers()
				if now-before > given {
					t.Errorf("%s: the server answered %d requests, and the proxy gave %d answers", what, now-before, given)
				}
				before = now
			}
		})
	}
}
