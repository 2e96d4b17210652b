package server

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"trellis/history"
	"trellis/message"
	"trellis/templates"
)

// The chart is drawn in a box that is so many units wide, however wide the page is, and so many pixels high. web/src/chart.ts draws the
// same; both are held to testdata/chart.json.
const (
	chartWide   = 1000
	chartHigh   = 240
	maxLanes    = 6
	ticksAbout  = 4
	levelDigits = 9    // more are no help
	nearly      = 1e-3 // of a step: what a sum of floating point may be off
)

// plot places moments and numbers. A line crosses it at every step.
type plot struct {
	from, to        time.Time
	low, high, step float64 // in the unit that is shown
	scale           scale
}

// scale leads from the unit in which a device sends to the one that is shown, so that lines across a chart are at round numbers of that one.
type scale struct{ sent, shown string }

func scaleOf(st stretch) scale {
	most := 0.0
	for _, p := range st.Points {
		most = max(most, math.Abs(p.Low), math.Abs(p.High))
	}
	sent, _ := message.SentIn(message.Reading{Name: st.Reading, Value: most})
	_, many := message.Setting{}.Number(most, sent) // bytes become kB, all of them
	return scale{sent, cmp.Or(st.As.Unit, many)}
}

// to and back change nothing where the unit is a label alone, and make no number one that is none.
func (s scale) to(v float64) float64   { return converted(v, s.sent, s.shown) }
func (s scale) back(v float64) float64 { return converted(v, s.shown, s.sent) }

func converted(v float64, from, to string) float64 {
	v, _ = message.Convert(v, from, to)
	return min(max(v, -math.MaxFloat64), math.MaxFloat64)
}

func (p plot) x(at time.Time) float64 {
	share := float64(at.Sub(p.from)) / float64(p.to.Sub(p.from))
	return tenth(chartWide * min(max(share, 0), 1))
}

// y places a number in the unit that is shown.
func (p plot) y(v float64) float64 {
	return tenth(chartHigh * (1 - (v/2-p.low/2)/(p.high/2-p.low/2))) // the whole way from -1e308 to 1e308 is no number any more
}

func tenth(v float64) float64 { return math.Round(v*10) / 10 }

// coordinate adds nothing, which makes a zero of one that is less than none.
func coordinate(v float64) string { return strconv.FormatFloat(v+0, 'f', -1, 64) }

// lineOf draws the numbers of a stretch: a line of the mean, a band from the lowest to the highest, and dots for what stands alone.
func lineOf(st stretch) (line, band, dots string, p plot) {
	p = plot{from: st.From, to: st.To, scale: scaleOf(st)}
	p.low, p.high, p.step = bounds(st.Points, p.scale)
	for _, run := range runs(st) {
		var means, highs, lows []string
		for _, point := range run {
			x := coordinate(p.x(point.At.Add(st.Every / 2)))
			means = append(means, x+" "+coordinate(p.y(p.scale.to(point.Mean))))
			highs = append(highs, x+" "+coordinate(p.y(p.scale.to(point.High))))
			lows = append(lows, x+" "+coordinate(p.y(p.scale.to(point.Low))))
		}
		if len(run) == 1 {
			dots += "M" + means[0] + "h0"
			continue
		}
		slices.Reverse(lows)
		line += "M" + strings.Join(means, "L")
		band += "M" + strings.Join(highs, "L") + "L" + strings.Join(lows, "L") + "Z"
	}
	return line, band, dots, p
}

// runs are points that belong together: a line across a time of which nothing is known would be a lie.
func runs(st stretch) (all [][]history.Point) {
	var run []history.Point
	reach := reachOf(st)
	for i, p := range st.Points {
		if i > 0 && (p.At.Sub(st.Points[i-1].At) > reach || broken(st, st.Points[i-1].At.Add(st.Every), p.At)) {
			all, run = append(all, run), nil
		}
		run = append(run, p)
	}
	if len(run) > 0 {
		all = append(all, run)
	}
	return all
}

// reachOf is how far apart two points may be that a line joins: thrice as far as they usually are.
func reachOf(st stretch) time.Duration {
	apart := make([]time.Duration, 0, len(st.Points))
	for i := 1; i < len(st.Points); i++ {
		apart = append(apart, st.Points[i].At.Sub(st.Points[i-1].At))
	}
	if len(apart) == 0 {
		return 0
	}
	slices.Sort(apart)
	return max(st.Every*5/2, 3*apart[(len(apart)-1)/2])
}

// broken says whether something of which nothing is known lies between two steps. What lies within a step, or two, has its box and no break: their values
// are from before it and from behind it.
func broken(st stretch, from, to time.Time) bool {
	return slices.ContainsFunc(st.Gaps, func(b blank) bool { return from.Before(to) && b.From.Before(to) && b.end(st.To).After(from) })
}

// bounds are whole steps below the lowest and above the highest.
func bounds(points []history.Point, as scale) (low, high, step float64) {
	if len(points) == 0 {
		return 0, 1, 1
	}
	low, high = points[0].Low, points[0].High
	for _, p := range points {
		low, high = min(low, p.Low), max(high, p.High)
	}
	low, high = as.to(low), as.to(high)
	step = stepOf(low, high)
	below, above := math.Floor(low/step)*step, math.Ceil(high/step)*step
	if below == above {
		below, above = below-step, above+step
	}
	if !(below < above) || math.IsInf(below, 0) || math.IsInf(above, 0) {
		return low, high, step
	}
	return below, above, step
}

// stepOf is a round number of which a few are between two numbers.
func stepOf(low, high float64) float64 {
	rough := (high/ticksAbout - low/ticksAbout)
	if rough == 0 {
		rough = cmp.Or(math.Abs(low)/100, 1)
	}
	size := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, of := range []float64{1, 2, 5} {
		if of*size >= rough {
			return of * size
		}
	}
	return 10 * size
}

// levels are the lines across the chart: where a number is said, there it is. It has as many digits as the step between two of them.
func levels(st stretch, p plot) (all []templates.Level) {
	last := ""
	as := message.Setting{Unit: p.scale.shown}
	if digits := -int(math.Floor(math.Log10(p.step) + nearly)); digits < levelDigits {
		digits = max(digits, 0)
		as.Digits = &digits
	}
	first := math.Ceil(p.low/p.step - nearly)
	for n := range 12 {
		v := (first + float64(n)) * p.step
		if !(v <= p.high+p.step*nearly) { // nor is it, where the step is too small to count with
			break
		}
		shown := message.DescribeAs(message.Reading{Name: st.Reading, Value: p.scale.back(v)}, as)
		words := shown.Value
		if words != last {
			all = append(all, templates.Level{Y: coordinate(p.y(v)), Words: words, Unit: shown.Unit})
		}
		last = words
	}
	return all
}

// ticks are the times below the chart, in UTC; a script writes the reader's own.
func ticks(st stretch) (all []templates.Tick) {
	every, layout := spanShapes[st.Span].tick, "15:04"
	if every >= 24*time.Hour {
		layout = "Jan 2"
	}
	for at := st.From.Truncate(every); at.Before(st.To); at = at.Add(every) {
		share := float64(at.Sub(st.From)) / float64(st.To.Sub(st.From))
		if share < 0.06 || share > 0.94 {
			continue // its words would be cut off
		}
		all = append(all, templates.Tick{X: percent(share), Words: at.Format(layout)})
	}
	return all
}

func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 2, 64) + "%" }

// boxes are the times of which nothing is known.
func boxes(st stretch) (all []templates.Box) {
	p := plot{from: st.From, to: st.To}
	for _, b := range st.Gaps {
		x, end := p.x(b.From), p.x(b.end(st.To))
		all = append(all, templates.Box{X: coordinate(x), Wide: coordinate(max(tenth(end-x), 2)), Words: b.Words, Quiet: b.Quiet})
	}
	return all
}

// state is a word or a truth value for as long as it was so.
type state struct {
	words    string
	from, to time.Time
}

// states are what held when, cut where nothing is known.
func states(st stretch, now time.Time) (all []state) {
	for i, c := range st.Changes {
		until := earlier(st.To, now)
		if i+1 < len(st.Changes) {
			until = st.Changes[i+1].At
		}
		from := later(c.At, st.From)
		words := templates.CapitalWord(st.words(c.Value).Value)
		for _, free := range outside(from, until, st.Gaps) {
			all = append(all, state{words, free.From, free.To})
		}
	}
	return all
}

// lanes give each state a row of its own, so that none is told by its colour alone. Those that lasted longest have one.
func lanes(st stretch, all []state) []templates.Lane {
	lasted := map[string]time.Duration{}
	for _, s := range all {
		lasted[s.words] += s.to.Sub(s.from)
	}
	p, at := plot{from: st.From, to: st.To}, map[string]int{}
	var found []templates.Lane
	for _, words := range sortedByTime(lasted) {
		i := min(len(found), maxLanes-1)
		if i == len(found) {
			found = append(found, templates.Lane{Words: words})
		}
		at[words] = i
	}
	if len(lasted) > maxLanes {
		found[maxLanes-1].Words = "Anything else"
	}
	for _, s := range all {
		x := p.x(s.from)
		lane := &found[at[s.words]]
		lane.Boxes = append(lane.Boxes, templates.Box{X: coordinate(x), Wide: coordinate(max(tenth(p.x(s.to)-x), 2)), Words: s.words})
	}
	return found
}

func sortedByTime(lasted map[string]time.Duration) []string {
	words := make([]string, 0, len(lasted))
	for w := range lasted {
		words = append(words, w)
	}
	slices.SortFunc(words, func(a, b string) int { return cmp.Or(cmp.Compare(lasted[b], lasted[a]), cmp.Compare(a, b)) })
	return words
}
