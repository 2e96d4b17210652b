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
	maxLearned  = 5000             // devices that are known at once
	maxToLearn  = 500              // and that wait for it
	learnPauses = 5 * time.Millisecond
)

// rhythms know how often devices speak. Reading that takes a moment for each, so it is done beside the request that wants to know, which
// goes on with what is known.
type rhythms struct {
	heard  func(ctx context.Context, of history.Speaker, most int) ([]time.Time, error)
	now    func() time.Time
	detach func(run func(ctx context.Context)) bool

	mu      sync.Mutex
	known   map[history.Speaker]learned
	waiting []history.Speaker
	running bool
}

type learned struct {
	rhythm.Rhythm
	at     time.Time // when it was learned; zero: it waits to be
	asking bool
}

func newRhythms(heard func(context.Context, history.Speaker, int) ([]time.Time, error), now func() time.Time, detach func(func(context.Context)) bool) *rhythms {
	return &rhythms{heard: heard, now: now, detach: detach, known: map[history.Speaker]learned{}}
}

// of gives what is known of a speaker, and has it learned anew if that is old.
func (r *rhythms) of(who history.Speaker) rhythm.Rhythm {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.known[who]
	if !l.asking && r.now().Sub(l.at) > learnAgain && len(r.waiting) < maxToLearn {
		if len(r.known) >= maxLearned {
			clear(r.known)
		}
		l.asking = true
		r.known[who] = l
		r.waiting = append(r.waiting, who)
		if !r.running {
			r.running = r.detach(r.learn)
		}
	}
	return l.Rhythm
}

// learn goes on until nobody waits.
func (r *rhythms) learn(ctx context.Context) {
	for {
		who, more := r.next(ctx)
		if !more {
			return
		}
		heard, err := r.heard(ctx, who, rhythm.AtMost)
		found := learned{at: r.now()}
		if err == nil {
			found.Rhythm = rhythm.Learn(heard)
		}
		r.mu.Lock()
		r.known[who] = found
		r.mu.Unlock()
		select {
		case <-time.After(learnPauses): // others read too
		case <-ctx.Done():
		}
	}
}

func (r *rhythms) next(ctx context.Context) (who history.Speaker, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 || ctx.Err() != nil {
		r.running = false
		return who, false
	}
	who, r.waiting = r.waiting[0], r.waiting[1:]
	return who, true
}
