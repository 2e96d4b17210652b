// Command bench measures trellis beside Debian's mosquitto, in the same run, and prints ratios.
//
// Both servers run on loopback, one at a time, in turns over several rounds; the load comes from this process, by sockets
// written by hand, so that it costs as little and as much for both. What counts is the ratio and not the seconds: this
// machine is not yours, and it is shared between server and load. Start at [measures].
package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"text/tabwriter"
	"time"
)

// options say how large the run is.
type options struct {
	pages, devices int
	rounds         int
	load           time.Duration // of one throughput measurement
	binary         string
}

func main() {
	var o options
	flag.IntVar(&o.pages, "pages", 1000, "open pages")
	flag.IntVar(&o.devices, "devices", 2000, "idle device connections")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds; the median is printed")
	flag.DurationVar(&o.load, "load", 4*time.Second, "length of one throughput measurement")
	flag.StringVar(&o.binary, "trellis", "bin/trellis", "the program to measure")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// better says which way is good.
type better string

const (
	more better = "more is better"
	less better = "less is better"
)

// line is one row of the table.
type line struct {
	name, unit string
	better     better
	aim        string
	ours       []float64 // one of each round
	theirs     []float64
}

// add notes one round.
func (l *line) add(ours, theirs float64) {
	l.ours, l.theirs = append(l.ours, ours), append(l.theirs, theirs)
}

// ratio is how many times better we are, as the median of the rounds; below 1 we are worse.
func (l *line) ratio() float64 {
	var all []float64
	for i := range l.ours {
		if l.better == more {
			all = append(all, l.ours[i]/l.theirs[i])
		} else {
			all = append(all, l.theirs[i]/l.ours[i])
		}
	}
	return median(all)
}

func run(o options) error {
	var table []*line
	for round := range o.rounds {
		at := 0
		for _, m := range measures(o) {
			began := time.Now()
			lines, err := m.both(o, round%2 == 1)
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			for _, l := range lines {
				if round == 0 {
					table = append(table, l)
				} else {
					table[at].add(l.ours[0], l.theirs[0])
				}
				at++
			}
			fmt.Fprintf(os.Stderr, "round %d of %d: %s, %.0f s\n", round+1, o.rounds, m.name, time.Since(began).Seconds())
		}
	}
	return show(table, o)
}

func show(table []*line, o options) error {
	fmt.Printf("\nMedian of %d rounds, %d pages, %d devices, one machine for server and load.\n\n", o.rounds, o.pages, o.devices)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "measure\ttrellis\tmosquitto\tunit\tratio\taim")
	for _, l := range table {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1f×\t%s\n", l.name, number(median(l.ours)), number(median(l.theirs)), l.unit, l.ratio(), l.aim)
	}
	_, _ = fmt.Fprintln(w, "\nA ratio above 1× means that trellis is better: more where more is better, less where less is.")
	return w.Flush()
}

// number writes three digits that mean something.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 1:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.3f", v)
}
