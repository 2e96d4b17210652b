package server

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How often one address may ask. Wrong keys have a bucket of their own, so that guessing stops soon while
// a neighbour with a good key behind the same address is still let in.
const (
	askBurst, askPerSecond     = 100, 50
	guessBurst, guessPerSecond = 20, 0.5
	checkBurst, checkPerSecond = 200, 10 // a check of the connection is about fifteen requests, of somebody who need not sign in
	maxAddresses               = 20_000  // addresses remembered at once
)

// limits counts by address. IPv6 addresses count by their /64, since a household holds a whole one.
type limits struct {
	now   func() time.Time
	pages int                // that one address may have open: so many may come back at once when the server was away
	met   func(limit string) // is told when somebody meets a limit; nil: nobody is

	mu   sync.Mutex
	seen map[netip.Prefix]*buckets
}

type buckets struct {
	ask, guess, check, open *rate.Limiter
	last                    time.Time
}

func newLimits(now func() time.Time, pages int) *limits {
	return &limits{now: now, pages: pages, seen: map[netip.Prefix]*buckets{}}
}

// limitNames are what the limits are called where they are counted.
var limitNames = []string{"ask", "guess", "check", "open", "send", "export", "press"}

// ask takes one request of this address, or says when it may come again.
func (l *limits) ask(address string) error {
	return l.take(address, "ask", func(b *buckets) *rate.Limiter { return b.ask })
}

// guess takes one wrong key of this address.
func (l *limits) guess(address string) error {
	return l.take(address, "guess", func(b *buckets) *rate.Limiter { return b.guess })
}

// check takes one request of a stranger who tries the ways to this server.
func (l *limits) check(address string) error {
	return l.take(address, "check", func(b *buckets) *rate.Limiter { return b.check })
}

// open takes one page of this address that opens a session.
func (l *limits) open(address string) error {
	return l.take(address, "open", func(b *buckets) *rate.Limiter { return b.open })
}

func (l *limits) take(address, limit string, which func(*buckets) *rate.Limiter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b := l.of(address, now)
	b.last = now
	bucket := which(b)
	r := bucket.ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		if l.met != nil {
			l.met(limit)
		}
		return tooMany{after: wait}
	}
	return nil
}

// of finds the buckets of an address. When too many are known, those that have filled up again are forgotten; when that
// is not enough, all are: a flood of addresses must not make us keep more.
func (l *limits) of(address string, now time.Time) *buckets {
	at := network(address)
	if b, ok := l.seen[at]; ok {
		return b
	}
	if len(l.seen) >= maxAddresses {
		for key, b := range l.seen {
			if now.Sub(b.last) > time.Minute {
				delete(l.seen, key)
			}
		}
		if len(l.seen) >= maxAddresses {
			clear(l.seen)
		}
	}
	b := &buckets{
		ask:   rate.NewLimiter(askPerSecond, askBurst),
		guess: rate.NewLimiter(guessPerSecond, guessBurst),
		check: rate.NewLimiter(checkPerSecond, checkBurst),
		open:  rate.NewLimiter(rate.Limit(l.pages)/4, l.pages),
	}
	l.seen[at] = b
	return b
}

// How often one key may send by requests, from all addresses together: as often as a page of it may. Each address has its limit before that, of
// which every request takes, so that one program comes to askPerSecond.
const (
	sendBurst, sendPerSecond   = 200, 100
	maxSenders                 = 10_000 // keys remembered at once
	pressBurst, pressPerSecond = 20, 1  // of one board, whatever its owner allows
)

// senders counts by key.
type senders struct {
	now   func() time.Time
	met   func(limit string) // as that of limits
	limit string
	burst int
	every rate.Limit

	mu   sync.Mutex
	seen map[string]*rate.Limiter
}

func newSenders(now func() time.Time, met func(limit string)) *senders {
	return &senders{now: now, met: met, limit: "send", burst: sendBurst, every: sendPerSecond, seen: map[string]*rate.Limiter{}}
}

// newPressers count what people press, by board.
func newPressers(now func() time.Time, met func(limit string)) *senders {
	return &senders{now: now, met: met, limit: "press", burst: pressBurst, every: pressPerSecond, seen: map[string]*rate.Limiter{}}
}

// take takes one message of this key, or says when it may send again.
func (s *senders) take(keyID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	bucket := s.seen[keyID]
	if bucket == nil {
		if len(s.seen) >= maxSenders {
			clear(s.seen) // only good keys are here: it is a rate that is forgotten, and nobody's refusal
		}
		bucket = rate.NewLimiter(s.every, s.burst)
		s.seen[keyID] = bucket
	}
	now := s.now()
	r := bucket.ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		s.met(s.limit)
		return tooMany{after: wait}
	}
	return nil
}

func network(address string) netip.Prefix {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 32
	if a = a.Unmap(); a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits) // the length fits the family
	return p
}
