package templates

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Graph is a number over the last day, or over as much of it as is known. web/src/graph.ts draws the same of the same; both are held to
// testdata/graphs.json.
type Graph struct {
	Begin time.Time     // of the first step
	Step  time.Duration // 0: there is nothing to draw
	Span  time.Duration // that it shows, until now
	Means []float64     // of each step, in their order; NaN where nothing was measured
	Last  int64         // how many numbers the last mean is of
	Low   string        // the lowest and the highest mean, as people read them; empty: none
	High  string
	Usual *[24]Between // what is usual, by the hour of the day in UTC; nil where too little is known
}

// Between is a range. Both NaN: not known.
type Between struct{ Low, High float64 }

// drawing is a graph as paths, and which way its value goes: "rising", "falling", "steady" or, where that is not known, "".
type drawing struct{ Line, Band, Direction string }

// The size of the drawing, and how much is left free at its edges so that a thick line is not cut off.
const (
	graphWidth, graphHeight, graphEdge = 160.0, 40.0, 4.0
)

type dot struct{ at, value float64 } // milliseconds

// draw makes the paths of a graph that ends now. A silence of more than three usual gaps is a gap in the line.
func (g Graph) draw(now time.Time, usual time.Duration) drawing {
	end, step := float64(now.UnixMilli()), float64(g.Step.Milliseconds())
	from := end - float64(g.Span.Milliseconds())
	dots := g.dots(from, end)
	if len(dots) == 0 {
		return drawing{}
	}
	band := g.band(from, end)
	low, high := math.Inf(1), math.Inf(-1) // halved: the whole way from -1e308 to 1e308 is no number any more
	for _, run := range append(band, dots, nil) {
		for _, d := range run {
			low, high = min(low, d.value/2), max(high, d.value/2)
		}
	}
	place := func(d dot) string {
		y := graphHeight / 2
		if high > low {
			y = graphHeight - graphEdge - (d.value/2-low)/(high-low)*(graphHeight-2*graphEdge)
		}
		return tenth(graphEdge+(d.at-from)/(end-from)*(graphWidth-2*graphEdge)) + " " + tenth(y)
	}
	drawn := drawing{Line: line(dots, joined(dots, step, float64(usual.Milliseconds())), place), Direction: direction(dots, max(float64(g.Span.Milliseconds())/12, 3.5*step), end, 2*(high-low))}
	for _, run := range band {
		for i, d := range run {
			drawn.Band += map[bool]string{true: "M", false: "L"}[i == 0] + place(d)
		}
		drawn.Band += "Z"
	}
	return drawn
}

// dots are the middles of the steps in which something was measured.
func (g Graph) dots(from, end float64) (all []dot) {
	for i, mean := range g.Means {
		at := min(float64(g.Begin.UnixMilli())+(float64(i)+0.5)*float64(g.Step.Milliseconds()), end)
		if at >= from && !math.IsNaN(mean) && !math.IsInf(mean, 0) {
			all = append(all, dot{at, mean})
		}
	}
	return all
}

// joined is how far apart two dots may be that a line joins. Where no rhythm is known, it is as they usually are.
func joined(dots []dot, step, usual float64) float64 {
	if usual <= 0 && len(dots) > 1 {
		apart := make([]float64, 0, len(dots))
		for i := 1; i < len(dots); i++ {
			apart = append(apart, dots[i].at-dots[i-1].at)
		}
		slices.Sort(apart)
		usual = apart[(len(apart)-1)/2]
	}
	return max(2.5*step, 3*usual)
}

func line(dots []dot, reach float64, place func(dot) string) string {
	var b strings.Builder
	for i, d := range dots {
		starts := i == 0 || d.at-dots[i-1].at > reach
		if starts {
			b.WriteString("M" + place(d))
			if i == len(dots)-1 || dots[i+1].at-d.at > reach {
				b.WriteString("h0") // alone, it is a dot
			}
			continue
		}
		b.WriteString("L" + place(d))
	}
	return b.String()
}

const hourMs = 3_600_000.0

// band is what is usual in the time that is shown: for each run of hours of which it is known, there along the top and back below.
func (g Graph) band(from, end float64) (runs [][]dot) {
	if g.Usual == nil {
		return nil
	}
	var top, bottom []dot
	flush := func() {
		if len(top) > 0 {
			for i := len(bottom) - 1; i >= 0; i-- {
				top = append(top, bottom[i])
			}
			runs = append(runs, top)
		}
		top, bottom = nil, nil
	}
	add := func(at float64, b Between) {
		at = min(max(at, from), end)
		top, bottom = append(top, dot{at, b.High}), append(bottom, dot{at, b.Low})
	}
	for hour := math.Floor(from/hourMs) * hourMs; hour < end; hour += hourMs {
		b := g.Usual[int(hour/hourMs)%24]
		if math.IsNaN(b.Low) || math.IsNaN(b.High) {
			flush()
			continue
		}
		if len(top) == 0 {
			add(hour, b)
		}
		if middle := hour + hourMs/2; middle > from && middle < end {
			add(middle, b)
		}
		if next := g.Usual[int(hour/hourMs+1)%24]; hour+hourMs >= end || math.IsNaN(next.Low) {
			add(hour+hourMs, b)
		}
	}
	flush()
	return runs
}

// direction compares the two halves of the newest time: they must differ by more than chance makes of how far values lie beside the line
// between their neighbours in all the time that is shown, and by what can be seen.
func direction(dots []dot, window, end, spread float64) string {
	newest := dots
	for len(newest) > 0 && newest[0].at < end-window {
		newest = newest[1:]
	}
	if len(newest) < 3 || math.IsInf(spread, 0) {
		return ""
	}
	half := len(newest) / 2
	change := meanOf(newest[len(newest)-half:]) - meanOf(newest[:half])
	scatter := 0.0
	for i := range len(dots) - 2 {
		scatter += math.Abs(dots[i+1].value-dots[i+2].value/2-dots[i].value/2) / float64(len(dots)-2)
	}
	switch {
	case math.Abs(change) < 4*scatter/math.Sqrt(float64(half)) || 2*math.Abs(change) < 0.04*spread || change == 0:
		return "steady"
	case change > 0:
		return "rising"
	}
	return "falling"
}

func meanOf(dots []dot) float64 {
	sum := 0.0
	for _, d := range dots {
		sum += d.value / float64(len(dots))
	}
	return sum
}

func tenth(v float64) string {
	return strconv.FormatFloat(math.Floor(v*10+0.5)/10, 'f', -1, 64)
}

// machineMeans writes numbers as web/src/graph.ts reads them: "21.4,,21.6", with nothing where nothing is known.
func (g Graph) machineMeans() string {
	words := make([]string, len(g.Means))
	for i, v := range g.Means {
		words[i] = short(v)
	}
	return strings.Join(words, ",")
}

// machineUsual writes the band: low and high of each hour, "18.2 21.4,,19 22".
func (g Graph) machineUsual() string {
	if g.Usual == nil {
		return ""
	}
	words := make([]string, 24)
	for i, b := range g.Usual {
		if !math.IsNaN(b.Low) {
			words[i] = short(b.Low) + " " + short(b.High)
		}
	}
	return strings.Join(words, ",")
}

// short is a number with as many digits as a drawing can show.
func short(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}
