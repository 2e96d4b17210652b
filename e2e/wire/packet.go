// Package wire speaks MQTT 3.1.1 and WebSocket by hand, as a client, for the outside tests and the benchmarks.
//
// It exists because a test must be able to say what no decent client library would say (a cut packet, a wild length),
// and because a thousand readers must not cost a thousand libraries. It never checks what it is told to send.
// Start at [Dial] and [Open].
package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The kinds of packet (MQTT 3.1.1 table 2.1).
const (
	CONNECT byte = iota + 1
	CONNACK
	PUBLISH
	PUBACK
	PUBREC
	PUBREL
	PUBCOMP
	SUBSCRIBE
	SUBACK
	UNSUBSCRIBE
	UNSUBACK
	PINGREQ
	PINGRESP
	DISCONNECT
)

// Packet is one MQTT control packet, its body not yet looked into.
type Packet struct {
	Kind, Flags byte
	Body        []byte
}

// ErrPacket says that bytes do not make the packet they should.
var ErrPacket = errors.New("not a well-formed packet")

// longest bounds what a reader will hold; far above anything the product may send.
const longest = 1 << 20

// Encode makes a packet with a correct length from its first byte and its body.
func Encode(first byte, body ...[]byte) []byte {
	length := 0
	for _, part := range body {
		length += len(part)
	}
	packet := append([]byte{first}, Length(length)...)
	for _, part := range body {
		packet = append(packet, part...)
	}
	return packet
}

// Length writes a remaining length as MQTT does.
func Length(n int) []byte {
	var out []byte
	for {
		digit := byte(n % 128)
		n /= 128
		if n == 0 {
			return append(out, digit)
		}
		out = append(out, digit|0x80)
	}
}

// String writes a string as MQTT does: two bytes of length, then the bytes.
func String(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

// ReadPacket reads one packet.
func ReadPacket(r *bufio.Reader) (Packet, error) {
	first, err := r.ReadByte()
	if err != nil {
		return Packet{}, err
	}
	length, shift := 0, 0
	for {
		digit, err := r.ReadByte()
		if err != nil {
			return Packet{}, err
		}
		length |= int(digit&0x7f) << shift
		if digit&0x80 == 0 {
			break
		}
		if shift += 7; shift > 21 {
			return Packet{}, fmt.Errorf("read a packet's length: %w", ErrPacket)
		}
	}
	if length > longest {
		return Packet{}, fmt.Errorf("read a packet of %d bytes: %w", length, ErrPacket)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return Packet{}, fmt.Errorf("read a packet's body: %w", err)
	}
	return Packet{Kind: first >> 4, Flags: first & 0x0f, Body: body}, nil
}

// Login is what a CONNECT says. The zero Protocol and Level mean MQTT 3.1.1.
type Login struct {
	ClientID, User, Password string
	Persistent               bool // clean session off
	KeepAlive                uint16
	Will                     *Message
	Protocol                 string
	Level                    byte
}

// Packet makes the CONNECT.
func (l Login) Packet() []byte {
	if l.Protocol == "" {
		l.Protocol, l.Level = "MQTT", 4
	}
	var flags byte
	rest := String(l.ClientID)
	if !l.Persistent {
		flags |= 0x02
	}
	if l.Will != nil {
		flags |= 0x04 | l.Will.QoS<<3
		if l.Will.Retain {
			flags |= 0x20
		}
		rest = append(append(rest, String(l.Will.Topic)...), String(string(l.Will.Payload))...)
	}
	if l.User != "" {
		flags |= 0x80
		rest = append(rest, String(l.User)...)
	}
	if l.Password != "" {
		flags |= 0x40
		rest = append(rest, String(l.Password)...)
	}
	head := append(String(l.Protocol), l.Level, flags)
	head = binary.BigEndian.AppendUint16(head, l.KeepAlive)
	return Encode(CONNECT<<4, head, rest)
}

// Message is what a PUBLISH carries.
type Message struct {
	Topic       string
	Payload     []byte
	QoS         byte
	Retain, Dup bool
	ID          uint16
}

// Packet makes the PUBLISH.
func (m Message) Packet() []byte {
	first := PUBLISH<<4 | m.QoS<<1
	if m.Retain {
		first |= 1
	}
	if m.Dup {
		first |= 8
	}
	head := String(m.Topic)
	if m.QoS > 0 {
		head = binary.BigEndian.AppendUint16(head, m.ID)
	}
	return Encode(first, head, m.Payload)
}

// Message looks into a PUBLISH.
func (p Packet) Message() (Message, error) {
	m := Message{QoS: p.Flags >> 1 & 3, Retain: p.Flags&1 != 0, Dup: p.Flags&8 != 0}
	if p.Kind != PUBLISH || len(p.Body) < 2 {
		return m, fmt.Errorf("read a PUBLISH: %w", ErrPacket)
	}
	end := 2 + int(binary.BigEndian.Uint16(p.Body))
	payload := end
	if m.QoS > 0 {
		payload += 2
	}
	if payload > len(p.Body) {
		return m, fmt.Errorf("read a PUBLISH: %w", ErrPacket)
	}
	m.Topic, m.Payload = string(p.Body[2:end]), p.Body[payload:]
	if m.QoS > 0 {
		m.ID = binary.BigEndian.Uint16(p.Body[end:])
	}
	return m, nil
}

// ID is the packet identifier that an acknowledgement starts with; 0 if it is too short to have one.
func (p Packet) ID() uint16 {
	if len(p.Body) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(p.Body)
}

// Ack makes a PUBACK, PUBREC, PUBREL or PUBCOMP.
func Ack(kind byte, id uint16) []byte {
	first := kind << 4
	if kind == PUBREL {
		first |= 2
	}
	return Encode(first, binary.BigEndian.AppendUint16(nil, id))
}

// Subscribe makes a SUBSCRIBE for these filters.
func Subscribe(id uint16, qos byte, filters ...string) []byte {
	body := binary.BigEndian.AppendUint16(nil, id)
	for _, filter := range filters {
		body = append(append(body, String(filter)...), qos)
	}
	return Encode(SUBSCRIBE<<4|2, body)
}

// Bare makes a packet without a body: PINGREQ or DISCONNECT.
func Bare(kind byte) []byte { return []byte{kind << 4, 0} }
