package server

import (
	"cmp"
	"context"
	"slices"
	"time"

	"trellis/access"
	"trellis/history"
	"trellis/rhythm"
	"trellis/templates"
)

// heardDevice is a device as it was heard.
type heardDevice struct {
	entity string
	at     time.Time // its last sign of life
	topic  string    // on which that came
	rhythm rhythm.Rhythm
	taught bool      // the owner said that its silence is normal
	old    time.Time // from when on it counts as getting old; zero: never
	quiet  time.Time // and as quiet
}

func (d heardDevice) isQuiet(now time.Time) bool { return !d.quiet.IsZero() && !now.Before(d.quiet) }

// heard says in words when each device that a Grant may see was last heard, and whether that is longer ago than usual.
func (s *Server) heard(ctx context.Context, g access.Grant) (*templates.DevicesHeard, error) {
	if err := s.learn(ctx, g, learnWithin); err != nil {
		return nil, err
	}
	found, err := s.devicesHeard(ctx, g)
	if err != nil {
		return nil, err
	}
	w, err := s.wishes(ctx, g)
	if err != nil {
		return nil, err
	}
	now, deaf := s.Now(), s.linkDown(g) // a device that we cannot hear is not quiet
	devices := make([]templates.DeviceHeard, 0, len(found))
	for _, d := range found {
		as := w.of(thing{entity: d.entity})
		if as.hidden {
			continue
		}
		devices = append(devices, templates.DeviceHeard{Entity: d.entity, Name: as.Name, At: d.at, Quiet: !deaf && d.isQuiet(now)})
	}
	heard := templates.Heard(devices, now)
	if deaf {
		heard.Unheard()
	}
	return heard, nil
}

// learnWithin is how long a page waits for what is not known yet of how often its devices speak.
const learnWithin = 300 * time.Millisecond

// learn waits, but not for long, until it is known how often each device of a Grant speaks on each of its topics. Have it done before a turn: whoever
// waits within one keeps everybody waiting.
func (s *Server) learn(ctx context.Context, g access.Grant, within time.Duration) error {
	signs, err := s.Store.Signs(ctx, g.MayReceive)
	if err != nil {
		return err
	}
	for _, one := range signs {
		s.rhythms.of(speaker{one.Speaker, s.listens(g, one.Topic)})
	}
	s.rhythms.settle(ctx, within)
	return nil
}

// devicesHeard looks at when each device last gave a sign of life, a heartbeat included, and at what is known of how often it speaks.
func (s *Server) devicesHeard(ctx context.Context, g access.Grant) ([]heardDevice, error) {
	signs, err := s.Store.Signs(ctx, g.MayReceive)
	if err != nil {
		return nil, err
	}
	normal, err := s.Store.Normal(ctx, boards(g)...)
	if err != nil {
		return nil, err
	}
	last := map[string]history.Sign{} // one entity may be heard on several topics
	for _, one := range signs {
		if before, there := last[one.About]; !there || one.At.After(before.At) {
			last[one.About] = one
		}
	}
	if len(last) == 0 {
		return nil, nil
	}
	ours := s.gapsBetween(g, s.Now().Add(-longestDeaf), s.Now())
	for _, one := range last {
		ours.since(one.Topic, one.At)
	}
	devices := make([]heardDevice, 0, len(last))
	for entity, one := range last {
		d := heardDevice{entity: entity, at: one.At, topic: one.Topic, rhythm: s.rhythms.of(speaker{one.Speaker, ours.whose(one.Topic)}), taught: normal[entity]}
		gaps, err := ours.of(ctx, one.Topic)
		if err != nil {
			return nil, err
		}
		d.judge(gaps, s.Now())
		devices = append(devices, d)
	}
	slices.SortFunc(devices, func(a, b heardDevice) int { return cmp.Compare(a.entity, b.entity) })
	return devices, nil
}

// longestDeaf is how far back it matters that nothing could be recorded: whoever is silent for longer is quiet.
const longestDeaf = 31 * 24 * time.Hour

// judge says from when on it counts as old and as quiet. Nobody was silent while we could not hear, and whoever spoke meanwhile is given the time to
// do so again.
func (d *heardDevice) judge(gaps []history.Gap, now time.Time) {
	if d.taught {
		d.rhythm = rhythm.Rhythm{Kind: rhythm.Events}
	}
	deaf, back := deafFor(gaps, d.at, now)
	d.old, d.quiet = d.rhythm.Until(d.at.Add(deaf))
	if back.IsZero() || d.old.IsZero() {
		return
	}
	if again, _ := d.rhythm.Until(back); again.After(d.quiet) {
		d.quiet = again
	}
}

// deafFor is for how long since then nothing could be heard, and when that was over. Gaps come oldest first, and may overlap.
func deafFor(gaps []history.Gap, since, now time.Time) (all time.Duration, back time.Time) {
	all = now.Sub(since)
	heard := without(history.Silence{From: since, To: now}, now, gaps)
	for _, part := range heard {
		all -= part.To.Sub(part.From)
	}
	switch n := len(heard); {
	case all == 0:
		return 0, time.Time{}
	case n > 0 && heard[n-1].To.Equal(now):
		return all, heard[n-1].From
	}
	return all, now
}

// boards are those whose owners say how things are on the board of this Grant: the operator's and, before it, its own.
func boards(g access.Grant) []string {
	operator := access.Subject{Account: g.Subject.Account, Region: g.Subject.Region}
	if g.Subject == operator {
		return []string{operator.String()}
	}
	return []string{operator.String(), g.Subject.String()}
}
