package mqttproxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	wireRead = 256 // bytes read ahead; larger payloads go straight to where they are wanted
	// A frame's header and a payload up to 125 bytes fit into the write buffer, so does every control frame. A larger
	// payload makes at least 130 bytes: it fills the buffer and the rest follows at once. No frame has exactly 128.
	wireWrite = 128

	readAhead  = 4 << 10  // the most that net/http may have read before us, and so the largest read buffer
	floodBytes = 16 << 10 // that may come within floodTime without one byte of payload
	floodTime  = time.Minute
)

// closeFrame is the first byte of one: final, opcode 8.
const closeFrame = 0x88

var errFlood = errors.New("frames without content")

// wire is the TCP or TLS connection under a WebSocket. It joins a frame's beginning with its rest, so that a frame is
// one write, bounds every write, notices frames that bring nothing, and says goodbye once.
type wire struct {
	net.Conn
	born    time.Time
	writeIn time.Duration

	// Times, counted from born, past which nothing is written; 0 means none.
	asked, sendBy, endBy atomic.Int64

	closed bool // a close frame has been written; this and the next are owned by whoever writes, the library lets one at a time
	begun  int  // bytes held in start
	start  [wireWrite]byte
	both   [2][]byte
	parts  net.Buffers // here so that writing needs no memory of its own

	idle  atomic.Int64  // bytes since the last payload
	since time.Duration // when counting them began; owned by whoever reads, the library lets one at a time
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // the library takes an end between two reads of a message for the message's
	}
	if len(p) > readAhead {
		return n, err // straight into a payload: it brings something
	}
	if w.idle.Add(int64(n)) > floodBytes {
		now := time.Since(w.born)
		if now-w.since < floodTime {
			return 0, errFlood
		}
		w.idle.Store(int64(n))
		w.since = now
	}
	return n, err
}

// content says that a payload of n bytes has come. Whoever says goodbye may be the one to read by now.
func (w *wire) content(n int) {
	if n > 0 {
		w.idle.Store(0)
	}
}

func (w *wire) Write(p []byte) (int, error) {
	if w.begun == 0 && w.closed {
		// The library answers the other side's answer with a second close frame; browsers take that for a broken
		// connection and forget the code of the first.
		return len(p), nil
	}
	if w.begun == 0 && len(p) == wireWrite {
		w.begun = copy(w.start[:], p)
		return len(p), nil
	}
	if err := w.Conn.SetWriteDeadline(w.deadline()); err != nil {
		return 0, err
	}
	if w.begun == 0 {
		w.closed = len(p) > 0 && p[0] == closeFrame
		return w.Conn.Write(p)
	}
	start := w.start[:w.begun]
	w.begun = 0
	return len(p), w.writeBoth(start, p)
}

// writeBoth writes two pieces at once: by the kernel where it can, else joined, for TLS would make two records of them.
func (w *wire) writeBoth(a, b []byte) error {
	if _, ok := w.Conn.(*net.TCPConn); ok {
		w.both = [2][]byte{a, b}
		w.parts = w.both[:]
		_, err := w.parts.WriteTo(w.Conn)
		w.both, w.parts = [2][]byte{}, nil
		return err
	}
	lent := joints.Get().(*[]byte)
	defer joints.Put(lent)
	*lent = append(append((*lent)[:0], a...), b...)
	_, err := w.Conn.Write(*lent)
	return err
}

var joints = sync.Pool{New: func() any { return new([]byte) }}

// deadline is the earliest of those set, and never further away than writeIn.
func (w *wire) deadline() time.Time {
	by := time.Since(w.born) + w.writeIn
	for _, limit := range []*atomic.Int64{&w.asked, &w.sendBy, &w.endBy} {
		if at := time.Duration(limit.Load()); at != 0 {
			by = min(by, at)
		}
	}
	return w.born.Add(by)
}

// set stores a time in one of the limits; the zero time lifts it.
func (w *wire) set(limit *atomic.Int64, at time.Time) {
	if at.IsZero() {
		limit.Store(0)
		return
	}
	limit.Store(max(1, int64(at.Sub(w.born))))
}

// slim is a ResponseWriter whose connection, once taken over, has small buffers: net/http's own take 8 KiB for as long
// as the connection lives.
type slim struct {
	http.ResponseWriter
	wire *wire // set by Hijack
}

func (s *slim) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, had, err := http.NewResponseController(s.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	s.wire = &wire{Conn: conn, born: time.Now(), writeIn: 10 * time.Second}
	early := make([]byte, had.Reader.Buffered())
	if _, err := io.ReadFull(had.Reader, early); err != nil {
		return nil, nil, err
	}
	reader := bufio.NewReaderSize(&prefixed{early: early, rest: s.wire}, max(wireRead, len(early)))
	if _, err := reader.Peek(len(early)); err != nil { // the library takes over what is buffered
		return nil, nil, err
	}
	return s.wire, bufio.NewReadWriter(reader, bufio.NewWriterSize(s.wire, wireWrite)), nil
}

type prefixed struct {
	early []byte
	rest  io.Reader
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.early) > 0 {
		n := copy(b, p.early)
		p.early = p.early[n:]
		return n, nil
	}
	return p.rest.Read(b)
}
