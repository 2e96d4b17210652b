package rhythm

import (
	"slices"
	"time"
)

// Deaf is a time in which nobody could be heard.
type Deaf struct{ From, To time.Time }

// deafness is such times in order, none of which touches another.
type deafness []Deaf

func newDeafness(times []Deaf) (d deafness) {
	times = slices.Clone(times)
	slices.SortFunc(times, func(a, b Deaf) int { return a.From.Compare(b.From) })
	for _, t := range times {
		if n := len(d); n > 0 && !t.From.After(d[n-1].To) {
			if t.To.After(d[n-1].To) {
				d[n-1].To = t.To
			}
			continue
		}
		d = append(d, t)
	}
	return d
}

// between says whether any of it lies between two moments.
func (d deafness) between(from, to time.Time) bool {
	i, _ := slices.BinarySearchFunc(d, from, func(t Deaf, from time.Time) int {
		if t.To.After(from) {
			return 1
		}
		return -1
	})
	return i < len(d) && d[i].From.Before(to)
}
