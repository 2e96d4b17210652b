package server

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/history"
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
	page := templates.BoardPage{
		Ways:     s.waysOf(c.Request()),
		Holder:   holder,
		Operator: g.KeyID == "",
		Settings: templates.Settings{Subscribe: g.Subscribe, Entity: g.Subject.Entity, Now: s.Now()},
		Groups:   templates.Groups(cards, s.Now()),
	}
	if len(g.Publish) > 0 {
		page.Settings.Publish, page.Settings.SendsTo = g.Publish[0], g.Publish[0]
	}
	s.inFront(&page, g)
	return render(c, http.StatusOK, templates.Board(page))
}

// inFront says what is different on a board in front of another broker.
func (s *Server) inFront(page *templates.BoardPage, g access.Grant) {
	switch {
	case s.Front == nil:
	case s.ofService():
		page.Front, page.Holds = true, g.KeyID != ""
		page.Watched = page.Holds && s.Front.Watched(g)
	default:
		page.Topics = s.Front.Topics
		if page.Settings.SendsTo != "" {
			page.Settings.SendsTo = s.Front.Send
		}
		if g.KeyID != "" {
			page.Settings.SendsTo = strings.NewReplacer("{entity}", g.Subject.Entity, "{entity...}", strings.ReplaceAll(g.Subject.Entity, ":", "/")).Replace(page.Settings.SendsTo)
		}
	}
}

func (s *Server) signInPage(c echo.Context, p problem) error {
	return render(c, p.status, templates.SignIn(templates.SignInPage{Refused: p.sentence, Service: s.service(), Direct: s.direct(c.Request()) != nil}))
}

// service is whose keys people sign in with, if they are not this server's own.
func (s *Server) service() string {
	if s.Front == nil {
		return ""
	}
	return s.Front.Service
}

// cards are the last values, true before any script runs: one card for each entity and value, the newest wins.
func (s *Server) cards(c echo.Context, g access.Grant) ([]templates.Card, error) {
	values, err := s.Store.Values(c.Request().Context(), g.MayReceive)
	if err != nil {
		return nil, err
	}
	at := map[[2]string]templates.Card{}
	for _, v := range values { // the longest silent first
		at[[2]string{v.About, v.Reading}] = card(v)
	}
	dropWholes(at)
	keepNewest(at, maxCards)
	if err := s.addPoints(c.Request().Context(), g, at); err != nil {
		return nil, err
	}
	cards := slices.Collect(maps.Values(at))
	slices.SortFunc(cards, func(a, b templates.Card) int {
		return cmp.Or(cmp.Compare(a.Entity, b.Entity), cmp.Compare(a.Reading, b.Reading))
	})
	return cards, nil
}

// dropWholes leaves out what is only of use as the whole of something else: the page shows free memory as a share of it.
func dropWholes(cards map[[2]string]templates.Card) {
	for part, whole := range map[string]string{"mem_free": "mem_total", "disk_free": "disk_size"} {
		for at := range cards {
			if _, both := cards[[2]string{at[0], part}]; both && at[1] == whole {
				delete(cards, at)
			}
		}
	}
}

// maxCards is how many cards a page shows; web/src/shelf.ts has the same bound.
const maxCards = 1000

// keepNewest leaves out the cards that were silent longest.
func keepNewest(cards map[[2]string]templates.Card, most int) {
	if len(cards) <= most {
		return
	}
	byAge := slices.SortedFunc(maps.Keys(cards), func(a, b [2]string) int { return cards[a].At.Compare(cards[b].At) })
	for _, at := range byAge[:len(cards)-most] {
		delete(cards, at)
	}
}

// Bounds of the small graphs that are printed, so that a page costs the same whatever others send.
const (
	maxRecent = 200     // messages looked at for all graphs
	maxShort  = 4 << 10 // bytes of a message that is looked at
	maxPoints = 60      // points of one graph
)

// addPoints puts what came lately into the cards' graphs.
func (s *Server) addPoints(ctx context.Context, g access.Grant, cards map[[2]string]templates.Card) error {
	recent, err := s.Store.RecentShort(ctx, g.MayReceive, maxRecent, maxShort)
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

func card(v history.Value) templates.Card {
	shown := message.Describe(message.Reading{Name: v.Reading, Value: v.Value})
	return templates.Card{Entity: v.About, Reading: v.Reading, Label: shown.Label, Value: shown.Value, Unit: shown.Unit, Minor: shown.Minor, At: v.At, ByHand: v.ByHand}
}
