package message

import (
	_ "embed"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

//go:embed words.json
var wordsFile []byte

// words is the one table of names and units; web/src/reading.ts reads the same file.
var words = func() (w struct {
	Suffixes, Abbreviations, Units map[string]string
	Shares, Bytes, Switches        []string
}) {
	if err := json.Unmarshal(wordsFile, &w); err != nil {
		panic("words.json: " + err.Error())
	}
	return w
}()

// Shown is a reading in words for a person.
type Shown struct {
	Label string // "Soil temperature"
	Value string // "21.4", "On", "open"
	Unit  string // "°C"; may be empty
}

// Describe says a reading in words: there is no unit field in the envelope, so the unit comes from the name, and where
// the name has none from what the documented examples measure. A unit that would be a guess is left out.
func Describe(r Reading) Shown {
	parts := splitName(r.Name)
	number, isNumber := r.Value.(float64)
	unit := ""
	if n := len(parts); isNumber && n > 1 {
		if u, ok := words.Suffixes[strings.ToLower(parts[n-1])]; ok {
			unit, parts = u, parts[:n-1]
		}
	}
	for i, p := range parts {
		p = strings.ToLower(p)
		if full, ok := words.Abbreviations[p]; ok {
			p = full
		}
		parts[i] = p
	}
	shown := Shown{Label: sentenceCase(strings.Join(parts, " ")), Unit: unit}
	switch v := r.Value.(type) {
	case float64:
		if unit == "" {
			shown.Unit = usualUnit(r.Name, parts, number)
		}
		shown.Value, shown.Unit = showNumber(v, shown.Unit)
	case bool:
		shown.Value = showSwitch(parts, v)
	case string:
		shown.Value = v
	}
	return shown
}

// splitName cuts "soil.tempC_2" into soil, temp, C, 2: at signs that join words and where small letters turn capital.
func splitName(name string) []string {
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
		case c == '_' || c == '-' || c == '.' || c == ':' || c == ' ' || c == '/':
			flush(i)
			start = i + 1
		case i > start && c >= 'A' && c <= 'Z' && runes[i-1] >= 'a' && runes[i-1] <= 'z':
			flush(i)
			start = i
		}
	}
	flush(len(runes))
	if len(parts) == 0 {
		return []string{name}
	}
	return parts
}

func sentenceCase(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

// usualUnit is the unit of the documented examples for a number whose name carries none.
func usualUnit(name string, parts []string, v float64) string {
	whole := v == math.Trunc(v)
	last := parts[len(parts)-1]
	switch {
	case slices.Contains(words.Bytes, name[strings.LastIndexByte(name, '.')+1:]):
		return "B"
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

// showNumber rounds to as many digits as help: 0.123, 21.4, 1,013; degrees of a position keep five.
func showNumber(v float64, unit string) (string, string) {
	if unit == "B" {
		for _, step := range []string{"kB", "MB", "GB", "TB"} {
			if math.Abs(v) < 1000 {
				break
			}
			v, unit = v/1000, step
		}
	}
	size := math.Abs(v)
	digits := 3
	switch {
	case unit == "°":
		digits = 5
	case size >= 1000:
		digits = 0
	case size >= 10:
		digits = 1
	case size >= 1:
		digits = 2
	}
	if size >= 1e15 {
		return strconv.FormatFloat(v, 'g', 6, 64), unit
	}
	return grouped(v, digits), unit
}

// grouped writes a number with thousands separators and without idle zeros; halves go away from zero, as in the browser.
func grouped(v float64, digits int) string {
	scale := math.Pow10(digits)
	v = math.Round(v*scale) / scale
	text := strconv.FormatFloat(math.Abs(v), 'f', -1, 64)
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
	pair := [2]string{"No", "Yes"}
	if slices.Contains(words.Switches, parts[len(parts)-1]) {
		pair = [2]string{"Off", "On"}
	}
	if on {
		return pair[1]
	}
	return pair[0]
}
