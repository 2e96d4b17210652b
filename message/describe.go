package message

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

//go:embed words.json
var wordsFile []byte

// words is the one table of names and units; web/src/describe.ts reads the same file.
var words = table[struct {
	Suffixes, SuffixPairs, Abbreviations, Units, KeyUnits map[string]string
	Pairs                                                 map[string][2]string
	Shares, Bytes, Switches, Truths, Minor, MinorIn       []string
}]("words.json", wordsFile)

// table reads one of the files that the browser's scripts read too.
func table[T any](name string, file []byte) (t T) {
	if err := json.Unmarshal(file, &t); err != nil {
		panic(name + ": " + err.Error())
	}
	return t
}

// Shown is a reading in words for a person.
type Shown struct {
	Label string // "Soil temperature"
	Value string // "21.4", "On", "open"
	Unit  string // "°C"; may be empty
	Minor bool   // for whoever looks after the device, not for whoever wants to know what it measures

	Outside string `json:",omitempty"` // "above 30 °C": outside of the limits that somebody has set, see [DescribeAs]
}

// Describe says a reading in words: there is no unit field in the envelope, so the unit comes from the name, and where
// the name has none from what the documented examples measure. A unit that would be a guess is left out.
func Describe(r Reading) Shown {
	shown, measured := describe(r)
	if measured {
		shown.Value, shown.Unit = showNumber(r.Value.(float64), shown.Unit)
	}
	return shown
}

// describe leaves the value of a number to whoever knows how to write it, with the unit that it was sent in; measured is false
// for everything else.
func describe(r Reading) (shown Shown, measured bool) {
	parts := splitName(r.Name)
	number, isNumber := r.Value.(float64)
	unit := ""
	if isNumber {
		parts, unit = cutUnit(r.Name, parts)
	}
	named := small(parts[len(parts)-1])
	parts = fullWords(parts)
	shown = Shown{Label: sentenceCase(cmp.Or(clean(strings.Join(parts, " ")), "value")), Unit: unit, Minor: minor(r.Name)}
	switch v := r.Value.(type) {
	case float64:
		if at, is := momentOf(named, v); is {
			shown.Value, shown.Unit, shown.Minor = at, "", true
			break
		}
		if word := truthOf(parts, v); word != "" {
			shown.Value, shown.Unit = word, ""
			break
		}
		if unit == "" {
			shown.Unit = usualUnit(r.Name, parts, number)
		}
		return shown, true
	case bool:
		shown.Value = showSwitch(parts, v)
	case string:
		shown.Value = showWord(v)
		shown.Minor = shown.Minor || (len(v) == 1 && unicode.IsLetter(rune(v[0]))) || (len(parts) == 1 && slices.Contains([]string{"data", "payload", "raw"}, parts[0]))
	}
	return shown, false
}

// cutUnit takes the unit off the end of a name.
func cutUnit(name string, parts []string) (rest []string, unit string) {
	n := len(parts)
	if n > 2 {
		if u, ok := words.SuffixPairs[small(parts[n-2]+"/"+parts[n-1])]; ok {
			return parts[:n-2], u
		}
		if u, ok := words.Suffixes[small(parts[n-2]+parts[n-1])]; ok && strings.HasSuffix(name, parts[n-2]+parts[n-1]) {
			return parts[:n-2], u // battery_mV, temperature_degC
		}
	}
	if n > 1 && !alone(name, parts[n-1]) {
		last := small(parts[n-1])
		if u, ok := words.Suffixes[last]; ok && last != "voltage" {
			return parts[:n-1], u
		}
	}
	return parts, ""
}

// alone says whether a small letter is all there is: the g of a colour is no gramme.
func alone(name, last string) bool {
	return len(last) == 1 && last >= "a" && last <= "z" && strings.HasSuffix(name, "."+last)
}

// numbered is a word with its number: power1.
var numbered = regexp.MustCompile(`^([A-Za-z]{3,})([0-9]{1,2})$`)

// fullWords writes abbreviations out, and no word twice: "temperature:0 tC" is temperature 0. What is all capitals and short is a
// name, and stays.
func fullWords(parts []string) []string {
	var out []string
	add := func(word string) {
		if !slices.Contains(out, word) || strings.Trim(word, "0123456789") == "" {
			out = append(out, word)
		}
	}
	for _, p := range parts {
		lower := small(p)
		full, short := words.Abbreviations[lower]
		n := numbered.FindStringSubmatch(lower)
		switch {
		case short:
			add(full)
		case n != nil:
			if full, short := words.Abbreviations[n[1]]; short {
				n[1] = full
			}
			add(n[1])
			add(n[2])
		case isName(p):
			add(p)
		case len(out) > 0 && strings.Trim(p, "0123456789") == "" && len(out[len(out)-1]) > 3:
			out[len(out)-1] = strings.TrimSuffix(out[len(out)-1], "s") // relays 1
			add(p)
		default:
			add(lower)
		}
	}
	return out
}

// isName says whether a word is what engineers call something: A0, DS18B20.
func isName(p string) bool {
	digits := strings.ContainsAny(p, "0123456789")
	return p == strings.Map(large, p) && p != small(p) && p[0] < 128 && (len(p) <= 3 || digits)
}

// minor says whether a name speaks of the device itself: its radio, its clock, its program.
func minor(name string) bool {
	path := strings.Split(small(name), ".")
	last := path[len(path)-1]
	parts := splitName(name)
	if slices.Contains(words.Minor, last) || slices.Contains(words.Minor, small(parts[len(parts)-1])) {
		return true
	}
	return slices.ContainsFunc(path[:len(path)-1], func(p string) bool { return slices.Contains(words.MinorIn, p) })
}

// moments are last words of names that say that a number is a time.
var moments = []string{"time", "ts", "tst", "timestamp", "epoch", "unixtime", "seen", "updated"}

// momentOf reads a number that counts seconds, or thousandths or millionths of them, since 1970.
func momentOf(last string, v float64) (string, bool) {
	if !slices.Contains(moments, last) {
		return "", false
	}
	for _, unit := range []float64{1, 1e3, 1e6} {
		if v >= 1e9*unit && v < 1e10*unit {
			return minuteOf(time.Unix(int64(v/unit), 0)), true
		}
	}
	return "", false
}

func minuteOf(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + " UTC" }

// truthOf says 0 and 1 in words where the name asks whether something is so.
func truthOf(parts []string, v float64) string {
	if last := lastWord(parts); (v == 0 || v == 1) && slices.Contains(words.Truths, last) {
		return showSwitch(parts, v == 1)
	}
	return ""
}

// iso is a time with its zone, as programs write it.
var iso = regexp.MustCompile(`^20[0-9]{2}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`)

// showWord writes what a switch says of itself in small letters, and a time to the minute.
func showWord(s string) string {
	switch s {
	case "ON", "OFF", "OPEN", "CLOSED", "CLOSE", "TRUE", "FALSE", "LOW", "HIGH", "AUTO", "IDLE", "NORMAL", "ONLINE", "OFFLINE":
		return sentenceCase(small(s))
	}
	if iso.MatchString(s) {
		if t, err := time.Parse(time.RFC3339Nano, strings.Replace(s, " ", "T", 1)); err == nil {
			return minuteOf(t)
		}
	}
	return clean(s)
}

// splitName cuts "soil.tempC_2" into soil, temp, C, 2: at signs that join words and where small letters turn capital.
func splitName(name string) []string {
	name = particles.ReplaceAllString(name, "pm25")
	var parts []string
	for _, segment := range strings.Split(name, ".") {
		if _, whole := words.Abbreviations[small(segment)]; whole {
			parts = append(parts, segment)
		} else {
			parts = append(parts, splitWord(segment)...)
		}
	}
	if len(parts) == 0 {
		return []string{name}
	}
	return parts
}

// particles is the one name that has a point inside.
var particles = regexp.MustCompile(`(?i)\bpm2[._]5\b`)

func splitWord(name string) []string {
	var parts []string
	start := 0
	runes := []rune(name)
	flush := func(end int) {
		if end > start {
			parts = append(parts, string(runes[start:end]))
		}
	}
	for i, c := range runes {
		switch {
		case c == '_' || c == '-' || c == ':' || c == ' ' || c == '/':
			flush(i)
			start = i + 1
		case i > start && c >= 'A' && c <= 'Z' && runes[i-1] >= 'a' && runes[i-1] <= 'z':
			flush(i)
			start = i
		}
	}
	flush(len(runes))
	return parts
}

// usualUnit is the unit of the documented examples for a number whose name carries none.
func usualUnit(name string, parts []string, v float64) string {
	whole := v == math.Trunc(v)
	last := lastWord(parts)
	path := strings.Split(small(name), ".")
	key := path[len(path)-1]
	if len(path) > 1 {
		if u, ok := words.KeyUnits[path[len(path)-2]+"."+key]; ok {
			return u
		}
	}
	if u, ok := words.KeyUnits[key]; ok {
		return u
	}
	switch {
	case slices.Contains(words.Bytes, key):
		return "B"
	case last == "voltage" && whole && v >= 1000:
		return "mV"
	case last == "pressure" && v >= 20_000:
		return "Pa"
	case words.Units[last] != "":
		return words.Units[last]
	case last == "signal" && v < 0:
		return "dBm"
	case last == "battery" && !whole && v >= 2 && v <= 5:
		return "V"
	case last == "battery" && v <= 5:
		return ""
	case slices.Contains(words.Shares, last) && v >= 0 && v <= 100:
		return "%"
	}
	return ""
}

// lastWord leaves a number at the end out.
func lastWord(parts []string) string {
	for i := len(parts) - 1; i > 0; i-- {
		if strings.Trim(parts[i], "0123456789") != "" {
			return parts[i]
		}
	}
	return parts[0]
}

// showNumber counts bytes by thousands and rounds to as many digits as help.
func showNumber(v float64, unit string) (string, string) {
	v, unit = byThousands(v, unit)
	return rounded(v, unit), unit
}

func byThousands(v float64, unit string) (float64, string) {
	if unit == "B" {
		for _, step := range []string{"kB", "MB", "GB", "TB"} {
			if math.Abs(v) < 1000 {
				break
			}
			v, unit = v/1000, step
		}
	}
	return v, unit
}

// rounded keeps as many digits as help: 0.00042, 0.123, 21.4, 1,013; degrees of a position keep five.
func rounded(v float64, unit string) string {
	size := math.Abs(v)
	digits := 6
	switch {
	case unit == "°":
		digits = 5
	case size >= 1000:
		digits = 0
	case size >= 10:
		digits = 1
	case size >= 1:
		digits = 2
	case size >= 0.01:
		digits = 3
	case size >= 0.001:
		digits = 4
	case size >= 0.0001:
		digits = 5
	}
	if size >= tooLong {
		return strconv.FormatFloat(v, 'g', 6, 64)
	}
	return grouped(v, digits, false)
}

// tooLong is a number that is written with a power of ten.
const tooLong = 1e15

// grouped writes a number with thousands separators, and without idle zeros unless they are wanted; halves go away from zero, as in
// the browser.
func grouped(v float64, digits int, zeros bool) string {
	scale := math.Pow10(digits)
	v = math.Round(v*scale) / scale
	keep := -1
	if zeros {
		keep = digits
	}
	text := strconv.FormatFloat(math.Abs(v), 'f', keep, 64)
	head, tail, hasTail := strings.Cut(text, ".")
	for i := len(head) - 3; i > 0; i -= 3 {
		head = head[:i] + "," + head[i:]
	}
	if v < 0 {
		head = "\u2212" + head
	}
	if hasTail {
		return head + "." + tail
	}
	return head
}

func showSwitch(parts []string, on bool) string {
	pair, special := words.Pairs[lastWord(parts)]
	switch {
	case special:
	case slices.Contains(words.Switches, lastWord(parts)):
		pair = [2]string{"Off", "On"}
	default:
		pair = [2]string{"No", "Yes"}
	}
	if on {
		return pair[1]
	}
	return pair[0]
}
