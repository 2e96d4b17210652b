package server

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"trellis/access"
	"trellis/history"
	"trellis/message"
	"trellis/templates"
)

// Settings keeps what the owners of boards want otherwise than it comes; *history.Store is one.
type Settings interface {
	Settings(ctx context.Context, boards ...string) ([]history.Setting, error)
	PutSettings(ctx context.Context, all []history.Setting) error
}

// thing is what can be set something about: a value, or the device itself, which has no reading.
type thing struct{ entity, reading string }

// wish is what is wanted of one thing; the zero value is as it comes.
type wish struct {
	message.Setting
	hidden bool
	place  int // among its like, the lowest first; 0: behind those that have one
}

func (w wish) none() bool { return w == wish{} }

// wishes are all that is set on a board, and on the one above it.
type wishes struct{ own, above fields }

type fields map[thing]map[history.SettingField]string

func (f fields) put(one history.Setting) {
	of := thing{one.Entity, one.Reading}
	if f[of] == nil {
		f[of] = map[history.SettingField]string{}
	}
	f[of][one.Field] = one.Value
}

// wishes reads what holds on the board of a Grant: the operator's settings of the same account and region hold where a key's board has
// none itself, and only of what its holder hears.
func (s *Server) wishes(ctx context.Context, g access.Grant) (wishes, error) {
	w := wishes{fields{}, fields{}}
	all, err := s.Store.Settings(ctx, boards(g)...)
	if err != nil {
		return w, err
	}
	for _, one := range all {
		if one.Board == g.Subject.String() {
			w.own.put(one)
		} else {
			w.above.put(one)
		}
	}
	if len(w.above) == 0 {
		return w, nil
	}
	heard, err := s.heardThings(ctx, g)
	maps.DeleteFunc(w.above, func(t thing, _ map[history.SettingField]string) bool { return !heard[t] })
	return w, err
}

// heardThings are the devices that a Grant hears, and their values.
func (s *Server) heardThings(ctx context.Context, g access.Grant) (map[thing]bool, error) {
	values, err := s.Store.Values(ctx, g.MayReceive)
	if err != nil {
		return nil, err
	}
	signs, err := s.Store.Signs(ctx, g.MayReceive)
	if err != nil {
		return nil, err
	}
	drawn, err := s.Past.Drawables(ctx, g.MayReceive) // also what is not among the newest any more
	heard := map[thing]bool{}
	for _, one := range drawn {
		heard[thing{one.About, one.Reading}], heard[thing{entity: one.About}] = true, true
	}
	for _, v := range values {
		heard[thing{v.About, v.Reading}], heard[thing{entity: v.About}] = true, true
	}
	for _, one := range signs {
		heard[thing{entity: one.About}] = true
	}
	return heard, err
}

// of is what is wanted of one thing, field by field.
func (w wishes) of(t thing) (as wish) {
	for _, layer := range []fields{w.above, w.own} {
		for field, value := range layer[t] {
			as.set(field, value)
		}
	}
	return as
}

// set takes a value as it was kept; one that cannot be is none.
func (w *wish) set(field history.SettingField, value string) {
	switch field {
	case history.SettingName:
		w.Name = value
	case history.SettingHidden:
		w.hidden = value == "yes"
	case history.SettingPlace:
		w.place, _ = strconv.Atoi(value)
	case history.SettingUnit:
		w.Unit = value
	case history.SettingDigits:
		w.Digits = nil
		if n, err := strconv.Atoi(value); err == nil {
			w.Digits = &n
		}
	case history.SettingLow:
		w.Low = limitOf(value)
	case history.SettingHigh:
		w.High = limitOf(value)
	}
}

func limitOf(value string) *float64 {
	v, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return nil
	}
	return &v
}

// shown is a value in words, as it is wanted.
func (w wishes) shown(v history.Value) message.Shown { return w.says(v.About, v.Reading, v.Value) }

func (w wishes) says(entity, reading string, value any) message.Shown {
	return message.DescribeAs(message.Reading{Name: reading, Value: value}, w.of(thing{entity, reading}).Setting)
}

// unseen says whether the owner has hidden a value, or its device.
func (w wishes) unseen(entity, reading string) bool {
	return w.of(thing{entity: entity}).hidden || w.of(thing{entity, reading}).hidden
}

// limits are those of what was heard and is not hidden, in order. What is set above is also about others' devices, of which there may be many.
func (w wishes) limits(heard map[thing]bool) (all []history.Limit) {
	for t, as := range w.all() {
		if heard[t] && (as.Low != nil || as.High != nil) && !w.unseen(t.entity, t.reading) {
			all = append(all, history.Limit{About: t.entity, Reading: t.reading, Low: as.Low, High: as.High})
		}
	}
	slices.SortFunc(all, func(a, b history.Limit) int {
		return cmp.Or(cmp.Compare(a.About, b.About), cmp.Compare(a.Reading, b.Reading))
	})
	return all
}

// spread says the lowest and the highest of numbers that were sent.
func (w wishes) spread(entity, reading string, sent []float64) (low, high string) {
	least, most := math.Inf(1), math.Inf(-1)
	for _, v := range sent {
		if !math.IsNaN(v) {
			least, most = min(least, v), max(most, v)
		}
	}
	if least > most {
		return "", ""
	}
	say := func(v float64) string { return w.shown(history.Value{About: entity, Reading: reading, Value: v}).Value }
	return say(least), say(most)
}

// all are the things that something is set about.
func (w wishes) all() map[thing]wish {
	all := map[thing]wish{}
	for _, layer := range []fields{w.above, w.own} {
		for t := range layer {
			all[t] = w.of(t)
		}
	}
	return all
}

// byPlace orders the values of a device: as the owner wants, and then by their names.
func (w wishes) byPlace(a, b thing) int {
	return cmp.Or(cmp.Compare(w.rank(a), w.rank(b)), cmp.Compare(a.reading, b.reading))
}

// rank puts those without a place behind those with one.
func (w wishes) rank(t thing) int { return cmp.Or(w.of(t).place, math.MaxInt) }

// answer is what is set about what a Grant hears: the board above may hold more, which is nobody else's.
func (w wishes) answer(heard []history.Value) []templates.Wish {
	known := map[thing]bool{}
	for _, v := range heard {
		known[thing{v.About, v.Reading}], known[thing{entity: v.About}] = true, true
	}
	all := []templates.Wish{}
	for t := range known {
		as := w.of(t)
		if !as.none() {
			all = append(all, templates.Wish{Entity: t.entity, Reading: t.reading, Name: as.Name, Hidden: as.hidden, Place: as.place, Unit: as.Unit, Digits: as.Digits, Low: as.Low, High: as.High})
		}
	}
	slices.SortFunc(all, func(a, b templates.Wish) int {
		return cmp.Or(cmp.Compare(a.Entity, b.Entity), cmp.Compare(a.Reading, b.Reading))
	})
	return all
}

// siblings are the values that one has its place among, in order: those of its device that are measured, or those about the device itself.
func (w wishes) siblings(of thing, heard []history.Value) (all []thing) {
	minor := w.minor(heard)
	for at, m := range minor {
		if at[0] == of.entity && m == minor[[2]string{of.entity, of.reading}] {
			all = append(all, thing{at[0], at[1]})
		}
	}
	slices.SortFunc(all, w.byPlace)
	return all
}

// inOrder are the devices as they stand on the board while nothing needs attention.
func (w wishes) inOrder(heard []history.Value) []thing {
	major := map[thing]bool{}
	for at, minor := range w.minor(heard) {
		t := thing{entity: at[0]}
		major[t] = major[t] || !minor
	}
	name := func(t thing) string { return strings.ToLower(w.name(t, "")) }
	last := map[bool]int{true: 0, false: 1}
	return slices.SortedFunc(maps.Keys(major), func(a, b thing) int {
		return cmp.Or(cmp.Compare(w.rank(a), w.rank(b)), cmp.Compare(last[major[a]], last[major[b]]), cmp.Compare(name(a), name(b)), cmp.Compare(a.entity, b.entity))
	})
}

// minor says of each value on the board whether it is about the device itself.
func (w wishes) minor(heard []history.Value) map[[2]string]bool {
	minor := map[[2]string]bool{}
	for _, v := range heard {
		minor[[2]string{v.About, v.Reading}] = w.shown(v).Minor
	}
	for at := range minor {
		for _, h := range rooms {
			if left := [2]string{at[0], h.left}; at[1] == h.left {
				minor[left] = true
				delete(minor, [2]string{at[0], h.whole})
			}
		}
	}
	return minor
}

// moved gives the settings that bring a thing one place further, past what is hidden; none where it is at the end already.
func (w wishes) moved(what thing, by int, order []thing) []history.Setting {
	from := slices.Index(order, what)
	to := from + by
	for to >= 0 && to < len(order) && w.of(order[to]).hidden {
		to += by
	}
	if from < 0 || to < 0 || to >= len(order) {
		return nil
	}
	last := max(from, to)
	for i, t := range order {
		if w.of(t).place != 0 {
			last = max(last, i)
		}
	}
	order = slices.Insert(slices.Delete(order, from, from+1), to, what)
	all := make([]history.Setting, last+1)
	for i, t := range order[:last+1] {
		all[i] = history.Setting{Entity: t.entity, Reading: t.reading, Field: history.SettingPlace, Value: strconv.Itoa(i + 1)}
	}
	return all
}
