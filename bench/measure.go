package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"trellis/e2e/wire"
)

// measure is one load, put on several ways one after the other.
type measure struct {
	name  string
	ways  []string
	begin func(options) (bed, error)
	most  int // rounds; 0 means as many as are asked for
}

// bed is what a measure's ways share in one round.
type bed interface {
	do(way string) (figures, error) // no figures: this way is not to be had here
	stop()
}

// Ways that are not ours.
const (
	toMosquitto = "mosquitto"
	toNginx     = "nginx"
	toHAProxy   = "haproxy"
)

// measures are all that is measured, in order.
var measures = []measure{
	{"fan-out", []string{byMQTT, bySocket, byStream, byPoll, toMosquitto}, each(fanOut), 0},
	{"relay", waysOf(relayedWays), startRelays, 0},
	{"upstream", upstreamNames(), startUpstreams, 2}, // thousands of readers take their time
	{"memory", []string{byMQTT, bySocket, byStream, byPoll, toMosquitto, toNginx, toHAProxy}, each(idlePages), 0},
	{"devices", []string{byMQTT, toMosquitto}, each(idleDevices), 0},
	{"durable", []string{byMQTT, toMosquitto}, each(durable), 0},
	{"record", []string{byAppend, bySQL, byShell}, each(recordFor), 0},
	{"range", []string{byRange, byMessages}, startPast, 1}, // storing so much takes its time
}

// alone has each way start a server of its own.
type alone struct {
	o  options
	on func(o options, way string) (figures, error)
}

func each(on func(o options, way string) (figures, error)) func(options) (bed, error) {
	return func(o options) (bed, error) { return alone{o, on}, nil }
}

func (a alone) do(way string) (figures, error) { return a.on(a.o, way) }
func (a alone) stop()                          {}

// run does a measure once, its ways in turn, each round beginning with another one.
func (m measure) run(o options, round int, found results) error {
	b, err := m.begin(o)
	if err != nil {
		return err
	}
	defer b.stop()
	ways := slices.DeleteFunc(slices.Clone(m.ways), func(way string) bool { return !strings.Contains(way, o.ways) })
	for i := range ways {
		way := ways[(i+round)%len(ways)]
		f, err := b.do(way)
		switch {
		case errors.Is(err, errMissing):
			fmt.Fprintf(os.Stderr, "  %v: left out\n", err)
		case err != nil:
			return fmt.Errorf("%s: %w", way, err)
		default:
			found.add(m.name, way, f)
		}
	}
	return nil
}

// manyPages lift the limits on pages of one address and one key: here all are of one operator.
var manyPages = []string{"--max-pages-per-address", "20000", "--max-pages-per-key", "20000"}

// start starts the server that a way leads to.
func start(o options, way string, keys int, durable bool) (peer, error) {
	if way == toMosquitto {
		return startMosquitto(durable)
	}
	return startTrellis(o, keys, manyPages...)
}

// fanOut has every page read all that is published.
func fanOut(o options, way string) (figures, error) {
	p, err := start(o, way, fewKeys, false)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	all, err := openPages(o.pages, o.pages, p.page(way))
	if err != nil {
		return nil, err
	}
	var c crowd
	defer c.leave()
	for n := range senders {
		if err := c.add(p.publisher(n)); err != nil {
			return nil, errors.Join(err, all.close())
		}
	}
	l := load{server: p, to: all, from: &c, long: o.load}
	if way == byMQTT || way == toMosquitto {
		l.gentle = paceToAll
	}
	return l.put()
}

// settle is how long a server is left alone before its memory is read: long enough for what opening left behind.
const settle = 1200 * time.Millisecond

// growth opens n things and gives by how many KiB a server grew for each. The first tenth is not counted, so that what is
// needed once is not charged to each.
func growth(memory func() (float64, error), n int, open func(from, to int) error) (float64, error) {
	first := n / 10
	if err := open(0, first); err != nil {
		return 0, err
	}
	time.Sleep(settle)
	before, err := memory()
	if err != nil {
		return 0, err
	}
	if err := open(first, n); err != nil {
		return 0, err
	}
	time.Sleep(settle)
	after, err := memory()
	return (after - before) / 1024 / float64(n-first), err
}

// idlePages opens pages that say nothing. With a proxy in front it is the proxy that is looked at.
func idlePages(o options, way string) (figures, error) {
	p, err := start(o, way, fewKeys, false)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	look, open := p.memory, p.page(way)
	if way == toNginx || way == toHAProxy {
		ours := p.(*trellis)
		front, err := startProxy(way, ours.http)
		if err != nil {
			return nil, err
		}
		defer front.stop()
		look, open = front.memory, ours.pageAt(front.address, bySocket, func(int) string { return ours.kept.topic("publish") })
	}
	var opened []*pages
	defer func() {
		for _, some := range opened {
			_ = some.close()
		}
	}()
	size, err := growth(look, o.pages, func(from, to int) error {
		some, err := openPages(to-from, to-from, open)
		if err == nil {
			opened = append(opened, some)
		}
		return err
	})
	return figures{held: size}, err
}

func idleDevices(o options, way string) (figures, error) {
	p, err := start(o, way, fewKeys+o.devices/devicesOfAKey, false)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	open := make([]*wire.Client, o.devices)
	defer func() {
		for _, c := range open {
			if c != nil {
				c.Leave()
			}
		}
	}()
	size, err := growth(p.memory, o.devices, func(from, to int) error {
		return several(to-from, func(i int) (err error) {
			if open[from+i], err = p.device(from + i); err != nil {
				return fmt.Errorf("open device %d: %w", from+i, err)
			}
			return nil
		})
	})
	return figures{held: size}, err
}

// durable publishes at QoS 1 for a session that is away, and gives acknowledgements a second.
func durable(o options, way string) (figures, error) {
	p, err := start(o, way, fewKeys, true)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	away, err := p.sink()
	if err != nil {
		return nil, err
	}
	away.Leave()
	all := make([]*page, writers)
	topics := make([]string, writers)
	for n := range all {
		c, topic, err := p.publisher(n)
		if err != nil {
			return nil, err
		}
		defer c.Leave()
		all[n], topics[n] = &page{carrier: c, in: bufio.NewReader(c)}, topic
	}
	began := time.Now()
	acked, err := bring(all, func(n int) string { return topics[n] }, addressed, o.load)
	return figures{delivered: float64(acked) / time.Since(began).Seconds()}, err
}
