package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/history"
	"trellis/message"
)

// What was said before, for programs (with a key) and for our own pages (with a cookie): the same answers. Times are ISO 8601 in UTC.

// Past is what the record knows of what was said before; *history.Store is one.
type Past interface {
	Range(ctx context.Context, wanted func(topic string) bool, span history.Span) (history.Drawn, error)
	Begins(ctx context.Context, wanted func(topic string) bool, about, reading string) (time.Time, error)
	Page(ctx context.Context, wanted func(topic string) bool, of history.PageOf) (history.Page, error)
	Days(ctx context.Context, of []history.Drawable, now time.Time) ([]history.Day, error)
	Gaps(ctx context.Context, whose string, from, to time.Time) ([]history.Gap, error)
	Unrecorded(ctx context.Context, wanted func(topic string) bool, from, to time.Time) ([]history.Unrecorded, error)
	Turns(ctx context.Context, wanted func(topic string) bool, from, to time.Time) (turns []history.Turn, more bool, err error)
	Extremes(ctx context.Context, wanted func(topic string) bool, from, to time.Time) ([]history.Extreme, error)
	Passed(ctx context.Context, wanted func(topic string) bool, of []history.Limit, from, to time.Time) (found []history.Passed, more bool, err error)
	Drawables(ctx context.Context, wanted func(topic string) bool) ([]history.Drawable, error)
	Speakers(ctx context.Context, wanted func(topic string) bool) (all []history.Speaker, more bool, err error)
	Silences(ctx context.Context, of history.Speaker, from, to time.Time, least time.Duration, long func(last, next time.Time) bool) ([]history.Silence, error)
	MessageCount(ctx context.Context, wanted func(topic string) bool, from, to time.Time) (n int, many bool, err error)
	KeptSince(ctx context.Context, wanted func(topic string) bool, from, to time.Time) (time.Time, error)
	Walk(ctx context.Context, wanted func(topic string) bool, of history.WalkOf) (history.Piece, error)
}

// granter finds out who asks.
type granter func(c echo.Context) (access.Grant, error)

// byKey is for programs: only the key in the header counts.
func (s *Server) byKey(c echo.Context) (access.Grant, error) { return s.sender(c) }

// byCookie is for our own pages.
func (s *Server) byCookie(c echo.Context) (access.Grant, error) {
	if err := s.limits.ask(c.RealIP()); err != nil {
		return access.Grant{}, err
	}
	return s.grant(c.Request())
}

// errQuery says what is wrong with a question, in a sentence.
type errQuery string

func (e errQuery) Error() string { return string(e) }

// latestAnswer is one reading as it was last heard.
type latestAnswer struct {
	Entity  string    `json:"entity"`
	Reading string    `json:"reading"`
	Label   string    `json:"label"`
	Value   any       `json:"value"` // number, text or truth value
	Shown   string    `json:"shown"`
	Unit    string    `json:"unit"`
	At      time.Time `json:"at"`
	ByHand  bool      `json:"by_hand"`
}

// historyLatest gives the newest value of every reading, the longest silent first; of one entity or reading where one is named.
func (s *Server) historyLatest(who granter) echo.HandlerFunc {
	return func(c echo.Context) error {
		g, err := who(c)
		if err != nil {
			return err
		}
		var values []history.Value
		err = s.turns.take(c.Request().Context(), g, func() (err error) {
			values, err = s.Store.Values(c.Request().Context(), g.MayReceive)
			return err
		})
		if err != nil {
			return err
		}
		w, err := s.wishes(c.Request().Context(), g)
		if err != nil {
			return err
		}
		answer := make([]latestAnswer, 0, len(values))
		for _, v := range newestOf(values) {
			if !named(c, "entity", v.About) || !named(c, "reading", v.Reading) {
				continue
			}
			shown := w.shown(v)
			answer = append(answer, latestAnswer{v.About, v.Reading, shown.Label, v.Value, shown.Value, shown.Unit, v.At.UTC(), v.ByHand})
		}
		return c.JSON(http.StatusOK, map[string]any{"values": answer})
	}
}

// newestOf leaves one value of each reading, in the same order: a device may say the same on several topics, and have stopped on some.
func newestOf(values []history.Value) (newest []history.Value) {
	at := map[[2]string]int{}
	for i, v := range values {
		of := [2]string{v.About, v.Reading}
		if last, seen := at[of]; !seen || !v.At.Before(values[last].At) {
			at[of] = i
		}
	}
	for i, v := range values {
		if at[[2]string{v.About, v.Reading}] == i {
			newest = append(newest, v)
		}
	}
	return newest
}

// named says whether a question leaves something open, or names this.
func named(c echo.Context, what, name string) bool {
	asked := c.QueryParam(what)
	return asked == "" || asked == name
}

// rangeAnswer is one reading over time.
type rangeAnswer struct {
	Entity  string         `json:"entity"`
	Reading string         `json:"reading"`
	Label   string         `json:"label"`
	Unit    string         `json:"unit"`
	From    time.Time      `json:"from"`
	To      time.Time      `json:"to"`
	Every   float64        `json:"every"` // seconds that points are apart
	Points  []pointAnswer  `json:"points"`
	Changes []changeAnswer `json:"changes"`
	More    bool           `json:"more"` // there were more changes: the earlier ones are left out
	Gaps    []gapAnswer    `json:"gaps"`
}

type pointAnswer struct {
	At   time.Time `json:"at"`
	Low  float64   `json:"low"`
	Mean float64   `json:"mean"`
	High float64   `json:"high"`
	N    int64     `json:"n"`
}

type changeAnswer struct {
	At    time.Time `json:"at"`
	Value any       `json:"value"`
}

type gapAnswer struct {
	Reason string     `json:"reason"`
	Began  time.Time  `json:"began"`
	Ended  *time.Time `json:"ended"` // null: it lasts
}

const (
	usualPoints = 300
	mostPoints  = 2000
	longestSpan = 400 * 24 * time.Hour
)

// historyRange gives one reading over time, summed up to at most so many points.
func (s *Server) historyRange(who granter) echo.HandlerFunc {
	return func(c echo.Context) error {
		g, err := who(c)
		if err != nil {
			return err
		}
		span, err := s.spanOf(c)
		if err != nil {
			return err
		}
		ctx := c.Request().Context()
		var drawn history.Drawn
		err = s.turns.take(ctx, g, func() error {
			drawn, err = s.Past.Range(ctx, g.MayReceive, span)
			return err
		})
		if err != nil {
			return err
		}
		found, err := s.gapsOfDevice(ctx, g, span.About, span.From, span.To)
		if err != nil {
			return err
		}
		shown := message.Describe(message.Reading{Name: span.Reading, Value: typical(drawn)})
		w, err := s.wishes(ctx, g)
		if err != nil {
			return err
		}
		// The points are as they were sent, and so is their unit.
		answer := rangeAnswer{
			Entity: span.About, Reading: span.Reading, Label: cmp.Or(w.of(thing{span.About, span.Reading}).Name, shown.Label), Unit: shown.Unit, From: span.From, To: span.To,
			Every: drawn.Every.Seconds(), Points: []pointAnswer{}, Changes: []changeAnswer{}, More: drawn.More, Gaps: gapAnswers(found),
		}
		for _, p := range drawn.Points {
			answer.Points = append(answer.Points, pointAnswer{p.At, p.Low, p.Mean, p.High, p.N})
		}
		for _, ch := range drawn.Changes {
			answer.Changes = append(answer.Changes, changeAnswer{ch.At, ch.Value})
		}
		return c.JSON(http.StatusOK, answer)
	}
}

// typical is a value by which the unit can be told.
func typical(d history.Drawn) any {
	if n := len(d.Points); n > 0 {
		return d.Points[n-1].Mean
	}
	if n := len(d.Changes); n > 0 {
		return d.Changes[n-1].Value
	}
	return 0.0
}

// spanOf reads what is asked for: entity, reading, from, to, points.
func (s *Server) spanOf(c echo.Context) (span history.Span, err error) {
	span = history.Span{About: c.QueryParam("entity"), Reading: c.QueryParam("reading")}
	if span.About == "" || span.Reading == "" {
		return span, errQuery("Say which entity and which reading.")
	}
	if span.From, span.To, err = s.times(c, 24*time.Hour); err != nil {
		return span, err
	}
	if !span.To.After(span.From) || span.To.Sub(span.From) > longestSpan {
		return span, errQuery("From must be before to, and no more than 400 days.")
	}
	span.Points, err = count(c, "points", usualPoints, mostPoints)
	return span, err
}

// times reads from and to; without them it is the time until now.
func (s *Server) times(c echo.Context, before time.Duration) (from, to time.Time, err error) {
	if to, err = timeIn(c.QueryParams(), "to"); err != nil {
		return from, to, err
	}
	if from, err = timeIn(c.QueryParams(), "from"); err != nil {
		return from, to, err
	}
	if to.IsZero() {
		to = s.Now().UTC()
	}
	if from.IsZero() && before > 0 {
		from = to.Add(-before)
	}
	return from, to, nil
}

func count(c echo.Context, name string, usual, most int) (int, error) {
	text := cmp.Or(c.QueryParam(name), strconv.Itoa(usual))
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, errQuery(fmt.Sprintf("%s must be a number from 1 to %d.", name, most))
	}
	return n, nil
}

// messagesAnswer is a page of messages, newest first, each as it was delivered.
type messagesAnswer struct {
	Messages []messageAnswer `json:"messages"`
	Next     string          `json:"next"` // cursor of the page behind; empty where there is none
}

type messageAnswer struct {
	Topic    string          `json:"topic"`
	Received time.Time       `json:"received"`
	ByHand   bool            `json:"by_hand"`
	Message  json.RawMessage `json:"message"`
}

// historyMessages gives messages by time, page by page.
func (s *Server) historyMessages(who granter) echo.HandlerFunc {
	return func(c echo.Context) error {
		g, err := who(c)
		if err != nil {
			return err
		}
		of := history.PageOf{About: c.QueryParam("entity")}
		if of.From, of.To, err = s.times(c, 0); err != nil {
			return err
		}
		if c.QueryParam("to") == "" {
			of.To = time.Time{}
		}
		if of.Limit, err = count(c, "limit", 100, 1000); err != nil {
			return err
		}
		if cursor := c.QueryParam("cursor"); cursor != "" {
			if of.Before, err = strconv.ParseInt(cursor, 10, 64); err != nil || of.Before < 1 {
				return errQuery("The cursor is none that this server gave.")
			}
		}
		ctx := c.Request().Context()
		var page history.Page
		err = s.turns.take(ctx, g, func() error {
			page, err = s.Past.Page(ctx, g.MayReceive, of)
			return err
		})
		if err != nil {
			return err
		}
		answer := messagesAnswer{Messages: []messageAnswer{}}
		for _, m := range page.Messages {
			answer.Messages = append(answer.Messages, messageAnswer{m.Topic, m.Received, m.ByHand, delivered(m.Payload)})
		}
		if page.Next > 0 {
			answer.Next = strconv.FormatInt(page.Next, 10)
		}
		return c.JSON(http.StatusOK, answer)
	}
}

// delivered is what was recorded, which is JSON but for what somebody else put into the file.
func delivered(payload []byte) json.RawMessage {
	if json.Valid(payload) {
		return payload
	}
	return json.RawMessage("null")
}

// historyGaps gives the times in which nothing could be recorded, and why; of one device those too in which it said nothing itself for longer than usual.
func (s *Server) historyGaps(who granter) echo.HandlerFunc {
	return func(c echo.Context) error {
		g, err := who(c)
		if err != nil {
			return err
		}
		from, to, err := s.times(c, 24*time.Hour)
		if err != nil {
			return err
		}
		var gaps []history.Gap
		learning, ctx := false, c.Request().Context()
		if entity := c.QueryParam("entity"); entity != "" {
			gaps, learning, err = s.gapsAndSilences(ctx, g, entity, from, to)
		} else {
			gaps, err = s.Past.Gaps(ctx, g.KeyID, from, to)
		}
		if err != nil {
			return err
		}
		missing, err := s.unrecorded(ctx, g, from, to)
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, map[string]any{"gaps": gapAnswers(gaps), "unrecorded": missing, "learning": learning})
	}
}

func gapAnswers(found []history.Gap) []gapAnswer {
	all := []gapAnswer{}
	for _, one := range found {
		gap := gapAnswer{Reason: one.Reason, Began: one.Began}
		if !one.Ended.IsZero() {
			gap.Ended = &one.Ended
		}
		all = append(all, gap)
	}
	return all
}

// queryProblem is the sentence of a question that cannot be answered.
func queryProblem(err error) (problem, bool) {
	var wrong errQuery
	if !errors.As(err, &wrong) {
		return problem{}, false
	}
	return problem{http.StatusBadRequest, "Bad Request", string(wrong), "query"}, true
}
