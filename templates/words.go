package templates

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/a-h/templ"
)

// entityWords makes "smart_home:living_room:temp_sensor" a name, "Temp sensor", and a place, "Smart home, living room".
func entityWords(id string) (name, place string) {
	parts := strings.FieldsFunc(id, func(c rune) bool { return c == ':' })
	for i, p := range parts {
		parts[i] = strings.Join(strings.FieldsFunc(p, func(c rune) bool { return c == '_' || c == '-' }), " ")
	}
	parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
	if len(parts) == 0 {
		return id, ""
	}
	return capital(parts[len(parts)-1]), capital(strings.Join(parts[:len(parts)-1], ", "))
}

// capitalWord makes one word that a device says, such as "open", look like an answer; longer text stays as it came.
func capitalWord(s string) string {
	if strings.ContainsFunc(s, func(c rune) bool { return c < 'a' || c > 'z' }) {
		return s
	}
	return capital(s)
}

// inSentence writes a label in the middle of a sentence; one with other capitals than the first, such as "CO2", stays as it is.
func inSentence(label string) string {
	small := strings.ToLower(label)
	if _, first := utf8.DecodeRuneInString(label); len(label) != len(small) || label[first:] != small[first:] {
		return label
	}
	return small
}

// kindOf tells numbers from words, which are set in other letters.
func kindOf(value string) string {
	if value != "" && strings.Trim(value, "0123456789.,\u2212+e-") == "" {
		return "number"
	}
	return "word"
}

// sizeOf says how long a value is, so that it fits its card.
func sizeOf(value string) string {
	switch n := utf8.RuneCountInString(value); {
	case n <= 7:
		return ""
	case n <= 10:
		return "long"
	case n <= 14:
		return "longer"
	}
	return "longest"
}

func capital(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(unicode.ToUpper(first)) + s[size:]
}

// age counts in steps that stay calm: by five below a minute, then by the largest whole unit.
func age(d time.Duration) string {
	s := int(d / time.Second)
	switch {
	case s < 5:
		return "just now"
	case s < 60:
		return strconv.Itoa(s/5*5) + " s ago"
	case s < 3600:
		return strconv.Itoa(s/60) + " min ago"
	case s < 86400:
		return strconv.Itoa(s/3600) + " h ago"
	case s < 2*86400:
		return "yesterday"
	}
	return strconv.Itoa(s/86400) + " days ago"
}

// maxHeard is how many devices the check lists.
const maxHeard = 12

// Heard puts devices into words, those that are quiet first and then the longest silent.
func Heard(devices []DeviceHeard, now time.Time) *DevicesHeard {
	quiet := 0
	for i, d := range devices {
		devices[i].Name, devices[i].Place = entityWords(d.Entity)
		devices[i].Name = cmp.Or(d.Name, devices[i].Name)
		devices[i].Age = "Last heard " + age(now.Sub(d.At))
		if d.Quiet {
			quiet++
			devices[i].Age = "Quiet, last heard " + age(now.Sub(d.At))
		}
	}
	slices.SortStableFunc(devices, func(a, b DeviceHeard) int {
		if a.Quiet != b.Quiet {
			return map[bool]int{true: -1, false: 1}[a.Quiet]
		}
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Entity, b.Entity))
	})
	h := &DevicesHeard{List: devices[:min(len(devices), maxHeard)]}
	h.State, h.Words = heardWords(len(devices), quiet)
	if more := len(devices) - maxHeard; more > 0 {
		h.More = "and " + strconv.Itoa(more) + " more"
	}
	return h
}

// Unheard is for when our own link is down: what was heard stays true, and nothing else can be said.
func (h *DevicesHeard) Unheard() {
	h.State, h.Words = "unknown", "Not known right now, because our link to the devices is down."
}

func heardWords(all, quiet int) (state, words string) {
	heard := count(all, "device", "devices") + " heard"
	switch {
	case all == 0:
		return "none", "No device has sent anything yet."
	case quiet == 0:
		return "works", heard + "."
	case all == 1:
		return "silent", "1 device heard. It is quiet now."
	case quiet == all:
		return "silent", heard + ". All are quiet now."
	}
	return "quiet", heard + ", " + count(quiet, "is", "are") + " quiet."
}

// seconds says how long a message took: "0.2 s". web/src/words.check.ts says it in the same way.
func seconds(d time.Duration) string {
	switch s := d.Seconds(); {
	case s < 0.095:
		return strconv.FormatFloat(max(s, 0.01), 'f', 2, 64) + " s"
	case s < 9.95:
		return strconv.FormatFloat(s, 'f', 1, 64) + " s"
	default:
		return strconv.FormatFloat(s, 'f', 0, 64) + " s"
	}
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// withoutScripts is what the check can say to a browser that runs none.
func withoutScripts(p CheckPage) string {
	words := "This check needs scripts, and this browser runs none here. What this server knows without them: your request came over " + p.Seen.Protocol
	if len(p.Seen.Added) > 0 {
		words += " through a proxy (" + strings.Join(p.Seen.Added, ", ") + ")"
	}
	switch {
	case p.Front && p.Broker.Works:
		return words + ", and the service can be reached."
	case p.Broker.Works:
		return words + ", and messages come through."
	}
	return words + ", and no messages come through now."
}

func backWords(p CheckPage) string {
	if p.Devices == nil {
		return "Back to the first page"
	}
	return "Back to the values"
}

func hopState(h Hop) string {
	if h.Works {
		return "works"
	}
	return "broken"
}

func hopWords(p CheckPage) string {
	switch {
	case p.Front && p.Broker.Works:
		return "can be reached (" + seconds(p.Broker.Took) + ")"
	case p.Broker.Works:
		return "works (" + seconds(p.Broker.Took) + ")"
	}
	return "broken"
}

// withoutScriptsWord is what the head says to a browser that runs no scripts, of a page that layout.templ has it load anew by itself, or not.
func withoutScriptsWord(reloads bool) string {
	if reloads {
		return "Refreshes every 30 s"
	}
	return "Reload for newer values"
}

// reloadWords say the same in a sentence.
func reloadWords(reloads bool) string {
	if reloads {
		return "Reload this page for newer values. It also reloads by itself every 30 seconds."
	}
	return "Reload this page for newer values."
}

// boardScripts are the board's own, that of whoever comes back, and that of the switch where there is one.
func boardScripts(p BoardPage) []string {
	scripts := []string{"board.js", "away.js", "settings.js"}
	if len(p.Changing.Wishes) > 0 { // before the first value is drawn that may be wanted otherwise
		scripts = slices.Insert(scripts, 0, "applied.js")
	}
	if p.Holds {
		scripts = append(scripts, "watch.js")
	}
	if p.Buttons.May {
		scripts = append(scripts, "buttons.js")
	}
	return scripts
}

// boardAttributes are what scripts read early. A page on which somebody types is not reloaded under their hands.
func boardAttributes(p BoardPage) templ.Attributes {
	known := templ.Attributes{"data-ways": strings.Join(p.Ways, " ")}
	if p.Changing.On {
		known["data-changing"] = true
	}
	return known
}

// turned is what a press on a switch asks for.
func turned(on bool) string {
	if on {
		return "no"
	}
	return "yes"
}

func truth(on bool) string { return strconv.FormatBool(on) }

func onOff(on bool) string {
	if on {
		return "On"
	}
	return "Off"
}
