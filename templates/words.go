package templates

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Groups sorts cards by entity, keeps the order they came in within one, and says how old each value is.
// web/src/words.ts says names and ages in the same words; both are held to testdata/words.json.
func Groups(cards []Card, now time.Time) []Group {
	var groups []Group
	at := map[string]int{}
	for _, c := range cards {
		i, seen := at[c.Entity]
		if !seen {
			i = len(groups)
			at[c.Entity] = i
			name, place := entityWords(c.Entity)
			groups = append(groups, Group{Entity: c.Entity, Name: name, Place: place})
		}
		c.Age = age(now.Sub(c.At))
		c.Value = capitalWord(c.Value)
		if c.Minor {
			groups[i].More = append(groups[i].More, c)
			continue
		}
		groups[i].Cards = append(groups[i].Cards, c)
	}
	slices.SortStableFunc(groups, func(a, b Group) int { return cmp.Compare(a.Entity, b.Entity) })
	return groups
}

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

// summary is the first line of the board, as long as nothing needs attention.
func summary(groups []Group) string {
	values := 0
	for _, g := range groups {
		values += len(g.Cards)
	}
	if values == 0 && len(groups) > 0 {
		values = len(groups[0].More)
	}
	switch {
	case values == 0:
		return "Nothing was heard yet."
	case len(groups) == 1:
		return count(values, "value", "values") + " from " + groups[0].Name + "."
	}
	return count(values, "value", "values") + " from " + count(len(groups), "device", "devices") + "."
}

// maxHeard is how many devices the check lists.
const maxHeard = 12

// Heard puts devices into words, those that are quiet first and then the longest silent.
func Heard(devices []DeviceHeard, now time.Time) *DevicesHeard {
	quiet := 0
	for i, d := range devices {
		devices[i].Name, devices[i].Place = entityWords(d.Entity)
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

// Unheard is for when our own link to the broker is down: what was heard stays true, and nothing else can be said.
func (h *DevicesHeard) Unheard() {
	h.State, h.Words = "unknown", "Not known right now, because our link to the broker is down."
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
		return words + ", and the broker can be reached."
	case p.Broker.Works:
		return words + ", and its broker works."
	}
	return words + ", and its broker takes no messages now."
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

// boardScripts are the board's own, and that of the switch where there is one.
func boardScripts(p BoardPage) []string {
	if p.Holds {
		return []string{"board.js", "watch.js"}
	}
	return []string{"board.js"}
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
