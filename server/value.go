package server

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/history"
	"trellis/templates"
)

// errNoValue is the one answer for what does not exist and for what the visitor may not hear.
var errNoValue = errors.New("no such value is shown to this visitor")

// value is the page of one value over a time.
func (s *Server) value(c echo.Context) error {
	if err := s.limits.ask(c.RealIP()); err != nil {
		return err
	}
	g, err := s.grant(c.Request())
	if errors.Is(err, errSignedOut) {
		return c.Redirect(http.StatusSeeOther, "/")
	}
	if err != nil {
		return err
	}
	a, err := askedOf(c.QueryParams(), s.Now())
	if err != nil {
		return err
	}
	page, err := s.valuePage(c, g, a)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, templates.Value(page))
}

// valuePage puts together what a page of a value shows, in one turn for all its questions.
func (s *Server) valuePage(c echo.Context, g access.Grant, a asked) (page templates.ValuePage, err error) {
	if err := s.learn(c.Request().Context(), g, learnWithin); err != nil {
		return page, err
	}
	err = s.turns.take(c.Request().Context(), g, func() (err error) {
		page, err = s.readValuePage(c, g, a)
		return err
	})
	return page, err
}

func (s *Server) readValuePage(c echo.Context, g access.Grant, a asked) (templates.ValuePage, error) {
	ctx, now := c.Request().Context(), s.Now()
	last, known, err := s.lastOf(ctx, g, a)
	if err != nil {
		return templates.ValuePage{}, err
	}
	st, err := s.stretchOf(ctx, g, a, now)
	if err != nil {
		return templates.ValuePage{}, err
	}
	if !known && len(st.Points)+len(st.Changes) == 0 {
		if there, err := s.everHeard(ctx, g, a, now); err != nil || !there {
			return templates.ValuePage{}, errors.Join(err, errNoValue)
		}
	}
	page := templates.ValuePage{
		Drawn: drawnOf(st, now), Holder: holderName(g), Host: s.linkTo(), Entity: a.entity, Reading: a.reading, Live: a.to.IsZero(),
		Ways: s.waysOf(c.Request()), Settings: pageSettings(g, now),
	}
	if known {
		shown := st.words(last.Value)
		page.Label, page.Unit, page.Value = shown.Label, shown.Unit, templates.CapitalWord(shown.Value)
		page.At, page.Age, page.ByHand = last.At, templates.Age(now.Sub(last.At)), last.ByHand
	}
	s.addLinks(&page, a, now)
	page.Exports, page.Code = exports(a, page.From, page.To), s.code(c.Request(), a, page.From, page.To)
	return page, s.addMoments(ctx, &page, g, a, now)
}

// addLinks leads to other times.
func (s *Server) addLinks(page *templates.ValuePage, a asked, now time.Time) {
	words := map[spanName]string{"hour": "Hour", "day": "Day", "week": "Week", "month": "Month"}
	for _, span := range spans {
		page.Spans = append(page.Spans, templates.SpanLink{Words: words[span], Href: a.of(span).href(), Here: span == a.span})
	}
	page.Earlier = a.until(page.From, now).href()
	if !page.Live {
		page.Later = a.until(page.To.Add(spanShapes[a.span].long), now).href()
	}
}

// exports are the files that can be had of a value.
func exports(a asked, from, to time.Time) []templates.Export {
	href := func(more ...string) string {
		query := url.Values{"entity": {a.entity}}
		for i := 0; i < len(more); i += 2 {
			query.Set(more[i], more[i+1])
		}
		return "/history/export?" + query.Encode()
	}
	begin, end := from.Format(time.RFC3339), to.Format(time.RFC3339)
	return []templates.Export{
		{Words: "The values of this time, as they were sent, CSV", Href: href("reading", a.reading, "from", begin, "to", end)},
		{Words: "The values of this time, as they were sent, JSON Lines", Href: href("reading", a.reading, "from", begin, "to", end, "format", "jsonl")},
		{Words: "All values that are kept, as CSV", Href: href("reading", a.reading)},
		{Words: "All messages of this device, as JSON Lines", Href: href("what", "messages", "format", "jsonl")},
	}
}

// pageSettings are what the scripts of a page need to hear the same as the board: one connection serves all pages of a Grant.
func pageSettings(g access.Grant, now time.Time) templates.Settings {
	settings := templates.Settings{Subscribe: g.Subscribe, Entity: g.Subject.Entity, Now: now}
	if len(g.Publish) > 0 {
		settings.Publish = g.Publish[0]
	}
	return settings
}

// lastOf is the value as it was last heard.
func (s *Server) lastOf(ctx context.Context, g access.Grant, a asked) (last history.Value, known bool, err error) {
	values, err := s.Store.Values(ctx, g.MayReceive)
	for _, v := range newestOf(values) {
		if v.About == a.entity && v.Reading == a.reading {
			last, known = v, true
		}
	}
	return last, known, err
}

// everHeard says whether anything is recorded of a value that is not among the newest any more.
func (s *Server) everHeard(ctx context.Context, g access.Grant, a asked, now time.Time) (bool, error) {
	drawn, err := s.Past.Range(ctx, g.MayReceive, history.Span{About: a.entity, Reading: a.reading, From: now.Add(-longestSpan), To: now, Points: 1})
	return len(drawn.Points)+len(drawn.Changes) > 0, err
}
