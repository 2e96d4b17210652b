// Command bench measures trellis beside Debian's mosquitto, nginx and haproxy, in the same run, and prints ratios.
//
// All servers run on loopback, one at a time, in turns over several rounds; the load comes from this process, by sockets
// written by hand, so that it costs as little and as much for all. What counts is the ratio and not the seconds: this
// machine is not yours, and it is shared between server and load. Start at [measures].
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// options say how large the run is.
type options struct {
	pages, devices, clients int
	rounds                  int
	load                    time.Duration // of one throughput measurement
	stored                  int64         // messages on record when it is asked for a range
	binary                  string
	rows, ways              string
}

func main() {
	var o options
	flag.IntVar(&o.pages, "pages", 1000, "open pages")
	flag.IntVar(&o.devices, "devices", 500, "idle device connections")
	flag.IntVar(&o.clients, "clients", 400, fmt.Sprintf("subscribers behind relays, in groups of %d", devicesOfAKey))
	flag.IntVar(&o.rounds, "rounds", 3, "rounds; the median is printed")
	flag.DurationVar(&o.load, "load", 1500*time.Millisecond, "length of one throughput measurement")
	flag.Int64Var(&o.stored, "stored", 10_000_000, "messages on record for the row range; about 400 bytes of disk each")
	flag.StringVar(&o.binary, "trellis", "bin/trellis", "the program to measure")
	flag.StringVar(&o.rows, "rows", "", "measure only these, with commas between: "+strings.Join(names(measures), ", "))
	flag.StringVar(&o.ways, "ways", "", "measure only ways whose names hold this: nginx, mosquitto, /live poll, …")
	flag.Parse()
	debug.SetGCPercent(400) // the load is to cost little time; it may cost memory
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func names(all []measure) (names []string) {
	for _, m := range all {
		names = append(names, m.name)
	}
	return names
}

// chosen are the measures that rows asks for; empty means all.
func chosen(all []measure, rows string) ([]measure, error) {
	if rows == "" {
		return all, nil
	}
	var some []measure
	for name := range strings.SplitSeq(rows, ",") {
		at := slices.IndexFunc(all, func(m measure) bool { return m.name == strings.TrimSpace(name) })
		if at < 0 {
			return nil, fmt.Errorf("-rows: %q is none of %s", name, strings.Join(names(all), ", "))
		}
		some = append(some, all[at])
	}
	return some, nil
}

func run(o options) error {
	some, err := chosen(measures, o.rows)
	if err != nil {
		return err
	}
	if o.clients < devicesOfAKey || o.rounds < 1 {
		return errors.New("there is nothing to measure with so few clients or rounds")
	}
	before, err := used()
	if err != nil {
		return err
	}
	found := results{}
	for round := range o.rounds {
		for _, m := range some {
			if m.most > 0 && round >= m.most {
				continue
			}
			began := time.Now()
			if err := m.run(o, round, found); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			fmt.Fprintf(os.Stderr, "round %d of %d: %s, %.0f s\n", round+1, o.rounds, m.name, time.Since(began).Seconds())
		}
	}
	after, err := used()
	if err != nil {
		return err
	}
	return show(os.Stdout, found, o, after.others(before))
}
