package server

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"trellis/history"
)

// failing is a record that cannot note some steps of presses, the first time or ever.
type failing struct {
	Store
	fails func(from, to history.PressState) bool
	after bool // it fails after it has noted them
}

func (f *failing) MovePress(ctx context.Context, p history.Press, from, to history.PressState) (bool, error) {
	if !f.fails(from, to) {
		return f.Store.MovePress(ctx, p, from, to)
	}
	if f.after {
		_, _ = f.Store.MovePress(ctx, p, from, to)
	}
	return false, errors.New("database is locked")
}

func TestARecordThatFailsForAMomentUndoesNoPress(t *testing.T) {
	once := func(step history.PressState) func(from, to history.PressState) bool {
		var failed atomic.Bool
		return func(_, to history.PressState) bool { return to == step && failed.CompareAndSwap(false, true) }
	}
	for name, tt := range map[string]struct {
		fails func(from, to history.PressState) bool
		after bool
		state string
		sent  int
	}{
		"when its time is over":           {once(history.PressTrying), false, "accepted", 1},
		"after it was noted all the same": {once(history.PressTrying), true, "accepted", 1},
		"when the broker has it":          {once(history.PressAccepted), false, "accepted", 1},
		"when it is about to be sent":     {once(history.PressHanded), false, "not_sent", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(c *Config) { c.Store = &failing{c.Store, tt.fails, tt.after} })
			s.made(t, "shed", history.Button{Undo: true, Answer: noAnswer})
			b := s.holder(t, "shed")
			s.pressIt(t, b, "b-shed", aPress)
			s.until(t, b, aPress, tt.state)
			if sent := s.pages.broker.all(); len(sent) != tt.sent {
				t.Errorf("sent: %q", sent)
			}
		})
	}
}

func TestAPressThatCannotBeNotedInItsTimeIsNotSent(t *testing.T) {
	trying := func(_, to history.PressState) bool { return to == history.PressTrying }
	s := newSite(t, func(c *Config) { c.Store = &failing{c.Store, trying, false} })
	s.made(t, "shed", history.Button{Undo: true, Answer: noAnswer})
	now := time.Now()
	p := history.Press{ID: aPress, Board: "home:local:shed", Button: "b-shed", Pressed: now, Due: now}
	if _, _, err := s.store.BeginPress(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*movedAgain)
	defer cancel()
	sent := s.server.waited(ctx, t.Context(), p)
	if p, _, err := s.store.FindPress(t.Context(), p.Board, p.ID); sent || err != nil || p.State != history.PressNotSent {
		t.Errorf("to be sent: %v, it is %s, %v", sent, p.State, err)
	}
}
