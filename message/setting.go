package message

import (
	_ "embed"
	"strconv"
)

// Setting is how somebody wants to see a reading. The zero value changes nothing.
type Setting struct {
	Name   string // in place of the label
	Unit   string // one that the table knows is converted to; any other text is a label in place of the unit
	Digits *int   // behind the point; nil: as many as help

	// Outside of these the value needs attention; nil: no limit. They are in the unit that the device sends, so that they stay true
	// whatever unit they are looked at in.
	Low, High *float64
}

//go:embed units.json
var unitsFile []byte

// kinds are units that are converted into each other; web/src/setting.ts reads the same file.
var kinds = table[struct{ Kinds [][]conversion }]("units.json", unitsFile).Kinds

// conversion leads from a unit to that of its kind which all the others lead to: (v + add) * times / by.
type conversion struct {
	Unit           string
	Add, Times, By float64 // 0 for times and by means 1
	Label          *string // what is shown, where that is not the unit
}

func (c conversion) to(v float64) float64 { return (v + c.Add) * or1(c.Times) / or1(c.By) }

// back keeps to two steps that no compiler may make one, so that the browser comes to the same number.
func (c conversion) back(v float64) float64 { return float64(v*or1(c.By)/or1(c.Times)) - c.Add }

func or1(v float64) float64 {
	if v == 0 {
		return 1
	}
	return v
}

func (c conversion) label() string {
	if c.Label != nil {
		return *c.Label
	}
	return c.Unit
}

// conversions finds how two units become each other.
func conversions(from, to string) (a, b conversion, ok bool) {
	for _, kind := range kinds {
		found := 0
		for _, c := range kind {
			if c.Unit == from {
				a, found = c, found|1
			}
			if c.Unit == to {
				b, found = c, found|2
			}
		}
		if found == 3 {
			return a, b, true
		}
	}
	return a, b, false
}

// Convert says a number in another unit; false where nobody knows how.
func Convert(v float64, from, to string) (float64, bool) {
	a, b, ok := conversions(from, to)
	if !ok || from == to {
		return v, from == to
	}
	return b.back(a.to(v)), true
}

// UnitsLike gives the units that a unit can be shown in, itself among them; none where there are no others.
func UnitsLike(unit string) []string {
	for _, kind := range kinds {
		var all []string
		is := false
		for _, c := range kind {
			all = append(all, c.Unit)
			is = is || c.Unit == unit
		}
		if is {
			return all
		}
	}
	return nil
}

// DescribeAs is [Describe] as somebody wants to see it. web/src/setting.ts says the same; both are held to testdata/settings.json.
func DescribeAs(r Reading, as Setting) Shown {
	shown, measured := describe(r)
	if as.Name != "" {
		shown.Label = as.Name
	}
	if !measured {
		return shown
	}
	v, sent := r.Value.(float64), shown.Unit
	shown.Value, shown.Unit = as.write(v, sent)
	switch {
	case as.High != nil && v > *as.High:
		shown.Outside = "above " + as.limit(*as.High, sent)
	case as.Low != nil && v < *as.Low:
		shown.Outside = "below " + as.limit(*as.Low, sent)
	}
	return shown
}

// SentIn gives the unit in which a device sends a number; false for what is no number to people.
func SentIn(r Reading) (unit string, measured bool) {
	shown, measured := describe(r)
	return shown.Unit, measured
}

// Number says a number that was sent in a unit as it is wanted, without rounding it.
func (s Setting) Number(v float64, sent string) (number float64, unit string) {
	if s.Unit == "" {
		return byThousands(v, sent)
	}
	a, b, known := conversions(sent, s.Unit)
	switch {
	case s.Unit == sent:
		return v, sent
	case known:
		return b.back(a.to(v)), b.label()
	}
	return v, s.Unit
}

func (s Setting) write(v float64, sent string) (value, unit string) {
	v, unit = s.Number(v, sent)
	if s.Digits == nil || v >= tooLong || v <= -tooLong {
		return rounded(v, unit), unit
	}
	return grouped(v, *s.Digits, true), unit
}

// limit writes a limit with no more digits than it needs.
func (s Setting) limit(v float64, sent string) string {
	v, unit := s.Number(v, sent)
	text := rounded(v, unit)
	if unit != "" {
		text += " " + unit
	}
	return text
}

// InField writes a number for a field of a form, as exactly as people do.
func InField(v float64) string {
	text := strconv.FormatFloat(v, 'g', 9, 64)
	exact, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	return strconv.FormatFloat(exact, 'f', -1, 64)
}
