package mqttproxy

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// errUpstreamPacket says that the broker sent what no broker may send to us.
var errUpstreamPacket = errors.New("the broker sent a packet that it may not send")

// guarded stands between the client library and the network. The library allocates whatever length a packet announces, trusts
// the count of codes in a SUBACK, and waits for ever where it is not told otherwise; so lengths are judged here, before it
// sees them, and so is silence.
type guarded struct {
	net.Conn
	in      *bufio.Reader
	frame   framing
	answer  time.Duration // longest wait for the first byte
	silence time.Duration // longest silence after it, while somebody reads
	writeIn time.Duration // longest time that one write may take
	heard   atomic.Bool
	pause   func() // waits while too much has come; nil never does. The CONNACK is read without: nobody but us waits for that
}

// Read gives the library bytes of packets that are in order.
func (g *guarded) Read(p []byte) (int, error) {
	if g.pause != nil && g.frame.whole {
		g.pause()
	}
	if g.in.Buffered() == 0 {
		patience := g.answer
		if g.heard.Load() {
			patience = g.silence
		}
		if err := g.Conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return 0, err
		}
	}
	n, err := g.in.Read(p)
	if n > 0 {
		g.heard.Store(true)
		if wrong := g.frame.feed(p[:n]); wrong != nil {
			return 0, wrong // the library never sees the length that is too long
		}
	}
	return n, err
}

func (g *guarded) Write(p []byte) (int, error) {
	if err := g.Conn.SetWriteDeadline(time.Now().Add(g.writeIn)); err != nil {
		return 0, err
	}
	return g.Conn.Write(p)
}

// The library's own deadlines are left out: ours are shorter, and it sets "none" in between.

// SetDeadline does nothing.
func (g *guarded) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (g *guarded) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (g *guarded) SetWriteDeadline(time.Time) error { return nil }

// framing follows the bytes of packets, and finds those that are not in order as soon as their fixed header says so.
type framing struct {
	most  int // longest PUBLISH
	first byte
	state framingState
	left  int // bytes of the packet's rest
	shift uint
	whole bool // a packet with a body has come to its end, as the first of all has to
}

type framingState byte

const (
	atType framingState = iota
	atLength
	inBody
)

// lastCode is the highest with which MQTT 3.1.1 refuses a CONNECT.
const lastCode = 5

// lengthOf are the packets a broker may send to a client that subscribes to one filter at a time, at QoS 1 and below.
// PUBLISH is any length.
var lengthOf = map[byte]int{typeConnack: 2, typePuback: 2, typeSuback: 3, typeUnsuback: 2, typePingresp: 0}

func (f *framing) feed(b []byte) error {
	for len(b) > 0 {
		switch f.state {
		case atType:
			f.first, f.left, f.shift, f.state = b[0], 0, 0, atLength
			b = b[1:]
		case atLength:
			f.left |= int(b[0]&0x7f) << f.shift
			f.shift += 7
			more := b[0]&0x80 != 0
			b = b[1:]
			if more && f.shift > 21 {
				return fmt.Errorf("%w: a length of more than four bytes", errUpstreamPacket)
			}
			if more {
				continue
			}
			if err := f.judge(); err != nil {
				return err
			}
			f.state = inBody
			if f.left == 0 {
				f.state = atType
			}
		case inBody:
			n := min(f.left, len(b))
			if code := b[n-1]; f.first>>4 == typeConnack && n == f.left && code > lastCode {
				return fmt.Errorf("%w: a CONNACK with code %d", errUpstreamPacket, code) // the library would take it for a yes
			}
			b = b[n:]
			if f.left -= n; f.left == 0 {
				f.state, f.whole = atType, true
			}
		}
	}
	return nil
}

// judge looks at a whole fixed header.
func (f *framing) judge() error {
	kind := f.first >> 4
	if kind == typePublish {
		switch qos := f.first >> 1 & 3; {
		case qos > 1:
			return fmt.Errorf("%w: a PUBLISH at QoS %d, which was not asked for", errUpstreamPacket, qos)
		case f.left > f.most:
			return fmt.Errorf("%w: a PUBLISH of %d bytes", errUpstreamPacket, f.left)
		}
		return nil
	}
	length, known := lengthOf[kind]
	if !known || f.first&0x0f != 0 || f.left != length {
		return fmt.Errorf("%w: type %d with flags %d and %d bytes", errUpstreamPacket, kind, f.first&0x0f, f.left)
	}
	return nil
}
