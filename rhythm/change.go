package rhythm

import (
	"slices"
	"time"
)

// What shows that a device has taken another rhythm. Without a look at that it would be called quiet for as long as the old one is
// remembered.
const (
	enough = 12  // gaps in a row that are as steady as the old ones
	slower = 2.0 // and so much longer

	oftenAnHour = 1.5 // of less than that an hour without any says nothing
)

// sinceSlower leaves out what was heard before a device began to speak less often.
func sinceSlower(heard []time.Time) []time.Time {
	if len(heard) <= 2*enough {
		return heard
	}
	gaps := make([]time.Duration, len(heard)-1)
	for i := range gaps {
		gaps[i] = heard[i+1].Sub(heard[i])
	}
	first := len(gaps) - enough
	lately := slices.Sorted(slices.Values(gaps[first:]))
	middle := quantile(lately, 0.5)
	if float64(quantile(lately, 0.9)) > steadyWithin*float64(middle) || float64(lately[0])*steadyWithin < float64(middle) {
		return heard
	}
	if float64(middle) < slower*float64(quantile(slices.Sorted(slices.Values(gaps)), 0.5)) {
		return heard
	}
	for first > 0 && float64(gaps[first-1])*steadyWithin >= float64(middle) {
		first--
	}
	return heard[first:]
}

// forgetHours expects nothing in an hour in which nothing came when it was last that hour, though the device was heard afterwards: it goes to
// sleep earlier now, or its clock was set to winter.
func (r *Rhythm) forgetHours(gaps []gap) {
	end := gaps[len(gaps)-1].to.Truncate(time.Hour)
	begin := end.Add(-24 * time.Hour)
	for i := len(gaps) - 1; i >= 0 && gaps[i].to.After(begin); i-- {
		hour := gaps[i].from.Truncate(time.Hour).Add(time.Hour) // the first whole hour of that silence
		if hour.Before(begin) {
			hour = begin
		}
		for ; !hour.Add(time.Hour).After(gaps[i].to) && hour.Before(end); hour = hour.Add(time.Hour) {
			if h := hour.UTC().Hour(); r.byHour[h] > oftenAnHour {
				r.byHour[h] = 0
			}
		}
	}
}
