package server

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/history"
	"trellis/message"
	"trellis/templates"
)

// changing is a board on which things are as its owner wants them, and may be changed.
type changing struct {
	wishes
	page templates.Changing
}

// changing reads what is set, and whether the visitor wants to change it.
func (s *Server) changing(c echo.Context, g access.Grant, heard []history.Value) (changing, error) {
	w, err := s.wishes(c.Request().Context(), g)
	if err != nil {
		return changing{}, err
	}
	asked := c.QueryParams()
	ch := changing{wishes: w, page: templates.Changing{
		On: asked.Has("change"), Said: templates.ChangeWords(asked.Get("change")),
		Ordered: len(w.unplaced()) > 0, Wishes: w.answer(heard), Hidden: w.hidden(heard),
	}}
	return ch, nil
}

// card words a value as it is wanted.
func (ch changing) card(v history.Value) templates.Card {
	shown := ch.shown(v)
	raw, err := json.Marshal(v.Value)
	if err != nil { // a number, a text and a truth value can be written
		raw = []byte("null")
	}
	card := templates.Card{
		Entity: v.About, Reading: v.Reading, Label: shown.Label, Value: shown.Value, Unit: shown.Unit, Minor: shown.Minor, At: v.At, ByHand: v.ByHand,
		Raw: string(raw), Attention: shown.Outside, Hidden: ch.of(thing{v.About, v.Reading}).hidden,
	}
	if ch.page.On {
		form := ch.form(v)
		card.Form = &form
	}
	return card
}

// form is how a value can be changed.
func (ch changing) form(v history.Value) templates.SettingForm {
	t := thing{v.About, v.Reading}
	reading := message.Reading{Name: v.Reading, Value: v.Value}
	as := ch.of(t)
	f := templates.SettingForm{
		Entity: v.About, Reading: v.Reading, Of: ch.name(t, ch.shown(v).Label), Name: as.Name, Usual: message.Describe(reading).Label, Changed: len(ch.forgotten(t)) > 0,
	}
	if f.Sent, f.Measured = message.SentIn(reading); !f.Measured {
		return f
	}
	f.Unit, f.Units = as.Unit, message.UnitsLike(f.Sent)
	if as.Digits != nil {
		f.Digits = string(rune('0' + *as.Digits))
	}
	number, _ := v.Value.(float64)
	_, f.Shown = as.Number(number, f.Sent)
	f.In = f.Shown // bytes by thousands
	if as.Unit != "" {
		f.In = as.Unit
	}
	f.Low, f.High = inField(as.Low, f.Sent, f.In), inField(as.High, f.Sent, f.In)
	return f
}

func inField(limit *float64, sent, in string) string {
	if limit == nil {
		return ""
	}
	if v, known := message.Convert(*limit, sent, in); known {
		return message.InField(v)
	}
	return message.InField(*limit)
}

// devices puts in what is wanted of the devices.
func (ch changing) devices(known map[string]templates.Device) {
	for t, as := range ch.all() {
		if t.reading == "" {
			d := known[t.entity]
			d.Name, d.Hidden, d.Rank = as.Name, as.hidden, as.place
			known[t.entity] = d
		}
	}
}

// forms gives the devices theirs.
func (ch changing) forms(groups []templates.Group) {
	for i, g := range groups {
		if !ch.page.On {
			return
		}
		t := thing{entity: g.Entity}
		groups[i].Form = &templates.SettingForm{
			Entity: g.Entity, Of: g.Called, Name: ch.of(t).Name, Usual: templates.DeviceName(g.Entity), Changed: len(ch.forgotten(t)) > 0,
		}
	}
}

// hidden are the things that the owner has hidden, each by itself: a hidden device stands for all its values.
func (w wishes) hidden(heard []history.Value) (all []templates.HiddenThing) {
	seen := map[thing]bool{}
	for _, v := range heard {
		for _, t := range []thing{{entity: v.About}, {v.About, v.Reading}} {
			if seen[t] || !w.of(t).hidden || (t.reading != "" && w.of(thing{entity: t.entity}).hidden) {
				continue
			}
			seen[t] = true
			all = append(all, templates.HiddenThing{Entity: t.entity, Reading: t.reading, Name: w.name(t, w.shown(v).Label)})
		}
	}
	slices.SortFunc(all, func(a, b templates.HiddenThing) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// called names the devices on show for sentences: those that share a name with their places.
func (w wishes) called(heard []history.Value) map[string]string {
	all := map[string]string{}
	var groups []templates.Group
	for _, v := range heard {
		t := thing{entity: v.About}
		if _, seen := all[v.About]; seen || w.of(t).hidden {
			continue
		}
		all[v.About] = ""
		_, place := templates.EntityWords(v.About)
		groups = append(groups, templates.Group{Entity: v.About, Name: w.name(t, ""), Place: place})
	}
	templates.CallApart(groups)
	for _, g := range groups {
		all[g.Entity] = g.Called
	}
	return all
}

// name is what a thing is called where it does not stand with its device.
func (w wishes) name(t thing, label string) string {
	device := w.of(thing{entity: t.entity}).Name
	if device == "" {
		device = templates.DeviceName(t.entity)
	}
	if t.reading == "" {
		return device
	}
	return device + ": " + label
}
