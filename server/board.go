package server

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/message"
	"trellis/templates"
)

// home is the board for those who are signed in, and the way in for everybody else.
func (s *Server) home(c echo.Context) error {
	g, err := s.grant(c.Request())
	switch {
	case errors.Is(err, errSignedOut):
		return s.signInPage(c, problem{status: http.StatusOK})
	case keyRefused(err):
		return s.signInPage(c, problemOf(err))
	case err != nil:
		return err
	}
	cards, err := s.cards(c, g)
	if err != nil {
		return err
	}
	holder := g.Subject.Entity
	if g.KeyID == "" {
		holder = "Operator"
	}
	return render(c, http.StatusOK, templates.Board(templates.BoardPage{
		Holder:   holder,
		Operator: g.KeyID == "",
		Settings: templates.Settings{Subscribe: g.Subscribe, Publish: g.Publish[0], Entity: g.Subject.Entity, Now: s.Now()},
		Groups:   templates.Groups(cards, s.Now()),
	}))
}

func (s *Server) signInPage(c echo.Context, p problem) error {
	return render(c, p.status, templates.SignIn(templates.SignInPage{Refused: p.sentence}))
}

// cards are the last values, true before any script runs: one card for each entity and value, the newest wins.
func (s *Server) cards(c echo.Context, g access.Grant) ([]templates.Card, error) {
	records, err := s.Store.Latest(c.Request().Context())
	if err != nil {
		return nil, err
	}
	at := map[[2]string]templates.Card{}
	for _, r := range records { // oldest first
		if !g.MayReceive(r.Topic) {
			continue
		}
		when, readings := message.Delivered(r.Payload)
		for _, reading := range readings {
			if slices.Contains(r.Readings, reading.Name) {
				at[[2]string{r.About, reading.Name}] = card(r.About, reading, when)
			}
		}
	}
	if err := s.addPoints(c, g, at); err != nil {
		return nil, err
	}
	cards := slices.Collect(maps.Values(at))
	slices.SortFunc(cards, func(a, b templates.Card) int {
		return cmp.Or(cmp.Compare(a.Entity, b.Entity), cmp.Compare(a.Reading, b.Reading))
	})
	return cards, nil
}

// Bounds of the small graphs that are printed: messages looked at for all of them, and points of one.
const maxRecent, maxPoints = 500, 60

// addPoints puts what came lately into the cards' graphs.
func (s *Server) addPoints(c echo.Context, g access.Grant, cards map[[2]string]templates.Card) error {
	recent, err := s.Store.Recent(c.Request().Context(), g.MayReceive, maxRecent)
	if err != nil {
		return err
	}
	for _, r := range slices.Backward(recent) { // they come newest first
		if r.About == "" {
			continue
		}
		when, readings := message.Delivered(r.Payload)
		for _, reading := range readings {
			card, there := cards[[2]string{r.About, reading.Name}]
			number, isNumber := reading.Value.(float64)
			if !there || !isNumber {
				continue
			}
			card.Points = append(card.Points, templates.Point{At: when, Value: number})
			card.Points = card.Points[max(0, len(card.Points)-maxPoints):]
			cards[[2]string{r.About, reading.Name}] = card
		}
	}
	return nil
}

func card(entity string, r message.Reading, at time.Time) templates.Card {
	shown := message.Describe(r)
	return templates.Card{Entity: entity, Reading: r.Name, Label: shown.Label, Value: shown.Value, Unit: shown.Unit, At: at}
}
