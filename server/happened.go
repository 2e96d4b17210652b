package server

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/history"
	"trellis/message"
	"trellis/templates"
)

// What happened between two moments: a page for people, and the same as data for the line on the board and for programs.

// happened is what happened, newest first.
type happened struct {
	From     time.Time                 `json:"from"`
	To       time.Time                 `json:"to"`
	Events   []templates.HappenedEvent `json:"events"`
	Messages int                       `json:"messages"`
	Many     bool                      `json:"many"`     // there were more messages than were counted
	Values   int                       `json:"values"`   // readings that are newer than from
	More     bool                      `json:"more"`     // not all was looked at
	Learning int                       `json:"learning"` // devices of which it is not known yet how often they speak

	kept time.Time // since when all messages are kept; zero: since From

	cut  bool   // more was asked for than is looked at
	past bool   // it is told of a time that is over: what lasted at its end may be over too
	as   wishes // how the owner of the board wants things

	heard map[thing]bool // what there are values of
}

const (
	happenedUsual   = 24 * time.Hour
	happenedLongest = 31 * 24 * time.Hour
	happenedAtOnce  = 200  // events on one page
	maxHappened     = 2000 // events of one answer
	oneByOne        = 3    // changes of a reading on one day that are told one by one
)

// happenedPage is for people, and needs no script.
func (s *Server) happenedPage(c echo.Context) error {
	g, err := s.byCookie(c)
	if err != nil {
		return err
	}
	number, err := count(c, "page", 1, maxHappened/happenedAtOnce)
	if err != nil {
		return err
	}
	zone := s.zoneOf(c)
	h, err := s.lookBack(c, g, zone)
	if err != nil {
		return err
	}
	first := (number - 1) * happenedAtOnce
	page := templates.Happened(templates.Telling{
		From: h.From, To: h.To, Now: s.Now().In(zone), Events: h.Events, First: first, Most: happenedAtOnce,
		Messages: h.Messages, Many: h.Many, More: h.More, Cut: h.cut, Past: h.past, Kept: h.kept, Learning: h.Learning, Host: s.linkTo(),
	})
	turn := func(number int) string {
		q := url.Values{"since": {h.From.Format(time.RFC3339Nano)}, "until": {h.To.Format(time.RFC3339Nano)}, "page": {strconv.Itoa(number)}}
		if name := c.QueryParam("zone"); name != "" {
			q.Set("zone", name)
		}
		return "/happened?" + q.Encode()
	}
	if number > 1 {
		page.Newer = turn(number - 1)
	}
	if first+happenedAtOnce < len(h.Events) {
		page.Older = turn(number + 1)
	}
	return render(c, http.StatusOK, templates.HappenedView(page))
}

// historyHappened is for programs, and for the line on the board.
func (s *Server) historyHappened(who granter) echo.HandlerFunc {
	return func(c echo.Context) error {
		g, err := who(c)
		if err != nil {
			return err
		}
		h, err := s.lookBack(c, g, s.zoneOf(c))
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, h)
	}
}

// zoneOf is whose days and times are told: what the browser says, else this machine's.
func (s *Server) zoneOf(c echo.Context) *time.Location {
	if name := c.QueryParam("zone"); name != "" && len(name) <= 64 && name != "Local" {
		if zone, err := time.LoadLocation(name); err == nil {
			return zone
		}
	}
	return s.Now().Location()
}

// lookBack reads since and until, and finds out. A clock that is ahead asks for nothing.
func (s *Server) lookBack(c echo.Context, g access.Grant, zone *time.Location) (h happened, err error) {
	h.To = s.Now().UTC()
	since, err := timeIn(c.QueryParams(), "since")
	if err != nil {
		return h, err
	}
	until, err := timeIn(c.QueryParams(), "until")
	if err != nil {
		return h, err
	}
	if !until.IsZero() && until.Before(h.To) {
		h.To, h.past = until, true
	}
	if h.From = since; since.IsZero() {
		h.From = h.To.Add(-happenedUsual)
	}
	if h.To.Sub(h.From) > happenedLongest {
		h.From, h.cut = h.To.Add(-happenedLongest), true
	}
	if h.From.After(h.To) {
		h.From = h.To
	}
	ctx := c.Request().Context()
	if err := s.learn(ctx, g, happenedLearns); err != nil {
		return h, err
	}
	return h, s.turns.take(ctx, g, func() error { return s.find(ctx, g, zone, &h) })
}

// find fills in what happened.
func (s *Server) find(ctx context.Context, g access.Grant, zone *time.Location, h *happened) (err error) {
	h.Events = []templates.HappenedEvent{}
	if !h.From.Before(h.To) {
		return nil
	}
	if h.as, err = s.wishes(ctx, g); err != nil {
		return err
	}
	if h.Messages, h.Many, err = s.Past.MessageCount(ctx, g.MayReceive, h.From, h.To); err != nil {
		return err
	}
	if h.kept, err = s.Past.KeptSince(ctx, g.MayReceive, h.From, h.To); err != nil {
		return err
	}
	values, err := s.Store.Values(ctx, g.MayReceive)
	if err != nil {
		return err
	}
	h.heard = map[thing]bool{}
	for _, v := range values {
		h.heard[thing{v.About, v.Reading}] = true
		if v.At.After(h.From) && !v.At.After(h.To) && !h.as.unseen(v.About, v.Reading) {
			h.Values++
		}
	}
	for _, add := range []func(context.Context, access.Grant, *time.Location, *happened) error{s.addTurns, s.addExtremes, s.addPassed, s.addPresses, s.addSilences} {
		if err := add(ctx, g, zone, h); err != nil {
			return err
		}
	}
	called := h.as.called(values)
	for i, e := range h.Events {
		if e.Entity == "" {
			continue
		}
		h.Events[i].Name = h.as.name(thing{entity: e.Entity}, "")
		h.Events[i].Called = cmp.Or(called[e.Entity], h.Events[i].Name)
	}
	slices.SortStableFunc(h.Events, func(a, b templates.HappenedEvent) int { return b.At.Compare(a.At) })
	if len(h.Events) > maxHappened {
		h.Events, h.More = h.Events[:maxHappened], true
	}
	return nil
}

// addTurns tells words and switches that became another, those that go back and forth in one for each day.
func (s *Server) addTurns(ctx context.Context, g access.Grant, zone *time.Location, h *happened) error {
	turns, more, err := s.Past.Turns(ctx, g.MayReceive, h.From, h.To)
	if err != nil {
		return err
	}
	h.More = h.More || more
	type spot struct{ day, entity, reading string }
	byDay := map[spot][]history.Turn{} // newest first, as they come
	var order []spot
	for _, t := range turns {
		at := spot{t.At.In(zone).Format(time.DateOnly), t.About, t.Reading}
		if byDay[at] == nil {
			order = append(order, at)
		}
		byDay[at] = append(byDay[at], t)
	}
	for _, at := range order {
		of := byDay[at]
		last := of[0]
		shown := h.as.says(last.About, last.Reading, last.Value)
		if shown.Minor || isMoment(shown.Value) || h.as.unseen(last.About, last.Reading) {
			continue
		}
		if len(of) <= oneByOne {
			for _, t := range of {
				h.Events = append(h.Events, changed(h.as, t, t, 1))
			}
			continue
		}
		h.Events = append(h.Events, changed(h.as, of[len(of)-1], last, len(of)))
	}
	return nil
}

func changed(as wishes, first, last history.Turn, n int) templates.HappenedEvent {
	shown := as.says(last.About, last.Reading, last.Value)
	e := templates.HappenedEvent{
		Kind: templates.HappenedChanged, At: last.At, From: first.At, To: &last.At, Entity: last.About, Reading: last.Reading,
		Label: shown.Label, Value: shown.Value, Unit: shown.Unit, Count: n,
	}
	if first.Before != nil {
		e.Before = as.says(first.About, first.Reading, first.Before).Value
	}
	return e
}

// isMoment says whether a value is a time, which becomes another with each message.
func isMoment(value string) bool {
	_, err := time.Parse("2006-01-02 15:04 MST", value)
	return err == nil
}

// addExtremes tells numbers that were beyond all of the week before.
func (s *Server) addExtremes(ctx context.Context, g access.Grant, _ *time.Location, h *happened) error {
	found, err := s.Past.Extremes(ctx, g.MayReceive, h.From, h.To)
	if err != nil {
		return err
	}
	for _, x := range found {
		shown := h.as.says(x.About, x.Reading, x.Value)
		if shown.Minor || h.as.unseen(x.About, x.Reading) {
			continue
		}
		kind, was := templates.HappenedLowest, x.Low
		if x.High {
			kind, was = templates.HappenedHighest, x.Most
		}
		before := h.as.says(x.About, x.Reading, was)
		e := templates.HappenedEvent{
			Kind: kind, At: x.At, From: x.At, To: &x.At, Entity: x.About, Reading: x.Reading, Label: shown.Label, Value: shown.Value, Unit: shown.Unit, Before: before.Value,
		}
		if before.Unit != shown.Unit { // 900 kB, before that 1.2 MB
			e.Value, e.Before, e.Unit = joinUnit(shown), joinUnit(before), ""
		}
		h.Events = append(h.Events, e)
	}
	return nil
}

// addPassed tells when values were beyond the limits that they have now.
func (s *Server) addPassed(ctx context.Context, g access.Grant, _ *time.Location, h *happened) error {
	found, more, err := s.Past.Passed(ctx, g.MayReceive, h.as.limits(h.heard), h.From, h.To)
	if err != nil {
		return err
	}
	h.More = h.More || more
	for _, p := range found {
		shown := h.as.says(p.About, p.Reading, p.Value)
		if shown.Outside == "" {
			continue // no number to people
		}
		e := templates.HappenedEvent{
			Kind: templates.HappenedOutside, At: p.From, From: p.From, Entity: p.About, Reading: p.Reading, Label: shown.Label, Value: shown.Value, Unit: shown.Unit, Reason: shown.Outside,
		}
		if !p.To.IsZero() {
			e.At, e.To = p.To, &p.To
		}
		h.Events = append(h.Events, e)
	}
	return nil
}

// addPresses tells who pressed what on this board.
func (s *Server) addPresses(ctx context.Context, g access.Grant, _ *time.Location, h *happened) error {
	found, err := s.Store.Presses(ctx, boardOf(g), mostPresses)
	if err != nil {
		return err
	}
	h.More = h.More || len(found) == mostPresses && found[len(found)-1].Pressed.After(h.From)
	for _, p := range found {
		if !p.Pressed.After(h.From) || p.Pressed.After(h.To) {
			continue
		}
		e := templates.HappenedEvent{
			Kind: templates.HappenedPressed, At: p.Pressed, From: p.Pressed, Entity: p.Entity, Label: p.Label, Value: p.Words, Count: 1, Reason: p.State.String(), Who: p.Who,
			Due: p.Due, Patient: p.Patient,
		}
		if p.Chosen != "" {
			e.Label += ": " + p.Chosen
		}
		if settled := p.Settled; !settled.IsZero() {
			e.To = &settled
		}
		h.Events = append(h.Events, e)
	}
	return nil
}

func joinUnit(s message.Shown) string {
	if s.Unit == "" {
		return s.Value
	}
	return s.Value + " " + s.Unit
}

// addSilences tells who was quiet, and when we could not hear.
func (s *Server) addSilences(ctx context.Context, g access.Grant, _ *time.Location, h *happened) error {
	gaps := s.gapsBetween(g, h.From.Add(-happenedLongest), h.To)
	found, learning, more, err := s.silences(ctx, g, h.From, h.To, gaps)
	if err != nil {
		return err
	}
	h.Learning, h.More = learning, h.More || more
	for _, one := range found {
		if h.as.unseen(one.entity, "") {
			continue
		}
		e := templates.HappenedEvent{Kind: templates.HappenedQuiet, At: one.from, From: one.from, Entity: one.entity}
		if !one.to.IsZero() {
			e.At, e.To = one.to, &one.to
		}
		if one.unheard {
			e.Reason = templates.HappenedUnheard
		}
		if one.rhythm.Usual > 0 {
			usual := one.rhythm.Usual.Round(time.Second).Seconds()
			e.Usual, e.Rhythm = &usual, string(one.rhythm.Kind)
		}
		h.Events = append(h.Events, e)
	}
	return s.addGaps(ctx, g, gaps, h)
}

// addGaps tells when nothing could be recorded. The operator of a service's keys is told of each key's.
func (s *Server) addGaps(ctx context.Context, g access.Grant, gaps *gapsOf, h *happened) error {
	speakers, _, err := s.Past.Speakers(ctx, g.MayReceive)
	if err != nil {
		return err
	}
	entities := map[string]string{}
	for _, who := range speakers {
		if whose := gaps.whose(who.Topic); whose != g.KeyID {
			if _, err := gaps.of(ctx, who.Topic); err != nil {
				return err
			}
			entities[whose] = cmp.Or(entities[whose], who.About)
		}
	}
	if _, err := gaps.of(ctx, ""); err != nil {
		return err
	}
	told := map[history.Gap]bool{} // everybody's are in each list
	for _, list := range gaps.known {
		for _, gap := range list {
			if told[gap] || gap.Reason == gapUnread || (!gap.Ended.IsZero() && !gap.Ended.After(h.From)) {
				continue
			}
			told[gap] = true
			e := templates.HappenedEvent{Kind: templates.HappenedGap, At: gap.Began, From: gap.Began, Reason: gap.Reason, Entity: entities[gap.Whose]}
			if !gap.Ended.IsZero() {
				e.At, e.To = earlier(gap.Ended, h.To), &gap.Ended
			}
			h.Events = append(h.Events, e)
		}
	}
	return nil
}
