package mqttproxy

import (
	"bytes"
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf8"
)

// Packet types of MQTT 3.1.1 that pages use.
const (
	typeConnect     = 1
	typeConnack     = 2
	typePublish     = 3
	typePuback      = 4
	typeSubscribe   = 8
	typeSuback      = 9
	typeUnsubscribe = 10
	typeUnsuback    = 11
	typePingreq     = 12
	typePingresp    = 13
	typeDisconnect  = 14
)

const (
	maxTopicBytes  = 1024
	maxTopicLevels = 32
	maxFilters     = 32 // in one packet, and in one session
	subackRefused  = 0x80
)

// inbound is one packet that a page sent; body points into the bytes received.
type inbound struct {
	kind, flags byte
	body        []byte
}

// cut takes one whole packet off b. ok is false while bytes are missing. A packet that announces more than limit bytes is
// refused at once, before they arrive.
func cut(b []byte, limit int) (p inbound, rest []byte, ok bool, err error) {
	remaining, shift := 0, 0
	for i := 1; i < len(b); i++ {
		remaining |= int(b[i]&0x7f) << shift
		shift += 7
		switch {
		case b[i]&0x80 != 0 && shift > 21:
			return p, b, false, Protocol // a fifth length byte would follow
		case b[i]&0x80 != 0:
			continue
		case remaining > limit:
			return p, b, false, TooBig
		case len(b)-i-1 < remaining:
			return p, b, false, nil
		}
		end := i + 1 + remaining
		return inbound{kind: b[0] >> 4, flags: b[0] & 0x0f, body: b[i+1 : end]}, b[end:], true, nil
	}
	return p, b, false, nil
}

// fields reads a packet's body from front to back; bad is set by the first read that goes wrong and stays.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) bytes(n int) []byte {
	if f.bad || len(f.b) < n {
		f.bad = true
		return nil
	}
	v := f.b[:n]
	f.b = f.b[n:]
	return v
}

func (f *fields) byte() byte {
	if v := f.bytes(1); v != nil {
		return v[0]
	}
	return 0
}

func (f *fields) uint16() uint16 {
	if v := f.bytes(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

// data reads bytes that carry their length in front.
func (f *fields) data() []byte { return f.bytes(int(f.uint16())) }

// text reads a UTF-8 string as section 1.5.3 demands it: well formed and without U+0000.
func (f *fields) text() string {
	v := f.data()
	if !utf8.Valid(v) || bytes.IndexByte(v, 0) >= 0 {
		f.bad = true
		return ""
	}
	return string(v)
}

// connect is what a CONNECT says, as far as it matters here.
type connect struct {
	protocol  string
	level     byte
	clean     bool
	will      bool
	keepAlive uint16 // seconds
	client    string
}

// readConnect reads a CONNECT. What follows the level is read only if the level is 4: another version lays it out otherwise.
func readConnect(p inbound) (connect, error) {
	f := fields{b: p.body}
	c := connect{protocol: f.text(), level: f.byte()}
	if f.bad || p.kind != typeConnect || p.flags != 0 {
		return c, Protocol
	}
	if c.protocol != "MQTT" && c.protocol != "MQIsdp" {
		return c, Protocol
	}
	if c.level != 4 || c.protocol != "MQTT" {
		return c, nil
	}
	flags := f.byte()
	c.clean, c.will = flags&0x02 != 0, flags&0x04 != 0
	c.keepAlive = f.uint16()
	c.client = f.text()
	user, password := flags&0x80 != 0, flags&0x40 != 0
	willDetails := flags & 0x38
	if flags&0x01 != 0 || (password && !user) || (!c.will && willDetails != 0) || willDetails&0x18 == 0x18 {
		return c, Protocol
	}
	if c.will {
		_, _ = f.text(), f.data()
	}
	if user {
		_ = f.text()
	}
	if password {
		_ = f.data()
	}
	if f.bad || len(f.b) != 0 {
		return c, Protocol
	}
	return c, nil
}

// publish is what a PUBLISH says; payload points into the bytes received.
type publish struct {
	topic   string
	payload []byte
	qos     byte
	id      uint16
	retain  bool
	came    time.Time // when it arrived, if a page sent it
}

func readPublish(p inbound) (publish, error) {
	f := fields{b: p.body}
	m := publish{qos: p.flags >> 1 & 3, retain: p.flags&1 != 0}
	m.topic = f.text()
	if m.qos > 0 {
		m.id = f.uint16()
	}
	dup := p.flags&8 != 0
	if f.bad || m.qos > 1 || (dup && m.qos == 0) || (m.qos > 0 && m.id == 0) || !plainTopic(m.topic) {
		return m, Protocol
	}
	m.payload = f.b
	return m, nil
}

// asked is one filter of a SUBSCRIBE, or of an UNSUBSCRIBE.
type asked struct {
	filter string
	qos    byte
}

// readFilters reads a SUBSCRIBE or UNSUBSCRIBE: its id and what it names.
func readFilters(p inbound) (id uint16, all []asked, err error) {
	f := fields{b: p.body}
	id = f.uint16()
	if p.flags != 2 || id == 0 {
		return 0, nil, Protocol
	}
	for !f.bad && len(f.b) > 0 {
		a := asked{filter: f.text()}
		if p.kind == typeSubscribe {
			a.qos = f.byte()
		}
		if len(all) == maxFilters {
			return 0, nil, Limit
		}
		all = append(all, a)
		f.bad = f.bad || a.qos > 2 || !plainFilter(a.filter)
	}
	if f.bad || len(all) == 0 {
		return 0, nil, Protocol
	}
	return id, all, nil
}

// readPuback reads the id that is acknowledged.
func readPuback(p inbound) (uint16, error) {
	if p.flags != 0 || len(p.body) != 2 {
		return 0, Protocol
	}
	return binary.BigEndian.Uint16(p.body), nil
}

func plainTopic(topic string) bool {
	return topic != "" && len(topic) <= maxTopicBytes && !strings.ContainsAny(topic, "+#") && levels(topic) <= maxTopicLevels
}

// plainFilter says whether wildcards stand only where section 4.7.1 permits them: alone in their level, # at the end.
func plainFilter(filter string) bool {
	if filter == "" || len(filter) > maxTopicBytes || levels(filter) > maxTopicLevels {
		return false
	}
	for level := range strings.SplitSeq(filter, "/") {
		if len(level) > 1 && strings.ContainsAny(level, "+#") {
			return false
		}
	}
	hash := strings.IndexByte(filter, '#')
	return hash < 0 || hash == len(filter)-1
}

func levels(topic string) int { return strings.Count(topic, "/") + 1 }

func appendHead(b []byte, first byte, remaining int) []byte {
	return binary.AppendUvarint(append(b, first), uint64(remaining)) // MQTT's length is the same base 128, low part first
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// appendPublish adds a PUBLISH at QoS 0, for what is said to one page only.
func appendPublish(b []byte, topic string, payload []byte) []byte {
	b = appendHead(b, typePublish<<4, 2+len(topic)+len(payload))
	return append(appendString(b, topic), payload...)
}

// appendAck adds a packet that consists of a packet id and, for SUBACK, the codes granted.
func appendAck(b []byte, kind byte, id uint16, codes ...byte) []byte {
	b = appendHead(b, kind<<4, 2+len(codes))
	return append(binary.BigEndian.AppendUint16(b, id), codes...)
}
