package mqttproxy

import (
	"sync"
	"sync/atomic"
	"time"

	"trellis/access"
)

// Arrival is one message of an upstream broker, or one that a page of ours sent there.
type Arrival struct {
	Subject  access.Subject // whose link brought it; empty for a House's
	KeyID    string
	Topic    string
	Payload  []byte
	At       time.Time
	Retained bool // the broker kept it: it may have come before
	Cut      int  // how long the payload was, where it was too long to be kept
	Sent     bool // a page of ours sent it, and the broker does not bring it back

	ack func() // nil where there is nothing to acknowledge
}

// MaxKept is the longest payload that is kept of a broker where anything may be said.
const MaxKept = 128 << 10

// inbox is what has come and is not dealt with. It is filled from inside the client library, which stands still meanwhile:
// so it takes what there is room for and never waits.
type inbox struct {
	most, mostBytes int
	full            chan struct{}  // has something in it when there is news
	lostAll         *atomic.Uint64 // counts what is dropped here and elsewhere; nil: nobody does
	tellLost        func(topic string)

	mu    sync.Mutex
	seq   uint64
	plain []queued      // QoS 0: the oldest go when there are too many
	kept  []queued      // QoS 1, and what we sent: none of it is ever let go
	bytes [2]int        // of each
	room  chan struct{} // closed when kept is half empty again; nil while nobody waits for that
}

type queued struct {
	Arrival
	seq uint64
}

func newInbox(most, mostBytes int) *inbox {
	return &inbox{most: most, mostBytes: mostBytes, full: make(chan struct{}, 1)}
}

// put takes a message. It refuses one at QoS 1 when there is no room: a broker that keeps to what is acknowledged never gets there.
func (q *inbox) put(a Arrival, qos byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := len(a.Topic) + len(a.Payload)
	q.seq++
	if qos > 0 {
		if !q.fits(size) {
			return false
		}
		q.keep(a)
	} else {
		q.plain = append(q.plain, queued{a, q.seq})
		for q.bytes[0] += size; len(q.plain) > q.most || (q.bytes[0] > q.mostBytes && len(q.plain) > 1); {
			gone := q.pop(&q.plain, 0)
			count(q.lostAll)
			if q.tellLost != nil {
				q.tellLost(gone.Topic)
			}
		}
	}
	q.tell()
	return true
}

// has says whether there is room for another message of this many bytes.
func (q *inbox) has(size int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.fits(size)
}

// sent takes a message that we sent, for which there was room before: others may have taken that meanwhile, but it is on its way and must not
// be missing here.
func (q *inbox) sent(a Arrival) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.seq++
	q.keep(a)
	q.tell()
}

// fits is has; q.mu is held.
func (q *inbox) fits(size int) bool {
	return len(q.kept) < q.most && (q.bytes[1] == 0 || q.bytes[1]+size <= q.mostBytes)
}

// keep takes a message that is never let go; q.mu is held.
func (q *inbox) keep(a Arrival) {
	q.kept = append(q.kept, queued{a, q.seq})
	q.bytes[1] += len(a.Topic) + len(a.Payload)
}

// tell says that there is news.
func (q *inbox) tell() {
	select {
	case q.full <- struct{}{}:
	default:
	}
}

// crowded gives a channel that is closed when there is room again, or nil if there is.
func (q *inbox) crowded() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.halfFull() {
		return nil
	}
	if q.room == nil {
		q.room = make(chan struct{})
	}
	return q.room
}

// halfFull says whether more should not come at QoS 1 for now; q.mu is held.
func (q *inbox) halfFull() bool { return len(q.kept) > q.most/2 || q.bytes[1] > q.mostBytes/2 }

// pop takes the oldest of a line; it must not be empty.
func (q *inbox) pop(line *[]queued, of int) Arrival {
	first := (*line)[0].Arrival
	(*line)[0] = queued{} // the memory behind it is used again only when the line has moved on
	*line = (*line)[1:]
	q.bytes[of] -= len(first.Topic) + len(first.Payload)
	if len(*line) == 0 {
		*line = nil
	}
	return first
}

// take gives at most this many, in the order in which they came.
func (q *inbox) take(most int) []Arrival {
	q.mu.Lock()
	defer q.mu.Unlock()
	var batch []Arrival
	for len(batch) < most && len(q.plain)+len(q.kept) > 0 {
		if len(q.kept) == 0 || (len(q.plain) > 0 && q.plain[0].seq < q.kept[0].seq) {
			batch = append(batch, q.pop(&q.plain, 0))
		} else {
			batch = append(batch, q.pop(&q.kept, 1))
		}
	}
	if q.room != nil && !q.halfFull() {
		close(q.room)
		q.room = nil
	}
	return batch
}

// size is how many wait.
func (q *inbox) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.plain) + len(q.kept)
}
