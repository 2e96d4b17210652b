package main

import (
	"math"
	"slices"
	"time"
)

// What is found out about one way in one round.
const (
	delivered = "delivered" // messages/s that reach subscribers, or get acknowledged
	allCPU    = "CPU"       // µs a delivered message meanwhile, of the server and of what is in front of it
	proxyCPU  = "proxy CPU" // what is in front of it alone
	loadCPU   = "load CPU"  // what this process needs for reading, which no server can help
	half      = "p50"       // ms from publisher to subscriber, at a gentle pace
	late      = "p99"       // the same
	wireBytes = "wire"      // bytes on the wire a byte of message, under load
	calmWire  = "calm wire" // the same, at a gentle pace
	brought   = "up"        // messages/s that subscribers publish and get acknowledged
	held      = "memory"    // KiB of a server, or of a proxy, for one idle session
)

// figures are what one way gave in one round.
type figures map[string]float64

// figure names one figure of one way.
type figure struct{ measure, way, name string }

// results are all figures, one of each round.
type results map[figure][]float64

func (r results) add(measure, way string, f figures) {
	for name, v := range f {
		k := figure{measure, way, name}
		r[k] = append(r[k], v)
	}
}

// better says which way is good.
type better string

const (
	more better = "more is better"
	less better = "less is better"
)

// ratio is how many times better a is than b, as the median of the rounds; below 1 it is worse.
func ratio(better better, a, b []float64) float64 {
	return overRounds(a, b, func(a, b float64) float64 {
		if better == more {
			return a / b
		}
		return b / a
	})
}

// added is how much more a is than b, as the median of the rounds.
func added(a, b []float64) float64 {
	return overRounds(a, b, func(a, b float64) float64 { return a - b })
}

// overRounds compares round by round: what else the machine did meanwhile it did to both.
func overRounds(a, b []float64, compare func(a, b float64) float64) float64 {
	if len(a) != len(b) {
		return math.NaN()
	}
	all := make([]float64, len(a))
	for i := range a {
		all[i] = compare(a[i], b[i])
	}
	return median(all)
}

// median is the middle one, or the mean of the two in the middle.
func median(all []float64) float64 {
	if len(all) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(all))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// percentile is the smallest value that this share of all does not exceed.
func percentile(all []time.Duration, share float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(math.Ceil(share*float64(len(all))))-1)]
}
