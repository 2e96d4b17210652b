package mqttproxy

import (
	"math/bits"
	"sync"
	"time"
)

const (
	window     = 64       // messages at QoS 1 that may wait for the page's PUBACK
	maxPrivate = 64 << 10 // bytes of answers and notices that may wait
	maxChunk   = 64 << 10 // bytes in one write, unless one packet alone is larger
	maxBatch   = 512      // messages in one write
)

// outgoing is one message as one reader is to get it.
type outgoing struct {
	packet *packet
	id     uint16 // at QoS 1
	qos    byte
	retain bool
}

// batch is what goes out in one write; flushes lend it from each other.
type batch struct {
	messages    []outgoing
	private     []byte
	lost, total uint64
	bytes       []byte
}

var batches = sync.Pool{New: func() any {
	return &batch{messages: make([]outgoing, 0, maxBatch), bytes: make([]byte, 0, maxChunk)}
}}

// push queues a message for the page; Hub.mu is held. When too much waits, the oldest at QoS 0 is dropped and counted; a
// message at QoS 1 is never dropped: the session ends instead.
func (s *session) push(it item) {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return
	}
	s.queue.push(it)
	for s.queue.n > s.hub.config.QueueCount || (s.queue.bytes > s.hub.config.QueueBytes && s.queue.n > 1) {
		if !s.queue.drop() {
			s.mu.Unlock()
			s.end(Behind)
			return
		}
		s.lost++
		s.total++
		s.hub.dropped.Add(1)
	}
	s.wake()
	s.mu.Unlock()
}

// joined queues the answer to a SUBSCRIBE and the last values; Hub.mu is held. Asking again and again without reading the
// answers ends the session: most is how many messages may wait from joining.
func (s *session) joined(suback []byte, at [2][]*packet, most int) {
	s.mu.Lock()
	tooMany := s.queue.waiting+len(at[0])+len(at[1]) > most
	if !s.over && !tooMany {
		s.private = append(s.private, suback...)
		s.queue.join(at[1], 1)
		s.queue.join(at[0], 0)
		s.wake()
	}
	s.mu.Unlock()
	if tooMany {
		s.end(Behind)
	}
}

// say queues whole packets for this page only. They overtake the messages that wait.
func (s *session) say(packets []byte) {
	s.mu.Lock()
	tooMuch := len(s.private)+len(packets) > maxPrivate
	if !s.over && !tooMuch {
		s.private = append(s.private, packets...)
		s.wake()
	}
	s.mu.Unlock()
	if tooMuch {
		s.end(Behind)
	}
}

// wake starts a flush if there is something to write and none runs; s.mu is held.
func (s *session) wake() {
	if s.flushing || s.over || !s.ready() {
		return
	}
	s.flushing = true
	s.workers.Add(1)
	go s.flush()
}

func (s *session) ready() bool {
	if len(s.private) > 0 {
		return true
	}
	next, ok := s.queue.peek()
	return ok && (next.qos == 0 || s.inflight != ^uint64(0))
}

// flush writes what waits, as much as possible in one write, and ends when nothing does. An idle page has no such goroutine.
func (s *session) flush() {
	defer s.workers.Done()
	b := batches.Get().(*batch)
	defer b.giveBack()
	for s.take(b) {
		b.encode()
		if !s.send(b.bytes) {
			return
		}
		s.hub.delivered.Add(uint64(len(b.messages)))
	}
}

// take moves what is to be written next into b; false means that the flush is over.
func (s *session) take(b *batch) bool {
	b.clear()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || !s.ready() {
		s.flushing = false
		s.queue.rest()
		return false
	}
	b.private, s.private = s.private, nil
	b.lost, b.total, s.lost = s.lost, s.total, 0
	size := len(b.private)
	for len(b.messages) < maxBatch {
		out, ok := s.queue.peek()
		if !ok || (size > 0 && size+out.packet.size() > maxChunk) {
			break
		}
		if out.qos == 1 {
			free := bits.TrailingZeros64(^s.inflight)
			if free == window {
				break
			}
			s.inflight |= 1 << free
			out.id = uint16(free) + 1
		}
		s.queue.pop(out)
		size += out.packet.size()
		b.messages = append(b.messages, out)
	}
	return true
}

// send writes one chunk; a failure ends the session.
func (s *session) send(chunk []byte) bool {
	if err := s.carrier.Send(chunk, time.Now().Add(s.hub.config.WriteIn)); err != nil {
		s.end(reasonOf(err))
		return false
	}
	return true
}

// encode lays the batch out: answers first, then what was lost, then what came after the gap.
func (b *batch) encode() {
	b.bytes = append(b.bytes[:0], b.private...)
	if b.lost > 0 {
		b.bytes = append(b.bytes, droppedNotice(b.lost, b.total)...)
	}
	for _, out := range b.messages {
		b.bytes = out.packet.appendTo(b.bytes, out)
	}
}

// clear lets go of the messages, which would otherwise stay in memory as long as the batch does.
func (b *batch) clear() {
	clear(b.messages)
	b.messages, b.private = b.messages[:0], nil
}

func (b *batch) giveBack() {
	b.clear()
	if cap(b.bytes) <= 2*maxChunk {
		batches.Put(b)
	}
}
