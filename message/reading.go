package message

import (
	_ "embed"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Bounds of what one message can make us keep and show.
const (
	MaxReadings     = 64  // values of one message
	maxReadingDepth = 5   // objects and lists inside each other
	maxListed       = 8   // objects of a list without names
	maxNameLen      = 120 // bytes of a reading's name
	maxWordLen      = 200 // bytes of a value that is text
	maxNumberLen    = 40  // bytes of a number that is written as text, with its unit
)

//go:embed paths.json
var pathsFile []byte

// paths is the table of what keys are called; web/src/reading.ts reads the same file.
var paths = table[struct {
	UnitNames                              map[string]string   // how the ends of names say what devices write out: "°C" is c
	Twice                                  map[string][]string // ends of names that say what is taken for granted where there is none
	Latitudes, Longitudes, Wrappers, Names []string
}]("paths.json", pathsFile)

// Reading is one value taken out of a message's data.
type Reading struct {
	Name  string // path of keys inside data, joined with "."; "value" for bare data
	Value any    // float64, string or bool
}

// Readings takes the values out of a message's data, at most MaxReadings, in the order they stand there: numbers, also those
// written as text, words, switches, positions and times. Null, long text, text that is or was JSON, lists of bare values and anything nested deeper than
// five do not count. What is said beside a value becomes part of its name, where units live: {"temp": {"value": 20,
// "unit": "C"}} is temp_c. Wrappers that say nothing ("decoded_payload") are left out of a name that stays the only one of its kind.
// web/src/reading.ts does the same; both are held to testdata/readings.json and testdata/devices.json.
func Readings(data json.RawMessage) []Reading {
	root, ok := parseTree(data, maxReadingDepth)
	if !ok {
		return nil
	}
	f := finder{found: make([]found, 0, 8), keys: index{all: make([]string, 0, 8)}}
	switch root.kind {
	case 'o':
		f.object(nil, root)
	case 'l':
		f.list(nil, root)
	case 'v':
		f.leaf([]string{"value"}, root.leaf, "")
	}
	return f.named()
}

// finder collects readings under their whole paths.
type finder struct {
	found []found
	keys  index // the paths of found, joined: a later one replaces the value of the one before
}

type found struct {
	path  []string
	value any
}

// full says whether no more is looked at: a name is short or whole, and both are known by then.
func (f *finder) full() bool { return len(f.found) >= 4*MaxReadings }

func (f *finder) object(path []string, o node) {
	var done map[string]bool // nearly always none
	if key, v, unit, ok := measure(o); ok && len(path) > 0 {
		f.leaf(path, v, unit)
		done = make(map[string]bool, len(o.members))
		for _, m := range o.members {
			done[m.key] = m.key == key || slices.Contains(unitNames, m.key) || (m.value.kind == 'v' && saysAgain(m.key, path[len(path)-1], unit))
		}
	}
	for _, find := range []func(node) (keys [2]string, where string, ok bool){position, point} {
		keys, where, ok := find(o)
		if !ok {
			continue
		}
		at := path
		if len(at) == 0 {
			at = []string{"position"}
		}
		f.leaf(at, where, "")
		if done == nil {
			done = map[string]bool{}
		}
		done[keys[0]], done[keys[1]] = true, true
		break
	}
	beside := sync.OnceValue(o.leaves) // few keys have to be looked for among the others
	for _, m := range o.members {
		if f.full() {
			return
		}
		if done[m.key] || m.key == "" || len(m.key) > maxNameLen || (m.value.kind == 'v' && saidElsewhere(beside, m.key)) {
			continue
		}
		to := append(path[:len(path):len(path)], m.key)
		switch m.value.kind {
		case 'o':
			f.object(to, m.value)
		case 'l':
			f.list(to, m.value)
		case 'v':
			f.leaf(to, m.value.leaf, "")
		}
	}
}

// list takes a list of named values, or a short list of objects by their number.
func (f *finder) list(path []string, l node) {
	if len(l.items) > maxItems {
		return
	}
	number := 0
	for _, item := range l.items {
		if item.kind != 'o' {
			continue
		}
		number++
		name, _ := item.get("name", "n", "parameter")
		_, v, unit, ok := measure(item)
		switch {
		case ok && name.text() != "":
			f.leaf(append(path[:len(path):len(path)], name.text()), v, unit)
		case len(l.items) <= maxListed:
			f.object(append(path[:len(path):len(path)], strconv.Itoa(number)), item)
		}
	}
}

// Names of the two parts of {"value": 20, "unit": "C"}.
var (
	valueNames = []string{"value", "v", "val"}
	unitNames  = []string{"unit", "units", "u", "unit_of_measurement"}
)

// measure reads an object that is one value, perhaps with its unit.
func measure(o node) (key string, value any, unit string, ok bool) {
	for _, key := range valueNames {
		if v, there := o.get(key); there {
			u, _ := o.get(unitNames...)
			return key, v.leaf, u.text(), v.kind == 'v' && v.leaf != nil
		}
	}
	return "", nil, "", false
}

// saysAgain says whether a key beside a value is that value in the same unit: tC of tmp, or temperature_c of temperature. Names alone say
// so: that two numbers are the same now is chance.
func saysAgain(key, of, unit string) bool {
	parts := splitWord(key)
	suffix := paths.UnitNames[unit]
	return suffix != "" && len(parts) == 2 && small(parts[1]) == suffix && (len(parts[0]) == 1 || small(parts[0]) == small(of))
}

// position finds a latitude and a longitude side by side.
func position(o node) (keys [2]string, where string, ok bool) {
	var angles [2]any
	for i, names := range [2][]string{paths.Latitudes, paths.Longitudes} {
		key := slices.IndexFunc(o.members, func(m member) bool { return slices.Contains(names, small(m.key)) })
		if key < 0 {
			return keys, "", false
		}
		angles[i], keys[i] = o.members[key].value.leaf, o.members[key].key
	}
	where, ok = place(angles[0], angles[1])
	return keys, where, ok
}

// point finds a position as GeoJSON has it: the longitude comes first there.
func point(o node) (keys [2]string, where string, ok bool) {
	kind, _ := o.get("type")
	at, _ := o.get("coordinates")
	if kind.text() != "Point" || len(at.items) < 2 || len(at.items) > 3 {
		return keys, "", false
	}
	where, ok = place(at.items[1].leaf, at.items[0].leaf)
	return [2]string{"type", "coordinates"}, where, ok
}

// place writes a latitude and a longitude, if that is what they can be.
func place(latitude, longitude any) (string, bool) {
	var text [2]string
	for i, angle := range [2]any{latitude, longitude} {
		number, is := numberOf(angle)
		if !is || math.Abs(number) > float64(90*(i+1)) {
			return "", false
		}
		text[i] = degrees(number)
	}
	return text[0] + ", " + text[1], true
}

// degrees writes an angle to about a metre.
func degrees(v float64) string {
	text := strconv.FormatFloat(math.Round(math.Abs(v)*1e5)/1e5, 'f', -1, 64)
	if v < 0 && text != "0" {
		return "-" + text
	}
	return text
}

func numberOf(v any) (float64, bool) {
	if text, is := v.(string); is && len(text) <= maxNumberLen && plainNumber.MatchString(text) {
		number, err := strconv.ParseFloat(text, 64)
		return number, err == nil
	}
	number, is := v.(float64)
	return number, is
}

// saidElsewhere says whether a value stands beside itself: in °F beside °C, or as illuminance beside illuminance_lux, which says its unit.
// People need it once.
func saidElsewhere(beside func() map[string]any, key string) bool {
	lower := small(key)
	for _, scale := range [][2]string{{"fahrenheit", "celsius"}, {"f", "c"}} {
		if rest, is := strings.CutSuffix(lower, scale[0]); is && rest != "" {
			if _, there := beside()[rest+scale[1]]; there {
				return true
			}
		}
	}
	for _, suffix := range paths.Twice[lower] {
		if _, isNumber := beside()[lower+"_"+suffix].(float64); isNumber {
			return true
		}
	}
	return false
}

// Numbers written as text: "21.5", "21.5 °C". Zeros in front are an id's.
var (
	plainNumber  = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,12})?$`)
	numberedUnit = regexp.MustCompile(`^(-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,12})?) ?([^0-9 ,.:-][^ ,:]{0,9})$`)
)

// beginsJSON knows text that is for programs: JSON that was cut off, or put into a string.
var beginsJSON = regexp.MustCompile(`^(\{[ \t\r\n]*"|\[[ \t\r\n]*["{\[])`)

// leaf keeps one value. A unit that the table knows becomes the end of its name.
func (f *finder) leaf(path []string, value any, unit string) {
	if f.full() {
		return
	}
	last := path[len(path)-1]
	if text, is := value.(string); is {
		text = trimmed(text)
		value = text
		if text == "true" || text == "false" {
			value = text == "true"
		} else if isID(last) {
			value = text // whatever it looks like
		} else if number, isNumber := numberOf(text); isNumber {
			value = number
		} else if m := numberedUnit.FindStringSubmatch(text[:min(len(text), maxNumberLen)]); m != nil && len(text) <= maxNumberLen && paths.UnitNames[m[2]] != "" {
			value, _ = strconv.ParseFloat(m[1], 64)
			unit = m[2]
		}
	}
	if suffix := paths.UnitNames[unit]; suffix != "" {
		if _, isNumber := value.(float64); isNumber && !endsWith(last, suffix) {
			path = append(path[:len(path)-1:len(path)-1], last+"_"+suffix)
		}
	}
	if text, is := value.(string); value == nil || (is && (text == "" || len(text) > maxWordLen || !utf8.ValidString(text) || beginsJSON.MatchString(text))) {
		return
	}
	key := strings.Join(path, ".")
	if i := f.keys.place(key); i >= 0 {
		f.found[i] = found{path, value}
		return
	}
	f.keys.add(key)
	f.found = append(f.found, found{path, value})
}

// endsWith says whether a key says its unit already: battery_mv, battery_mV.
func endsWith(key, suffix string) bool {
	parts := splitWord(key)
	n := len(parts)
	return n > 1 && (small(parts[n-1]) == suffix || n > 2 && small(parts[n-2]+parts[n-1]) == suffix)
}

// isID says whether what stands under this key names something, and is text whatever it looks like.
func isID(key string) bool {
	parts := splitWord(key)
	return len(parts) > 0 && slices.Contains(paths.Names, small(parts[len(parts)-1]))
}

// chip is how sensors are called in data sheets: AM2301, BME280, DS18B20-1.
var chip = regexp.MustCompile(`^[A-Z]{2,4}-?[0-9]{2,5}[A-Z]{0,2}[0-9]{0,3}(-[0-9]{1,2})?$`)

// named gives the readings their names: the short path where no other has the same, else the whole one.
func (f *finder) named() []Reading {
	n := len(f.found)
	short, taken := index{all: make([]string, 0, n)}, index{all: make([]string, 0, n)}
	is, uses := make([]int, n), make([]int, n) // the short path of each, by its place, and how many have that one
	several := slices.ContainsFunc(f.found, func(one found) bool { return slices.Contains(one.path, "2") })
	for i, one := range f.found {
		is[i] = short.add(shorten(one.path, several))
		uses[is[i]]++
	}
	out := make([]Reading, 0, min(n, MaxReadings))
	for i, one := range f.found {
		name := short.all[is[i]]
		if uses[is[i]] > 1 {
			name = strings.Join(one.path, ".")
		}
		if name == "" || len(name) > maxNameLen || !utf8.ValidString(name) || strings.ContainsFunc(name, isControl) || taken.place(name) >= 0 {
			continue
		}
		taken.add(name)
		if len(out) == MaxReadings {
			break
		}
		out = append(out, Reading{name, one.value})
	}
	return out
}

// shorten leaves out what says nothing: wrappers in front, the number of a list's only object, and what a sensor is called in its
// data sheet.
func shorten(path []string, several bool) string {
	for len(path) > 1 && (path[0] == "1" && !several || slices.Contains(paths.Wrappers, small(path[0]))) {
		path = path[1:]
	}
	if len(path) == 1 {
		return path[0]
	}
	kept := path[:0:0]
	for i, part := range path {
		if i == len(path)-1 || !chip.MatchString(part) {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ".")
}

// longestKept is how long a device may keep to itself what it measured. A clock that says more is wrong: it was never set, or lost what it was
// set to.
const longestKept = 366 * 24 * time.Hour

// Delivered takes the values out of a delivered envelope, as [Message.Payload] holds it, and says of when they are: the
// sender's time, unless that lies after the arrival or more than a year before it. Then its clock is wrong, and the arrival
// is the better truth. web/src/envelope.ts says the same.
func Delivered(payload []byte) (at time.Time, readings []Reading) {
	var e struct {
		Data      json.RawMessage
		Timestamp time.Time
		Context   struct{ Received time.Time }
	}
	if json.Unmarshal(payload, &e) != nil {
		return time.Time{}, nil
	}
	return measured(e.Timestamp, e.Context.Received), Readings(e.Data)
}

// measured is of when a message is that says it is of at.
func measured(at, received time.Time) time.Time {
	if at.Before(received.Add(-longestKept)) || at.After(received) {
		return received
	}
	return at
}
