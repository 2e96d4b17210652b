package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// refusedFilter stands where a device asks for a filter it may not have: nats answers 0x80 for everything under $MQTT,
// without a word in the log and without keeping it.
const refusedFilter = "$MQTT/-"

// pumpUp reads the device's packets, checks each and hands it to nats. It returns nil after a DISCONNECT.
func (s *session) pumpUp() error {
	for {
		h, err := s.source.header()
		if err == nil {
			s.packets.Lock()
			err = s.packet(h)
			s.packets.Unlock()
		}
		switch {
		case err == nil && h.kind == typeDisconnect:
			return nil
		case err == nil:
		case errors.As(err, new(*Refusal)), errors.Is(err, ErrBrokerCut):
			return err
		default:
			return ErrDeviceGone
		}
	}
}

// flagsOf are the fixed flags of the types a device may send after its CONNECT (table 2.2); PUBLISH has its own.
var flagsOf = map[byte]byte{
	typePuback: 0, typePubrec: 0, typePubrel: 2, typePubcomp: 0,
	typeSubscribe: 2, typeUnsubscribe: 2, typePingreq: 0, typeDisconnect: 0,
}

func (s *session) packet(h header) error {
	if h.kind == typePublish {
		return s.publish(h)
	}
	flags, known := flagsOf[h.kind]
	switch {
	case h.kind == typeConnect:
		return ErrSecondConnect
	case !known:
		return fmt.Errorf("%w: type %d", ErrPacketType, h.kind)
	case flags != h.flags:
		return fmt.Errorf("%w: type %d, flags %d", ErrPacketFlags, h.kind, h.flags)
	}
	switch h.kind {
	case typeSubscribe, typeUnsubscribe:
		return s.subscribe(h)
	case typePingreq, typeDisconnect:
		if h.length != 0 {
			return fmt.Errorf("%w: type %d", ErrMalformed, h.kind)
		}
		if h.kind == typeDisconnect {
			if err := s.finish(); err != nil {
				return err
			}
		}
		return s.send(appendHeader(nil, h.kind, h.flags, 0), true)
	}
	return s.acknowledge(h)
}

// acknowledge handles PUBACK, PUBREC, PUBREL and PUBCOMP: a packet id and nothing else.
func (s *session) acknowledge(h header) error {
	if h.length != 2 {
		return fmt.Errorf("%w: type %d", ErrMalformed, h.kind)
	}
	p, err := s.source.appendAll(appendHeader(make([]byte, 0, 4), h.kind, h.flags, 2), 2)
	if err != nil {
		return err
	}
	id := binary.BigEndian.Uint16(p[2:])
	if id == 0 {
		return ErrPacketID
	}
	if h.kind == typePubrel {
		delete(s.unfinished, id)
		return s.store(p)
	}
	return s.send(p, true)
}

// publish checks a PUBLISH and lets its payload stream through.
func (s *session) publish(h header) error {
	qos := h.flags >> 1 & 3
	switch {
	case qos == 3:
		return ErrQoS
	case qos == 0 && h.flags&8 != 0:
		return fmt.Errorf("%w: DUP on QoS 0", ErrPacketFlags)
	case h.length > s.limits.MaxPacket:
		return fmt.Errorf("%w: %d bytes", ErrPacketTooLarge, h.length)
	}
	if err := s.wait(); err != nil {
		return err
	}
	borrowed := chunks.Get().(*[]byte)
	defer chunks.Put(borrowed)
	out := appendHeader((*borrowed)[:0], h.kind, h.flags, h.length)
	out, left, err := s.topic(out, h.length)
	if err != nil {
		return err
	}
	if qos > 0 {
		if out, left, err = s.packetID(out, left, qos); err != nil {
			return err
		}
	}
	return s.payload(out, left, qos > 0)
}

// topic reads and checks the topic of a PUBLISH; left counts the bytes of the packet that are still to come.
func (s *session) topic(out []byte, left int) ([]byte, int, error) {
	start := len(out)
	if left < 2 {
		return out, left, fmt.Errorf("%w: PUBLISH", ErrMalformed)
	}
	out, err := s.source.appendAll(out, 2)
	if err != nil {
		return out, left, err
	}
	size := int(binary.BigEndian.Uint16(out[start:]))
	if left -= 2; size > left {
		return out, left, fmt.Errorf("%w: PUBLISH", ErrMalformed)
	}
	if size > s.limits.TopicBytes {
		return out, left, fmt.Errorf("%w: %d bytes", ErrTopic, size)
	}
	if out, err = s.source.appendAll(out, size); err != nil {
		return out, left, err
	}
	name := out[start+2:]
	if !s.limits.topicName(name) {
		return out, left, fmt.Errorf("%w: %q", ErrTopic, name)
	}
	if !s.grant.MayPublish(string(name)) {
		return out, left, fmt.Errorf("%w: %q", ErrPublishElsewhere, name)
	}
	return out, left - size, nil
}

func (s *session) packetID(out []byte, left int, qos byte) ([]byte, int, error) {
	if left < 2 {
		return out, left, fmt.Errorf("%w: PUBLISH", ErrMalformed)
	}
	out, err := s.source.appendAll(out, 2)
	if err != nil {
		return out, left, err
	}
	id := binary.BigEndian.Uint16(out[len(out)-2:])
	if id == 0 {
		return out, left, ErrPacketID
	}
	if qos == 2 {
		if s.unfinished == nil {
			s.unfinished = map[uint16]struct{}{}
		}
		if s.unfinished[id] = struct{}{}; len(s.unfinished) > s.limits.UnfinishedTwo {
			return out, left, ErrUnfinishedTwo
		}
	}
	return out, left - 2, nil
}

// payload sends a PUBLISH on in pieces as they come. A session with a will holds the packet back until it is whole:
// in the middle of one nats could not be told DISCONNECT, and the will of a revoked key would fire. So does one whose packet has to wait.
func (s *session) payload(out []byte, left int, stored bool) error {
	whole := s.holdsWill || (stored && s.held != nil)
	begun := false
	for left > 0 {
		part, err := s.source.some(left)
		if err != nil {
			return err
		}
		if len(out)+len(part) > chunkSize && !whole && stored && !begun {
			whole = !s.hold.begin(s, false)
		}
		if len(out)+len(part) > chunkSize && !whole {
			if err := s.send(out, false); err != nil {
				return err
			}
			out, begun = out[:0], true
		}
		out = append(out, part...)
		left -= len(part)
	}
	if stored && !begun {
		return s.store(out)
	}
	return s.send(out, true)
}

// wait slows a device that publishes faster than allowed, by not reading on. Nothing is lost.
func (s *session) wait() error {
	delay := s.pace.Reserve().Delay()
	if delay == 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.done:
		return io.ErrClosedPipe
	}
}

// subscribe checks a SUBSCRIBE or UNSUBSCRIBE and puts a filter that nats refuses in the place of each that is not granted.
func (s *session) subscribe(h header) error {
	if h.length > s.limits.MaxConnect {
		return fmt.Errorf("%w: %d bytes", ErrPacketTooLarge, h.length)
	}
	body, err := s.source.appendAll(nil, h.length)
	if err != nil {
		return err
	}
	f := fields{rest: body}
	id := f.uint16()
	if !f.bad && id == 0 {
		return ErrPacketID
	}
	out, n := binary.BigEndian.AppendUint16(nil, id), 0
	for ; len(f.rest) > 0; n++ {
		filter := f.field()
		if f.bad || !topicFilter(filter) {
			return fmt.Errorf("%w: filter %q", ErrTopic, filter)
		}
		out = appendField(out, s.granted(string(filter), h.kind))
		if h.kind == typeSubscribe {
			qos := f.uint8()
			if f.bad || qos > 2 {
				return fmt.Errorf("%w: QoS of a filter", ErrMalformed)
			}
			out = append(out, qos)
		}
	}
	if f.bad {
		return fmt.Errorf("%w: type %d", ErrMalformed, h.kind)
	}
	if n == 0 {
		return ErrNoFilters
	}
	return s.send(append(appendHeader(nil, h.kind, h.flags, len(out)), out...), true)
}

// granted gives the filter itself if the device may have it, and keeps count.
func (s *session) granted(filter string, kind byte) []byte {
	if _, plain := subjectOf(filter); !plain || len(filter) > s.limits.TopicBytes || !s.grant.MaySubscribe(filter) {
		return []byte(refusedFilter)
	}
	at := slices.Index(s.filters, filter)
	switch {
	case kind == typeUnsubscribe && at >= 0:
		s.filters = slices.Delete(s.filters, at, at+1)
	case kind == typeSubscribe && at < 0 && len(s.filters) >= s.limits.Filters:
		return []byte(refusedFilter)
	case kind == typeSubscribe && at < 0:
		s.filters = append(s.filters, filter)
	}
	return []byte(filter)
}
