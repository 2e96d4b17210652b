package server

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"trellis/history"
)

var update = flag.Bool("update", false, "write what the charts look like now to testdata")

var chartStart = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)

// chartStretches are what charts are held to; web/src/chart.test.ts holds the scripts to the same.
func chartStretches() map[string]stretch {
	day := stretch{Reading: "temp_c", Span: "day", From: chartStart, To: chartStart.Add(24 * time.Hour), Every: 5 * time.Minute}
	steady, gap, alone := day, day, day
	for n := range 12 {
		v := 20 + 3*math.Sin(float64(n))
		p := history.Point{At: chartStart.Add(time.Duration(n) * 2 * time.Hour), Low: v - 0.5, Mean: v, High: v + 0.25, N: 3}
		steady.Points = append(steady.Points, p)
		if n != 5 {
			gap.Points = append(gap.Points, p)
		}
	}
	gap.Gaps = []blank{
		{Words: "This page's server was off", From: chartStart.Add(9 * time.Hour), To: chartStart.Add(11 * time.Hour)},
		{Words: "Quiet", Quiet: true, From: chartStart.Add(19 * time.Hour)},
	}
	alone.Points = steady.Points[3:4]
	hole := day // nobody knows why, and all the same nothing was measured there
	hole.Points = slices.Concat(steady.Points[:3], steady.Points[7:])
	flat := day
	flat.Points = []history.Point{{At: chartStart, Low: 7, Mean: 7, High: 7, N: 1}, {At: chartStart.Add(time.Hour), Low: 7, Mean: 7, High: 7, N: 1}}
	huge := flat
	huge.Points = []history.Point{{At: chartStart, Low: -1e308, Mean: 0, High: 1e308, N: 1}, {At: chartStart.Add(time.Hour), Low: -1e308, Mean: 1e308, High: 1e308, N: 1}}
	words := day
	words.Reading, words.Gaps = "door", gap.Gaps
	for n, w := range []any{"open", "shut", "open", true, "ajar", "a", "b", "c", "d"} {
		words.Changes = append(words.Changes, history.Change{At: chartStart.Add(time.Duration(n)*2*time.Hour - time.Hour), Value: w})
	}
	wanted, digits := steady, 2
	wanted.As = shownAs{Name: "Air", Unit: "°F", Digits: &digits}
	bytes := flat
	bytes.Reading = "mem_free"
	bytes.Points = []history.Point{{At: chartStart, Low: 200, Mean: 400, High: 800, N: 3}, {At: chartStart.Add(time.Hour), Low: 600, Mean: 1000, High: 1700, N: 97}} // more often, and no longer
	return map[string]stretch{"bytes": bytes, "wanted otherwise": wanted, "steady": steady, "with gaps": gap, "with a hole": hole, "alone": alone, "flat": flat, "huge": huge, "words": words, "nothing": day}
}

// chartVector is what is drawn of a stretch.
type chartVector struct {
	Stretch          drawnData
	Line, Band, Dots string
	Levels           []string
	Lanes            [][]string // words, and where its boxes begin and how wide they are
	Facts            []string
}

func TestChartsAreDrawnAlikeHereAndInTheBrowser(t *testing.T) {
	found := map[string]chartVector{}
	for name, st := range chartStretches() {
		v := chartVector{Stretch: chartData(st), Levels: []string{}, Lanes: [][]string{}, Facts: []string{}}
		d := drawnOf(st, st.To)
		v.Line, v.Band, v.Dots = d.Chart.Line, d.Chart.Band, d.Chart.Dots
		for _, l := range d.Chart.Levels {
			v.Levels = append(v.Levels, l.Y+" "+l.Words)
		}
		for _, l := range d.Chart.Lanes {
			lane := []string{l.Words}
			for _, b := range l.Boxes {
				lane = append(lane, b.X+" "+b.Wide)
			}
			v.Lanes = append(v.Lanes, lane)
		}
		for _, f := range d.Facts {
			v.Facts = append(v.Facts, f.Name+" "+f.Value+" "+f.Unit)
		}
		found[name] = v
	}
	got, err := json.MarshalIndent(found, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/chart.json"
	if *update {
		if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
		t.Errorf("go test ./server -update would change %s (-want +got):\n%s", file, diff)
	}
}

// Whatever is measured, nothing is drawn beside the chart, and nothing that is no number.
func TestNothingIsDrawnBesideTheChart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := stretch{Reading: "temp_c", Span: "day", As: shownAs{Unit: rapid.SampledFrom([]string{"", "°F", "K", "none"}).Draw(t, "unit")}, From: chartStart, To: chartStart.Add(24 * time.Hour), Every: 5 * time.Minute}
		for n := range rapid.IntRange(0, 20).Draw(t, "points") {
			a, b := rapid.Float64().Draw(t, "a"), rapid.Float64().Draw(t, "b")
			if math.IsInf(a, 0) || math.IsNaN(a) || math.IsInf(b, 0) || math.IsNaN(b) {
				continue
			}
			st.Points = append(st.Points, history.Point{At: chartStart.Add(time.Duration(n-1) * time.Hour), Low: min(a, b), Mean: a/2 + b/2, High: max(a, b), N: 1})
		}
		line, band, dots, p := lineOf(st)
		for _, word := range strings.FieldsFunc(line+band+dots, func(r rune) bool { return strings.ContainsRune("MLZh ", r) }) {
			if v, err := strconv.ParseFloat(word, 64); err != nil || v < -1 || v > chartWide+1 {
				t.Fatalf("%q is drawn", word)
			}
		}
		if n := len(levels(st, p)); n > 12 {
			t.Fatalf("%d lines across", n)
		}
	})
}

// A line across that says 20 is where 20 is drawn.
func TestALineAcrossIsWhereItsNumberIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.Float64Range(-1000, 1000).Draw(t, "low")
		high := low + rapid.Float64Range(0.5, 2000).Draw(t, "more")
		st := stretch{Reading: "x", Span: "day", From: chartStart, To: chartStart.Add(24 * time.Hour), Every: 5 * time.Minute}
		st.Points = []history.Point{{At: chartStart, Low: low, Mean: low/2 + high/2, High: high, N: 2}}
		_, _, _, p := lineOf(st)
		all := levels(st, p)
		if len(all) < 3 {
			t.Fatalf("%d lines across from %v to %v", len(all), low, high)
		}
		for _, l := range all {
			v, err := strconv.ParseFloat(strings.NewReplacer(",", "", "\u2212", "-").Replace(l.Words), 64)
			if y := coordinate(p.y(v)); err != nil || y != l.Y {
				t.Fatalf("%q is at %s and not at %s, from %v to %v (%v)", l.Words, l.Y, y, low, high, err)
			}
		}
	})
}

// Somebody who reads °F reads round °F, whatever the device sends.
func TestLinesAcrossAChartAreRoundInTheUnitThatIsShown(t *testing.T) {
	day := stretch{Reading: "temp_c", As: shownAs{Unit: "°F"}, Span: "day", From: chartStart, To: chartStart.Add(24 * time.Hour), Every: 5 * time.Minute}
	day.Points = []history.Point{{At: chartStart, Low: 1.2, Mean: 4, High: 6.9, N: 3}, {At: chartStart.Add(time.Hour), Low: 1, Mean: 3, High: 5, N: 3}}
	_, _, _, p := lineOf(day)
	var words []string
	for _, l := range levels(day, p) {
		words = append(words, l.Words+" "+l.Unit)
	}
	if diff := cmp.Diff([]string{"30 °F", "35 °F", "40 °F", "45 °F"}, words); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
