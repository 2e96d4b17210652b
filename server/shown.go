package server

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"

	"trellis/access"
	"trellis/history"
	"trellis/templates"
)

// buttons are those of the holder's board with their last presses, as the page prints them.
func (s *Server) buttons(ctx context.Context, g access.Grant, cards []templates.Card, as wishes) (templates.Buttons, error) {
	if len(g.Publish) == 0 {
		return templates.Buttons{}, nil
	}
	found, err := s.Store.Buttons(ctx, boardOf(g))
	if err != nil {
		return templates.Buttons{}, err
	}
	pressed, err := s.Store.Presses(ctx, boardOf(g), mostShown+1)
	if err != nil {
		return templates.Buttons{}, err
	}
	shown := templates.Buttons{May: true, Full: len(found) >= history.MaxButtons, Entity: g.Subject.Entity, Zone: "UTC", Now: s.Now()}
	if shown.More = len(pressed) > mostShown; shown.More {
		pressed = pressed[:mostShown]
	}
	device := func(entity string) string { return templates.DeviceWords(as.name(thing{entity: entity}, ""), entity) }
	last := map[string]templates.Press{}
	for _, p := range pressed {
		one := s.shownPress(p)
		one.Device = device(p.Entity)
		shown.Pressed = append(shown.Pressed, one)
		if _, newer := last[p.Button]; !newer && s.Now().Sub(p.Pressed) < shownFor {
			last[p.Button] = one
		}
	}
	chosen, err := s.lastChosen(ctx, g)
	if err != nil {
		return templates.Buttons{}, err
	}
	heard, err := s.heardNames(ctx, g, cards)
	if err != nil {
		return templates.Buttons{}, err
	}
	for i, b := range found {
		one := templates.Button{
			ID: b.ID, Version: b.Version, Label: b.Label, Entity: b.Entity, Device: device(b.Entity), Unheard: templates.UnheardWords(b.Entity, heard, g.KeyID == ""), Data: b.Data, Risk: b.Risk, Undo: b.Undo, Answer: b.Answer,
			Matters: matters(b), Most: b.Most, Per: b.Per, From: b.From, To: b.To, Zone: b.Zone, Press: rand.Text(),
			First: i == 0, Last: i == len(found)-1, Pressed: last[b.ID],
		}
		if n := b.Number; n != nil {
			one.Number = &templates.Number{Name: n.Name, Min: n.Min, Max: n.Max, Step: n.Step, Start: n.Start, Unit: n.Unit, Offer: offer(b, chosen[b.ID])}
		}
		shown.List = append(shown.List, one)
	}
	for _, card := range cards {
		if !slices.Contains(shown.Devices, card.Entity) {
			shown.Devices = append(shown.Devices, card.Entity)
		}
		if !slices.Contains(shown.Readings, card.Reading) && len(shown.Readings) < 200 {
			shown.Readings = append(shown.Readings, card.Reading)
		}
	}
	return shown, nil
}

// lastChosen are the last accepted presses on a board, by their button.
func (s *Server) lastChosen(ctx context.Context, g access.Grant) (map[string]history.Press, error) {
	all, err := s.Store.LastAccepted(ctx, boardOf(g))
	last := map[string]history.Press{}
	for _, p := range all {
		last[p.Button] = p
	}
	return last, err
}

// offer is the number that a button begins with: the one that its device was told last, while it may still be chosen. A reading with the same
// name is not asked: it may as well be what was measured.
func offer(b history.Button, last history.Press) float64 {
	n := b.Number
	text := strings.Replace(strings.TrimSuffix(last.Chosen, templates.WithUnit("", n.Unit)), "\u2212", "-", 1)
	v, err := readFloat(text)
	if err != nil || last.Entity != b.Entity || !fits(n, &v) || last.Chosen != templates.Amount(v, n.Unit) {
		return n.Start
	}
	return v
}

// heardNames are those of everybody who was ever heard on a board, values or none.
func (s *Server) heardNames(ctx context.Context, g access.Grant, cards []templates.Card) (names []string, err error) {
	signs, err := s.Store.Signs(ctx, g.MayReceive)
	if err != nil {
		return nil, err
	}
	for _, one := range signs {
		names = append(names, one.About)
	}
	for _, card := range cards {
		names = append(names, card.Entity)
	}
	return names, nil
}

func (s *Server) shownPress(p history.Press) templates.Press {
	return templates.Press{
		ID: p.ID, Who: p.Who, Label: p.Label, Chosen: p.Chosen, State: p.State.String(), Words: p.Words,
		Pressed: p.Pressed, Due: p.Due, Settled: p.Settled, Patient: p.Patient, Heard: p.Heard,
	}
}
