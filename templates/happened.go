package templates

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// HappenedEvent is one thing that happened. Programs are given it as it is; [Happened] puts it into words.
type HappenedEvent struct {
	Kind    string     `json:"kind"` // one of those below
	At      time.Time  `json:"at"`   // the last that is known of it
	From    time.Time  `json:"from"`
	To      *time.Time `json:"to"` // nil: it lasts
	Entity  string     `json:"entity"`
	Name    string     `json:"name"`   // of the entity, as the owner of the board has it
	Called  string     `json:"called"` // in sentences, as in Group
	Reading string     `json:"reading"`
	Label   string     `json:"label"`
	Value   string     `json:"value"`
	Before  string     `json:"before"`
	Unit    string     `json:"unit"`
	Count   int        `json:"count"` // of changes
	Usual   *float64   `json:"usual"` // seconds
	Rhythm  string     `json:"-"`     // as in Device: how Usual is meant
	Reason  string     `json:"reason"`
	Who     string     `json:"who"` // pressed a button
	Due     time.Time  `json:"-"`   // as in Press, so that the board says the same of it
	Patient time.Time  `json:"-"`
}

// Kinds of what happens.
const (
	HappenedQuiet   = "quiet"   // a device was silent for longer than is usual for it
	HappenedChanged = "changed" // a word or a switch became another
	HappenedHighest = "highest" // a number was beyond all that it was in the week before
	HappenedLowest  = "lowest"
	HappenedOutside = "outside" // a number was beyond a limit that it has now
	HappenedPressed = "pressed" // somebody pressed a button
	HappenedGap     = "gap"     // nothing could be recorded

	// HappenedUnheard is the reason of a silence that ends because a gap of ours begins.
	HappenedUnheard = "unheard"
)

// HappenedPage is what happened between two moments, in words.
type HappenedPage struct {
	Span    string // "From yesterday, 13:40 to today, 14:27 (25 h)"
	Summary string
	Days    []HappenedDay // newest first
	Notes   []string      // what is not known, or not shown
	Newer   string        // address of the page before this one; empty for none
	Older   string        // and behind it
	Zone    string        // whose times these are
}

// HappenedDay is what happened on one day.
type HappenedDay struct {
	Name string // "Today", "Friday, 1 May"
	Rows []HappenedRow
}

// HappenedRow is one thing that happened.
type HappenedRow struct {
	At    time.Time
	Time  string // "13:40"
	Kind  string
	Of    string // whose it is, where the words do not say it; may be empty
	Name  string // of the value; with Href a link to it
	Href  string
	Words string // go on after the name
}

// Telling is what [Happened] makes words of.
type Telling struct {
	From, To time.Time
	Now      time.Time // in the zone whose times are told
	Events   []HappenedEvent
	First    int // of them that is on this page
	Most     int // on one page
	Messages int
	Many     bool      // there were more messages
	More     bool      // not all was looked at
	Past     bool      // To is over: what lasted then may be over too
	Cut      bool      // it was asked for more than is looked at
	Kept     time.Time // since when all messages are kept; zero: since From
	Learning int       // devices of which it is not known yet how often they speak
	Host     string    // whom our own link leads to; empty where it has no name
}

// Happened says what happened.
func Happened(t Telling) HappenedPage {
	zone := t.Now.Location()
	from, to := t.From.In(zone), t.To.In(zone)
	p := HappenedPage{
		Span:    "From " + dayTime(from, t.Now) + " to " + dayTime(to, t.Now) + " (" + lasting(to.Sub(from)) + ")",
		Summary: happenedSummary(t.Events) + " " + messagesCame(t),
		Zone:    zoneName(t.Now),
	}
	last := min(t.First+t.Most, len(t.Events))
	for _, e := range t.Events[min(t.First, last):last] {
		at := e.At.In(zone)
		name := dayName(at, t.Now)
		if n := len(p.Days); n == 0 || p.Days[n-1].Name != name {
			p.Days = append(p.Days, HappenedDay{Name: name})
		}
		day := &p.Days[len(p.Days)-1]
		day.Rows = append(day.Rows, rowOf(e, at, t))
	}
	p.Notes = happenedNotes(t, last)
	return p
}

func rowOf(e HappenedEvent, at time.Time, t Telling) HappenedRow {
	row := HappenedRow{At: e.At, Time: at.Format("15:04"), Kind: e.Kind}
	name := e.Name
	if name == "" {
		name, _ = entityWords(e.Entity)
	}
	if e.Kind != HappenedPressed { // its words say the place of every device
		name = cmp.Or(e.Called, name)
	}
	switch e.Kind {
	case HappenedQuiet:
		row.Name, row.Words = name, silenceWords(e, t)
		return row
	case HappenedGap:
		if e.Entity != "" {
			row.Of = name
		}
		row.Words = brokenWords(e, t.Now, t.Host)
		return row
	}
	row.Of, row.Name = name, e.Label
	if e.Kind == HappenedPressed {
		row.Of = DeviceWords(name, e.Entity)
		row.Words = pressedWords(e, t.Now)
		return row
	}
	row.Href = ValueAddress(e.Entity, e.Reading, nil)
	row.Words = valueWords(e, t)
	return row
}

func silenceWords(e HappenedEvent, t Telling) string {
	now := t.Now
	usual := ""
	if e.Usual != nil {
		usual = inBrackets(usually(e.Rhythm, time.Duration(*e.Usual*float64(time.Second))))
	}
	from := dayTime(e.From.In(now.Location()), now)
	switch {
	case e.To == nil && t.Past:
		return "was still quiet at " + dayTime(t.To.In(now.Location()), now) + ", since " + from + usual + "."
	case e.To == nil:
		return "has been quiet since " + from + usual + "."
	case e.Reason == HappenedUnheard:
		return "was quiet " + fromTo("from", "to", e.From, *e.To, now) + usual + ". Nothing could be heard after that."
	}
	return "is back. It was quiet for " + lasting(e.To.Sub(e.From)) + ", since " + from + usual + "."
}

func valueWords(e HappenedEvent, t Telling) string {
	value, before := capitalWord(e.Value), capitalWord(e.Before)
	unit := ""
	if e.Unit != "" {
		unit = " " + e.Unit
	}
	switch {
	case e.Kind == HappenedOutside:
		return outsideWords(e, value+unit, t)
	case e.Kind == HappenedHighest:
		return "reached " + value + unit + ", the highest in a week (before that " + before + unit + ")."
	case e.Kind == HappenedLowest:
		return "fell to " + value + unit + ", the lowest in a week (before that " + before + unit + ")."
	case e.Count > 1:
		return "changed " + strconv.Itoa(e.Count) + " times, last " + e.At.In(t.Now.Location()).Format("15:04") + ": " + value
	case e.Before == "":
		return "was " + value + ". Nothing earlier is on record."
	}
	return before + " → " + value
}

// outsideWords says since when, and how far out it was.
func outsideWords(e HappenedEvent, value string, t Telling) string {
	now := t.Now
	most, from := "up to ", dayTime(e.From.In(now.Location()), now)
	if strings.HasPrefix(e.Reason, "below ") {
		most = "down to "
	}
	switch {
	case e.To == nil && t.Past:
		return "was still " + e.Reason + " at " + dayTime(t.To.In(now.Location()), now) + ", since " + from + ", " + most + value + "."
	case e.To == nil:
		return "has been " + e.Reason + " since " + from + ", " + most + value + "."
	}
	return "was " + e.Reason + " " + fromTo("from", "to", e.From, *e.To, now) + ", " + most + value + "."
}

// pressedWords says who it was, and how far it got, as the board's log of presses does.
func pressedWords(e HappenedEvent, now time.Time) string {
	p := Press{State: e.Reason, Words: e.Value, Due: e.Due, Patient: e.Patient}
	if e.To != nil {
		p.Settled = *e.To
	}
	return "was pressed by " + e.Who + ". " + stageWords(p, now, dayTime(p.Settled.In(now.Location()), now))
}

// happenedSummary says it in one sentence; web/src/words.away.ts says it in a line of its own.
func happenedSummary(events []HappenedEvent) string {
	seen, n := map[[2]string]bool{}, map[string]int{}
	for _, e := range events {
		kind, who := e.Kind, [2]string{e.Kind, e.Entity + "\n" + e.Reading + "\n" + e.Label}
		if kind == HappenedLowest {
			kind = HappenedHighest
		}
		if kind == HappenedGap || !seen[who] {
			seen[who] = true
			n[kind]++
		}
	}
	var parts []string
	add := func(kind, one, many string) {
		if n[kind] > 0 {
			parts = append(parts, count(n[kind], one, many))
		}
	}
	add(HappenedQuiet, "device was quiet", "devices were quiet")
	add(HappenedGap, "time is not in the record", "times are not in the record")
	add(HappenedOutside, "value was outside its limits", "values were outside their limits")
	add(HappenedHighest, "number was unusual", "numbers were unusual")
	add(HappenedPressed, "button was pressed", "buttons were pressed")
	add(HappenedChanged, "value changed", "values changed")
	if len(parts) == 0 {
		return "Nothing unusual."
	}
	return listed(parts) + "."
}

func listed(parts []string) string {
	switch n := len(parts); n {
	case 0:
		return ""
	case 1:
		return parts[0]
	default:
		words := parts[0]
		for _, p := range parts[1 : n-1] {
			words += ", " + p
		}
		return words + " and " + parts[n-1]
	}
}

// messagesCame counts what is kept; where some were removed it does not say that no others came.
func messagesCame(t Telling) string {
	is, are := "came.", "came."
	if !t.Kept.IsZero() {
		is, are = "is kept.", "are kept."
	}
	switch {
	case t.Many:
		return "More than " + thousands(t.Messages) + " messages " + are
	case t.Messages == 0:
		return "No message " + is
	case t.Messages == 1:
		return "1 message " + is
	}
	return thousands(t.Messages) + " messages " + are
}

func happenedNotes(t Telling, last int) (notes []string) {
	if shown := last - min(t.First, last); shown < len(t.Events) {
		notes = append(notes, "Showing "+thousands(t.First+1)+" to "+thousands(last)+" of "+thousands(len(t.Events))+".")
	}
	if t.More {
		notes = append(notes, "So much happened that not all of it was looked at. A shorter time shows more.")
	}
	if t.Cut {
		notes = append(notes, "No more than 31 days are looked at in one go.")
	}
	if !t.Kept.IsZero() {
		notes = append(notes, "Messages from before "+dayTime(t.Kept.In(t.Now.Location()), t.Now)+" are not all kept any more, so not all that happened then is known.")
	}
	if t.Learning > 0 {
		notes = append(notes, "We are still finding out how often "+count(t.Learning, "device", "devices")+" usually report. Look again in a moment.")
	}
	return notes
}

// dayTime says "13:40", with the day in front where that is not today.
func dayTime(at, now time.Time) string {
	clock := at.Format("15:04")
	if name := dayName(at, now); name != "Today" {
		if name == "Yesterday" {
			return "yesterday, " + clock
		}
		return at.Format("Jan 2") + ", " + clock
	}
	return clock
}

// fromTo says when something was that is over: "from 13:40 to 14:27", with the day once where it is the same, or "at 13:40 for 35 s" where a clock would
// show the same twice. web/src/words.away.ts says it in the same way.
func fromTo(from, to string, began, ended, now time.Time) string {
	began, ended = began.In(now.Location()), ended.In(now.Location())
	first, last := dayTime(began, now), dayTime(ended, now)
	if first == last {
		return "at " + first + " for " + lasting(ended.Sub(began))
	}
	if began.Format(time.DateOnly) == ended.Format(time.DateOnly) {
		last = dayTime(ended, ended)
	}
	return from + " " + first + " " + to + " " + last
}

func dayName(at, now time.Time) string {
	switch day := at.Format(time.DateOnly); day {
	case now.Format(time.DateOnly):
		return "Today"
	case now.AddDate(0, 0, -1).Format(time.DateOnly):
		return "Yesterday"
	}
	if at.Year() != now.Year() {
		return at.Format("Monday, January 2, 2006")
	}
	return at.Format("Monday, January 2")
}

// lasting says how long something took: "47 min", "9 days". web/src/words.away.ts says it in the same way.
func lasting(d time.Duration) string {
	if d < 48*time.Hour {
		return span(d)
	}
	return strconv.Itoa(int((d+12*time.Hour)/(24*time.Hour))) + " days"
}

func thousands(n int) string {
	words := strconv.Itoa(n)
	for i := len(words) - 3; i > 0; i -= 3 {
		words = words[:i] + "," + words[i:]
	}
	return words
}

// zoneName names the zone of a time: what it is called in the world, or what people there call it.
func zoneName(at time.Time) string {
	if name := at.Location().String(); name != "Local" && name != "" {
		return name
	}
	return ZoneWords(at)
}

// ZoneWords is what people call the zone of a time; one that has no such name is told by how far it is from UTC.
func ZoneWords(at time.Time) string {
	name := at.Format("MST")
	if strings.HasPrefix(name, "+") || strings.HasPrefix(name, "-") {
		return "UTC" + at.Format("-07:00")
	}
	return name
}

func dayID(n int) string { return "day-" + strconv.Itoa(n) }
