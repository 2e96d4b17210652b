package server

import (
	"context"
	"slices"
	"time"

	"trellis/access"
	"trellis/history"
	"trellis/message"
	"trellis/templates"
)

// stretch is one reading over a time, with what is not known of it. A moment that somebody sends keeps one, so what is in it is what its
// visitors get: the reading and its device by the names that people read, and nothing by which anything else could be asked for.
type stretch struct {
	Name    string           `json:"name"` // of the device, as people read it
	Place   string           `json:"place"`
	Reading string           `json:"reading"`
	As      shownAs          `json:"as"` // how it is wanted
	Span    spanName         `json:"span"`
	From    time.Time        `json:"from"`
	To      time.Time        `json:"to"`
	Begins  time.Time        `json:"begins,omitzero"` // when the record of it does, where that is after From
	Every   time.Duration    `json:"every"`           // that points are apart, at least
	Points  []history.Point  `json:"points"`
	Changes []history.Change `json:"changes"` // the first one may be from before
	Rows    []history.Point  `json:"rows"`    // of the table: the same in larger steps
	Gaps    []blank          `json:"gaps"`
}

// shownAs is how the owner of a board wants to see a value, as far as a chart shows it.
type shownAs struct {
	Name   string `json:"name,omitempty"`
	Unit   string `json:"unit,omitempty"`
	Digits *int   `json:"digits,omitempty"`
}

// words says a value of it.
func (st stretch) words(value any) message.Shown {
	return message.DescribeAs(message.Reading{Name: st.Reading, Value: value}, message.Setting{Name: st.As.Name, Unit: st.As.Unit, Digits: st.As.Digits})
}

// blank is a time of which nothing is known, and why.
type blank struct {
	Words string    `json:"words"` // "This page's server was off"
	Quiet bool      `json:"quiet"` // it was the device, and not us
	From  time.Time `json:"from"`
	To    time.Time `json:"to"` // zero: it lasts
}

func (b blank) end(or time.Time) time.Time {
	if b.To.IsZero() {
		return or
	}
	return b.To
}

// stretchOf reads what is recorded of a value that the Grant may hear. That is several questions about the past: whoever calls it has taken
// a turn for all of them, and a second one would wait for the first.
func (s *Server) stretchOf(ctx context.Context, g access.Grant, a asked, now time.Time) (stretch, error) {
	from, to := a.times(now)
	shape := spanShapes[a.span]
	span := history.Span{About: a.entity, Reading: a.reading, From: from, To: to, Points: shape.points}
	drawn, err := s.Past.Range(ctx, g.MayReceive, span)
	if err != nil {
		return stretch{}, err
	}
	span.Points = shape.rows
	rows, err := s.Past.Range(ctx, g.MayReceive, span)
	if err != nil {
		return stretch{}, err
	}
	wanted, err := s.wishes(ctx, g)
	if err != nil {
		return stretch{}, err
	}
	_, place := templates.EntityWords(a.entity)
	as := wanted.of(thing{a.entity, a.reading}).Setting
	st := stretch{
		Name: wanted.name(thing{entity: a.entity}, ""), Place: place, Reading: a.reading, As: shownAs{as.Name, as.Unit, as.Digits}, Span: a.span, From: from, To: to, Every: drawn.Every,
		Points: drawn.Points, Changes: drawn.Changes, Rows: rows.Points,
	}
	switch begins, err := s.Past.Begins(ctx, g.MayReceive, a.entity, a.reading); {
	case err != nil:
		return stretch{}, err
	case begins.After(from):
		st.Begins = begins
	}
	if st.Gaps, err = s.blanks(ctx, g, a.entity, from, to); err != nil {
		return stretch{}, err
	}
	if err := s.drawSilences(ctx, g, a, &st, now); err != nil {
		return stretch{}, err
	}
	st.leaveOut(len(st.Changes), drawn.More)
	return st, nil
}

// tooManyChanges stands where earlier changes are left out.
const tooManyChanges = "Too many changes to show"

// leaveOut keeps the newest changes and says what time is not shown for that.
func (st *stretch) leaveOut(most int, more bool) {
	more = more || len(st.Changes) > most
	st.Changes = st.Changes[max(0, len(st.Changes)-most):]
	if !more || len(st.Changes) == 0 || len(st.Points) > 0 || !st.Changes[0].At.After(st.From) {
		return
	}
	st.Gaps = slices.DeleteFunc(st.Gaps, func(b blank) bool { return b.Words == tooManyChanges })
	st.Gaps = slices.Insert(st.Gaps, 0, blank{Words: tooManyChanges, From: st.From, To: st.Changes[0].At})
}

// blanks are the times in which nothing could be recorded of a device, put into words.
func (s *Server) blanks(ctx context.Context, g access.Grant, entity string, from, to time.Time) ([]blank, error) {
	found, err := s.gapsOfDevice(ctx, g, entity, from, to)
	if err != nil {
		return nil, err
	}
	var all []blank
	for _, one := range found {
		// What any broker's host is called is nothing for those who are sent this as a moment.
		b := blank{Words: templates.GapWords(one.Reason, s.service()), From: later(one.Began, from), To: one.Ended}
		if b.To.After(to) {
			b.To = to
		}
		all = append(all, b)
	}
	return all, nil
}

// drawSilences finds when the device itself said nothing for longer than usual. One that sends late what it measured was silent where there are
// points: what is left of its silence there is drawn.
func (s *Server) drawSilences(ctx context.Context, g access.Grant, a asked, st *stretch, now time.Time) error {
	topics, _, err := s.speaksOn(ctx, g, a.entity)
	if err != nil || len(st.Points) == 0 {
		return err
	}
	to := earlier(st.To, now)
	quiet, err := s.quietTimes(ctx, topics, st.From, to, s.gapsBetween(g, st.From.Add(-happenedLongest), to))
	if err != nil {
		return err
	}
	for _, one := range quiet {
		words := "Quiet" + templates.Usually(string(one.rhythm.Kind), one.rhythm.Usual)
		if !one.end(to).After(st.Begins) {
			continue // there was no such value yet
		}
		all := pauses(*st, one, to)
		for _, hush := range all {
			// A part of it need not be long, and the whole was.
			if !hush.From.Before(hush.end(to)) || (len(all) > 1 && !one.rhythm.Quiet(hush.From, hush.end(to))) {
				continue
			}
			hush.Words, hush.Quiet = words, true
			if hush.To.IsZero() && st.To.Before(now.Add(-time.Second)) {
				hush.To = to // what came then is not shown
			}
			st.Gaps = append(st.Gaps, hush)
		}
	}
	slices.SortStableFunc(st.Gaps, func(a, b blank) int { return a.From.Compare(b.From) })
	return nil
}

// pauses are the times of a silence in which nothing was measured: all of it, as far as it is shown, or what lies between the steps of which
// something came later. The last has no end where the silence has none.
func pauses(st stretch, one silence, to time.Time) (all []blank) {
	last := later(st.From, one.from)
	for _, p := range st.Points {
		until := p.At.Add(st.Every)
		if !p.At.After(one.from) || until.After(one.end(to)) {
			continue // it began before, or ended after: what it holds may have come then
		}
		if p.At.After(last) {
			all = append(all, blank{From: last, To: p.At})
		}
		last = later(last, until)
	}
	return append(all, blank{From: last, To: one.to})
}

// outside is what of a time lies in none of these, but for those in which the device was quiet.
func outside(from, to time.Time, blanks []blank) (free []blank) {
	var ours []history.Gap
	for _, b := range blanks {
		if !b.Quiet {
			ours = append(ours, history.Gap{Began: b.From, Ended: b.To})
		}
	}
	for _, part := range without(history.Silence{From: from, To: to}, to, ours) {
		if part.From.Before(part.To) {
			free = append(free, blank{From: part.From, To: part.To})
		}
	}
	return free
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
