package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// relayedWay is one way from the same broker to a subscriber.
type relayedWay struct {
	row
	behind string // a proxy; empty means none
	page   string // how it carries its session; empty means that it is no page but a device's connection at the broker
}

const straight = "/ws"

var relayedWays = []relayedWay{
	{row{straight, "", "devices straight at the broker, over WebSocket"}, "", ""},
	{row{"/ws by nginx", straight, "the same behind nginx as a WebSocket proxy, against /ws"}, toNginx, ""},
	{row{"/ws by haproxy", straight, "the same behind haproxy, against /ws"}, toHAProxy, ""},
	{row{byMQTT, straight, "pages at our relay in place of a proxy, against /ws; the hub ends their sessions itself and asks the broker once for all"}, "", byMQTT},
	{row{bySocket, byMQTT, "the same with the pipe's positions and acknowledgements, as pages come by default, against bare MQTT"}, "", bySocket},
	{row{"/live pipe by nginx", bySocket, "that behind nginx, against /live pipe"}, toNginx, bySocket},
	{row{"/live pipe by haproxy", bySocket, "that behind haproxy, against /live pipe"}, toHAProxy, bySocket},
	{row{way: byStream}, "", byStream}, // for the table of carriers
	{row{way: byPoll}, "", byPoll},
}

func waysOf(all []relayedWay) (names []string) {
	for _, w := range all {
		names = append(names, w.way)
	}
	return names
}

// relays are one broker with everything in front of it.
type relays struct {
	o      options
	server *trellis
	groups int // of subscribers, each with a key; as many keys more are for those who publish
	fronts map[string]*proxy
}

const (
	publishersOfGroup = 8 // one connection may send 100 messages a second
	upwardsOfGroup    = 16
)

func startRelays(o options) (bed, error) {
	// Not every message waits for the disk here: this is about what is in front of the broker.
	groups := o.clients / devicesOfAKey
	server, err := startTrellis(o, 2*groups, append([]string{"--sync", "1s"}, manyPages...)...)
	if err != nil {
		return nil, err
	}
	r := &relays{o: o, server: server, groups: groups, fronts: map[string]*proxy{}}
	for _, name := range []string{toNginx, toHAProxy} {
		front, err := startProxy(name, server.http)
		switch {
		case errors.Is(err, errMissing):
			fmt.Fprintf(os.Stderr, "  %v: left out\n", err)
		case err != nil:
			r.stop()
			return nil, err
		default:
			r.fronts[name] = front
		}
	}
	// The first load finds a server that has not grown to its size yet; it is nobody's.
	if _, err = r.measure(relayedWay{}, load{long: o.load / 4}); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

func (r *relays) stop() {
	for _, front := range r.fronts {
		front.stop()
	}
	r.server.stop()
}

func (r *relays) do(name string) (figures, error) {
	way := relayedWays[slices.IndexFunc(relayedWays, func(w relayedWay) bool { return w.way == name })]
	if way.behind != "" && r.fronts[way.behind] == nil {
		return nil, nil
	}
	long := r.o.load
	if way.about == "" {
		long = 0 // fan-out has more pages for that
	}
	return r.measure(way, load{long: long, gentle: paceToGroups})
}

// measure puts both loads on one way.
func (r *relays) measure(way relayedWay, l load) (figures, error) {
	address := r.server.http
	front := r.fronts[way.behind]
	if front != nil {
		address = front.address
	}
	// What is published is shown to pages and recorded, too, whoever it is for. Without a page that waits for that, the
	// load on a way of devices would be over before its work is, and the next way would pay for it.
	witness, err := openPages(1, 1, r.server.page(byMQTT))
	if err != nil {
		return nil, err
	}
	l.server, l.front = r.server, front
	found, err := r.down(way, address, witness, l)
	if err == nil {
		err = r.up(way, address, witness, found)
	}
	return found, errors.Join(err, witness.close())
}

// down has subscribers in groups, each group hearing what one key publishes: that is what devices may hear, and pages can.
func (r *relays) down(way relayedWay, address string, witness *pages, l load) (figures, error) {
	t := r.server
	open := t.deviceAt(address, "publish", func(n int) key { return t.keys[n/devicesOfAKey] })
	if way.page != "" {
		open = t.pageAt(address, way.page, func(n int) string { return t.keys[n/devicesOfAKey].topic("publish") })
	}
	all, err := openPages(r.groups*devicesOfAKey, devicesOfAKey, open)
	if err != nil {
		return nil, err
	}
	all.witness = witness
	var c crowd
	defer c.leave()
	for n := range publishersOfGroup {
		for key := range r.groups {
			if err := c.add(t.member(key, n)); err != nil {
				return nil, errors.Join(err, all.close())
			}
		}
	}
	l.to, l.from = all, &c
	return l.put()
}

// up has others publish at QoS 1, who hear nothing themselves.
func (r *relays) up(way relayedWay, address string, witness *pages, found figures) error {
	t := r.server
	own := func(n int) key { return t.keys[r.groups+n%r.groups] }
	open := t.deviceAt(address, "messages", own)
	topic := func(n int) string { return own(n).topic("publish") }
	if way.page != "" {
		open = t.pageAt(address, way.page, func(int) string { return t.kept.topic("publish") })
		topic = func(int) string { return t.operatorTopic() }
	}
	sessions, err := openSome(upwardsOfGroup*r.groups, open)
	if err != nil {
		return err
	}
	defer closeAll(sessions)
	defer leave(sessions)
	seen := witness.got.Load()
	began := time.Now()
	n, err := bring(sessions, topic, envelope, r.o.load/2)
	found[brought] = float64(n) / time.Since(began).Seconds()
	if err == nil && !witness.reached(seen+n) {
		err = errors.New("what was acknowledged is not shown")
	}
	return err
}
