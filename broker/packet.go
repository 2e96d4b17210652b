package broker

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
)

// MQTT 3.1.1 packet types (section 2.2.1).
const (
	typeConnect     = 1
	typeConnack     = 2
	typePublish     = 3
	typePuback      = 4
	typePubrec      = 5
	typePubrel      = 6
	typePubcomp     = 7
	typeSubscribe   = 8
	typeUnsubscribe = 10
	typePingreq     = 12
	typeDisconnect  = 14
)

const chunkSize = 4 << 10

var chunks = sync.Pool{New: func() any { b := make([]byte, chunkSize); return &b }}

// source reads a device's bytes. While nothing comes it holds no buffer but the few bytes inside itself, because most
// connections are quiet most of the time.
type source struct {
	from   io.Reader
	unread []byte
	chunk  *[]byte // borrowed while a packet is being read
	first  [48]byte
}

// header is the fixed header of a packet.
type header struct {
	kind, flags byte
	length      int // of what follows the header
}

// header waits for the next packet. It is the only place where a quiet connection waits.
func (s *source) header() (header, error) {
	if len(s.unread) == 0 {
		s.giveBack()
	}
	lead, err := s.byte()
	if err != nil {
		return header{}, err
	}
	h := header{kind: lead >> 4, flags: lead & 0x0f}
	for shift := 0; ; shift += 7 {
		if shift == 28 {
			return h, ErrMalformed
		}
		b, err := s.byte()
		if err != nil {
			return h, midPacket(err)
		}
		h.length |= int(b&0x7f) << shift
		if b < 0x80 {
			return h, nil
		}
	}
}

func (s *source) byte() (byte, error) {
	if len(s.unread) == 0 {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	b := s.unread[0]
	s.unread = s.unread[1:]
	return b, nil
}

// some gives up to n bytes, at least one, valid until the next call.
func (s *source) some(n int) ([]byte, error) {
	if len(s.unread) == 0 {
		if s.chunk == nil {
			s.chunk = chunks.Get().(*[]byte)
		}
		if err := s.fill(); err != nil {
			return nil, midPacket(err)
		}
	}
	n = min(n, len(s.unread))
	out := s.unread[:n]
	s.unread = s.unread[n:]
	return out, nil
}

// appendAll appends exactly n bytes to dst, which grows only as they arrive.
func (s *source) appendAll(dst []byte, n int) ([]byte, error) {
	for n > 0 {
		part, err := s.some(n)
		if err != nil {
			return dst, err
		}
		dst = append(dst, part...)
		n -= len(part)
	}
	return dst, nil
}

func (s *source) fill() error {
	into := s.first[:]
	if s.chunk != nil {
		into = *s.chunk
	}
	n, err := s.from.Read(into)
	s.unread = into[:n]
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

func (s *source) giveBack() {
	if s.chunk != nil {
		chunks.Put(s.chunk)
		s.chunk, s.unread = nil, nil
	}
}

// midPacket turns an end of stream inside a packet into what it is.
func midPacket(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendHeader writes a fixed header.
func appendHeader(dst []byte, kind, flags byte, length int) []byte {
	dst = append(dst, kind<<4|flags)
	for length >= 0x80 {
		dst = append(dst, byte(length)|0x80)
		length >>= 7
	}
	return append(dst, byte(length))
}

// packetLength is how long the first packet of these is, which are whole.
func packetLength(b []byte) int {
	length, at := 0, 1
	for shift := 0; ; shift += 7 {
		length |= int(b[at]&0x7f) << shift
		if at++; b[at-1] < 0x80 {
			return at + length
		}
	}
}

func appendField(dst, field []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(field)))
	return append(dst, field...)
}

// fields reads the parts of a packet that is wholly in memory. After the first lack every answer is empty and bad is set.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) take(n int) []byte {
	if n > len(f.rest) {
		f.bad, f.rest = true, nil
		return nil
	}
	out := f.rest[:n:n]
	f.rest = f.rest[n:]
	return out
}

func (f *fields) uint8() byte {
	if b := f.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (f *fields) uint16() uint16 {
	if b := f.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// field reads bytes that carry their own length.
func (f *fields) field() []byte { return f.take(int(f.uint16())) }

// text reads a field that must be well-formed UTF-8.
func (f *fields) text() []byte {
	b := f.field()
	if !wellFormed(b) {
		f.bad = true
	}
	return b
}
