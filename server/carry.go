package server

import (
	"context"
	"errors"
	"time"

	"trellis/access"
	"trellis/history"
	"trellis/mqttproxy"
)

// carry takes a press to the broker before it is too late or not at all, and notes how far it got. ctx ends when this server stops.
func (s *Server) carry(ctx context.Context, p history.Press, g access.Grant, payload []byte, late time.Time) {
	running := ctx
	ctx, cancel := context.WithDeadline(ctx, late)
	defer cancel()
	if p.State == history.PressWaiting && !s.waited(ctx, running, p) {
		return
	}
	err := s.Pages.Press(ctx, g, g.Publish[0], payload, func() error {
		if err := s.stillMay(g); err != nil {
			return err
		}
		if err := s.stillSo(ctx, p); err != nil {
			return err
		}
		moved, err := s.move(context.WithoutCancel(ctx), p, history.PressTrying, history.PressHanded)
		if err == nil && !moved {
			err = errors.New("it is not to be sent any more")
		}
		if err == nil {
			s.presses.await(p, g) // not before: what a device said until now answers nothing
		}
		return err
	})
	s.settle(running, p, g, err)
}

// waited lets a press be undone, and says whether it is to be sent then. One of which that cannot be noted in its time is not.
func (s *Server) waited(ctx, running context.Context, p history.Press) bool {
	if !s.wait(ctx, p) {
		_, _ = s.insist(running, p, history.PressWaiting, history.PressNotSent)
		return false
	}
	moved, err := s.insist(ctx, p, history.PressWaiting, history.PressTrying)
	if err != nil {
		_, _ = s.insist(running, p, history.PressWaiting, history.PressNotSent)
	}
	return moved
}

// wait lets a press be undone; false if this server stops meanwhile.
func (s *Server) wait(ctx context.Context, p history.Press) bool {
	timer := time.NewTimer(p.Due.Sub(p.Pressed))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// stillMay says whether what somebody was let in by still lets him in.
func (s *Server) stillMay(g access.Grant) error {
	if g.KeyID == "" {
		if g.Ended(s.Now()) {
			return errSignedOut
		}
		return nil
	}
	now, err := s.Keys.Grant(g.KeyID)
	if err == nil && now.Print != g.Print {
		err = access.ErrKeyRevoked
	}
	return err
}

// stillSo says whether the button is what it was when it was pressed, and may still be pressed: a press can wait to be undone.
func (s *Server) stillSo(ctx context.Context, p history.Press) error {
	b, err := s.Store.FindButton(ctx, p.Board, p.Button)
	switch {
	case err != nil:
		return err
	case b.Version != p.Version:
		return history.ErrButtonChanged
	case !within(b, s.Now()):
		return hoursError{b}
	}
	return nil
}

// settle notes what became of a press, as soon as the record takes it while this server runs.
func (s *Server) settle(running context.Context, p history.Press, g access.Grant, err error) {
	ctx := context.WithoutCancel(running)
	p.Settled = s.Now()
	var refused mqttproxy.RefusedError
	var not mqttproxy.NotSentError
	from, to := history.PressHanded, history.PressUnsure
	switch {
	case err == nil:
		to = history.PressAccepted
		if p.Answers.Reading != noAnswer {
			p.Patient = p.Settled.Add(s.patience(ctx, p, g))
		}
	case errors.As(err, &refused):
		to, p.Words = history.PressRefused, refused.Words
	case errors.As(err, &not):
		to = history.PressNotSent
	}
	if moved, failed := s.insist(running, p, from, to); failed == nil && !moved && to == history.PressNotSent {
		_, _ = s.insist(running, p, history.PressTrying, to)
	}
	s.Log.InfoContext(ctx, "a button was pressed", "grant", g, "button", p.Button, "press", p.ID, "became", to.String(), "err", err)
	switch to {
	case history.PressAccepted, history.PressUnsure:
		if words, at, came := s.presses.accepted(p); came {
			s.answered(ctx, p, words, at)
		}
	default:
		s.presses.forget(p)
	}
}

// How soon a step is noted again that could not be.
const movedAgain, movedSeldom = 250 * time.Millisecond, 30 * time.Second

// insist notes a step of a press, again and again until that works or ctx ends: a database that fails for a moment has undone nothing.
func (s *Server) insist(ctx context.Context, p history.Press, from, to history.PressState) (moved bool, err error) {
	noted := context.WithoutCancel(ctx)
	for pause := movedAgain; ; pause = min(2*pause, movedSeldom) {
		if moved, err = s.move(noted, p, from, to); err == nil && !moved && pause > movedAgain {
			var now history.Press // what seemed to fail may have been noted
			now, _, err = s.Store.FindPress(noted, p.Board, p.ID)
			moved = err == nil && now.State == to
		}
		if err == nil {
			return moved, nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false, err
		}
	}
}

// move notes a step of a press, and tells who waits for it.
func (s *Server) move(ctx context.Context, p history.Press, from, to history.PressState) (moved bool, err error) {
	if p.Settled.IsZero() && to > history.PressHanded {
		p.Settled = s.Now()
	}
	moved, err = s.Store.MovePress(ctx, p, from, to)
	if err != nil {
		s.Log.ErrorContext(ctx, "how far a press got cannot be noted", "press", p.ID, "err", err)
	}
	s.presses.tell(p)
	return moved, err
}
