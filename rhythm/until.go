package rhythm

import (
	"math"
	"time"
)

const (
	oldAfter = 1.5                 // usual gaps: from then on people look at the age first
	oldYoung = 3                   // the same of whoever has no rhythm yet: longest silences so far,
	soonest  = 5 * time.Minute     // but not before that
	farthest = 90 * 24 * time.Hour // how far ahead we look
)

// Known says whether there is a rhythm that people may be told of.
func (r Rhythm) Known() bool { return (r.Kind == Steady || r.Kind == Irregular) && r.Usual > 0 }

// Until says from when on somebody who was last heard then counts as getting old, and from when as quiet. Zero: never.
func (r Rhythm) Until(last time.Time) (old, quiet time.Time) {
	switch {
	case r.Kind == Events:
		return time.Time{}, time.Time{}
	case !r.Known():
		quiet = last.Add(longUnknown)
		if r.young == 0 {
			return time.Time{}, quiet
		}
		return last.Add(min(longUnknown, max(soonest, oldYoung*r.young))), quiet
	}
	quiet = r.reached(last, r.limit)
	if first := last.Add(shortest); quiet.Before(first) {
		quiet = first
	}
	old = r.reached(last, oldAfter*r.Usual.Hours()*r.awake())
	if old.After(quiet) {
		old = quiet
	}
	return old, quiet
}

// reached is when as many as that usually came: the same as missed, the other way round.
func (r Rhythm) reached(from time.Time, n float64) time.Time {
	at := from
	for at.Sub(from) < farthest {
		next := at.Truncate(time.Hour).Add(time.Hour)
		rate := r.byHour[at.UTC().Hour()]
		come := rate * next.Sub(at).Hours()
		if come > n {
			return at.Add(time.Duration(math.Ceil(n / rate * float64(time.Hour))))
		}
		n -= come
		at = next
	}
	return at
}
