package templates

import (
	"maps"
	"net/url"
	"strconv"
	"time"
)

// ValuePage is one value over a time, for whoever may hear it.
type ValuePage struct {
	Drawn
	Holder   string // whose page it is
	Host     string // whom our own link leads to
	Entity   string // ids, for links and for the script
	Reading  string
	Value    string // as it was last heard; empty when that is not known any more
	At       time.Time
	Age      string
	ByHand   bool
	Spans    []SpanLink
	Earlier  string   // addresses; empty: there is nothing
	Later    string   //
	Live     bool     // it goes up to now, and on
	Ways     []string // as BoardPage
	Settings Settings
	Exports  []Export
	Code     []Snippet
	Moments  Moments
}

// SpanLink leads to the same value over another time.
type SpanLink struct {
	Words, Href string
	Here        bool
}

// Drawn is a reading over a time, in words and shapes.
type Drawn struct {
	Name, Place string // of the device
	Label, Unit string
	Title       string // "The last day"
	From, To    time.Time
	Begins      time.Time // when the record does, where that is within the time or behind it; else zero
	Chart       Chart
	Empty       bool // nothing was heard in that time
	Facts       []Fact
	Gaps        []Gap
	MoreGaps    string // "and 3 more"; may be empty
	Table       Table
	Data        any // for the script
}

// Chart is shapes and their words. Across it is as wide as the page; heights are pixels.
type Chart struct {
	Line, Band, Dots string
	Levels           []Level
	Times            []Tick
	Boxes            []Box // in which nothing is known
	Lanes            []Lane
	Words            string // all of it, for who does not see it
}

// Level is a line across the chart.
type Level struct{ Y, Words, Unit string }

// Tick is a time below the chart.
type Tick struct{ X, Words string }

// Box is a time on the chart.
type Box struct {
	X, Wide, Words string
	Quiet          bool // the device was silent; else it was us
}

// Lane is a row of the times in which something was so.
type Lane struct {
	Words string
	Boxes []Box
}

// Fact is a number worth naming, and when it was.
type Fact struct {
	Name, Value, Unit string
	At                time.Time // zero: at no one time
	Until             time.Time // it was somewhen between the two; zero: at that minute
}

// Gap is a time of which nothing is known, and why.
type Gap struct {
	Words    string
	From, To time.Time // To zero: it lasts
}

// Table is the same in numbers.
type Table struct {
	Heads []string
	Rows  []TableRow
	Note  string // what is left out; may be empty
}

// TableRow is one time of it. One with Words alone is a gap.
type TableRow struct {
	From  time.Time
	To    time.Time // of a gap; zero otherwise, or when it lasts
	Cells []string
	Words string
}

// Export is a file that can be had.
type Export struct{ Words, Href string }

// Snippet is a program that reads the value.
type Snippet struct{ ID, Name, Text string }

// EntityWords is how people read an entity's id: a name and a place.
func EntityWords(id string) (name, place string) { return entityWords(id) }

// CapitalWord is how a word that a device says looks as an answer.
func CapitalWord(s string) string { return capitalWord(s) }

// Age says how long ago something was.
func Age(d time.Duration) string { return age(d) }

// HowLong says how long something takes: "5 min". web/src/words.ts says it in the same way.
func HowLong(d time.Duration) string {
	switch s := int(d.Round(time.Second) / time.Second); {
	case s < 90:
		return strconv.Itoa(max(1, s)) + " s"
	case s < 5400:
		return strconv.Itoa((s+30)/60) + " min"
	default:
		return strconv.Itoa((s+1800)/3600) + " h"
	}
}

// clockOf is a moment in UTC, with the day in front where that is not the day of to; a script writes the reader's own.
func clockOf(at, to time.Time) string {
	at, to = at.UTC(), to.UTC()
	if at.YearDay() == to.YearDay() && at.Year() == to.Year() {
		return at.Format("15:04")
	}
	return at.Format("Jan 2, 15:04")
}

func laneTop(i int) string    { return strconv.Itoa(i*laneHigh + 20) }
func laneWords(i int) string  { return strconv.Itoa(i*laneHigh + 14) }
func lanesHigh(n int) string  { return strconv.Itoa(n*laneHigh + 28) }
func lanesBox(n int) string   { return "0 0 1000 " + strconv.Itoa(n*laneHigh+4) }
func lanesPlot(n int) string  { return strconv.Itoa(n*laneHigh + 4) }
func lanesTicks(n int) string { return strconv.Itoa(n*laneHigh + 22) }
func laneClass(i int) string  { return "lane-" + strconv.Itoa(i%6) }

const laneHigh = 44

// Moments is the form that sends what the page shows, and what was sent before.
type Moments struct {
	Span, To string     // what the page shows, for the form
	Href     string     // the address of the page
	Made     *MadeLink  // the link that was made just now; nil: none
	Refused  string     // why none could be made; empty otherwise
	List     []SentLink // of this value
}

// MadeLink is a new link: it is shown once.
type MadeLink struct {
	Title, Address string
	Near           string // the host, where every machine is led to itself by it
}

// SentLink is a link that leads to a moment.
type SentLink struct {
	ID, Title string
	From, To  time.Time
	State     string // "Ends on 5 May", "Ended", "Withdrawn"
	Opened    string // "Opened 3 times, last 2 h ago", "Not opened yet"
	By        string // who made it, where that was somebody else; may be empty
	Over      bool
}

// dayAndClock is a moment in UTC with its day.
func dayAndClock(at time.Time) string { return at.UTC().Format("Jan 2, 2006, 15:04") }

func columns(t Table) string { return strconv.Itoa(len(t.Heads)) }

// levelWords has the unit once, on top.
func levelWords(l Level, top bool) string {
	if top && l.Unit != "" {
		return l.Words + " " + l.Unit
	}
	return l.Words
}

// MomentDoorPage takes the code of a link to a moment, from the address by script or by hand.
type MomentDoorPage struct{ Refused string }

// MomentPage is a moment that somebody sent: one reading over one time.
type MomentPage struct {
	Drawn
	Title string
	Sent  time.Time
	Ends  string // "This link ends on Sunday."; empty: it does not
}

// OnDay says on which day something was or will be: "today", "on Sunday", "on May 5, 2027".
func OnDay(at, now time.Time) string {
	at, now = at.UTC(), now.UTC()
	days := int(at.Truncate(24*time.Hour).Sub(now.Truncate(24*time.Hour)) / (24 * time.Hour))
	switch {
	case days == 0:
		return "today"
	case days > -7 && days < 7:
		return "on " + at.Format("Monday")
	}
	return "on " + at.Format("Jan 2, 2006")
}

// Times says how often.
func Times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

// below writes the words of the highest line under it, where they have room.
func below(l Level) string {
	if y, err := strconv.ParseFloat(l.Y, 64); err == nil && y < 16 {
		return "14"
	}
	return "-4"
}

// ValueAddress is where the page of a value is; more says which of its times.
func ValueAddress(entity, reading string, more url.Values) string {
	query := url.Values{"entity": {entity}, "reading": {reading}}
	maps.Copy(query, more)
	return "/value?" + query.Encode()
}
