package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/history"
	"trellis/templates"
)

// Moments keeps the links to moments that people sent; *history.Store is one.
type Moments interface {
	AddMoment(ctx context.Context, m history.Moment) error
	OpenMoment(ctx context.Context, hash, visit [32]byte, now, expires time.Time) (history.Moment, bool, error)
	VisitedMoment(ctx context.Context, id string, visit [32]byte, now time.Time) (history.Moment, bool, error)
	Moments(ctx context.Context, board, about, reading string) ([]history.Moment, error)
	WithdrawMoment(ctx context.Context, board, id string, at time.Time) (bool, error)
}

var (
	errMomentUnknown = errors.New("no moment has this code")
	errMomentClosed  = errors.New("this browser has not opened the link to this moment")
	errMomentEmpty   = errors.New("there is nothing to send")
	errMomentUntil   = errors.New("a link must end in a time to come")
	errMomentGone    = errors.New("the link was withdrawn before, or is not one of this board")
)

// momentOver says that a link leads nowhere any more.
type momentOver struct {
	since     time.Time
	withdrawn bool
	now       time.Time
}

func (m momentOver) Error() string { return "the link to a moment is over" }

// sentence says when, as people say it.
func (m momentOver) sentence() string {
	if m.withdrawn {
		return "This link was withdrawn. Ask whoever sent it to you for a new one."
	}
	return "This link ended " + endDay(m.since, m.now) + ". Ask whoever sent it to you for a new one."
}

const (
	visitLife      = 30 * 24 * time.Hour // how long a browser that has opened a link may show it again
	maxTitle       = 80                  // characters
	momentChanges  = 500                 // words that a moment keeps
	momentGaps     = 100
	longestMoment  = 10 * 365 * 24 * time.Hour
	momentIDLength = 10
	stillLive      = 2 * time.Minute // since the form was printed
)

// momentHash is what the store keeps of a code or of a cookie, each in a way of its own.
func momentHash(what, text string) [32]byte {
	return sha256.Sum256([]byte("moment " + what + " " + strings.ToUpper(strings.TrimSpace(text))))
}

// sendMoment makes a link to what the page of a value shows, and prints it there, once.
func (s *Server) sendMoment(c echo.Context) error {
	g, a, err := s.momentForm(c)
	if err != nil {
		return err
	}
	if err := s.learn(c.Request().Context(), g, learnWithin); err != nil {
		return err
	}
	var made *templates.MadeLink
	err = s.turns.take(c.Request().Context(), g, func() (err error) {
		made, err = s.makeMoment(c, g, a)
		return err
	})
	var page templates.ValuePage
	if told := problemOf(err); err == nil || told.status < 500 && !errors.Is(err, errNoValue) {
		var failed error
		if s.Now().Sub(a.to) < stillLive {
			a.to = time.Time{} // it goes on as it was
		}
		if page, failed = s.valuePage(c, g, a); failed != nil {
			return failed
		}
		page.Moments.Made = made
		if err != nil {
			page.Moments.Refused = told.sentence
			return render(c, told.status, templates.Value(page))
		}
		return render(c, http.StatusOK, templates.Value(page))
	}
	return err
}

// momentForm reads whose page it is, and what it shows.
func (s *Server) momentForm(c echo.Context) (g access.Grant, a asked, err error) {
	if err = s.limits.ask(c.RealIP()); err != nil {
		return g, a, err
	}
	if g, err = s.grant(c.Request()); err != nil {
		return g, a, err
	}
	query := url.Values{}
	for _, name := range []string{"entity", "reading", "span", "to"} {
		query.Set(name, c.FormValue(name))
	}
	a, err = askedOf(query, s.Now())
	return g, a, err
}

func (s *Server) makeMoment(c echo.Context, g access.Grant, a asked) (*templates.MadeLink, error) {
	ctx, now := c.Request().Context(), s.Now()
	until, err := untilOf(c.FormValue("until"), c.FormValue("date"), now)
	if err != nil {
		return nil, err
	}
	st, err := s.stretchOf(ctx, g, a, now)
	if err != nil {
		return nil, err
	}
	if len(st.Points)+len(st.Changes) == 0 {
		if _, known, err := s.lastOf(ctx, g, a); err != nil || !known {
			return nil, errors.Join(err, errNoValue)
		}
		return nil, errMomentEmpty
	}
	left := slices.ContainsFunc(st.Gaps, func(b blank) bool { return b.Words == tooManyChanges })
	st.Gaps = newestQuiet(st.Gaps, momentGaps/2) // why nothing is known goes before when nothing was said
	st.Gaps = st.Gaps[max(0, len(st.Gaps)-momentGaps):]
	st.leaveOut(momentChanges, left)
	st.lastAt(now)
	data, err := json.Marshal(st)
	if err != nil {
		return nil, fmt.Errorf("keep a moment: %w", err)
	}
	label := st.words(typical(history.Drawn{Points: st.Points, Changes: st.Changes})).Label
	code := rand.Text()
	m := history.Moment{
		ID: strings.ToLower(rand.Text()[:momentIDLength]), Hash: momentHash("code", code), Board: g.Subject.String(), About: a.entity, Reading: a.reading,
		Title: cmp.Or(titleIn(c.FormValue("title")), label+", "+st.Name), From: st.From, To: st.To, Data: data, Made: now, Until: until,
	}
	if err := s.Moments.AddMoment(ctx, m); err != nil {
		return nil, err
	}
	s.Log.Info("a moment was sent", "grant", g, "moment", m.ID, "until", untilWords(until))
	address := s.address(c.Request())
	return &templates.MadeLink{Title: m.Title, Address: address + "/moment#" + code, Near: nearHost(address)}, nil
}

// untilWords says an end in the log.
func untilWords(until time.Time) string {
	if until.IsZero() {
		return "no end"
	}
	return until.UTC().Format(time.RFC3339)
}

// lastAt ends what lasts: a moment is of the time when it was sent.
func (st *stretch) lastAt(now time.Time) {
	for i := range st.Gaps {
		if st.Gaps[i].To.IsZero() {
			st.Gaps[i].To = earlier(st.To, now)
		}
	}
}

// titleIn takes what people write on one line.
func titleIn(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, ""), func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }), " ")
	if utf8.RuneCountInString(text) > maxTitle {
		text = strings.TrimSpace(string([]rune(text)[:maxTitle]))
	}
	return text
}

// untilOf reads when a link is to end; zero is never.
func untilOf(choice, date string, now time.Time) (time.Time, error) {
	switch choice {
	case "", "never":
		return time.Time{}, nil
	case "day":
		return now.Add(24 * time.Hour), nil
	case "week":
		return now.Add(7 * 24 * time.Hour), nil
	case "date":
		day, err := time.Parse(time.DateOnly, date)
		if end := day.Add(24 * time.Hour); err == nil && end.After(now) && end.Before(now.Add(longestMoment)) {
			return end, nil
		}
	}
	return time.Time{}, errMomentUntil
}

// endDay says on which day a link ends: the last moment of a date is still that date.
func endDay(until, now time.Time) string { return templates.OnDay(until.Add(-1), now) }

// withdrawMoment ends a link.
func (s *Server) withdrawMoment(c echo.Context) error {
	g, a, err := s.momentForm(c)
	if err != nil {
		return err
	}
	done, err := s.Moments.WithdrawMoment(c.Request().Context(), g.Subject.String(), c.FormValue("id"), s.Now())
	if err != nil {
		return err
	}
	if !done {
		return errMomentGone
	}
	s.Log.Info("a moment was withdrawn", "grant", g, "moment", c.FormValue("id"))
	return c.Redirect(http.StatusSeeOther, a.href()+"#send")
}

// addMoments lists the links to this value that were sent.
func (s *Server) addMoments(ctx context.Context, page *templates.ValuePage, g access.Grant, a asked, now time.Time) error {
	all, err := s.Moments.Moments(ctx, g.Subject.String(), a.entity, a.reading)
	if err != nil {
		return err
	}
	page.Moments.Span, page.Moments.To, page.Moments.Href = string(a.span), page.To.Format(time.RFC3339Nano), a.href()
	for _, m := range all {
		page.Moments.List = append(page.Moments.List, sentLink(m, g, now))
	}
	return nil
}

func sentLink(m history.Moment, g access.Grant, now time.Time) templates.SentLink {
	link := templates.SentLink{ID: m.ID, Title: m.Title, From: m.From, To: m.To, State: "No end", Opened: "Not opened yet", Over: !m.Over(now).IsZero()}
	switch {
	case !m.Withdrawn.IsZero():
		link.State = "Withdrawn " + templates.OnDay(m.Withdrawn, now)
	case link.Over:
		link.State = "Ended " + endDay(m.Until, now)
	case !m.Until.IsZero():
		link.State = "Ends " + endDay(m.Until, now)
	}
	if m.Opened > 0 {
		link.Opened = "Opened " + templates.Times(m.Opened) + ", last " + templates.Age(now.Sub(m.Last))
	}
	if m.Board != g.Subject.String() {
		link.By = m.Board[strings.LastIndexByte(m.Board, ':')+1:]
	}
	return link
}

// momentDoor takes the code of a link. It stands behind the #, so it reaches no log on its way, and a preview of the link opens nothing.
func (s *Server) momentDoor(c echo.Context) error {
	return render(c, http.StatusOK, templates.MomentDoor(templates.MomentDoorPage{}))
}

// openMoment exchanges a code for a fresh cookie, which shows this one moment.
func (s *Server) openMoment(c echo.Context) error {
	m, err := s.exchange(c)
	switch p := problemOf(err); {
	case err == nil && wantsJSON(c):
		return c.JSON(http.StatusOK, map[string]string{"page": "/moment/" + m.ID})
	case err == nil:
		return c.Redirect(http.StatusSeeOther, "/moment/"+m.ID)
	case wantsJSON(c) || p.status >= 500:
		return err
	default:
		return render(c, p.status, templates.MomentDoor(templates.MomentDoorPage{Refused: p.sentence}))
	}
}

func (s *Server) exchange(c echo.Context) (history.Moment, error) {
	if err := s.limits.ask(c.RealIP()); err != nil {
		return history.Moment{}, err
	}
	now, visit := s.Now(), rand.Text()
	m, there, err := s.Moments.OpenMoment(c.Request().Context(), momentHash("code", c.FormValue("code")), momentHash("visit", visit), now, now.Add(visitLife))
	if err != nil {
		return m, err
	}
	if !there {
		if limited := s.limits.guess(c.RealIP()); limited != nil {
			return m, limited
		}
		return m, errMomentUnknown
	}
	if err := overNow(m, now); err != nil {
		return m, err
	}
	http.SetCookie(c.Response(), &http.Cookie{
		Name: s.momentCookie(m.ID), Value: visit, Path: "/", MaxAge: int(visitLife / time.Second), HttpOnly: true, Secure: s.secure(), SameSite: http.SameSiteStrictMode,
	})
	return m, nil
}

func overNow(m history.Moment, now time.Time) error {
	if since := m.Over(now); !since.IsZero() {
		return momentOver{since: since, withdrawn: !m.Withdrawn.IsZero(), now: now}
	}
	return nil
}

// momentCookie is a cookie for each moment, so that one opens beside another, and beside a sign-in.
func (s *Server) momentCookie(id string) string {
	if s.secure() {
		return "__Host-trellis-moment-" + id
	}
	return "trellis-moment-" + id
}

// momentGrant says what a browser that has opened a link may be shown, and that.
func (s *Server) momentGrant(r *http.Request, id string) (access.Grant, history.Moment, error) {
	if !access.PlainName(id) {
		return access.Grant{}, history.Moment{}, errMomentClosed
	}
	cookie, err := r.Cookie(s.momentCookie(id))
	if err != nil {
		return access.Grant{}, history.Moment{}, errMomentClosed
	}
	m, there, err := s.Moments.VisitedMoment(r.Context(), id, momentHash("visit", cookie.Value), s.Now())
	if err != nil {
		return access.Grant{}, m, err
	}
	if !there {
		return access.Grant{}, m, errMomentClosed
	}
	return access.MomentGrant(m.ID, m.Until), m, overNow(m, s.Now())
}

// moment shows the one reading over the one time, and nothing else.
func (s *Server) moment(c echo.Context) error {
	if err := s.limits.ask(c.RealIP()); err != nil {
		return err
	}
	g, m, err := s.momentGrant(c.Request(), c.Param("id"))
	if err != nil {
		return err
	}
	if !g.MayShow(m.ID) || g.Ended(s.Now()) {
		return errMomentClosed
	}
	var st stretch
	if err := json.Unmarshal(m.Data, &st); err != nil {
		return fmt.Errorf("read a moment: %w", err)
	}
	page := templates.MomentPage{Title: m.Title, Drawn: drawnOf(st, m.Made), Sent: m.Made}
	if !m.Until.IsZero() {
		page.Ends = "This link ends " + endDay(m.Until, s.Now()) + "."
	}
	page.Drawn.Title = "One " + string(st.Span)
	return render(c, http.StatusOK, templates.Moment(page))
}
