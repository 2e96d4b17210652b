package mqttproxy

import (
	"crypto/sha256"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// lateEcho is how long an echo that did not come in time is still known when it does.
const lateEcho = time.Minute

// echoes shows everybody here what was sent from here exactly once: as the broker brings it back, if it does, else as sent. A broker
// may grant the subscription and still keep what it brings to itself, so what counts is whether the echo came.
type echoes struct {
	within          time.Duration
	returned        *atomic.Uint64 // counts the echoes that came, of all links; nil: nobody does
	wake            func()         // there is a new time to wake at
	most, mostBytes int            // of what was not shown yet; as many of what was are known by their sums

	mu      sync.Mutex
	granted bool // the broker has granted our own publish topic on this connection
	heard   bool // and an echo did come once
	waiting []expected
	hidden  int // of waiting, what was not shown yet
	bytes   int // of that
}

type expected struct {
	sum   [32]byte
	sent  Arrival
	due   time.Time // when to stop waiting; zero while the broker has not acknowledged the message
	shown bool      // was shown as sent: an echo that still comes is dropped
}

// begin notes a message before it is sent, since its echo may come before its acknowledgement. It refuses one for which there is
// no room.
func (e *echoes) begin(sum [32]byte, a Arrival) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.hidden > 0 && (e.hidden >= e.most || e.bytes+len(a.Payload) > e.mostBytes) {
		return false
	}
	e.hidden, e.bytes = e.hidden+1, e.bytes+len(a.Payload)
	e.waiting = append(e.waiting, expected{sum: sum, sent: a})
	return true
}

// remove takes one out; e.mu is held.
func (e *echoes) remove(i int) (was expected) {
	was = e.waiting[i]
	e.waiting = slices.Delete(e.waiting, i, i+1)
	if !was.shown {
		e.hidden, e.bytes = e.hidden-1, e.bytes-len(was.sent.Payload)
	}
	return was
}

// end says what became of the message. It gives the message back if it is to be shown as sent at once.
func (e *echoes) end(sum [32]byte, taken bool) (show *Arrival) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.IndexFunc(e.waiting, func(w expected) bool { return w.sum == sum && w.due.IsZero() })
	switch {
	case i < 0: // it has come back already
	case !taken:
		e.remove(i)
	case !e.granted:
		was := e.remove(i)
		return &was.sent
	default:
		e.waiting[i].due = time.Now().Add(e.within)
		e.wake()
	}
	return nil
}

// came says whether a message on our own publish topic is to be shown: it is, unless it was shown as sent already.
func (e *echoes) came(topic string, payload []byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.waiting) == 0 {
		return true
	}
	sum := sumOf(topic, payload)
	i := slices.IndexFunc(e.waiting, func(w expected) bool { return w.sum == sum })
	if i < 0 {
		return true
	}
	e.heard = true
	count(e.returned)
	return !e.remove(i).shown
}

// overdue gives what has waited long enough, or takes more than half of the room, and when to ask again; zero means not before there
// is news.
func (e *echoes) overdue(now time.Time) (show []Arrival, next time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	known := len(e.waiting) - e.hidden
	kept := e.waiting[:0]
	for _, w := range e.waiting {
		switch crowded := e.hidden > e.most/2 || e.bytes > e.mostBytes/2; {
		case w.due.IsZero():
		case w.shown && (known > e.most || !now.Before(w.due)):
			known--
			continue
		case !w.shown && (crowded || !now.Before(w.due)):
			show = append(show, w.sent)
			e.hidden, e.bytes = e.hidden-1, e.bytes-len(w.sent.Payload)
			w.sent = Arrival{} // its sum is enough to know it by
			w.shown, w.due = true, now.Add(lateEcho)
			known++
		}
		if !w.due.IsZero() && (next.IsZero() || w.due.Before(next)) {
			next = w.due
		}
		kept = append(kept, w)
	}
	clear(e.waiting[len(kept):])
	e.waiting = kept
	return show, next
}

func (e *echoes) grant(granted bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.granted = granted
}

func sumOf(topic string, payload []byte) [32]byte {
	h := sha256.New()
	_, _ = h.Write([]byte(topic))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(payload)
	return [32]byte(h.Sum(nil))
}
