package mqttproxy

import (
	"crypto/sha256"
	"slices"
	"sync"
	"time"
)

// lateEcho is how long an echo that did not come in time is still known when it does.
const lateEcho = time.Minute

// echoes shows everybody here what was sent from here exactly once: as the broker brings it back, if it does, else as sent. A broker
// may grant the subscription and still keep what it brings to itself, so what counts is whether the echo came.
type echoes struct {
	within time.Duration
	wake   func() // there is a new time to wake at

	mu      sync.Mutex
	granted bool // the broker has granted our own publish topic on this connection
	heard   bool // and an echo did come once
	waiting []expected
}

type expected struct {
	sum   [32]byte
	sent  Arrival
	due   time.Time // when to stop waiting; zero while the broker has not acknowledged the message
	shown bool      // was shown as sent: an echo that still comes is dropped
}

// begin notes a message before it is sent, since its echo may come before its acknowledgement.
func (e *echoes) begin(a Arrival) (sum [32]byte) {
	sum = sumOf(a.Topic, a.Payload)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting = append(e.waiting, expected{sum: sum, sent: a})
	return sum
}

// end says what became of the message. It gives the message back if it is to be shown as sent at once.
func (e *echoes) end(sum [32]byte, taken bool) (show *Arrival) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.IndexFunc(e.waiting, func(w expected) bool { return w.sum == sum && w.due.IsZero() })
	switch {
	case i < 0: // it has come back already
	case !taken:
		e.waiting = slices.Delete(e.waiting, i, i+1)
	case !e.granted:
		show = &e.waiting[i].sent
		copied := *show
		e.waiting = slices.Delete(e.waiting, i, i+1)
		return &copied
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
	shown := e.waiting[i].shown
	e.waiting = slices.Delete(e.waiting, i, i+1)
	return !shown
}

// overdue gives what has waited long enough, and when to ask again; zero means not before there is news.
func (e *echoes) overdue(now time.Time) (show []Arrival, next time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	kept := e.waiting[:0]
	for _, w := range e.waiting {
		if !w.due.IsZero() && !now.Before(w.due) {
			if w.shown {
				continue
			}
			show = append(show, w.sent)
			w.sent = Arrival{} // its sum is enough to know it by
			w.shown, w.due = true, now.Add(lateEcho)
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
