package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Frame opcodes (RFC 6455 section 5.2).
const (
	TextFrame   byte = 1
	BinaryFrame byte = 2
	CloseFrame  byte = 8
	PingFrame   byte = 9
	PongFrame   byte = 10
)

// CloseError is how the other end closed a WebSocket.
type CloseError struct {
	Code  int
	Words string
}

func (e *CloseError) Error() string { return fmt.Sprintf("socket closed with %d %q", e.Code, e.Words) }

// Socket is the client's end of a WebSocket, usable as a byte stream. Every Write is one masked binary frame.
type Socket struct {
	net.Conn
	in    *bufio.Reader
	left  uint64 // bytes of the present data frame not yet read
	final bool   // it is the last of its message
}

// DialSocket opens a WebSocket at an address of the form ws://host:port/path; a header Host names another host than the one dialled. When the server answers anything but 101, the
// answer comes back with an error, its body read.
func DialSocket(ctx context.Context, address string, header http.Header) (*Socket, *http.Response, error) {
	return DialSocketBy(ctx, nil, address, header)
}

// DialSocketBy is DialSocket over a connection that dial opens; nil goes straight to the host.
func DialSocketBy(
	ctx context.Context, dial func(ctx context.Context, host string) (net.Conn, error), address string, header http.Header,
) (*Socket, *http.Response, error) {
	at, err := url.Parse(address)
	if err != nil {
		return nil, nil, fmt.Errorf("open a socket: %w", err)
	}
	if dial == nil {
		dial = func(ctx context.Context, host string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", host)
		}
	}
	conn, err := dial(ctx, at.Host)
	if err != nil {
		return nil, nil, fmt.Errorf("open a socket: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	s := &Socket{Conn: conn, in: bufio.NewReaderSize(conn, 4096)}
	answer, err := s.shake(at, header)
	if err != nil {
		_ = conn.Close()
		return nil, answer, fmt.Errorf("open a socket at %s: %w", address, err)
	}
	return s, answer, nil
}

// shake does the opening handshake. The key is constant: nothing between us and a server under test caches.
func (s *Socket) shake(at *url.URL, header http.Header) (*http.Response, error) {
	request := &http.Request{Method: http.MethodGet, URL: at, Host: at.Host, Header: header.Clone()}
	if request.Header == nil {
		request.Header = http.Header{}
	}
	if host := request.Header.Get("Host"); host != "" {
		request.Host = host
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "websocket")
	request.Header.Set("Sec-WebSocket-Version", "13")
	request.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	if request.Header.Get("Sec-WebSocket-Protocol") == "" {
		request.Header.Set("Sec-WebSocket-Protocol", "mqtt")
	}
	if err := request.Write(s.Conn); err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(s.in, request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, longest))
		_ = answer.Body.Close()
		return answer, fmt.Errorf("the server answered %s", answer.Status)
	}
	return answer, nil
}

// Write sends p as one binary frame.
func (s *Socket) Write(p []byte) (int, error) {
	if err := s.WriteFrame(0x80|BinaryFrame, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteFrame sends one masked frame with this first byte (final bit, reserved bits and opcode as the caller likes).
func (s *Socket) WriteFrame(first byte, payload []byte) error {
	_, err := s.Conn.Write(Frame(first, payload))
	return err
}

// Frame makes a masked frame. The mask is fixed: it protects proxies, and there is none here.
func Frame(first byte, payload []byte) []byte {
	mask := [4]byte{0x5a, 0xa5, 0x3c, 0xc3}
	frame := []byte{first}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, 0x80|byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(n))
	}
	frame = append(frame, mask[:]...)
	for i, b := range payload {
		frame = append(frame, b^mask[i&3])
	}
	return frame
}

// Read gives the bytes of the data frames in order. A close frame ends it with a [CloseError].
func (s *Socket) Read(p []byte) (int, error) {
	for s.left == 0 {
		if err := s.nextFrame(); err != nil {
			return 0, err
		}
	}
	if uint64(len(p)) > s.left {
		p = p[:s.left]
	}
	n, err := s.in.Read(p)
	s.left -= uint64(n)
	return n, err
}

// Message gives the next whole message.
func (s *Socket) Message() ([]byte, error) {
	var message []byte
	for {
		if err := s.nextFrame(); err != nil {
			return nil, err
		}
		if s.left > longest-uint64(len(message)) {
			return nil, fmt.Errorf("read a message of more than %d bytes: %w", longest, ErrPacket)
		}
		had := len(message)
		message = slices.Grow(message, int(s.left))[:had+int(s.left)]
		if _, err := io.ReadFull(s.in, message[had:]); err != nil {
			return nil, err
		}
		if s.final {
			s.left = 0
			return message, nil
		}
	}
}

// nextFrame reads a frame's head, answering pings and turning a close into an error.
func (s *Socket) nextFrame() error {
	var head [2]byte
	if _, err := io.ReadFull(s.in, head[:]); err != nil {
		return err
	}
	length := uint64(head[1] & 0x7f)
	switch length {
	case 126:
		var more [2]byte
		if _, err := io.ReadFull(s.in, more[:]); err != nil {
			return err
		}
		length = uint64(binary.BigEndian.Uint16(more[:]))
	case 127:
		var more [8]byte
		if _, err := io.ReadFull(s.in, more[:]); err != nil {
			return err
		}
		length = binary.BigEndian.Uint64(more[:])
	}
	op := head[0] & 0x0f
	if op < CloseFrame {
		s.left, s.final = length, head[0]&0x80 != 0
		return nil
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(s.in, body); err != nil {
		return err
	}
	switch {
	case op == PingFrame:
		return s.WriteFrame(0x80|PongFrame, body)
	case op == CloseFrame && len(body) >= 2:
		return &CloseError{int(binary.BigEndian.Uint16(body)), string(body[2:])}
	case op == CloseFrame:
		return &CloseError{Code: 1005}
	}
	return nil
}
