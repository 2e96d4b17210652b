// Package rhythm learns how often a device usually speaks, and says when its silence is longer than that.
//
// It knows times and nothing else. Start at [Learn].
package rhythm

import (
	"math"
	"slices"
	"time"
)

// Kind is a way of speaking.
type Kind string

// The kinds there are.
const (
	Unknown   Kind = "unknown"   // it was heard too seldom to say
	Steady    Kind = "steady"    // about as often all the time
	Irregular Kind = "irregular" // now sooner, now later
	Events    Kind = "events"    // only when something happens: its silence says nothing
)

// What it takes to know a rhythm, and what is asked of it.
const (
	fewest       = 8             // gaps
	AtMost       = 4096          // times that Learn looks at; what is before the last so many is no news
	alarms       = 0.2           // false alarms that one device may give in a month
	leastLimit   = 2.0           // of what usually comes meanwhile: one that is missing is no silence
	steadyLimit  = 2.75          // two that are missing are, of a steady device
	shortest     = time.Minute   // no silence matters to people before that
	steadyWithin = 1.6           // how much longer than the middle one nine of ten gaps of a steady device may be
	eventsFrom   = 6 * time.Hour // what irregularly is silent for so long speaks only when something happens
	longUnknown  = 24 * time.Hour
	month        = 30 * 24 * time.Hour
)

// Rhythm is how often somebody speaks. The zero value knows nothing.
type Rhythm struct {
	Kind  Kind
	Usual time.Duration // the longest silence that is usual while it is awake; 0 if that is not known

	byHour [24]float64 // how often in an hour, by the hour of the day in UTC
	limit  float64     // how many of them may stay away
}

// Learn makes a Rhythm of the moments at which somebody was heard, oldest first.
func Learn(heard []time.Time) Rhythm {
	heard = heard[max(0, len(heard)-AtMost):]
	starts, ends := bursts(heard)
	if len(starts) <= fewest {
		return Rhythm{Kind: Unknown}
	}
	r := Rhythm{Kind: Irregular, byHour: hourly(starts)}
	silent := make([]float64, 0, len(starts)) // each gap, counted in what usually comes in such a time
	var gaps []time.Duration
	for i := 1; i < len(starts); i++ {
		silent = append(silent, r.missed(ends[i-1], starts[i]))
		gaps = append(gaps, starts[i].Sub(ends[i-1]))
	}
	slices.Sort(silent)
	slices.Sort(gaps)
	middle, ninth := quantile(silent, 0.5), quantile(silent, 0.9)
	r.limit = max(leastLimit, tail(silent, ninth, perMonth(starts)))
	r.Usual = quantile(gaps, 0.5)
	if ninth <= steadyWithin*middle && middle > 0 {
		r.Kind = Steady
		r.limit = steadyLimit
	} else {
		r.Usual = time.Duration(quantile(silent, 0.98) / r.awake() * float64(time.Hour))
		if r.Usual > eventsFrom {
			r.Kind = Events
		}
	}
	return r
}

// Quiet says whether somebody who was last heard then is silent for longer than usual.
func (r Rhythm) Quiet(last, now time.Time) bool {
	switch r.Kind {
	case Events:
		return false
	case Steady, Irregular:
		return now.Sub(last) >= shortest && r.missed(last, now) > r.limit
	}
	return now.Sub(last) > longUnknown
}

// bursts puts together what comes in one go: where gaps are of two quite different lengths, and many of them short, the long ones
// are the rhythm. It gives when each burst began and ended.
func bursts(heard []time.Time) (starts, ends []time.Time) {
	cut := cutOf(heard)
	for i, at := range heard {
		if i > 0 && at.Sub(heard[i-1]) <= cut {
			ends[len(ends)-1] = at
			continue
		}
		starts, ends = append(starts, at), append(ends, at)
	}
	return starts, ends
}

const (
	twoLengths   = 8    // how much longer than the one before the first long gap is
	manyAreLong  = 0.05 // of all gaps; fewer are nights
	manyAreShort = 0.3
)

func cutOf(heard []time.Time) time.Duration {
	gaps := make([]time.Duration, 0, len(heard))
	for i := 1; i < len(heard); i++ {
		gaps = append(gaps, heard[i].Sub(heard[i-1]))
	}
	slices.Sort(gaps)
	cut, widest := time.Duration(0), float64(twoLengths)
	for i := int(manyAreShort * float64(len(gaps))); i < int((1-manyAreLong)*float64(len(gaps))); i++ {
		if i == 0 {
			continue
		}
		short, long := max(gaps[i-1], time.Second), gaps[i]
		if ratio := float64(long) / float64(short); ratio > widest {
			cut, widest = short, ratio
		}
	}
	return cut
}

// hourly counts how often something usually comes in each hour of the day. What was seen for less than two days says nothing of the hours.
func hourly(starts []time.Time) (rate [24]float64) {
	span := starts[len(starts)-1].Sub(starts[0])
	all := float64(len(starts)-1) / max(span.Hours(), 1e-6)
	for h := range rate {
		rate[h] = all
	}
	if span < 48*time.Hour {
		return rate
	}
	var came, hours [24]float64
	for _, at := range starts[1:] {
		came[at.UTC().Hour()]++
	}
	for at := starts[0]; at.Before(starts[len(starts)-1]); {
		next := at.Truncate(time.Hour).Add(time.Hour)
		if end := starts[len(starts)-1]; next.After(end) {
			next = end
		}
		hours[at.UTC().Hour()] += next.Sub(at).Hours()
		at = next
	}
	for h := range rate {
		// Half an hour of the average, so that an hour in which little was seen is not believed to the letter.
		rate[h] = (came[h] + all*0.1) / (hours[h] + 0.1)
	}
	return rate
}

// awake is how often something comes in those hours in which much does.
func (r Rhythm) awake() float64 {
	most, sum, n := slices.Max(r.byHour[:]), 0.0, 0.0
	for _, rate := range r.byHour {
		if rate > most/5 {
			sum, n = sum+rate, n+1
		}
	}
	return sum / n
}

// missed is how many usually come between two moments.
func (r Rhythm) missed(from, to time.Time) (n float64) {
	const day = 24 * time.Hour
	whole := to.Sub(from) / day
	if whole > 0 {
		for _, rate := range r.byHour {
			n += rate * float64(whole)
		}
		from = from.Add(whole * day)
	}
	for at := from; at.Before(to); {
		next := at.Truncate(time.Hour).Add(time.Hour)
		if next.After(to) {
			next = to
		}
		n += r.byHour[at.UTC().Hour()] * next.Sub(at).Hours()
		at = next
	}
	return n
}

func perMonth(starts []time.Time) float64 {
	span := max(starts[len(starts)-1].Sub(starts[0]), time.Minute)
	return float64(len(starts)-1) * float64(month) / float64(span)
}

// tail is the silence that only so many in a month pass: beyond the ninth tenth, silences get rarer evenly.
func tail(silent []float64, ninth, inMonth float64) float64 {
	over, n := 0.0, 0
	for _, s := range silent {
		if s > ninth {
			over += s - ninth
			n++
		}
	}
	if n == 0 {
		return ninth * 1.5
	}
	return ninth + over/float64(n)*math.Log(max(math.E, inMonth*0.1/alarms))
}

// quantile of what is sorted.
func quantile[T time.Duration | float64](sorted []T, q float64) T {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
