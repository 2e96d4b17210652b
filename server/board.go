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
	"trellis/templates"
)

// home is the board for those who are signed in, and the way in for everybody else.
func (s *Server) home(c echo.Context) error {
	if err := s.limits.ask(c.RealIP()); err != nil {
		return err
	}
	g, err := s.grant(c.Request())
	switch {
	case errors.Is(err, errSignedOut):
		return s.signInPage(c, problem{status: http.StatusOK})
	case keyRefused(err):
		return s.signInPage(c, problemOf(err))
	case err != nil:
		return err
	}
	var values []history.Value
	var cards []templates.Card
	var changing changing
	err = s.turns.take(c.Request().Context(), g, func() (err error) {
		if values, err = s.Store.Values(c.Request().Context(), g.MayReceive); err == nil {
			cards, changing, err = s.cards(c, g, values)
		}
		return err
	})
	if err != nil {
		return err
	}
	devices, err := s.knownDevices(c.Request().Context(), g)
	if err != nil {
		return err
	}
	page := templates.BoardPage{
		Ways:     s.waysOf(c.Request()),
		Holder:   holderName(g),
		Operator: g.KeyID == "",
		Settings: templates.Settings{Subscribe: g.Subscribe, Entity: g.Subject.Entity, Now: s.Now()},
		Link:     s.linkOf(g),
		Zone:     templates.ZoneWords(s.Now()),
		Recorded: s.recorded(g),
		Pretend:  s.pretends(g, values),
	}
	page.Changing = changing.page
	changing.devices(devices)
	page.Arrange(cards, devices, s.Now())
	changing.forms(page.Groups)
	if len(g.Publish) > 0 {
		page.Settings.Publish, page.Settings.SendsTo = g.Publish[0], g.Publish[0]
	}
	s.inFront(&page, g)
	if page.Buttons, err = s.buttons(c.Request().Context(), g, cards, changing.wishes); err != nil {
		return err
	}
	page.Buttons.Changing, page.Buttons.Making = page.Changing.On, c.QueryParam("change") == "buttons"
	return render(c, http.StatusOK, templates.Board(page))
}

// holderName is whose page it is, and who presses on it.
func holderName(g access.Grant) string {
	if g.KeyID == "" {
		return "Operator"
	}
	return g.Subject.Entity
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

// linkTo names whom our own link leads to, for those who are signed in.
func (s *Server) linkTo() string {
	if s.Front == nil {
		return templates.SomeHost
	}
	return cmp.Or(s.Front.Service, s.Front.Broker, templates.SomeHost)
}

// pretends gives the topics of pretend devices where all that devices say here is theirs. One real key is enough for a board to be
// somebody's.
func (s *Server) pretends(g access.Grant, values []history.Value) []string {
	said := slices.DeleteFunc(slices.Clone(values), func(v history.Value) bool { return v.ByHand })
	if s.Pretend == nil || len(said) == 0 {
		return nil
	}
	topics := s.Pretend()
	if slices.ContainsFunc(said, func(v history.Value) bool { return !slices.Contains(topics, v.Topic) }) {
		return nil
	}
	return slices.DeleteFunc(topics, func(topic string) bool { return !g.MayReceive(topic) })
}

// cards are the last values, true before any script runs: one card for each entity and value, whatever topic it came on. The newest wins.
// It is asked within a turn.
func (s *Server) cards(c echo.Context, g access.Grant, values []history.Value) ([]templates.Card, changing, error) {
	changing, err := s.changing(c, g, values)
	if err != nil {
		return nil, changing, err
	}
	at := map[[2]string]*madeCard{}
	for _, v := range slices.Backward(values) { // what came last comes last, which says nothing of when it was measured
		key := [2]string{v.About, v.Reading}
		if at[key] == nil {
			at[key] = &madeCard{}
		}
		at[key].take(v, changing)
	}
	addHealth(at)
	keepNewest(at, maxCards)
	made := slices.SortedFunc(maps.Values(at), func(a, b *madeCard) int {
		return cmp.Or(cmp.Compare(a.Entity, b.Entity), changing.byPlace(thing{a.Entity, a.Reading}, thing{b.Entity, b.Reading}))
	})
	if err := s.addGraphs(c.Request().Context(), changing.wishes, made); err != nil {
		return nil, changing, err
	}
	cards := make([]templates.Card, len(made))
	for i, m := range made {
		cards[i] = m.Card
	}
	return cards, changing, nil
}

// madeCard is a card in the making.
type madeCard struct {
	templates.Card
	value  any
	topics []string // that the value came on, the newest first
}

func (m *madeCard) take(v history.Value, as changing) {
	m.topics = append(m.topics, v.Topic)
	if m.value == nil || v.At.After(m.At) {
		m.value, m.Card = v.Value, as.card(v)
	}
}

// addGraphs draws the last day of what is measured; what is folded away comes last, since only the first ones are drawn finely.
func (s *Server) addGraphs(ctx context.Context, as wishes, cards []*madeCard) error {
	var drawn []*madeCard
	var of []history.Drawable
	for _, minor := range []bool{false, true} {
		for _, m := range cards {
			if _, number := m.value.(float64); number && m.Minor == minor {
				drawn = append(drawn, m)
				of = append(of, history.Drawable{About: m.Entity, Reading: m.Reading, Topics: m.topics})
			}
		}
	}
	days, err := s.Past.Days(ctx, of, s.Now())
	if err != nil {
		return err
	}
	for i, d := range days {
		graph := templates.Graph{Begin: d.Begin, Step: d.Step, Span: d.Span, Means: d.Means, Last: d.Last}
		if d.Usual != nil {
			graph.Usual = &[24]templates.Between{}
			for h, u := range d.Usual {
				graph.Usual[h] = templates.Between(u)
			}
		}
		graph.Low, graph.High = as.spread(drawn[i].Entity, drawn[i].Reading, d.Means)
		drawn[i].Graph = graph
	}
	return nil
}

// maxCards is how many cards a page shows; web/src/shelf.ts has the same bound.
const maxCards = 1000

// keepNewest leaves out the cards that were silent longest.
func keepNewest(cards map[[2]string]*madeCard, most int) {
	if len(cards) <= most {
		return
	}
	byAge := slices.SortedFunc(maps.Keys(cards), func(a, b [2]string) int { return cards[a].At.Compare(cards[b].At) })
	for _, at := range byAge[:len(cards)-most] {
		delete(cards, at)
	}
}
