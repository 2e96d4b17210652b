package mqttproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"nhooyr.io/websocket"
)

// What Accept refuses; the answer has been written when it returns.
var (
	ErrOrigin      = errors.New("request comes from a page of another origin")
	ErrSubprotocol = errors.New("request offers no subprotocol spoken here")
)

var (
	errText   = fmt.Errorf("text frame: %w", NotBinary)
	errHollow = fmt.Errorf("too many empty frames: %w", Protocol)
)

const (
	maxHollow = 64          // empty messages in a row
	closeIn   = time.Second // for saying goodbye
)

// Options say what Accept lets in.
type Options struct {
	Subprotocols []string // one of these must be offered; none means `mqtt`
	AnyOrigin    bool     // where only a key authenticates, never a cookie
	Origins      []string // further origins that count as our own: the public address
	MaxMessage   int64    // longest WebSocket message; 0 means 128 KiB and a little
}

// Socket is a WebSocket: a Carrier of a page's session, and a net.Conn for whoever wants plain bytes. It holds on to
// nothing of the request it came from. Reads are for one goroutine at a time, and so are writes.
type Socket struct {
	conn *websocket.Conn
	wire *wire

	message io.Reader // owned by the reader: what is left of a message; nil between two
	taken   int64     // owned by the reader: bytes read of it
	longest int64
	hollow  int // owned by the reader: empty messages in a row
	ending  atomic.Bool
}

var (
	_ Carrier  = (*Socket)(nil)
	_ net.Conn = (*Socket)(nil)
)

// Accept answers a WebSocket handshake. The handler should then return, and the socket be served by a goroutine of its
// own: that gives back what net/http needed for the request. On an error the answer has been written.
func Accept(w http.ResponseWriter, r *http.Request, o Options) (*Socket, error) {
	if len(o.Subprotocols) == 0 {
		o.Subprotocols = []string{"mqtt"}
	}
	if o.MaxMessage == 0 {
		o.MaxMessage = 128<<10 + 64
	}
	if !o.AnyOrigin && !SameOrigin(r, o.Origins) {
		http.Error(w, "This address may only be used by this server's own pages.", http.StatusForbidden)
		return nil, fmt.Errorf("accept WebSocket: %w", ErrOrigin)
	}
	if !offersOneOf(r, o.Subprotocols) {
		http.Error(w, "Offer one of these WebSocket subprotocols: "+strings.Join(o.Subprotocols, ", "), http.StatusBadRequest)
		return nil, fmt.Errorf("accept WebSocket: %w", ErrSubprotocol)
	}
	thin := &slim{ResponseWriter: w}
	conn, err := websocket.Accept(thin, r, &websocket.AcceptOptions{
		Subprotocols:       o.Subprotocols,
		InsecureSkipVerify: true, // SameOrigin has looked, and it compares the scheme as well
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, fmt.Errorf("accept WebSocket: %w", err)
	}
	conn.SetReadLimit(o.MaxMessage)
	return &Socket{conn: conn, wire: thin.wire, longest: o.MaxMessage}, nil
}

// offersOneOf says whether the request offers a subprotocol; the same comparison as the library's own.
func offersOneOf(r *http.Request, spoken []string) bool {
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for offered := range strings.SplitSeq(line, ",") {
			same := func(s string) bool { return strings.EqualFold(s, strings.TrimSpace(offered)) }
			if slices.ContainsFunc(spoken, same) {
				return true
			}
		}
	}
	return false
}

// Subprotocol is the one of those offered that is spoken.
func (s *Socket) Subprotocol() string { return s.conn.Subprotocol() }

// await waits for the beginning of a binary message.
func (s *Socket) await() error {
	kind, message, err := s.conn.Reader(context.Background())
	if err != nil {
		return s.failure(err)
	}
	if kind != websocket.MessageBinary {
		return errText
	}
	s.message, s.taken = message, 0
	return nil
}

// whole appends what is left of a message to b.
func (s *Socket) whole(b []byte) ([]byte, error) {
	for {
		b = slices.Grow(b, 512)
		n, err := s.message.Read(b[len(b):cap(b)])
		s.wire.content(n)
		s.taken += int64(n)
		b = b[:len(b)+n]
		switch {
		case errors.Is(err, io.EOF):
			s.message = nil
			return b, nil
		case err != nil:
			return b, s.failure(err)
		}
	}
}

// Receive waits for the bytes of the next binary message, or for more of the one that has begun.
func (s *Socket) Receive(p []byte) (int, error) {
	for {
		if s.message == nil {
			if err := s.await(); err != nil {
				return 0, err
			}
		}
		n, err := s.message.Read(p)
		s.wire.content(n)
		s.taken += int64(n)
		if n > 0 {
			s.hollow = 0
			return n, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, s.failure(err)
		}
		s.message = nil
		if s.hollow++; s.hollow > maxHollow {
			return 0, errHollow
		}
	}
}

// failure names what went wrong where that is of use to somebody.
func (s *Socket) failure(err error) error {
	switch code := websocket.CloseStatus(err); {
	case code == websocket.StatusNormalClosure, code == websocket.StatusGoingAway:
		return errors.Join(io.EOF, Lost)
	case s.taken > s.longest:
		return errors.Join(err, TooBig)
	case errors.Is(err, errFlood):
		return errors.Join(err, Protocol)
	default:
		return err
	}
}

// Send writes p as one binary message.
func (s *Socket) Send(p []byte, by time.Time) error {
	s.wire.set(&s.wire.sendBy, by)
	defer s.wire.sendBy.Store(0) // a pong may be the next to be written
	return s.conn.Write(context.Background(), websocket.MessageBinary, p)
}

// End closes with the Reason's code and words.
func (s *Socket) End(reason Reason) {
	if reason == Lost {
		s.ending.Store(true)
		_ = s.conn.CloseNow()
		return
	}
	s.close(websocket.StatusCode(reason.Code()), reason.Words())
}

// close says goodbye and waits a moment for the other side to do the same. The connection's own deadline bounds it
// all: without one, a peer that does not read could keep the library waiting much longer.
func (s *Socket) close(code websocket.StatusCode, words string) {
	if s.ending.Swap(true) {
		return
	}
	_ = s.wire.SetReadDeadline(s.hurry())
	_ = s.conn.Close(code, words)
}

// hurry lets writes take a moment from now and no longer, those included that wait; the first call counts. It says until when.
func (s *Socket) hurry() time.Time {
	s.wire.endBy.CompareAndSwap(0, int64(time.Since(s.wire.born)+closeIn))
	by := s.wire.born.Add(time.Duration(s.wire.endBy.Load()))
	_ = s.wire.SetWriteDeadline(by)
	return by
}

// Read is Receive as a net.Conn has it: the end of the other side is io.EOF.
func (s *Socket) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := s.Receive(p)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, NotBinary):
		s.close(websocket.StatusUnsupportedData, NotBinary.Words())
	case errors.Is(err, Protocol):
		s.close(websocket.StatusProtocolError, Protocol.Words())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF) && s.message == nil:
		err = io.EOF
	}
	return n, err
}

// Write writes p as one binary message.
func (s *Socket) Write(p []byte) (int, error) {
	if err := s.conn.Write(context.Background(), websocket.MessageBinary, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close says goodbye as a WebSocket does and closes. It takes a second at most.
func (s *Socket) Close() error {
	s.close(websocket.StatusNormalClosure, "")
	return nil
}

// LocalAddr is the address on our side.
func (s *Socket) LocalAddr() net.Addr { return s.wire.LocalAddr() }

// RemoteAddr is the address of whoever connected: a browser, a program, or the proxy in front of us.
func (s *Socket) RemoteAddr() net.Addr { return s.wire.RemoteAddr() }

// SetDeadline bounds reads and writes; a socket on which a deadline has passed can only be closed.
func (s *Socket) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// SetReadDeadline bounds the read that waits and those to come; the zero time lifts it.
func (s *Socket) SetReadDeadline(t time.Time) error {
	err := s.wire.SetReadDeadline(t)
	if s.ending.Load() { // the goodbye has set one of its own
		err = s.wire.SetReadDeadline(s.hurry())
	}
	return err
}

// SetWriteDeadline bounds the write that waits and those to come. With or without it, one write takes 10 s at most.
func (s *Socket) SetWriteDeadline(t time.Time) error {
	if s.ending.Load() {
		return nil
	}
	s.wire.set(&s.wire.asked, t)
	return s.wire.Conn.SetWriteDeadline(t)
}
