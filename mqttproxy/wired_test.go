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

// arrivals are what came to a page, on whatever carriers.
type arrivals struct {
	t testing.TB

	mu    sync.Mutex
	came  []byte // of the session, in order
	up    int64  // bytes up as far as told
	tolds []answer
	cuts  int // carriers that were cut off
}

func (a *arrivals) noteCut() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cuts++
}

// note takes bytes of the session. Doubles are dropped by their position; there must be no gap.
func (a *arrivals) note(pos int64, chunk []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if known := int64(len(a.came)) - pos; known < 0 {
		a.t.Errorf("bytes from %d on came, %d are known", pos, len(a.came))
	} else if known < int64(len(chunk)) {
		a.came = append(a.came, chunk[known:]...)
	}
}

func (a *arrivals) noteTold(said answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tolds = append(a.tolds, said)
	a.up = max(a.up, said.Up)
}

func (a *arrivals) got() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return string(a.came)
}

// known is how far the page knows that the server is.
func (a *arrivals) known() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.up
}

func (a *arrivals) lastTold() (last answer, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n = len(a.tolds); n > 0 {
		last = a.tolds[n-1]
	}
	return last, n
}

// wired is a page's end of a WebSocket in memory. What comes is noted by a goroutine of its own, as a browser does.
type wired struct {
	*arrivals
	conn   net.Conn
	served chan struct{} // closed when the server's end is over
	over   chan struct{} // closed when nothing comes any more; the rest may be read then
	code   int
	words  string
}

// dialLine opens a WebSocket to Pipes for a page that has nothing yet.
func dialLine(t testing.TB, pipes *Pipes, v Visitor) *wired {
	t.Helper()
	ours, theirs := net.Pipe()
	return dialOn(t, pipes, v, ours, theirs, &arrivals{t: t})
}

func dialOn(t testing.TB, pipes *Pipes, v Visitor, ours, theirs net.Conn, all *arrivals) *wired {
	t.Helper()
	socket := acceptInMemory(t, theirs)
	w := &wired{arrivals: all, conn: ours, served: make(chan struct{}), over: make(chan struct{})}
	go func() {
		defer close(w.served)
		pipes.Carry(context.Background(), socket, v)
	}()
	go w.read()
	return w
}

// read notes what comes until the connection ends.
func (w *wired) read() {
	defer close(w.over)
	defer w.conn.Close()
	p := &peer{Conn: w.conn, r: bufio.NewReader(w.conn)}
	for {
		opcode, payload, err := p.frame()
		switch {
		case err != nil:
			return
		case opcode == 8:
			w.code, w.words = int(binary.BigEndian.Uint16(payload)), string(payload[2:])
			_, _ = w.conn.Write(append([]byte{0x88, 0x80 | 2, 0, 0, 0, 0}, payload[:2]...))
		case opcode == 2:
			w.take(payload)
		}
	}
}

func (w *wired) take(message []byte) {
	switch message[0] {
	case frameTold:
		var said answer
		if err := json.Unmarshal(message[1:], &said); err != nil {
			w.t.Errorf("told %q: %v", message, err)
		}
		w.noteTold(said)
	case frameBytes:
		w.note(int64(binary.BigEndian.Uint64(message[1:])), message[dataHead:])
		w.mu.Lock()
		w.up = max(w.up, int64(binary.BigEndian.Uint64(message[9:])))
		w.mu.Unlock()
	default:
		w.t.Errorf("frame %x", message)
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
	if len(w.came) < have {
		w.came = make([]byte, have) // it came by another carrier, of which this page's end knows nothing
	}
	w.mu.Unlock()
	body, _ := json.Marshal(joinFrame{ID: id, Have: int64(have), Take: take})
	w.sayBytes(frameJoin, body)
}

// leave says goodbye as a browser does whose page is closed.
func (w *wired) leave() {
	_, _ = w.conn.Write([]byte{0x88, 0x80 | 2, 0, 0, 0, 0, 1001 >> 8, 1001 & 0xff})
}

// close hangs up and waits until the server has noticed.
func (w *wired) close() {
	_ = w.conn.Close()
	<-w.over
	<-w.served
}
