package rhythm

import (
	"math/rand/v2"
	"testing"
	"time"
)

// alarmsAfter counts how often somebody who is well is called quiet after a change, by what is learned every hour.
func alarmsAfter(change time.Time, heard []time.Time) (n int) {
	var r Rhythm
	learned := heard[0]
	for i, at := range heard {
		if i > 0 && at.After(change) && r.Quiet(heard[i-1], at) {
			n++
		}
		if at.Sub(learned) >= time.Hour {
			r, learned = Learn(heard[:i+1]), at
		}
	}
	return n
}

// A device that is told to speak less often, or whose night begins an hour earlier since the clocks were changed, is called quiet until
// that is learned, and no longer.
func TestAChangedRhythmIsLearnedSoon(t *testing.T) {
	change := monday.Add(14 * 24 * time.Hour)
	for name, tt := range map[string]struct {
		before, after speaker
		most          int
	}{
		"a tenth as often":               {every(5*time.Minute, 0.1, 0.002), every(50*time.Minute, 0.1, 0.002), enough + 1},
		"a third as often":               {every(5*time.Minute, 0.1, 0.002), every(15*time.Minute, 0.1, 0.002), enough + 4},
		"winter time":                    {byDay(7, 22, every(5*time.Minute, 0.1, 0.002)), byDay(6, 21, every(5*time.Minute, 0.1, 0.002)), 1},
		"winter time, every minute":      {byDay(7, 22, every(time.Minute, 0.1, 0.002)), byDay(6, 21, every(time.Minute, 0.1, 0.002)), 2},
		"summer time, every 15 minutes":  {byDay(7, 22, every(15*time.Minute, 0.1, 0.002)), byDay(6, 21, every(15*time.Minute, 0.1, 0.002)), 1},
		"as often as before, by the way": {every(5*time.Minute, 0.1, 0.002), every(5*time.Minute, 0.1, 0.002), 0},
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(3, 7))
			heard := append(tt.before(random, monday, change), tt.after(random, change, change.Add(10*24*time.Hour))...)
			if n := alarmsAfter(change, heard); n > tt.most {
				t.Errorf("%d false alarms in ten days, want no more than %d", n, tt.most)
			}
		})
	}
}
