package mqttproxy

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// upgraded is a request's answer whose connection is in memory.
type upgraded struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (u upgraded) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return u.conn, bufio.NewReadWriter(bufio.NewReader(u.conn), bufio.NewWriter(u.conn)), nil
}

// acceptInMemory is the server's end of a WebSocket over conn, past the handshake.
func acceptInMemory(t testing.TB, conn net.Conn) *Socket {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/live", nil)
	r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}, "Sec-Websocket-Protocol": {PipeSubprotocol}}
	socket, err := Accept(upgraded{httptest.NewRecorder(), conn}, r, Options{Subprotocols: []string{PipeSubprotocol}, AnyOrigin: true})
	if err != nil {
		t.Fatal(err)
	}
	return socket
}

// wired is a page's end of a WebSocket in memory. What comes is noted by a goroutine of its own, as a browser does.
type wired struct {
	t      testing.TB
	conn   net.Conn
	served chan struct{} // closed when the server's end is over
	over   chan struct{} // closed when nothing comes any more

	mu    sync.Mutex
	came  []byte // of the session, in order
	up    int64  // bytes up as far as told
	tolds []answer
	code  int
	words string
}

// dialLine opens a WebSocket to Pipes; cut may wrap the page's end of the connection.
func dialLine(t testing.TB, pipes *Pipes, v Visitor, cut func(net.Conn) net.Conn) *wired {
	t.Helper()
	ours, theirs := net.Pipe()
	if cut != nil {
		ours = cut(ours)
	}
	socket := acceptInMemory(t, theirs)
	w := &wired{t: t, conn: ours, served: make(chan struct{}), over: make(chan struct{})}
	go func() {
		defer close(w.served)
		pipes.Carry(context.Background(), socket, v)
	}()
	go w.read(t)
	return w
}

// read notes what comes until the connection ends.
func (w *wired) read(t testing.TB) {
	defer close(w.over)
	defer w.conn.Close()
	p := &peer{Conn: w.conn, r: bufio.NewReader(w.conn)}
	for {
		opcode, payload, err := p.frame()
		switch {
		case err != nil:
			return
		case opcode == 8:
			w.mu.Lock()
			w.code, w.words = int(binary.BigEndian.Uint16(payload)), string(payload[2:])
			w.mu.Unlock()
			_, _ = w.conn.Write(append([]byte{0x88, 0x80 | 2, 0, 0, 0, 0}, payload[:2]...))
		case opcode == 2:
			w.note(t, payload)
		}
	}
}

func (w *wired) note(t testing.TB, message []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch message[0] {
	case frameTold:
		var a answer
		if err := json.Unmarshal(message[1:], &a); err != nil {
			t.Errorf("told %q: %v", message, err)
		}
		w.tolds = append(w.tolds, a)
		w.up = max(w.up, a.Up)
	case frameBytes:
		pos, chunk := int64(binary.BigEndian.Uint64(message[1:])), message[dataHead:]
		w.up = max(w.up, int64(binary.BigEndian.Uint64(message[9:])))
		if known := int64(len(w.came)) - pos; known < 0 {
			t.Errorf("bytes from %d on came, %d are known", pos, len(w.came))
		} else if known < int64(len(chunk)) {
			w.came = append(w.came, chunk[known:]...)
		}
	default:
		t.Errorf("frame %x", message)
	}
}

// say sends one frame; a connection that is over takes nothing.
func (w *wired) say(kind byte, numbers ...int64) { w.sayBytes(kind, nil, numbers...) }

func (w *wired) sayBytes(kind byte, body []byte, numbers ...int64) {
	b := []byte{kind}
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	_, _ = w.conn.Write(masked(append(b, body...)))
}

func (w *wired) join(id string, have int, take bool) {
	w.mu.Lock()
	w.came = make([]byte, have)
	w.mu.Unlock()
	body, _ := json.Marshal(joinFrame{ID: id, Have: int64(have), Take: take})
	w.sayBytes(frameJoin, body)
}

// close hangs up and waits until the server has noticed.
func (w *wired) close() {
	_ = w.conn.Close()
	<-w.over
	<-w.served
}

func (w *wired) lastTold() (a answer, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n = len(w.tolds); n > 0 {
		a = w.tolds[n-1]
	}
	return a, n
}

func (w *wired) got() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.came)
}
