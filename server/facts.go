package server

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"trellis/access"
	"trellis/history"
	"trellis/message"
	"trellis/templates"
)

// rooms are what a device has left of something, as it says itself: the name of that, of the whole of it, and for people. web/src/view/card.ts
// has the same.
var rooms = []struct{ left, whole, label string }{
	{"mem_free", "mem_total", "Memory"},
	{"disk_free", "disk_size", "Disk"},
}

// scarce is the share of the whole below which what is left needs attention.
const scarce = 0.1

// addHealth makes one card of what is left and of how much there is. It is folded away with what else is about the device itself, unless little is left.
func addHealth(cards map[[2]string]*madeCard) {
	for at, m := range cards {
		for _, h := range rooms {
			if at[1] != h.left || !strings.HasSuffix(m.Unit, "B") {
				continue
			}
			if m.Label == message.Describe(message.Reading{Name: h.left, Value: 0.0}).Label { // the owner has no name for it
				m.Label = h.label
			}
			m.Unit, m.Minor = m.Unit+" left", true
			left, _ := m.value.(float64)
			if whole := cards[[2]string{at[0], h.whole}]; whole != nil {
				m.partOf(left, whole.value)
				delete(cards, [2]string{at[0], h.whole})
			}
		}
	}
}

func (m *madeCard) partOf(left float64, of any) {
	whole, number := of.(float64)
	if !number || whole <= 0 {
		return
	}
	shown := message.Describe(message.Reading{Name: "mem_total", Value: whole})
	m.Note = strconv.Itoa(int(math.Floor(left/whole*100+0.5))) + " % of " + shown.Value + " " + shown.Unit
	if left/whole < scarce {
		m.Attention = "low: " + m.Value + " " + m.Unit
	}
}

// together is how close in time the last words of two devices of one place are that went quiet for one reason.
const together = time.Minute

// factsOf says what is really known of why devices that are quiet may be so. It reads nothing while none is.
func (s *Server) factsOf(ctx context.Context, g access.Grant, found []heardDevice) (map[string][]string, error) {
	now := s.Now()
	if s.linkDown(g) || !slices.ContainsFunc(found, func(d heardDevice) bool { return d.isQuiet(now) }) {
		return nil, nil
	}
	values, err := s.Store.Values(ctx, g.MayReceive)
	if err != nil {
		return nil, err
	}
	of := map[string]map[string]history.Value{}
	for _, v := range values {
		if of[v.About] == nil {
			of[v.About] = map[string]history.Value{}
		}
		of[v.About][v.Reading] = v
	}
	wanted, err := s.wishes(ctx, g)
	if err != nil {
		return nil, err
	}
	shown := slices.DeleteFunc(slices.Clone(found), func(d heardDevice) bool { return wanted.of(thing{entity: d.entity}).hidden })
	facts := map[string][]string{}
	for _, d := range found {
		if !d.isQuiet(now) {
			continue
		}
		room, err := s.roomOf(ctx, g, of[d.entity])
		if err != nil {
			return nil, err
		}
		said := slices.Concat(s.keyOf(d), neighbours(d, shown, now), powerOf(of[d.entity]), room)
		if len(said) == 0 && len(of[d.entity]) > 0 {
			said = []string{"Last message was normal: it said nothing of a low battery or little memory."}
		}
		facts[d.entity] = said
	}
	return facts, nil
}

// keyOf says whether the access key with which a device last spoke has ended since. Only the broker inside knows that, by the topic, which is the key's own.
func (s *Server) keyOf(d heardDevice) []string {
	levels := strings.Split(d.topic, "/")
	if s.Front != nil || len(levels) != 4 || levels[3] != "publish" {
		return nil
	}
	at, why := s.Keys.Ended(levels[2])
	if why == nil || at.Before(d.at) { // it has spoken since, so that is no reason
		return nil
	}
	when := templates.LogTime(at, s.Now())
	if errors.Is(why, access.ErrKeyExpired) {
		return []string{"Its access key ended on " + when + ": it needs a new one."}
	}
	return []string{"Its access key was withdrawn on " + when + ": it needs a new one."}
}

// placeOf is all of an entity's name but its last part; empty where nothing is known of its place.
func placeOf(entity string) string {
	at := strings.LastIndex(entity, ":")
	return entity[:max(at, 0)]
}

// neighbours says who else of the same place went quiet in the same minute, of those that are on the board.
func neighbours(d heardDevice, found []heardDevice, now time.Time) []string {
	place := placeOf(d.entity)
	if place == "" {
		return nil
	}
	all, went := 0, 0
	for _, other := range found {
		if placeOf(other.entity) != place {
			continue
		}
		all++
		if other.isQuiet(now) && other.at.Sub(d.at).Abs() <= together {
			went++
		}
	}
	switch {
	case went < 2:
		return nil
	case went == all && all == 2:
		return []string{"Both devices in this place went quiet in the same minute: probably the Wi-Fi or power there."}
	case went == all:
		return []string{"All " + strconv.Itoa(all) + " devices in this place went quiet in the same minute: probably the Wi-Fi or power there."}
	}
	return []string{strconv.Itoa(went) + " of the " + strconv.Itoa(all) + " devices in this place went quiet in the same minute: probably the Wi-Fi or power there."}
}

// lowBattery is the charge in percent that is worth a word.
const lowBattery = 20

// powerOf says what the device said of its battery, if that was little.
func powerOf(values map[string]history.Value) []string {
	for _, name := range sortedNames(values) {
		v := values[name]
		left, number := v.Value.(float64)
		shown := message.Describe(message.Reading{Name: name, Value: v.Value})
		if number && shown.Unit == "%" && left <= lowBattery && strings.HasPrefix(strings.ToLower(shown.Label), "battery") {
			return []string{"Battery said " + shown.Value + " %."}
		}
	}
	return nil
}

// roomOf says what the device said of its memory and its disk, if that was little, and whether it had become so.
func (s *Server) roomOf(ctx context.Context, g access.Grant, values map[string]history.Value) (said []string, err error) {
	for _, h := range rooms {
		left, is := values[h.left].Value.(float64)
		whole, also := values[h.whole].Value.(float64)
		if !is || !also || whole <= 0 || left/whole >= scarce {
			continue
		}
		shrank, err := s.shrank(ctx, g, values[h.left])
		if err != nil {
			return nil, err
		}
		shown := message.Describe(message.Reading{Name: h.left, Value: left})
		was := " was low: "
		if shrank {
			was = " was shrinking before: "
		}
		said = append(said, h.label+was+shown.Value+" "+shown.Unit+" left.")
	}
	return said, nil
}

// shrank says whether a value became smaller all the time in the day before it was last said.
func (s *Server) shrank(ctx context.Context, g access.Grant, last history.Value) (bool, error) {
	span := history.Span{About: last.About, Reading: last.Reading, From: last.At.Add(-24 * time.Hour), To: last.At.Add(time.Minute), Points: 24 * 60}
	drawn, err := s.Past.Range(ctx, g.MayReceive, span)
	return err == nil && shrinking(drawn.Points), err
}

// What it takes to say that something was shrinking.
const (
	shrinkParts = 6   // stretches of as many points, each of which has less than the one before
	shrinkFewer = 0.5 // of what there was in the first that is left in the last, at most
)

// shrinking is said only of what went down from part to part and has lost half: what wavers, or fell once, tells nothing of why a device is quiet.
func shrinking(all []history.Point) bool {
	if len(all) < 2*shrinkParts {
		return false
	}
	var means [shrinkParts]float64
	for i := range means {
		part := all[i*len(all)/shrinkParts : (i+1)*len(all)/shrinkParts]
		for _, p := range part {
			means[i] += p.Mean / float64(len(part))
		}
		if i > 0 && means[i] >= means[i-1] {
			return false
		}
	}
	return means[shrinkParts-1] <= shrinkFewer*means[0]
}

func sortedNames(values map[string]history.Value) []string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.SortFunc(names, cmp.Compare)
	return names
}
