package mqttproxy

import (
	"crypto/sha256"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"trellis/access"
)

// lateEcho is how long an echo that did not come in time is still known when it does.
const lateEcho = time.Minute

// echoes shows everybody here what was sent from here exactly once: as the broker brings it back, if it does, else as sent. A broker
// may grant the subscription and still keep what it brings to itself, so what counts is whether the echo came. Where none ever does,
// which is remembered, nobody waits for it.
type echoes struct {
	asSent          bool // it is never shown as it comes back: only what was sent says that a person did
	within          time.Duration
	returned        *atomic.Uint64 // counts the echoes that came, of all links; nil: nobody does
	wake            func()         // there is a new time to wake at
	most, mostBytes int            // of what was not shown yet; as many of what was are known by their sums

	mu      sync.Mutex
	granted bool // the broker has granted our own publish topic on this connection
	known   access.Echo
	news    bool // known is not what was told last
	missed  int  // messages since the last echo whose own did not come in time
	waiting []expected
	hidden  int // of waiting, what was not shown yet
	bytes   int // of that
}

type expected struct {
	sum   [32]byte
	sent  Arrival
	due   time.Time // when to stop waiting; zero while the broker has not acknowledged the message
	shown bool      // was shown as sent: an echo that still comes is dropped

	back   bool // asSent: it has come back before the broker acknowledged it
	unsure bool // asSent: the broker did not acknowledge it; it is shown if it comes back
}

// over says whether what comes now is another message, however alike: nobody looks for the echo of this one any more.
func (w expected) over(now time.Time) bool { return (w.shown || w.unsure) && !now.Before(w.due) }

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
	case e.asSent:
		return e.endAsSent(i, taken)
	case !taken:
		e.remove(i)
	case !e.granted:
		was := e.remove(i)
		return &was.sent
	case e.known == access.EchoNever:
		sent := e.show(&e.waiting[i], time.Now())
		return &sent
	default:
		e.waiting[i].due = time.Now().Add(e.within)
		e.wake()
	}
	return nil
}

// endAsSent is end where what comes back is never shown; e.mu is held.
func (e *echoes) endAsSent(i int, taken bool) (show *Arrival) {
	w := &e.waiting[i]
	w.due = time.Now().Add(lateEcho)
	switch {
	case w.back:
		was := e.remove(i)
		return &was.sent
	case !taken:
		w.unsure = true
		e.wake() // nothing is shown now that would have it asked when that is over
		return nil
	}
	sent := e.show(w, time.Now())
	return &sent
}

// hide notes that a message was shown; its sum is enough to know it by. e.mu is held.
func (e *echoes) hide(w *expected) {
	e.hidden, e.bytes = e.hidden-1, e.bytes-len(w.sent.Payload)
	w.sent, w.shown = Arrival{}, true
}

// came says whether a message on a topic to which we send is to be shown, and as what: as it came, unless it was shown as sent already.
func (e *echoes) came(a Arrival) (as Arrival, show bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.missed = 0
	e.learn(access.EchoComes)
	if len(e.waiting) == 0 {
		return a, true
	}
	sum := sumOf(a.Topic, a.Payload)
	i := slices.IndexFunc(e.waiting, func(w expected) bool { return w.sum == sum && !w.back && !w.over(a.At) })
	switch {
	case i < 0:
		return a, true
	case e.asSent && e.waiting[i].due.IsZero():
		count(e.returned)
		e.waiting[i].back = true
		return a, false
	case e.asSent:
		count(e.returned)
		was := e.remove(i)
		return was.sent, was.unsure
	}
	count(e.returned)
	return a, !e.remove(i).shown
}

// overdue gives what has waited long enough, or takes more than half of the room, and when to ask again; zero means not before there
// is news.
func (e *echoes) overdue(now time.Time) (show []Arrival, next time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.countMissed(now)
	quiet := e.known == access.EchoNever // those that still wait go before whatever is sent from now on
	known := len(e.waiting) - e.hidden
	kept := e.waiting[:0]
	for _, w := range e.waiting {
		switch crowded := e.hidden > e.most/2 || e.bytes > e.mostBytes/2; {
		case w.due.IsZero():
		case w.unsure:
			if crowded || !now.Before(w.due) { // it never arrived
				e.hidden, e.bytes = e.hidden-1, e.bytes-len(w.sent.Payload)
				continue
			}
		case w.shown && (known > e.most || !now.Before(w.due)):
			known--
			continue
		case !w.shown && (quiet || crowded || !now.Before(w.due)):
			show = append(show, e.show(&w, now))
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

// show takes a message as one that is shown as sent: its sum is enough to know a late echo by. e.mu is held.
func (e *echoes) show(w *expected, now time.Time) (sent Arrival) {
	sent = w.sent
	e.hide(w)
	w.due = now.Add(lateEcho)
	return sent
}

// mostMissed is how many messages in a row say that the broker brings none back. One that does so after all is believed at once.
const mostMissed = 3

// countMissed notes echoes that did not come in time; e.mu is held.
func (e *echoes) countMissed(now time.Time) {
	for _, w := range e.waiting {
		if !w.shown && !w.due.IsZero() && !now.Before(w.due) {
			e.missed++
		}
	}
	if e.missed >= mostMissed {
		e.learn(access.EchoNever)
	}
}

func (e *echoes) learn(echo access.Echo) {
	if !e.asSent && e.known != echo {
		e.known, e.news = echo, true
	}
}

// lesson gives what is known, and whether that is new since it was last asked.
func (e *echoes) lesson() (echo access.Echo, news bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	news, e.news = e.news, false
	return e.known, news
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
