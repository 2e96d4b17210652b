package server

import (
	"context"
	"sync"
	"time"

	"trellis/history"
	"trellis/rhythm"
)

const (
	learnAgain  = 10 * time.Minute // how old what is known of a device may become
	learnSoon   = time.Minute      // the same, where too little was known to say anything; twice as long each time that it still is
	maxLearned  = 5000             // devices that are known at once
	maxToLearn  = 500              // and that wait for it
	learnPauses = 2 * time.Millisecond
	leastSeen   = 10 * time.Minute // nothing is said of the rhythm of whoever was heard for less: a few values in a row are none
)

// rhythms know how often devices speak. Reading that takes a moment for each, so it is done beside the request that wants to know, which
// goes on with what is known.
type rhythms struct {
	listen listener
	now    func() time.Time
	detach func(run func(ctx context.Context)) bool

	mu      sync.Mutex
	known   map[speaker]learned
	waiting []speaker
	running bool
	idle    chan struct{} // closed when nobody waits any more
}

// listener tells when somebody was heard, and when nobody could be.
type listener struct {
	heard func(ctx context.Context, of history.Speaker, most int) ([]time.Time, error)
	gaps  func(ctx context.Context, whose string, from, to time.Time) ([]history.Gap, error)
}

// speaker is somebody who is heard by a key of this id: the gaps in its record are ours.
type speaker struct {
	history.Speaker
	key string
}

type learned struct {
	rhythm.Rhythm
	at     time.Time // when it was learned; zero: it waits to be
	asking bool
	vain   int // times in a row that too little was known
}

func newRhythms(listen listener, now func() time.Time, detach func(func(context.Context)) bool) *rhythms {
	return &rhythms{listen: listen, now: now, detach: detach, known: map[speaker]learned{}}
}

// of gives what is known of a speaker, and has it learned anew if that is old.
func (r *rhythms) of(who speaker) rhythm.Rhythm {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, lasts := r.known[who], learnAgain
	if l.Kind == "" || l.Kind == rhythm.Unknown {
		lasts = min(learnAgain, learnSoon<<max(0, min(l.vain, 8)-1))
	}
	if !l.asking && r.now().Sub(l.at) > lasts && len(r.waiting) < maxToLearn {
		if len(r.known) >= maxLearned {
			clear(r.known)
		}
		l.asking = true
		r.known[who] = l
		r.waiting = append(r.waiting, who)
		if !r.running {
			r.idle = make(chan struct{})
			r.running = r.detach(r.learn)
		}
	}
	return l.Rhythm
}

// settle waits until all that was asked for is known, but not for long.
func (r *rhythms) settle(ctx context.Context, within time.Duration) {
	r.mu.Lock()
	running, idle := r.running, r.idle
	r.mu.Unlock()
	if !running {
		return
	}
	limit := time.NewTimer(within)
	defer limit.Stop()
	select {
	case <-idle:
	case <-limit.C:
	case <-ctx.Done():
	}
}

// learn goes on until nobody waits.
func (r *rhythms) learn(ctx context.Context) {
	for {
		who, more := r.next(ctx)
		if !more {
			return
		}
		found, err := r.listen.learn(ctx, who, r.now())
		r.mu.Lock()
		if err != nil {
			found = r.known[who].Rhythm // what was known is better than nothing
		}
		now := learned{Rhythm: found, at: r.now()}
		if found.Kind == rhythm.Unknown {
			now.vain = r.known[who].vain + 1
		}
		r.known[who] = now
		r.mu.Unlock()
		select {
		case <-time.After(learnPauses): // others read too
		case <-ctx.Done():
		}
	}
}

// learn leaves out the silence of times in which nothing could be recorded: that was ours.
func (l listener) learn(ctx context.Context, who speaker, now time.Time) (rhythm.Rhythm, error) {
	heard, err := l.heard(ctx, who.Speaker, rhythm.AtMost)
	if err != nil || len(heard) == 0 || heard[len(heard)-1].Sub(heard[0]) < leastSeen {
		return rhythm.Young(heard), err
	}
	gaps, err := l.gaps(ctx, who.key, heard[0], now)
	if err != nil {
		return rhythm.Rhythm{}, err
	}
	deaf := make([]rhythm.Deaf, len(gaps))
	for i, g := range gaps {
		deaf[i] = rhythm.Deaf{From: g.Began, To: ended(g, now)}
	}
	return rhythm.Learn(heard, deaf...), nil
}

// ended is now where a gap lasts.
func ended(g history.Gap, now time.Time) time.Time {
	if g.Ended.IsZero() {
		return now
	}
	return g.Ended
}

func (r *rhythms) next(ctx context.Context) (who speaker, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 || ctx.Err() != nil {
		r.running = false
		close(r.idle)
		return who, false
	}
	who, r.waiting = r.waiting[0], r.waiting[1:]
	return who, true
}
