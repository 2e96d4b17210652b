package broker

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// While nothing can be stored a device that publishes at QoS 1 or 2 gets no acknowledgement, and keeps its connection: what it sent
// waits here, and goes on to nats when there is room again. Handed to nats at once it would cost the connection, since nats hangs up on
// whom it cannot answer. QoS 0, pings and everything that comes down go on meanwhile.
//
// The same where the disk is slow: nats syncs each message by itself and answers none before it has stored all that it holds, so it is handed
// no more than it stores in half a second.
const (
	mostHeld     = 64 << 10 // bytes that wait of one session, unless one packet alone is longer; then its device waits, too
	mostHeldAll  = 16 << 20 // bytes that wait of all of them
	holdLooks    = 200 * time.Millisecond
	mostUnderWay = 16 // packets that nats has and has not answered: a disk that becomes slow has as many to store first
	answerAim    = 500 * time.Millisecond
)

// hold is where they wait.
type hold struct {
	takes func() error  // nil, or why nothing can be stored
	began chan struct{} // somebody waits, or nats has answered while somebody does

	mu       sync.Mutex
	bytes    int
	waiting  map[*session]struct{}
	asked    map[*session]struct{} // nats owes them an answer
	underWay int
	most     int       // that may be under way
	answered time.Time // when nats answered last
	took     time.Duration
}

func newHold(takes func() error) *hold {
	return &hold{takes: takes, began: make(chan struct{}, 1), waiting: map[*session]struct{}{}, asked: map[*session]struct{}{}, most: mostUnderWay}
}

// run lets as many go on as may, as soon as they may.
func (h *hold) run(ctx context.Context) {
	var going sync.WaitGroup
	defer going.Wait()
	look := time.NewTicker(holdLooks) // one that could go on may be in the middle of a packet, and nobody else is told then
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.began:
		case <-look.C:
		}
		if h.takes() != nil {
			continue
		}
		for _, s := range h.next() {
			select {
			case s.turn <- struct{}{}:
			default:
			}
			going.Go(s.goOn) // one that is in the middle of a packet keeps only itself waiting
		}
	}
}

// next gives those whose turn it is.
func (h *hold) next() (turn []*session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.waiting {
		if len(turn) >= h.most-h.underWay {
			break
		}
		delete(h.waiting, s)
		turn = append(turn, s)
	}
	return turn
}

// wake has run look.
func (h *hold) wake() {
	select {
	case h.began <- struct{}{}:
	default:
	}
}

// begin says whether a session may hand nats a packet now, and counts it. Whoever has not waited comes after those who do.
func (h *hold) begin(s *session, waited bool) bool {
	if h.takes() != nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.underWay >= h.most || (!waited && len(h.waiting) > 0) {
		return false
	}
	h.underWay++
	h.asked[s] = struct{}{}
	s.underWay = append(s.underWay, time.Now())
	return true
}

// answers takes note that nats has answered the first so many packets of a session.
func (h *hold) answers(s *session, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = min(n, len(s.underWay))
	for _, began := range s.underWay[:n] {
		h.adapt(time.Since(began))
	}
	if s.underWay = s.underWay[n:]; len(s.underWay) == 0 {
		s.underWay = nil
		delete(h.asked, s)
	}
	h.underWay -= n
	if len(h.waiting) > 0 {
		h.wake()
	}
}

// adapt follows how long nats takes to answer; h.mu is held.
func (h *hold) adapt(took time.Duration) {
	h.answered, h.took = time.Now(), took
	if took > answerAim {
		h.shrink(took)
	} else if h.most < mostUnderWay {
		h.most++
	}
}

func (h *hold) shrink(took time.Duration) {
	h.most = max(1, int(time.Duration(h.most)*answerAim/took))
}

// stored is adapt for what does not come from a session.
func (h *hold) stored(took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.adapt(took)
}

// share is how many messages nats may be handed at once now.
func (h *hold) share() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.most
}

// slow gives when nats has answered last, and how long that took.
func (h *hold) slow() (answered time.Time, took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.answered, h.took
}

// add takes so many bytes of a session that has some already, or says that this is too much: then its turn has to be waited for.
func (h *hold) add(s *session, has, more int) (taken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	taken = (has == 0 || has+more <= mostHeld) && h.bytes+more <= mostHeldAll
	if taken {
		h.bytes += more
	}
	h.waiting[s] = struct{}{}
	h.wake()
	return taken
}

// leave forgets so many bytes of a session.
func (h *hold) leave(s *session, bytes int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bytes -= bytes
	delete(h.waiting, s)
}

// finish waits until all that waits was handed over, before a device that takes its leave does; s.packets is held.
func (s *session) finish() error {
	for s.held != nil && s.hold.takes() == nil {
		select {
		case <-s.turn:
			if err := s.flush(); err != nil {
				return err
			}
		case <-s.done:
			return s.reason
		}
	}
	return nil
}

// store hands nats a whole packet that it has to store, or has it wait; s.packets is held.
func (s *session) store(p []byte) error {
	for s.held != nil || !s.hold.begin(s, false) {
		if s.hold.add(s, len(s.held), len(p)) {
			s.held = append(s.held, p...)
			return nil
		}
		select {
		case <-s.turn:
			if s.held == nil && s.hold.begin(s, true) {
				return s.send(p, true)
			}
			if err := s.flush(); err != nil {
				return err
			}
		case <-s.done:
			return s.reason
		}
	}
	return s.send(p, true)
}

// goOn hands over what waited, once no packet is in the middle.
func (s *session) goOn() {
	s.packets.Lock()
	defer s.packets.Unlock()
	_ = s.flush() // a connection that is over shows by itself
}

// flush hands over what waited; s.packets is held. What may not go on yet goes on waiting.
func (s *session) flush() error {
	for len(s.held) > 0 {
		if !s.hold.begin(s, true) {
			s.hold.add(s, 0, 0)
			return nil
		}
		n := packetLength(s.held)
		if err := s.send(s.held[:n], true); err != nil {
			return err
		}
		s.hold.leave(s, n)
		s.held = s.held[n:]
	}
	s.held = nil
	return nil
}

// letGo forgets what still waits when the session is over: nobody was told that it was taken.
func (s *session) letGo() {
	s.packets.Lock()
	defer s.packets.Unlock()
	s.hold.leave(s, len(s.held))
	s.held = nil
	s.hold.forget(s)
}

// forget frees the places of a session that is over.
func (h *hold) forget(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(s.underWay) > 0 {
		if took := time.Since(s.underWay[0]); took > answerAim { // it may be over for that
			h.shrink(took)
		}
		h.wake()
	}
	h.underWay -= len(s.underWay)
	s.underWay = nil
	delete(h.asked, s)
}

// cut ends the sessions that nats will never answer, since it has begun anew: their devices send again what they were not told of.
func (h *hold) cut() {
	h.mu.Lock()
	all := slices.Collect(maps.Keys(h.asked))
	h.mu.Unlock()
	for _, s := range all {
		s.end(ErrBrokerCut)
	}
}
