package broker

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"trellis/access"
)

// connect is what a CONNECT packet says.
type connect struct {
	clean     bool
	keepAlive uint16
	client    string
	will      *will
	user, key string // never logged
}

type will struct {
	topic, payload []byte
	qos            byte
	retain         bool
}

const (
	flagReserved = 1 << iota
	flagClean
	flagWill
	flagWillQoS1
	flagWillQoS2
	flagWillRetain
	flagKey
	flagUser
)

const maxClientSuffix = 128

// readConnect reads the first packet. Nothing is kept for a stranger beyond what has really arrived, and never more than the limit.
func readConnect(s *source, l Limits) (connect, error) {
	h, err := s.header()
	if err != nil {
		return connect{}, beforeConnect(err)
	}
	switch {
	case h.kind != typeConnect:
		return connect{}, ErrNoConnect
	case h.flags != 0:
		return connect{}, ErrPacketFlags
	case h.length > l.MaxConnect:
		return connect{}, ErrConnectTooLarge
	}
	body, err := s.appendAll(nil, h.length)
	if err != nil {
		return connect{}, beforeConnect(err)
	}
	return parseConnect(body)
}

func beforeConnect(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrConnectLate
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return ErrDeviceGone
	}
	return err
}

// parseConnect reads the variable header and the payload of a CONNECT (section 3.1).
func parseConnect(body []byte) (connect, error) {
	f := fields{rest: body}
	name, level := string(f.field()), f.uint8()
	switch {
	case f.bad:
		return connect{}, ErrMalformed
	case name == "MQIsdp", name == "MQTT" && level != 4 && level != 5:
		return connect{}, ErrProtocolLevel
	case name != "MQTT":
		return connect{}, ErrNotMQTT
	case level == 5:
		return connect{}, ErrMQTT5
	}
	flags := f.uint8()
	if f.bad || !consistent(flags) {
		return connect{}, fmt.Errorf("%w: connect flags %08b", ErrMalformed, flags)
	}
	c := connect{clean: flags&flagClean != 0, keepAlive: f.uint16(), client: string(f.text())}
	if flags&flagWill != 0 {
		c.will = &will{topic: f.text(), payload: f.field(), qos: flags >> 3 & 3, retain: flags&flagWillRetain != 0}
	}
	if flags&flagUser != 0 {
		c.user = string(f.text())
	}
	if flags&flagKey != 0 {
		c.key = string(f.field())
	}
	if f.bad || len(f.rest) > 0 {
		return connect{}, fmt.Errorf("%w: CONNECT", ErrMalformed)
	}
	return c, nil
}

// consistent checks the connect flags (sections 3.1.2.3 to 3.1.2.9).
func consistent(flags byte) bool {
	willQoS := flags >> 3 & 3
	switch {
	case flags&flagReserved != 0, willQoS == 3:
		return false
	case flags&flagWill == 0 && (willQoS != 0 || flags&flagWillRetain != 0):
		return false
	}
	return flags&flagUser != 0 || flags&flagKey == 0
}

// check says whether the holder of g may connect like this. The user name was compared with the key before.
func (c connect) check(g access.Grant, l Limits) error {
	if !ownClientID(c.client, g.Subject.String()) {
		return ErrClientID
	}
	if c.will != nil && (!l.topicName(c.will.topic) || !g.MayPublish(string(c.will.topic))) {
		return ErrWill
	}
	return nil
}

// ownClientID says whether id is sub itself, or sub and # and a bounded name for a further program of the same holder.
func ownClientID(id, sub string) bool {
	rest, ok := strings.CutPrefix(id, sub)
	return ok && (rest == "" || (rest[0] == '#' && len(rest) <= 1+maxClientSuffix))
}

// innerID is the client id that nats sees. It is bound to the key, so that a second key of an entity takes over the
// connection (that is the register's work) but never the queue; and it holds only letters that nats allows in a subject.
func (c connect) innerID(g access.Grant) string {
	suffix := strings.TrimPrefix(c.client, g.Subject.String())
	return g.KeyID + "_" + base64.RawURLEncoding.EncodeToString([]byte(suffix))
}

// encode writes the CONNECT that nats gets: the same session, with a single-use token where the key was.
func (c connect) encode(client, user, token string) []byte {
	flags := byte(flagUser | flagKey)
	if c.clean {
		flags |= flagClean
	}
	body := appendField(nil, []byte("MQTT"))
	if c.will != nil {
		flags |= flagWill | c.will.qos<<3
		if c.will.retain {
			flags |= flagWillRetain
		}
	}
	body = append(body, 4, flags, byte(c.keepAlive>>8), byte(c.keepAlive))
	body = appendField(body, []byte(client))
	if c.will != nil {
		body = appendField(appendField(body, c.will.topic), c.will.payload)
	}
	body = appendField(appendField(body, []byte(user)), []byte(token))
	return append(appendHeader(nil, typeConnect, 0, len(body)), body...)
}
