package templates

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Look is what can be said of a device, and of its values, at a moment. web/src/look.ts says the same of the same; both are held to
// testdata/looks.json.
type Look string

// The looks there are.
const (
	Live    Look = "live"
	Old     Look = "old"     // it should have been heard by now
	Quiet   Look = "quiet"   // for longer than usual
	Unknown Look = "unknown" // our own link is down
)

// Device is what a board knows of a device beside its values. The zero value is one that was never heard.
type Device struct {
	Heard  time.Time     // last sign of life
	Rhythm string        // "steady", "irregular", "events"; empty or "unknown": not known, and then nothing is said of it
	Usual  time.Duration // 0: not known
	Old    time.Duration // silence from which it counts as getting old; 0: never
	Quiet  time.Duration // and as quiet; 0: never
	Taught bool          // the owner said that its silence is normal
	Facts  []string      // what is really known of why it may be quiet, in sentences

	// What the owner wants.
	Name   string // empty: what its id says
	Rank   int    // its place on the board, from 1; 0: by name, behind those that have one
	Hidden bool
}

// Link is our own with the devices.
type Link struct {
	Down  bool
	To    string    // "app.tendrl.com", "the devices"
	Since time.Time // that it is down
}

// latest is how old a value may be to be called live where no rhythm is known.
const latest = 5 * time.Minute

// Arrange sorts cards by device, says how everything looks, and what is to be said of it in one sentence. What needs attention comes
// first, unless somebody changes the order.
func (p *BoardPage) Arrange(cards []Card, devices map[string]Device, now time.Time) {
	p.Groups = nil
	at := map[string]int{}
	for _, c := range cards {
		i, seen := at[c.Entity]
		if !seen {
			i = len(p.Groups)
			at[c.Entity] = i
			p.Groups = append(p.Groups, newGroup(c.Entity, devices[c.Entity], p.Link, now))
		}
		p.Groups[i].add(c, now)
	}
	CallApart(p.Groups)
	slices.SortStableFunc(p.Groups, before)
	if !p.Changing.On { // whoever changes the order sees it as it is
		slices.SortStableFunc(p.Groups, func(a, b Group) int { return order(!a.needsAttention(), !b.needsAttention()) })
	}
	p.Summary = summary(p.Groups, p.Link, now)
}

func newGroup(entity string, d Device, link Link, now time.Time) Group {
	g := Group{Entity: entity, Rank: d.Rank, Hidden: d.Hidden, Device: d, Look: d.look(link, now)}
	g.Name, g.Place = entityWords(entity)
	g.Name = cmp.Or(d.Name, g.Name)
	g.State, g.Silent = d.state(g.Look, now), d.silence(g.Look, now)
	return g
}

// CallApart puts the place to the names that several devices on show have.
func CallApart(groups []Group) {
	names := map[string]int{}
	for _, g := range groups {
		if !g.Hidden {
			names[g.Name]++
		}
	}
	for i, g := range groups {
		groups[i].Called = g.Name
		if names[g.Name] > 1 {
			groups[i].Called += inBrackets(g.Place)
		}
	}
}

// add puts a card where it belongs. What is about the device itself is folded away, unless it needs attention.
func (g *Group) add(c Card, now time.Time) {
	c.Look, c.Age = g.Look, age(now.Sub(c.At))
	c.Word = cardWord(g.Look, g.Device, now.Sub(c.At))
	c.Value = capitalWord(c.Value)
	if c.Minor && c.Attention == "" {
		g.More = append(g.More, c)
		return
	}
	g.Cards = append(g.Cards, c)
}

// before is the order of groups that need attention, and of those that do not: as the owner wants it, then by name; what says only something
// of itself comes last.
func before(a, b Group) int {
	return cmp.Or(
		cmp.Compare(a.rank(), b.rank()),
		order(len(a.Cards) == 0, len(b.Cards) == 0),
		cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)),
		cmp.Compare(a.Entity, b.Entity),
	)
}

func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// rank puts those without a number behind those with one.
func (g Group) rank() int {
	if g.Rank == 0 {
		return int(^uint(0) >> 1)
	}
	return g.Rank
}

func (g Group) needsAttention() bool {
	return !g.Hidden && (g.Look == Quiet || slices.ContainsFunc(g.Cards, Card.needsAttention))
}

func (c Card) needsAttention() bool { return c.Attention != "" && !c.Hidden }

func (d Device) look(link Link, now time.Time) Look {
	silent := now.Sub(d.Heard)
	switch {
	case link.Down:
		return Unknown
	case d.Heard.IsZero():
		return Live
	case d.Quiet > 0 && silent >= d.Quiet:
		return Quiet
	case d.Old > 0 && silent >= d.Old:
		return Old
	}
	return Live
}

// state is said once for all values of a device.
func (d Device) state(look Look, now time.Time) string {
	usual := usually(d.Rhythm, d.Usual)
	switch {
	case look == Unknown:
		return "Not known right now"
	case look == Quiet:
		return "Quiet since " + clock(d.Heard, now) + inBrackets(usual)
	case look == Old:
		return "Last heard " + age(now.Sub(d.Heard)) + inBrackets(usual)
	case d.Rhythm == "events":
		return "Reports only when something happens"
	case usual != "":
		return "Live" + inBrackets(usual)
	}
	return ""
}

// cardWord stands before the age of a value.
func cardWord(look Look, d Device, old time.Duration) string {
	switch {
	case look == Unknown:
		return "Not known right now ·"
	case look == Quiet:
		return "Quiet ·"
	case look == Live && old < cmp.Or(d.Old, latest):
		return "Live ·"
	}
	return "Last heard"
}

// usually says how often a device speaks; nothing where that is not known.
func usually(rhythm string, usual time.Duration) string {
	switch {
	case usual <= 0:
		return ""
	case rhythm == "steady":
		return "usually every " + span(usual)
	case rhythm == "irregular":
		return "usually within " + span(usual)
	}
	return ""
}

// Usually says how often a device speaks, as it is said behind what is said of it; nothing where that is not known.
func Usually(rhythm string, usual time.Duration) string { return inBrackets(usually(rhythm, usual)) }

// silence says what is usual and what is, of a device that is quiet: "Usually every 5 minutes. Nothing for 22." It counts as the age beside it does.
func (d Device) silence(look Look, now time.Time) string {
	if look != Quiet {
		return ""
	}
	words, unit := "", ""
	if usual := usually(d.Rhythm, d.Usual); usual != "" {
		every, short, _ := strings.Cut(strings.TrimPrefix(usual, "usually "), " ")
		n, short, _ := strings.Cut(short, " ")
		unit = longUnits[short]
		words = "Usually " + every + " " + counted(n, unit) + ". "
	}
	n, of := lasted(now.Sub(d.Heard))
	if of == unit {
		return words + "Nothing for " + n + "."
	}
	return words + "Nothing for " + counted(n, of) + "."
}

// longUnits are the units of span, written out.
var longUnits = map[string]string{"s": "second", "min": "minute", "h": "hour"}

// lasted is how long something has lasted, in the unit that its age is said in.
func lasted(d time.Duration) (n, unit string) {
	in := func(unit time.Duration) string { return strconv.Itoa(int(d / unit)) }
	switch {
	case d < time.Minute:
		return in(time.Second), "second"
	case d < time.Hour:
		return in(time.Minute), "minute"
	case d < 24*time.Hour:
		return in(time.Hour), "hour"
	}
	return in(24 * time.Hour), "day"
}

func counted(n, unit string) string {
	if n == "1" {
		return n + " " + unit
	}
	return n + " " + unit + "s"
}

func inBrackets(words string) string {
	if words == "" {
		return ""
	}
	return " (" + words + ")"
}

// span says how long something usually takes: "5 min".
func span(d time.Duration) string {
	d = d.Round(time.Second)
	in := func(unit time.Duration) string { return strconv.Itoa(int((d + unit/2) / unit)) }
	switch {
	case d < 90*time.Second:
		return strconv.Itoa(max(1, int(d/time.Second))) + " s"
	case d < 90*time.Minute:
		return in(time.Minute) + " min"
	}
	return in(time.Hour) + " h"
}

// clock says "14:02", with the day in front when that is not today, by the server's clock; a script says it by the reader's own.
func clock(t, now time.Time) string {
	t = t.In(now.Location())
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04")
	}
	return t.Format("Jan 2, 15:04")
}

// zoneWords say whose clock it is, to whom no script says times by his own.
func zoneWords(zone string) string {
	if zone == "" {
		return ""
	}
	return " Times of the day are by the clock of this page's server (" + zone + ")."
}

// summary is the first line of the board: what needs attention, or that nothing does.
func summary(all []Group, link Link, now time.Time) string {
	groups := slices.DeleteFunc(slices.Clone(all), func(g Group) bool { return g.Hidden })
	values, known := 0, false
	var quiet, young []Group
	var beyond []string
	for _, g := range groups {
		has := usually(g.Device.Rhythm, g.Device.Usual) != "" || g.Device.Rhythm == "events"
		known = known || has
		switch {
		case g.Look == Quiet:
			quiet = append(quiet, g)
		case g.Look == Old && !has:
			young = append(young, g)
		}
		for _, c := range g.Cards {
			if !c.Hidden {
				values++
			}
			if c.needsAttention() {
				is := " is "
				if g.Look == Quiet {
					is = " was "
				}
				beyond = append(beyond, g.Called+" "+inSentence(c.Label)+is+c.Attention)
			}
		}
	}
	switch {
	case link.Down && len(groups) > 0:
		return lostWords(link, now)
	case len(groups) == 0:
		return "Nothing was heard yet."
	case len(quiet)+len(beyond) > 0:
		return strings.TrimSpace(quietWords(quiet, len(groups), now) + " " + beyondWords(beyond))
	case len(young) > 0:
		return youngWords(young, len(groups), now)
	case known:
		return "Everything is as usual."
	case values == 0:
		values = len(groups[0].More)
	}
	if len(groups) == 1 {
		return count(values, "value", "values") + " from " + groups[0].Name + "."
	}
	return count(values, "value", "values") + " from " + count(len(groups), "device", "devices") + "."
}

func lostWords(link Link, now time.Time) string {
	return "We lost our link to " + link.To + " at " + clock(link.Since, now) + ". Values below are from then."
}

// youngWords says of which devices nobody can say whether they are as usual.
func youngWords(young []Group, all int, now time.Time) string {
	first := longestSilent(young)
	since := " since " + clock(first.Device.Heard, now) + "."
	if len(young) == 1 {
		return "How often " + first.Called + " speaks is not known yet: nothing" + since
	}
	return "How often " + strconv.Itoa(len(young)) + " of " + strconv.Itoa(all) + " speak is not known yet: nothing from " + first.Called + since
}

func longestSilent(groups []Group) Group {
	return slices.MinFunc(groups, func(a, b Group) int { return a.Device.Heard.Compare(b.Device.Heard) })
}

func quietWords(quiet []Group, all int, now time.Time) string {
	if len(quiet) == 0 {
		return ""
	}
	first := longestSilent(quiet)
	name, since := first.Called, clock(first.Device.Heard, now)
	switch {
	case all == 1:
		return name + " is quiet since " + since + "."
	case len(quiet) == 1:
		return "1 of " + strconv.Itoa(all) + " is quiet: " + name + ", since " + since + "."
	}
	return strconv.Itoa(len(quiet)) + " of " + strconv.Itoa(all) + " are quiet. " + name + " since " + since + "."
}

func beyondWords(beyond []string) string {
	switch len(beyond) {
	case 0:
		return ""
	case 1:
		return beyond[0] + "."
	}
	return strconv.Itoa(len(beyond)) + " values need a look. " + beyond[0] + "."
}
