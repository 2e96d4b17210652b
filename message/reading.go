package message

import (
	_ "embed"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
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
	UnitNames                              map[string]string // how the ends of names say what devices write out: "°C" is c
	Latitudes, Longitudes, Wrappers, Names []string
}]("paths.json", pathsFile)

func isSuffix(s string) bool {
	for _, suffix := range paths.UnitNames {
		if s == suffix {
			return true
		}
	}
	return false
}

// Reading is one value taken out of a message's data.
type Reading struct {
	Name  string // path of keys inside data, joined with "."; "value" for bare data
	Value any    // float64, string or bool
}

// Readings takes the values out of a message's data, at most MaxReadings, in the order they stand there: numbers, also those
// written as text, words, switches, positions and times. Null, long text, lists of bare values and anything nested deeper than
// five do not count. What is said beside a value becomes part of its name, where units live: {"temp": {"value": 20,
// "unit": "C"}} is temp_c. Wrappers that say nothing ("decoded_payload") are left out of a name that stays the only one of its kind.
// web/src/reading.ts does the same; both are held to testdata/readings.json and testdata/devices.json.
func Readings(data json.RawMessage) []Reading {
	root, ok := parseTree(data, maxReadingDepth)
	if !ok {
		return nil
	}
	f := finder{at: map[string]int{}}
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
	at    map[string]int // where a path stands in found: a later one replaces its value
}

type found struct {
	path  []string
	value any
}

func (f *finder) object(path []string, o node) {
	done := map[string]bool{}
	if v, unit, ok := measure(o); ok && len(path) > 0 {
		f.leaf(path, v, unit)
		for _, m := range o.members {
			done[m.key] = slices.Contains(unitNames, m.key) || (m.value.kind == 'v' && m.value.leaf == v)
		}
	}
	if lat, lon, where, ok := position(o); ok {
		at := path
		if len(at) == 0 {
			at = []string{"position"}
		}
		f.leaf(at, where, "")
		done[lat], done[lon] = true, true
	}
	beside := o.leaves()
	for _, m := range o.members {
		if done[m.key] || m.key == "" || (m.value.kind == 'v' && saidElsewhere(beside, m.key)) {
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
		v, unit, ok := measure(item)
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
func measure(o node) (value any, unit string, ok bool) {
	v, there := o.get(valueNames...)
	if !there || v.kind != 'v' || v.leaf == nil {
		return nil, "", false
	}
	u, _ := o.get(unitNames...)
	return v.leaf, u.text(), true
}

// position finds a latitude and a longitude side by side.
func position(o node) (lat, lon, where string, ok bool) {
	var at [2]float64
	var keys [2]string
	for i, names := range [2][]string{paths.Latitudes, paths.Longitudes} {
		key := slices.IndexFunc(o.members, func(m member) bool { return slices.Contains(names, strings.ToLower(m.key)) })
		if key < 0 {
			return "", "", "", false
		}
		number, is := numberOf(o.members[key].value.leaf)
		if !is || math.Abs(number) > float64(90*(i+1)) {
			return "", "", "", false
		}
		at[i], keys[i] = number, o.members[key].key
	}
	return keys[0], keys[1], degrees(at[0]) + ", " + degrees(at[1]), true
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

// saidElsewhere says whether a value stands beside itself: in °F beside °C, or as illuminance_lux beside illuminance. People need
// it once.
func saidElsewhere(beside map[string]any, key string) bool {
	lower := strings.ToLower(key)
	for in, other := range map[string]string{"fahrenheit": "celsius", "f": "c"} {
		if rest, is := strings.CutSuffix(lower, in); is && rest != "" {
			if _, there := beside[rest+other]; there {
				return true
			}
		}
	}
	cut := strings.LastIndexByte(lower, '_')
	if cut <= 0 || !isSuffix(lower[cut+1:]) {
		return false
	}
	base, there := beside[lower[:cut]]
	return there && base == beside[lower]
}

// Numbers written as text: "21.5", "21.5 °C". Zeros in front are an id's.
var (
	plainNumber  = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,12})?$`)
	numberedUnit = regexp.MustCompile(`^(-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,12})?) ?([^0-9 ,.:-][^ ,:]{0,9})$`)
)

// leaf keeps one value. A unit that the table knows becomes the end of its name.
func (f *finder) leaf(path []string, value any, unit string) {
	if len(f.found) >= 4*MaxReadings {
		return // a name is short or whole, and both are known by then
	}
	last := path[len(path)-1]
	if text, is := value.(string); is {
		text = strings.TrimSpace(text)
		value = text
		if text == "true" || text == "false" {
			value = text == "true"
		} else if number, isNumber := numberOf(text); isNumber && !isID(last) {
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
	if text, is := value.(string); value == nil || (is && (text == "" || len(text) > maxWordLen || !utf8.ValidString(text))) {
		return
	}
	key := strings.Join(path, ".")
	if i, seen := f.at[key]; seen {
		f.found[i].value = value
		return
	}
	f.at[key] = len(f.found)
	f.found = append(f.found, found{path, value})
}

func endsWith(key, suffix string) bool {
	parts := splitWord(key)
	return len(parts) > 1 && strings.EqualFold(parts[len(parts)-1], suffix)
}

// isID says whether what stands under this key names something, and is text whatever it looks like.
func isID(key string) bool {
	parts := splitWord(key)
	return slices.Contains(paths.Names, strings.ToLower(parts[len(parts)-1]))
}

// chip is how sensors are called in data sheets: AM2301, BME280, DS18B20-1.
var chip = regexp.MustCompile(`^[A-Z]{2,4}-?[0-9]{2,5}[A-Z]{0,2}[0-9]{0,3}(-[0-9]{1,2})?$`)

// named gives the readings their names: the short path where no other has the same, else the whole one.
func (f *finder) named() []Reading {
	short := make([]string, len(f.found))
	uses := map[string]int{}
	several := slices.ContainsFunc(f.found, func(one found) bool { return slices.Contains(one.path, "2") })
	for i, one := range f.found {
		short[i] = shorten(one.path, several)
		uses[short[i]]++
	}
	out := []Reading{}
	for i, one := range f.found {
		name := short[i]
		if uses[name] > 1 {
			name = strings.Join(one.path, ".")
		}
		if name == "" || len(name) > maxNameLen || !utf8.ValidString(name) {
			continue
		}
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
	for len(path) > 1 && (path[0] == "1" && !several || slices.Contains(paths.Wrappers, strings.ToLower(path[0]))) {
		path = path[1:]
	}
	kept := path[:0:0]
	for i, part := range path {
		if i == len(path)-1 || !chip.MatchString(part) {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ".")
}

// earliest is before any such device was made: a clock that says less has never been set.
var earliest = time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)

// Delivered takes the values out of a delivered envelope, as [Message.Payload] holds it, and says of when they are: the
// sender's time, unless that lies after the arrival or before any such device was made. Then its clock is wrong, and the arrival
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
	at = e.Timestamp
	if at.Before(earliest) || at.After(e.Context.Received) {
		at = e.Context.Received
	}
	return at, Readings(e.Data)
}
