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
	leastYoung   = 3             // times that somebody without a rhythm was heard, before anything is said of his silence
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

	byHour [24]float64   // how often in an hour, by the hour of the day in UTC
	limit  float64       // how many of them may stay away
	young  time.Duration // the longest silence so far of whoever has no rhythm yet; 0: it was hardly heard
}

// Learn makes a Rhythm of the moments at which somebody was heard, oldest first. Silence in times in which nobody could be heard teaches
// nothing.
func Learn(heard []time.Time, deaf ...Deaf) Rhythm {
	heard = sinceSlower(heard[max(0, len(heard)-AtMost):])
	all := gapsOf(heard, deaf)
	if len(all) < fewest {
		return Young(heard)
	}
	r := Rhythm{Kind: Irregular, byHour: hourly(all)}
	silent := make([]float64, 0, len(all)) // each gap, counted in what usually comes in such a time
	gaps := make([]time.Duration, 0, len(all))
	for _, g := range all {
		silent = append(silent, r.missed(g.from, g.to))
		gaps = append(gaps, g.to.Sub(g.from))
	}
	slices.Sort(silent)
	slices.Sort(gaps)
	middle, ninth := quantile(silent, 0.5), quantile(silent, 0.9)
	r.limit = max(leastLimit, tail(silent, ninth, perMonth(all)))
	r.Usual = quantile(gaps, 0.5)
	if ninth <= steadyWithin*middle && middle > 0 {
		r.Kind = Steady
		r.limit = steadyLimit
		r.forgetHours(all)
	} else {
		r.Usual = time.Duration(quantile(silent, 0.98) / r.awake() * float64(time.Hour))
		if r.Usual > eventsFrom {
			r.Kind = Events
		}
	}
	return r
}

// Young is for whoever was heard too seldom or too briefly to have a rhythm: how long it was silent until now is all that is known of it.
func Young(heard []time.Time) Rhythm {
	r := Rhythm{Kind: Unknown}
	if len(heard) < leastYoung {
		return r
	}
	for i := 1; i < len(heard); i++ {
		r.young = max(r.young, heard[i].Sub(heard[i-1]))
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

// gap is the time between two bursts.
type gap struct {
	begun    time.Time // when the one before it began
	from, to time.Time // when that ended, and when the next one began
}

// gapsOf puts together what comes in one go: where gaps are of two quite different lengths, and many of them short, the long ones
// are the rhythm. It leaves out gaps in which something may have been said that nobody heard.
func gapsOf(heard []time.Time, deaf []Deaf) (all []gap) {
	times := newDeafness(deaf)
	cut := cutOf(heard, times)
	for i := 1; i < len(heard); i++ {
		g := gap{begun: heard[i-1], from: heard[i-1], to: heard[i]}
		for ; i+1 < len(heard) && g.to.Sub(g.from) <= cut; i++ {
			g.from, g.to = heard[i], heard[i+1]
		}
		if g.to.Sub(g.from) > cut && !times.between(g.from, g.to) {
			all = append(all, g)
		}
	}
	return all
}

const (
	twoLengths   = 8    // how much longer than the one before the first long gap is
	manyAreLong  = 0.05 // of all gaps; fewer are nights
	manyAreShort = 0.3
)

func cutOf(heard []time.Time, deaf deafness) time.Duration {
	gaps := make([]time.Duration, 0, len(heard))
	for i := 1; i < len(heard); i++ {
		if !deaf.between(heard[i-1], heard[i]) {
			gaps = append(gaps, heard[i].Sub(heard[i-1]))
		}
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
func hourly(gaps []gap) (rate [24]float64) {
	span := spanOf(gaps)
	all := float64(len(gaps)) / max(span.Hours(), 1e-6)
	for h := range rate {
		rate[h] = all
	}
	if span < 48*time.Hour {
		return rate
	}
	var came, hours [24]float64
	for _, g := range gaps {
		came[g.to.UTC().Hour()]++
		for at := g.begun; at.Before(g.to); {
			next := at.Truncate(time.Hour).Add(time.Hour)
			if next.After(g.to) {
				next = g.to
			}
			hours[at.UTC().Hour()] += next.Sub(at).Hours()
			at = next
		}
	}
	for h := range rate {
		if hours[h] < 0.3 {
			continue // nobody listened then
		}
		// A tenth of an hour of the average, so that an hour in which little was seen is not believed to the letter. No more than of one an
		// hour: of who speaks often by day much would be expected in a night otherwise.
		rate[h] = (came[h] + min(all, 1)*0.1) / (hours[h] + 0.1)
	}
	return rate
}

// spanOf is for how long somebody was listened to.
func spanOf(gaps []gap) (span time.Duration) {
	for _, g := range gaps {
		span += g.to.Sub(g.begun)
	}
	return span
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

func perMonth(gaps []gap) float64 {
	return float64(len(gaps)) * float64(month) / float64(max(spanOf(gaps), time.Minute))
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
