package server

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"trellis/history"
	"trellis/message"
	"trellis/templates"
)

const (
	maxTableRows = 60
	maxGapsTold  = 10
	maxQuietRows = 20
)

// drawnOf puts a stretch into words and shapes.
func drawnOf(st stretch, now time.Time) templates.Drawn {
	shown := st.words(typical(history.Drawn{Points: st.Points, Changes: st.Changes}))
	d := templates.Drawn{
		Name: st.Name, Place: st.Place, Label: shown.Label, Unit: shown.Unit, Title: titleOf(st, now), From: st.From, To: st.To, Begins: st.Begins,
		Chart: templates.Chart{Times: ticks(st), Boxes: boxes(st)}, Data: chartData(st),
	}
	switch held := states(st, now); {
	case len(st.Points) > 0:
		var p plot
		d.Chart.Line, d.Chart.Band, d.Chart.Dots, p = lineOf(st)
		d.Chart.Levels = levels(st, p)
		d.Facts, d.Table = numberFacts(st), numberTable(st)
		d.Chart.Words = fmt.Sprintf("%s: between %s and %s.", d.Label, valueWords(d.Facts[0]), valueWords(d.Facts[2]))
	case len(held) > 0:
		d.Chart.Lanes = lanes(st, held)
		d.Facts, d.Table = stateFacts(held), stateTable(st, held)
		d.Chart.Words = fmt.Sprintf("%s: %s for %s.", d.Label, d.Facts[0].Name, d.Facts[0].Value)
	default:
		d.Empty = true
	}
	for _, b := range st.Gaps {
		d.Gaps = append(d.Gaps, templates.Gap{Words: b.Words, From: b.From, To: b.To})
	}
	if more := len(d.Gaps) - maxGapsTold; more > 0 {
		d.Gaps, d.MoreGaps = d.Gaps[more:], "and "+strconv.Itoa(more)+" earlier"
	}
	return d
}

func valueWords(f templates.Fact) string {
	if f.Unit == "" {
		return f.Value
	}
	return f.Value + " " + f.Unit
}

// titleOf says what time it is about: "The last day".
func titleOf(st stretch, now time.Time) string {
	if now.Sub(st.To) < time.Minute {
		return "The last " + string(st.Span)
	}
	return "One " + string(st.Span)
}

// numberFacts are the lowest, the mean and the highest, and when. The mean is over time: a step counts as much as another, however often something was
// sent in it.
func numberFacts(st stretch) []templates.Fact {
	low, high, mean := st.Points[0], st.Points[0], 0.0
	for _, p := range st.Points {
		if p.Low < low.Low {
			low = p
		}
		if p.High > high.High {
			high = p
		}
		mean += p.Mean / float64(len(st.Points))
	}
	fact := func(name string, v float64) templates.Fact {
		shown := st.words(v)
		return templates.Fact{Name: name, Value: shown.Value, Unit: shown.Unit}
	}
	when := func(f templates.Fact, p history.Point) templates.Fact {
		f.At = later(p.At, st.From)
		if st.Every > time.Minute {
			f.Until = earlier(p.At.Add(st.Every), st.To)
			if f.Until.Sub(f.At) < time.Minute { // a clock would show the same twice
				f.Until = time.Time{}
			}
		}
		return f
	}
	return []templates.Fact{when(fact("Lowest", low.Low), low), fact("Mean", mean), when(fact("Highest", high.High), high)}
}

// stateFacts say how long something was so; what lasted longest first.
func stateFacts(held []state) []templates.Fact {
	lasted, all := map[string]time.Duration{}, time.Duration(0)
	for _, s := range held {
		lasted[s.words] += s.to.Sub(s.from)
		all += s.to.Sub(s.from)
	}
	var facts []templates.Fact
	for _, words := range sortedByTime(lasted) {
		share := int(100*float64(lasted[words])/float64(max(all, 1)) + 0.5)
		facts = append(facts, templates.Fact{Name: words, Value: templates.HowLong(lasted[words]), Unit: "(" + strconv.Itoa(share) + " %)"})
	}
	return facts[:min(len(facts), maxLanes)]
}

// numberTable has a row for each larger step, and one for each time of which nothing is known.
func numberTable(st stretch) templates.Table {
	t := templates.Table{Heads: []string{"From", "Lowest", "Mean", "Highest", "Values"}}
	for _, p := range st.Rows {
		low, mean, high := st.words(p.Low), st.words(p.Mean), st.words(p.High)
		cells := []string{}
		for _, shown := range []message.Shown{low, mean, high} {
			cells = append(cells, valueWords(templates.Fact{Value: shown.Value, Unit: shown.Unit}))
		}
		t.Rows = append(t.Rows, templates.TableRow{From: later(p.At, st.From), Cells: append(cells, strconv.FormatInt(p.N, 10))})
	}
	return withGaps(t, st)
}

// stateTable has a row for each change.
func stateTable(st stretch, held []state) templates.Table {
	t := templates.Table{Heads: []string{"From", "Value", "For"}}
	for _, s := range held {
		t.Rows = append(t.Rows, templates.TableRow{From: s.from, Cells: []string{s.words, templates.HowLong(s.to.Sub(s.from))}})
	}
	return withGaps(t, st)
}

// withGaps adds the times of which nothing is known, and cuts off what is too much. Of its own silences a device may have so many that they would
// leave no room for values: they have a room of their own.
func withGaps(t templates.Table, st stretch) templates.Table {
	gaps, most := newestQuiet(st.Gaps, maxQuietRows), maxTableRows
	for _, b := range gaps {
		t.Rows = append(t.Rows, templates.TableRow{From: b.From, To: b.To, Words: b.Words})
		if b.Quiet {
			most++
		}
	}
	slices.SortStableFunc(t.Rows, func(a, b templates.TableRow) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Words, b.Words))
	})
	var notes []string
	if more := len(t.Rows) - most; more > 0 {
		t.Rows = t.Rows[more:]
		notes = append(notes, "The newest "+strconv.Itoa(most)+" rows; "+strconv.Itoa(more)+" earlier ones are left out.")
		if slices.ContainsFunc(st.Gaps, func(b blank) bool { return b.Words == tooManyChanges }) {
			notes[0] = "The newest " + strconv.Itoa(most) + " rows; earlier ones are left out." // how many is not known
		}
	}
	if more := len(st.Gaps) - len(gaps); more > 0 {
		notes = append(notes, "Of the times when it was quiet the newest "+strconv.Itoa(maxQuietRows)+"; "+strconv.Itoa(more)+" earlier ones are left out.")
	}
	t.Note = strings.Join(notes, " ")
	return t
}

// newestQuiet leaves out silences of the device itself, but for the newest.
func newestQuiet(all []blank, most int) []blank {
	quiet := 0
	for _, b := range all {
		if b.Quiet {
			quiet++
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(b blank) bool {
		if !b.Quiet {
			return false
		}
		quiet--
		return quiet >= most
	})
}

// drawnData is what the script draws from; times are milliseconds, as scripts count them.
type drawnData struct {
	Reading string       `json:"reading"`
	As      shownAs      `json:"as"`
	Span    spanName     `json:"span"`
	From    int64        `json:"from"`
	To      int64        `json:"to"`
	Every   int64        `json:"every"`
	Points  [][5]float64 `json:"points"`  // at, low, mean, high, how many
	Changes [][2]any     `json:"changes"` // at, value
	Gaps    []gapData    `json:"gaps"`
}

type gapData struct {
	From  int64  `json:"from"`
	To    int64  `json:"to"` // 0: it lasts
	Words string `json:"words"`
	Quiet bool   `json:"quiet"`
}

func chartData(st stretch) drawnData {
	d := drawnData{
		Reading: st.Reading, As: st.As, Span: st.Span, From: st.From.UnixMilli(), To: st.To.UnixMilli(), Every: st.Every.Milliseconds(),
		Points: [][5]float64{}, Changes: [][2]any{}, Gaps: []gapData{},
	}
	for _, p := range st.Points {
		d.Points = append(d.Points, [5]float64{float64(p.At.UnixMilli()), p.Low, p.Mean, p.High, float64(p.N)})
	}
	for _, c := range st.Changes {
		d.Changes = append(d.Changes, [2]any{c.At.UnixMilli(), c.Value})
	}
	for _, b := range st.Gaps {
		one := gapData{From: b.From.UnixMilli(), Words: b.Words, Quiet: b.Quiet}
		if !b.To.IsZero() {
			one.To = b.To.UnixMilli()
		}
		d.Gaps = append(d.Gaps, one)
	}
	return d
}
