package mqttproxy

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"trellis/access"
)

// session is one page's MQTT session. An idle one costs this struct and the goroutine that listens.
type session struct {
	hub     *Hub
	carrier Carrier
	grant   access.Grant
	judged  bool // its carrier judges the page's silence
	opened  time.Duration
	done    chan struct{} // closed when the session ends

	small   [128]byte // owned by listen: where bytes arrive while nothing is incomplete
	partial []byte    // owned by listen: the beginning of a packet
	came    time.Time // owned by listen: when the last bytes arrived
	rate    rate      // owned by listen
	needs   bool      // owned by listen: the Source was told that we are here
	release func()    // owned by listen, and called when that is over

	connected atomic.Bool
	held      atomic.Bool  // we keep the page from sending, so its silence means nothing
	heard     atomic.Int64 // hub's clock
	keepAlive atomic.Int64 // longest silence permitted, nanoseconds; 0 means any

	reads []subscription // guarded by Hub.mu, as is seen
	seen  uint64         // the last message that was pushed
	link  State          // as the page was last told

	unrecorded time.Duration // when it was last told that a message is not on record, by the hub's clock; guarded by Hub.mu
	recording  Recording     // as the page was last told; guarded by Hub.mu

	workers sync.WaitGroup // flush, publishUp, and the ending of the carrier

	mu       sync.Mutex
	over     bool
	reason   Reason // read after workers stopped
	queue    queue
	private  []byte // whole packets for this page only, sent before what waits in queue
	flushing bool
	inflight uint64 // packet ids 1..64 that wait for a PUBACK
	lost     uint64 // messages dropped and not yet told
	total    uint64 // messages dropped in all
	up       []publish
	upBusy   bool
	room     chan struct{} // closed when up has room again; nil while nobody waits
}

// need tells a Source of several links that this page needs its own, once.
func (s *session) need() {
	links, several := s.hub.config.Source.(Links)
	if !several || s.needs {
		return
	}
	s.needs = true
	s.release = links.Need(s.grant)
}

// silenceJudge is a carrier that outlives its page's absence for a while, and ends by itself when that lasts too long.
type silenceJudge interface{ JudgesSilence() }

// end ends the session once; the first reason stands. It does not wait: the carrier is ended by a goroutine of its own.
func (s *session) end(reason Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.over, s.reason = true, reason
	s.queue = queue{}
	close(s.done)
	s.workers.Go(func() { s.carrier.End(reason) })
}

// survive keeps a mistake of ours from taking other sessions down: it is counted, logged, and ends only this one.
func (s *session) survive(ctx context.Context) {
	if panicked := recover(); panicked != nil {
		s.hub.panics.Add(1)
		s.hub.config.Log.ErrorContext(ctx, "session panicked", "grant", s.grant, "panic", panicked, "stack", string(debug.Stack()))
		s.end(Fault)
	}
}

// big is a larger place for bytes to arrive in, lent while a packet is incomplete.
var big = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// listen takes what the page sends, packet by packet, until something ends it.
func (s *session) listen(ctx context.Context) Reason {
	defer s.survive(ctx)
	for {
		reason, over := s.hear(ctx)
		if over {
			return reason
		}
	}
}

// hear waits for one chunk and handles the packets that it completes. What is incomplete is kept, never more than arrived.
func (s *session) hear(ctx context.Context) (Reason, bool) {
	into := s.small[:]
	if len(s.partial) > 0 {
		lent := big.Get().(*[16 << 10]byte)
		defer big.Put(lent)
		into = lent[:]
	}
	n, err := s.carrier.Receive(into)
	if err != nil {
		return reasonOf(err), true
	}
	s.came = time.Now()
	s.heard.Store(int64(s.hub.clock()))
	chunk := into[:n]
	if len(s.partial) > 0 {
		s.partial = append(s.partial, chunk...)
		chunk = s.partial
	}
	rest, err := s.handleAll(ctx, chunk)
	if err != nil {
		return reasonOf(err), true
	}
	s.keep(rest)
	return 0, false
}

// keep remembers the beginning of a packet, and gives the memory back when there is none.
func (s *session) keep(rest []byte) {
	switch {
	case len(rest) == 0:
		s.partial = nil
	case len(s.partial) == 0:
		s.partial = append([]byte(nil), rest...)
	default:
		s.partial = s.partial[:copy(s.partial, rest)]
	}
}

func (s *session) handleAll(ctx context.Context, chunk []byte) (rest []byte, err error) {
	for len(chunk) > 0 {
		limit := s.hub.config.MaxPacket
		if !s.connected.Load() {
			if chunk[0] != typeConnect<<4 {
				return nil, Protocol
			}
			limit = s.hub.config.MaxConnect
		}
		p, rest, ok, err := cut(chunk, limit)
		if err != nil || !ok {
			return rest, err
		}
		if err := s.handle(ctx, p); err != nil {
			return nil, err
		}
		chunk = rest
	}
	return nil, nil
}

// reasonOf says which reason an error stands for.
func reasonOf(err error) Reason {
	if reason, ok := errors.AsType[Reason](err); ok {
		return reason
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return Behind
	}
	return Lost
}
