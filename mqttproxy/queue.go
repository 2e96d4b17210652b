package mqttproxy

import "sync"

// item is one message that waits for one reader.
type item struct {
	packet *packet
	qos    byte
}

// snapshot is what a reader is sent for joining. The slice is shared by all who join at the same moment and never changed.
type snapshot struct {
	after uint64 // it comes after the live messages with a lower number
	all   []*packet
	qos   byte
}

// queue is what waits for one reader, in the order in which it will be sent. Live messages are bounded; what joining
// brings is not counted, for it is bounded by what the hub keeps.
type queue struct {
	ring  *ring // nil while nothing waits: an idle page costs nothing here
	head  int
	n     int    // live messages waiting
	bytes int    // of the live messages
	first uint64 // number of the live message at head

	joined  []snapshot
	waiting int // messages in joined
}

type ring struct{ items []item }

// rings lends rings to queues that are in use; small ones come back and go to the next.
var rings = sync.Pool{New: func() any { return &ring{items: make([]item, 64)} }}

func (q *queue) at(i int) *item { return &q.ring.items[(q.head+i)&(len(q.ring.items)-1)] }

func (q *queue) empty() bool { return q.n == 0 && len(q.joined) == 0 }

func (q *queue) push(it item) {
	if q.ring == nil {
		q.ring, q.head = rings.Get().(*ring), 0
	}
	if q.n == len(q.ring.items) {
		wider := make([]item, 2*q.n)
		for i := range q.n {
			wider[i] = *q.at(i)
		}
		q.ring.items, q.head = wider, 0
	}
	q.n++
	*q.at(q.n - 1) = it
	q.bytes += it.packet.size()
}

// join adds what a reader is sent for joining, behind everything that waits already.
func (q *queue) join(all []*packet, qos byte) {
	if len(all) > 0 {
		q.joined = append(q.joined, snapshot{after: q.first + uint64(q.n), all: all, qos: qos})
		q.waiting += len(all)
	}
}

// peek gives the message that is to be sent next.
func (q *queue) peek() (out outgoing, ok bool) {
	if len(q.joined) > 0 && (q.n == 0 || q.joined[0].after <= q.first) {
		return outgoing{packet: q.joined[0].all[0], qos: q.joined[0].qos, retain: true}, true
	}
	if q.n == 0 {
		return outgoing{}, false
	}
	it := q.at(0)
	return outgoing{packet: it.packet, qos: it.qos}, true
}

// pop removes the message that peek gave.
func (q *queue) pop(out outgoing) {
	if !out.retain {
		q.popLive()
		return
	}
	q.waiting--
	s := &q.joined[0]
	if s.all = s.all[1:]; len(s.all) == 0 {
		if q.joined = q.joined[1:]; len(q.joined) == 0 {
			q.joined = nil
		}
	}
}

func (q *queue) popLive() {
	it := q.at(0)
	q.bytes -= it.packet.size()
	*it = item{}
	q.head = (q.head + 1) & (len(q.ring.items) - 1)
	q.n--
	q.first++
}

// drop removes the oldest live message at QoS 0. There may be none.
func (q *queue) drop() bool {
	for k := range q.n {
		if q.at(k).qos != 0 {
			continue
		}
		number := q.first + uint64(k)
		dropped := *q.at(k)
		for i := k; i > 0; i-- {
			*q.at(i) = *q.at(i - 1)
		}
		*q.at(0) = dropped
		q.popLive()
		for i := range q.joined { // those in front of the gap have moved up by one number
			if q.joined[i].after <= number {
				q.joined[i].after++
			}
		}
		return true
	}
	return false
}

// rest gives the ring back when nothing waits.
func (q *queue) rest() {
	if q.ring == nil || q.n > 0 {
		return
	}
	if len(q.ring.items) <= 1024 {
		rings.Put(q.ring)
	}
	q.ring = nil
}
