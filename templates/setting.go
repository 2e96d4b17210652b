package templates

import (
	"strconv"
	"strings"
)

// SettingForm changes how a value or a device is shown, where it is shown.
type SettingForm struct {
	Entity, Reading string // no reading: the device itself
	Of              string // "Greenhouse: Humidity", for who hears this form without seeing what it is in
	Name            string // what is set; empty: as it comes
	Usual           string // what it is called by itself
	Measured        bool   // a number, which has a unit, digits and limits
	Unit            string // what is set; empty: as it comes
	Sent            string // the unit that the device sends; may be empty
	Units           []string
	Digits          string // "", "0" to "6"
	Low, High       string // numbers in the unit In
	In              string
	Shown           string // In, as people read it
	Changed         bool   // this board has set something about it
}

// PlaceOf is the id of a device's heading, or of a value's card while it can be changed.
func PlaceOf(entity, reading string) string {
	if reading == "" {
		return "of-" + idOf(entity)
	}
	return "of-" + entity + "/" + reading
}

// idOf makes an id of a name that other elements can refer to by it: there, a space ends an id. web/src/view/group.ts makes the same.
func idOf(name string) string { return idParts.Replace(name) }

var idParts = strings.NewReplacer("_", "__", " ", "_.", "\t", "_.", "\n", "_.", "\f", "_.", "\r", "_.")

// Changing is what a board shows of changing it.
type Changing struct {
	On      bool   // the forms are printed
	Said    string // of what was changed just before; may be empty
	Ordered bool   // this board has an order of its own
	Hidden  []HiddenThing
	Wishes  []Wish
}

// How a change may end, as the address of the page that follows says it.
const (
	ChangeSaved = "saved"
	ChangeFirst = "first"
	ChangeLast  = "last"
)

// ChangeWords says how a change ended; nothing for anything else.
func ChangeWords(ended string) string {
	switch ended {
	case ChangeSaved:
		return "Saved."
	case ChangeFirst:
		return "It stands first already."
	case ChangeLast:
		return "It stands last already."
	}
	return ""
}

// Wish is what is set about a value, or about a device, which has no reading; for the scripts.
type Wish struct {
	Entity  string   `json:"entity"`
	Reading string   `json:"reading"`
	Name    string   `json:"name,omitempty"`
	Hidden  bool     `json:"hidden,omitempty"`
	Place   int      `json:"place,omitempty"`
	Unit    string   `json:"unit,omitempty"`
	Digits  *int     `json:"digits,omitempty"`
	Low     *float64 `json:"low,omitempty"` // in the unit that the device sends, as is the next
	High    *float64 `json:"high,omitempty"`
}

// HiddenThing is what is not on the board because somebody hid it.
type HiddenThing struct {
	Entity, Reading string
	Name            string // "Greenhouse: Humidity"
}

// choice is a line in a list.
type choice struct {
	value, words string
	on           bool
}

const ownUnit = "="

// units are the lines of the list of units: as it comes, those that it can be converted to, and whatever somebody types.
func (f SettingForm) units() []choice {
	usual := "As it comes"
	if f.Sent != "" {
		usual += " (" + f.Sent + ")"
	}
	all, known := []choice{{"", usual, f.Unit == ""}}, f.Unit == ""
	for _, u := range f.Units {
		if u == "" || (u == f.Sent && u != "B" && u != f.Unit) {
			continue
		}
		all = append(all, choice{u, unitWords(u), u == f.Unit})
		known = known || u == f.Unit
	}
	return append(all, choice{ownUnit, "Another…", !known})
}

// typed is the unit that is none of the list.
func (f SettingForm) typed() string {
	for _, c := range f.units() {
		if c.on && c.value == ownUnit {
			return f.Unit
		}
	}
	return ""
}

// unitWords says what a unit is where its name alone does not.
func unitWords(unit string) string {
	switch unit {
	case "fraction":
		return "From 0 to 1"
	case "% of 1":
		return "% (it sends 0 to 1)"
	}
	return unit
}

func (f SettingForm) digits() []choice {
	all := []choice{{"", "As many as help", f.Digits == ""}}
	for n := range 7 {
		text := strconv.Itoa(n)
		all = append(all, choice{text, text, f.Digits == text})
	}
	return all
}

// limitWords asks for the limits.
func (f SettingForm) limitWords() string {
	if f.Shown == "" {
		return "Needs attention"
	}
	return "Needs attention, in " + f.Shown
}

func hiddenWords(n int) string { return "Hidden: " + strconv.Itoa(n) }

// DeviceName is what a device is called by itself.
func DeviceName(entity string) string {
	name, _ := entityWords(entity)
	return name
}
