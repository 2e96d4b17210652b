package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// toBridge is a mosquitto that is bridged to the far broker, with the readers at itself.
const toBridge = "mosquitto bridge"

// upstreamWay is one way of a feed of somebody else's broker to many readers.
type upstreamWay struct {
	row
	readers int
	page    string // how pages carry their sessions; empty means that it is the bridge
	sync    string // --sync of ours; empty means its default
	window  int64  // messages under way under load: as many deliveries, whatever the number of readers
	gentle  pace   // so is this, a second
}

const (
	someReaders = 1000
	manyReaders = 5000
	feeders     = 4
)

// upstreamWays are all, with the bridge of as many readers before those that are compared with it.
var upstreamWays = slices.Concat(
	waysTo(someReaders, window, pace{50, 40 * time.Millisecond}),
	waysTo(manyReaders, window*someReaders/manyReaders, pace{15, 200 * time.Millisecond}),
)

func waysTo(readers int, window int64, gentle pace) []upstreamWay {
	to := fmt.Sprintf(", %d readers", readers)
	way := func(name, page, sync, about string) upstreamWay {
		against := toBridge + to
		if page == "" {
			against = ""
		}
		return upstreamWay{row{name + to, against, about}, readers, page, sync, window, gentle}
	}
	all := []upstreamWay{
		way(toBridge, "", "", "subscribers over WebSocket at a mosquitto that brings the feed over by a bridge; it records nothing"),
		way(byMQTT, byMQTT, "", "pages at a trellis in front of the service; each message is recorded, and on the disk, before it is shown"),
		way(bySocket, bySocket, "", "the same as pages come by default"),
	}
	if readers == someReaders {
		all = append(all, way(bySocket+" --sync 1s", bySocket, "1s", "that with the disk left to take what is recorded within a second"))
	}
	return all
}

func upstreamNames() (names []string) {
	for _, w := range upstreamWays {
		names = append(names, w.way)
	}
	return names
}

// upstreams are the service with one broker that everything here stands in front of.
type upstreams struct {
	o   options
	far *far
}

func startUpstreams(o options) (bed, error) {
	f, err := startFar()
	if err != nil {
		return nil, err
	}
	return &upstreams{o, f}, nil
}

func (u *upstreams) stop() { u.far.stop() }

func (u *upstreams) do(name string) (figures, error) {
	way := upstreamWays[slices.IndexFunc(upstreamWays, func(w upstreamWay) bool { return w.way == name })]
	server, open, err := u.start(way)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	var c crowd
	defer c.leave()
	c.payload = fed
	for n := range feeders {
		if err := c.add(u.far.feeder(n)); err != nil {
			return nil, err
		}
	}
	if err := comes(&c, open); err != nil {
		return nil, err
	}
	all := newPages(way.readers, way.readers)
	size, err := growth(server.memory, way.readers, func(from, to int) error { return all.grow(from, to, open) })
	if err != nil {
		return nil, errors.Join(err, all.close())
	}
	all.begin()
	found, err := load{server: server, to: all, from: &c, long: u.o.load, window: way.window, gentle: way.gentle}.put()
	if err == nil {
		found[held] = size
	}
	return found, err
}

func (u *upstreams) start(way upstreamWay) (worker, opener, error) {
	if way.page == "" {
		m, err := u.far.bridge()
		if err != nil {
			return nil, nil, err
		}
		return m, m.pageOn(u.far.topic()), nil
	}
	t, err := u.far.front(u.o, cmp.Or(way.sync, "always"))
	if err != nil {
		return nil, nil, err
	}
	return t, t.pageAt(t.http, way.page, func(int) string { return u.far.topic() }), nil
}

// Times for what is in front to find the far broker.
const (
	comesWithin = 15 * time.Second
	comesEvery  = 50 * time.Millisecond
)

// comes waits until the feed reaches a reader, which then leaves. Only then is what is in front looked at.
func comes(c *crowd, open opener) error {
	scout, err := openPages(1, 1, open)
	if err != nil {
		return err
	}
	for until := time.Now().Add(comesWithin); scout.got.Load() == 0; time.Sleep(comesEvery) {
		if time.Now().After(until) {
			err = errors.New("the far broker's messages do not come")
			break
		}
		if err = c.publish(); err != nil {
			break
		}
	}
	time.Sleep(calm) // for those that are still on their way
	return errors.Join(err, scout.close())
}

func upstreamTable() table {
	t := table{
		title: fmt.Sprintf("One feed of another service's broker, all of which every reader reads. Delays at %.0f deliveries/s. At most two rounds.",
			upstreamWays[0].gentle.perSecond()*someReaders),
		columns: []column{
			{"delivered/s", "upstream", delivered, more, false},
			{"CPU µs each", "upstream", allCPU, less, false},
			{"p50 ms", "upstream", half, "", true},
			{"p99 ms", "upstream", late, "", true},
			{"KiB a reader", "upstream", held, less, false},
		},
	}
	for _, w := range upstreamWays {
		t.rows = append(t.rows, w.row)
	}
	return t
}
