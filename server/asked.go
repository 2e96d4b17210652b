package server

import (
	"cmp"
	"net/url"
	"time"

	"trellis/templates"
)

// spanName is how long a time a page of one value shows.
type spanName string

// spans are the ones there are, the shortest first.
var spans = []spanName{"hour", "day", "week", "month"}

// spanShape is how a span is drawn.
type spanShape struct {
	long   time.Duration
	points int           // of the chart
	rows   int           // of the table
	tick   time.Duration // between the times below the chart
}

var spanShapes = map[spanName]spanShape{
	"hour":  {time.Hour, 60, 60, 10 * time.Minute},
	"day":   {24 * time.Hour, 288, 48, 3 * time.Hour},
	"week":  {7 * 24 * time.Hour, 336, 56, 24 * time.Hour},
	"month": {30 * 24 * time.Hour, 360, 30, 5 * 24 * time.Hour},
}

// asked is a question for one value over a time.
type asked struct {
	entity, reading string
	span            spanName
	to              time.Time // zero: until now
}

// askedOf reads entity, reading, span and to.
func askedOf(query url.Values, now time.Time) (asked, error) {
	a := asked{entity: query.Get("entity"), reading: query.Get("reading"), span: spanName(cmp.Or(query.Get("span"), "day"))}
	if a.entity == "" || a.reading == "" {
		return a, errQuery("Say which entity and which reading.")
	}
	if _, known := spanShapes[a.span]; !known {
		return a, errQuery("Say span as hour, day, week or month.")
	}
	to, err := timeIn(query, "to")
	if err != nil || to.IsZero() {
		return a, err
	}
	if to.Year() == 1970 || to.Year() == 9999 { // there is a span on both sides of it
		return a, errTime("to")
	}
	if a.to = to; !a.to.Before(now) {
		a.to = time.Time{} // nothing is known of what comes: it is the newest
	}
	return a, nil
}

// timeIn reads one time of a question; zero: it names none.
func timeIn(query url.Values, name string) (at time.Time, err error) {
	text := query.Get(name)
	if text == "" {
		return at, nil
	}
	if at, err = time.Parse(time.RFC3339Nano, text); err != nil || at.Year() < 1970 || at.Year() > 9999 {
		return at, errTime(name)
	}
	return at.UTC(), nil
}

func errTime(name string) error {
	return errQuery(name + " must be a time such as 2026-05-01T12:00:00Z.")
}

// times are the beginning and the end, which is the moment that it is where the page shows the newest.
func (a asked) times(now time.Time) (from, to time.Time) {
	to = now.UTC()
	if !a.to.IsZero() {
		to = a.to
	}
	return to.Add(-spanShapes[a.span].long), to
}

// href is the address of the page that answers.
func (a asked) href() string {
	more := url.Values{"span": {string(a.span)}}
	if !a.to.IsZero() {
		more.Set("to", a.to.Format(time.RFC3339Nano))
	}
	return templates.ValueAddress(a.entity, a.reading, more)
}

func (a asked) of(span spanName) asked { a.span = span; return a }

func (a asked) until(to, now time.Time) asked {
	if a.to = to; !to.Before(now) {
		a.to = time.Time{}
	}
	return a
}
