package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/history"
	"trellis/templates"
)

// How long a press may take.
const (
	undoFor     = 5 * time.Second  // in which it can be undone, where the owner wants that
	pressIn     = 10 * time.Second // until the broker has it, or it is not sent
	aheadOfUs   = 2 * time.Second  // that a page's clock may be off
	leastAwait  = 10 * time.Second // for an answer, before the page says that there is none
	mostAwait   = 10 * time.Minute
	followFor   = 20 * time.Second // that one question after a press waits for news
	shownFor    = 15 * time.Minute // beside its button, after a reload
	mostShown   = 20               // in the log on the page
	mostPresses = 1000             // in an answer for programs
)

// What a press is refused for. The others have a time to say.
var (
	errPressID   = errors.New("a press without an id that can be its own")
	errNumber    = errors.New("the number is none that may be chosen")
	errUnsure    = errors.New("the button asks first, and nobody has answered")
	errLate      = errors.New("the press came too late to be sent")
	errHours     = errors.New("the button may not be pressed at this hour")
	errNoPress   = errors.New("no press of this board has this id")
	errNotUndone = errors.New("the press is under way")
)

var pressID = regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`)

// pressAnswer is how far a press got.
type pressAnswer struct {
	ID      string     `json:"id"`
	Button  string     `json:"button"`
	Who     string     `json:"who"`
	Label   string     `json:"label"`
	Chosen  string     `json:"chosen,omitempty"`
	Entity  string     `json:"entity"`
	State   string     `json:"state"`
	Pressed time.Time  `json:"pressed"`
	Due     *time.Time `json:"due,omitempty"`     // when it is sent, while it can be undone
	Settled *time.Time `json:"settled,omitempty"` // when it was accepted, or given up
	Patient *time.Time `json:"patient,omitempty"` // when an answer should have come
	Heard   *time.Time `json:"heard,omitempty"`   // when the answer came
	Words   string     `json:"words,omitempty"`   // of the answer, or why it was refused
	Now     *time.Time `json:"now,omitempty"`     // this server's clock
}

func pressAnswerOf(p history.Press) pressAnswer {
	a := pressAnswer{ID: p.ID, Button: p.Button, Who: p.Who, Label: p.Label, Chosen: p.Chosen, Entity: p.Entity, State: p.State.String(),
		Pressed: p.Pressed.UTC().Truncate(time.Millisecond), Words: p.Words}
	at := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC().Truncate(time.Millisecond)
		return &t
	}
	if p.State == history.PressWaiting {
		a.Due = at(p.Due)
	}
	a.Settled, a.Patient, a.Heard = at(p.Settled), at(p.Patient), at(p.Heard)
	return a
}

// press takes one press of a button. The same press asked for again is the same press.
func (s *Server) press(c echo.Context) error {
	g, err := s.owner(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	board, id := boardOf(g), c.FormValue("press")
	if !pressID.MatchString(id) {
		return errPressID
	}
	p, there, err := s.Store.FindPress(ctx, board, id)
	if err == nil && !there {
		p, err = s.newPress(c, g, board, id)
	}
	if err != nil {
		return err
	}
	if p.State == history.PressWaiting {
		return s.pressed(c, p)
	}
	p, err = s.follow(ctx, p, history.PressTrying, history.PressHanded)
	if err != nil {
		return err
	}
	return s.pressed(c, p)
}

// pressed answers with a press as it is now.
func (s *Server) pressed(c echo.Context, p history.Press) error {
	if !wantsJSON(c) {
		return c.Redirect(http.StatusSeeOther, "/#button-"+p.Button)
	}
	answer, now := pressAnswerOf(p), s.Now().UTC()
	answer.Now = &now
	return c.JSON(http.StatusOK, answer)
}

// newPress checks a new press against all that its owner allows, keeps it, and sends it on its way.
func (s *Server) newPress(c echo.Context, g access.Grant, board, id string) (history.Press, error) {
	if err := s.pressers.take(board); err != nil {
		return history.Press{}, err
	}
	ctx := c.Request().Context()
	b, err := s.Store.FindButton(ctx, board, c.FormValue("button"))
	if err != nil {
		return history.Press{}, err
	}
	now := s.Now()
	until, err := pressUntil(c.FormValue("at"), now)
	switch {
	case err != nil:
		return history.Press{}, err
	case c.FormValue("version") != strconv.Itoa(b.Version):
		return history.Press{}, history.ErrButtonChanged
	case b.Risk != riskPlain && c.FormValue("sure") != "yes":
		return history.Press{}, errUnsure
	case !within(b, now):
		return history.Press{}, hoursError{b}
	}
	data, chosen, err := dataOf(b, c.FormValue("value"))
	if err != nil {
		return history.Press{}, err
	}
	p := history.Press{
		ID: id, Board: board, Button: b.ID, Who: holderName(g), Label: b.Label, Chosen: chosen, Entity: b.Entity, Pressed: now, Due: now,
		State: history.PressTrying, Version: b.Version, Most: b.Most, Per: time.Duration(b.Per) * time.Second,
		Answers: history.Answers{Reading: b.Answer, Hears: g.Subscribe},
	}
	if b.Number != nil {
		p.Answers.Unit = b.Number.Unit
	}
	if b.Undo {
		p.State, p.Due = history.PressWaiting, now.Add(undoFor)
		until = until.Add(undoFor)
	}
	late := time.Now().Add(until.Sub(now)) // what the record takes to note the press is part of its time
	payload, err := pressMessage(b, data, id, now)
	if err != nil {
		return p, err
	}
	kept, first, err := s.Store.BeginPress(ctx, p)
	if err != nil || !first {
		return kept, err
	}
	if !s.detach(func(ctx context.Context) { s.carry(ctx, p, g, payload, late) }) {
		_, _ = s.move(ctx, p, p.State, history.PressNotSent)
	}
	return p, nil
}

// hoursError says when a button may be pressed.
type hoursError struct{ button history.Button }

func (hoursError) Error() string { return errHours.Error() }

func (hoursError) Is(target error) bool { return target == errHours }

// pressUntil is the moment after which a press is not sent any more. A page says by our clock when it was pressed: what a network held back
// for longer is not done late.
func pressUntil(at string, now time.Time) (time.Time, error) {
	if at == "" {
		return now.Add(pressIn), nil
	}
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return now, errLate
	}
	pressed := time.UnixMilli(ms)
	if pressed.After(now) {
		if pressed.Sub(now) > aheadOfUs {
			return now.Add(pressIn), nil // that clock says nothing
		}
		pressed = now
	}
	if until := pressed.Add(pressIn); until.After(now) {
		return until, nil
	}
	return now, errLate
}

// dataOf is what the device is told: what the owner has written, with the number that the person has chosen.
func dataOf(b history.Button, value string) (data json.RawMessage, chosen string, err error) {
	if b.Number == nil {
		return json.RawMessage(b.Data), "", nil
	}
	v, err := readFloat(value)
	if err != nil || !fits(b.Number, &v) {
		return nil, "", numberError{*b.Number}
	}
	number := strconv.FormatFloat(v, 'f', -1, 64)
	chosen = templates.Amount(v, b.Number.Unit)
	if b.Data == "" && b.Number.Name == "" {
		return json.RawMessage(number), chosen, nil
	}
	object := map[string]json.RawMessage{}
	if b.Data != "" {
		if err := json.Unmarshal([]byte(b.Data), &object); err != nil {
			return nil, "", fmt.Errorf("read a button's data: %w", err)
		}
	}
	object[b.Number.Name] = json.RawMessage(number)
	data, err = json.Marshal(object)
	return data, chosen, err
}

// numberError says which numbers may be chosen.
type numberError struct{ of history.Number }

func (numberError) Error() string { return errNumber.Error() }

func (numberError) Is(target error) bool { return target == errNumber }

// pressMessage is the message that goes to the device. It names its press, so that the answer can.
func pressMessage(b history.Button, data json.RawMessage, id string, now time.Time) ([]byte, error) {
	return json.Marshal(map[string]any{
		"msg_type": "publish", "data": data, "tags": []string{}, "dest": b.Entity, "timestamp": now.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		"context": map[string]string{"by": "page", "press": id},
	})
}

// undo takes a press back while it waits.
func (s *Server) undo(c echo.Context) error {
	g, err := s.owner(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	p, there, err := s.Store.FindPress(ctx, boardOf(g), c.FormValue("press"))
	switch {
	case err != nil:
		return err
	case !there:
		return errNoPress
	}
	if p.State == history.PressWaiting {
		if _, err = s.move(ctx, p, history.PressWaiting, history.PressUndone); err != nil {
			return err
		}
		if p, _, err = s.Store.FindPress(ctx, p.Board, p.ID); err != nil {
			return err
		}
	}
	if p.State != history.PressUndone {
		return errNotUndone
	}
	return s.pressed(c, p)
}

// pressNow says how far a press got; with state, as soon as it is not in that state any more.
func (s *Server) pressNow(c echo.Context) error {
	g, err := s.owner(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	p, there, err := s.Store.FindPress(ctx, boardOf(g), c.Param("id"))
	switch {
	case err != nil:
		return err
	case !there:
		return errNoPress
	}
	if c.QueryParam("state") == p.State.String() && p.State <= history.PressAccepted {
		var from []history.PressState
		for state := history.PressWaiting; state <= history.PressAccepted; state++ {
			if state.String() == p.State.String() {
				from = append(from, state)
			}
		}
		if p, err = s.follow(ctx, p, from...); err != nil {
			return err
		}
	}
	return s.pressed(c, p)
}

// follow waits until a press is in none of these states any more, for a while.
func (s *Server) follow(ctx context.Context, p history.Press, from ...history.PressState) (history.Press, error) {
	timer := time.NewTimer(followFor)
	defer timer.Stop()
	news, leave := s.presses.follow(p)
	defer leave()
	for {
		now, there, err := s.Store.FindPress(ctx, p.Board, p.ID)
		if err != nil || !there {
			return p, err
		}
		if p = now; !slices.Contains(from, p.State) {
			return p, nil
		}
		select {
		case <-news:
		case <-timer.C:
			return p, nil
		case <-s.ctx.Done():
			return p, nil
		case <-ctx.Done():
			return p, ctx.Err()
		}
	}
}

// historyPresses gives what was pressed on a board, the newest first.
func (s *Server) historyPresses(who granter) echo.HandlerFunc {
	return func(c echo.Context) error {
		g, err := who(c)
		if err != nil {
			return err
		}
		limit := someMessages
		if given := c.QueryParams(); given.Has("limit") {
			if limit, err = strconv.Atoi(given.Get("limit")); err != nil || limit < 1 || limit > mostPresses {
				return errLimit
			}
		}
		var found []history.Press
		err = s.turns.take(c.Request().Context(), g, func() (err error) {
			found, err = s.Store.Presses(c.Request().Context(), boardOf(g), limit)
			return err
		})
		if err != nil {
			return err
		}
		answer := make([]pressAnswer, len(found))
		for i, p := range found {
			answer[i] = pressAnswerOf(p)
		}
		return c.JSON(http.StatusOK, map[string]any{"presses": answer})
	}
}
