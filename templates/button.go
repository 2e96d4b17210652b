package templates

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Buttons are what can be pressed on a board, and what was.
type Buttons struct {
	May      bool // press, and make some
	Full     bool // there are as many as there may be
	Changing bool // the page is one on which somebody types, and does not reload itself
	Making   bool // whoever asked for it wants to make some
	List     []Button
	Pressed  []Press  // the newest first
	Entity   string   // of the holder; empty for the operator, who says for each button whom it is for
	Devices  []string // that the board knows
	Readings []string
	More     bool   // that were pressed, and are not in Pressed
	Zone     string // for a new button's hours
	Now      time.Time
}

// Button is one of them.
type Button struct {
	ID           string
	Version      int
	Label        string
	Entity, Data string
	Device       string // its name and place
	Unheard      string // that nobody was heard under this name, and whom it may mean; empty: somebody was
	Number       *Number
	Risk         string // "plain", "confirm", "hold"
	Undo         bool
	Matters      bool   // it switches or opens something, and is done at once only because its owner wants that
	Answer       string // name of a reading; "-": none is awaited
	Most, Per    int    // times, in seconds
	From, To     int    // minutes of the day
	Zone         string
	First, Last  bool
	Press        string // the id of the next press of a page without scripts
	Pressed      Press  // the last, if that was lately
}

// Number is what a person chooses.
type Number struct {
	Name                  string
	Min, Max, Step, Start float64
	Offer                 float64 // what the page begins with: Start, or what was chosen last
	Unit                  string
}

// Press is one press as it is printed. web/src/buttons.ts reads the same out of the answers of the server.
type Press struct {
	ID      string    `json:"id"`
	Who     string    `json:"-"`
	Label   string    `json:"-"`
	Chosen  string    `json:"-"`
	Device  string    `json:"-"` // its name and place
	State   string    `json:"state"`
	Words   string    `json:"words,omitempty"`
	Pressed time.Time `json:"pressed"`
	Due     time.Time `json:"due,omitzero"`
	Settled time.Time `json:"settled,omitzero"`
	Patient time.Time `json:"patient,omitzero"`
	Heard   time.Time `json:"heard,omitzero"`
}

// What people read of a press, the same as in web/src/words.buttons.ts; testdata/presses.json holds both to it.
const (
	notSent       = "Not sent. Press again if you still want it."
	notAnswered   = "Accepted, but the device has not answered yet. It may do it when it is back."
	mayHaveBeen   = "It was sent, but nobody confirmed it. It may have been done: look before you press again."
	undoneWords   = "Undone. Nothing was sent."
	sendingWords  = "Sending…"
	refusedWords  = "Not accepted."
	answeredWords = "Device answered: "
)

// stageWords says how far a press got; clock is the time at which it was accepted.
func stageWords(p Press, now time.Time, clock string) string {
	switch p.State {
	case "waiting":
		return "Sends in " + strconv.Itoa(max(1, int(math.Ceil(p.Due.Sub(now).Seconds())))) + " s, also when you leave this page."
	case "sending":
		return sendingWords
	case "accepted":
		if !p.Patient.IsZero() && now.After(p.Patient) {
			return notAnswered
		}
		return "Accepted " + clock
	case "answered":
		return answeredWords + p.Words
	case "not_sent":
		return notSent
	case "unsure":
		return mayHaveBeen
	case "undone":
		return undoneWords
	case "refused":
		if p.Words != "" {
			return "Not accepted: " + p.Words
		}
		return refusedWords
	}
	return ""
}

// printedStage is stageWords without a browser, which alone knows what time it is where it is.
func printedStage(p Press, now time.Time) string {
	return stageWords(p, now, zoned("15:04", p.Settled, now))
}

// Amount says a number with its unit: "19 °C".
func Amount(v float64, unit string) string {
	return WithUnit(strings.Replace(plainNumber(v), "-", "\u2212", 1), unit) // as it was chosen, not rounded
}

// WithUnit puts a unit behind a value, if there is one.
func WithUnit(value, unit string) string {
	if unit == "" {
		return value
	}
	return value + " " + unit
}

// Choice says which numbers there are: "from 5 to 30 °C, in steps of 0.5".
func Choice(least, most, step float64, unit string) string {
	return "from " + Amount(least, "") + " to " + Amount(most, unit) + ", in steps of " + Amount(step, "")
}

// Hours says when something may be pressed: "between 07:00 and 22:00 (Europe/Berlin)".
func Hours(from, to int, zone string) string {
	return "between " + hourOfDay(from) + " and " + hourOfDay(to) + " (" + zone + ")"
}

// AgainIn says when to try again.
func AgainIn(d time.Duration) string {
	switch s := int(math.Ceil(d.Seconds())); {
	case s < 90:
		return "It can be pressed again in " + strconv.Itoa(max(1, s)) + " s."
	case s < 5400:
		return "It can be pressed again in " + strconv.Itoa((s+59)/60) + " min."
	default:
		return "It can be pressed again in " + strconv.Itoa((s+3599)/3600) + " h."
	}
}

func hourOfDay(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

func plainNumber(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// limitWords says under a button what its owner allows; empty where that is everything.
func limitWords(b Button) string {
	var words []string
	if b.Most > 0 {
		words = append(words, "At most "+count(b.Most, "time", "times")+" "+map[int]string{60: "a minute", 3600: "an hour", 86400: "a day"}[b.Per]+".")
	}
	if b.From != b.To {
		words = append(words, "Only "+Hours(b.From, b.To, b.Zone)+".")
	}
	return strings.Join(words, " ")
}

// mayPress says whose buttons they are: they belong to an entity, and not to one of its keys.
func mayPress(entity string) string {
	if entity == "" {
		return "Whoever is signed in as the operator may press it."
	}
	return "Whoever has an access key of " + entity + " may press it."
}

// spaced has words follow others as a sentence of its own.
func spaced(words string) string {
	if words == "" {
		return ""
	}
	return ". " + words
}

// UnheardWords says that nobody was heard under the name for which a button is: it may be the wrong one, or a device that has not spoken yet. Of another
// that differs only by its capitals it is asked. An owner who hears one entity alone cannot speak for all.
func UnheardWords(entity string, heard []string, all bool) string {
	meant := ""
	for _, name := range heard {
		if name == entity {
			return ""
		}
		if strings.EqualFold(name, entity) {
			meant = " Did you mean " + name + "?"
		}
	}
	where := ""
	if !all {
		where = " on this board"
	}
	return "Nobody has been heard under this name" + where + " yet." + meant
}

// DeviceWords puts a device's place behind its name.
func DeviceWords(name, entity string) string {
	_, place := entityWords(entity)
	if place == "" {
		return name
	}
	return name + ", " + place
}

// LogTime is when something was pressed, where no script says it in the reader's own time.
func LogTime(t, now time.Time) string { return zoned("Jan 2, 15:04", t, now) }

// zoned writes a time by the clock of now, and says whose that is.
func zoned(layout string, t, now time.Time) string {
	t = t.In(now.Location())
	return t.Format(layout) + " " + ZoneWords(t)
}

func pressedWhat(p Press) string {
	if p.Chosen == "" {
		return p.Label
	}
	return p.Label + ": " + p.Chosen
}

func ownerTime(minutes int, b Button) string {
	if b.From == b.To {
		return ""
	}
	return hourOfDay(minutes)
}

func (b Button) field(name string) string { return "button-" + b.ID + "-" + name }

// numberOf is what the owner's form shows of a number.
func (b Button) numberOf() Number {
	if b.Number == nil {
		return Number{}
	}
	return *b.Number
}

func (b Button) numberText(v float64) string {
	if b.Number == nil {
		return ""
	}
	return plainNumber(v)
}

func most(b Button) string {
	if b.Most == 0 {
		return ""
	}
	return strconv.Itoa(b.Most)
}

// answersOf are the readings that may count as the answer, the button's own among them.
func answersOf(b Button, readings []string) []string {
	if b.Answer == "" || b.Answer == "-" {
		return readings
	}
	all := []string{b.Answer}
	for _, r := range readings {
		if r != b.Answer {
			all = append(all, r)
		}
	}
	return all
}

func zoneOf(b Button, usual string) string {
	if b.Zone == "" {
		return usual
	}
	return b.Zone
}

// symbolOf is the shape beside the words of a stage.
func symbolOf(p Press, now time.Time) string {
	if p.State == "accepted" && !p.Patient.IsZero() && now.After(p.Patient) {
		return "silent"
	}
	return p.State
}

// wasOf is a press for the script.
func wasOf(p Press) string {
	if p.ID == "" {
		return ""
	}
	text, err := json.Marshal(p)
	if err != nil {
		return ""
	}
	return string(text)
}
