package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"trellis/e2e/hostile"
	"trellis/e2e/wire"
)

const (
	soonLive = 4 * time.Second // from the first request to the first live value, whatever the network
	busy     = 4 * time.Second // how much longer a busy machine may take for one that it keeps from running: one in ten
	atATime  = 8               // cells; most of their time they wait
)

// network is one behaviour, and the ways that can live with it.
type network struct {
	name string
	bad  hostile.Bad
	ways []string
	won  string        // by the ladder
	slow time.Duration // what to expect instead of soonLive, where each request takes longer than that
	then func(c *cell) // happens between two conversations
	more int           // bytes of the longest message
}

var (
	all      = []string{wire.BySocket, wire.ByStream, wire.ByPoll}
	requests = all[1:]
	polls    = all[2:]
)

// networks are the behaviours that a page must live with. Others are not its own to live with: six tabs are the browser's,
// a restart has a test of its own.
var networks = []network{
	{name: "a good network", ways: all, won: wire.BySocket, more: 60 << 10},
	{name: "upgrade refused, 403", bad: hostile.Bad{Upgrade: "403"}, ways: requests, won: wire.ByStream},
	{name: "upgrade refused, 400", bad: hostile.Bad{Upgrade: "400"}, ways: requests, won: wire.ByStream},
	{name: "upgrade answered by a page", bad: hostile.Bad{Upgrade: "page"}, ways: requests, won: wire.ByStream},
	{name: "upgrade sent to a login", bad: hostile.Bad{Upgrade: "redirect"}, ways: requests, won: wire.ByStream},
	{name: "frames swallowed", bad: hostile.Bad{Upgrade: "swallow"}, ways: requests, won: wire.ByStream},
	{name: "cut after 1 frame", bad: hostile.Bad{Upgrade: "cut", Frames: 1}, ways: requests, won: wire.ByStream},
	{name: "cut after 2 frames", bad: hostile.Bad{Upgrade: "cut", Frames: 2}, ways: all, won: wire.BySocket},
	{name: "cut after 50 frames", bad: hostile.Bad{Upgrade: "cut", Frames: 50}, ways: all, won: wire.BySocket},
	{name: "cut when idle", bad: hostile.Bad{Idle: time.Second}, ways: all, won: wire.BySocket, then: cutByItself},
	{name: "cut when it lasts", bad: hostile.Bad{Last: time.Second}, ways: all, won: wire.BySocket, then: cutByItself},
	{name: "held back to the end", bad: hostile.Bad{Hold: -1}, ways: []string{wire.BySocket, wire.ByPoll}, won: wire.BySocket},
	{name: "refused, held back to the end", bad: hostile.Bad{Upgrade: "403", Hold: -1}, ways: polls, won: wire.ByPoll},
	{name: "refused, held back to 64 KB", bad: hostile.Bad{Upgrade: "403", Hold: 64 << 10}, ways: polls, won: wire.ByPoll},
	{name: "refused, held back to 4 KB", bad: hostile.Bad{Upgrade: "403", Hold: 4 << 10}, ways: polls, won: wire.ByPoll},
	{name: "swallowed, held back to the end", bad: hostile.Bad{Upgrade: "swallow", Hold: -1}, ways: polls, won: wire.ByPoll},
	{name: "refused, GET held back", bad: hostile.Bad{Upgrade: "403", Hold: -1, HoldOnly: "GET"}, ways: requests, won: wire.ByStream},
	{name: "refused, all but events held back", bad: hostile.Bad{Upgrade: "403", Hold: -1, HoldOnly: "others"}, ways: requests, won: wire.ByStream},
	{name: "each request 3 s late", bad: hostile.Bad{Delay: 3 * time.Second}, ways: all, won: wire.BySocket, slow: 13 * time.Second},
	{name: "everything 3 s late", bad: hostile.Bad{Delay: 3 * time.Second, Lag: 3 * time.Second}, ways: all[:1], won: wire.BySocket, slow: 13 * time.Second},
	{name: "1 upload's answer in 5 lost", bad: hostile.Bad{Drop: 5}, ways: all, won: wire.BySocket},
	{name: "1 upload in 3 late", bad: hostile.Bad{Late: 3}, ways: all, won: wire.BySocket},
	{name: "uploads doubled", bad: hostile.Bad{Double: true}, ways: all, won: wire.BySocket},
	{name: "headers stripped", bad: hostile.Bad{Strip: true}, ways: all, won: wire.BySocket},
	{name: "refused, all of these", bad: hostile.Bad{Upgrade: "403", Drop: 5, Late: 3, Double: true, Strip: true}, ways: requests, won: wire.ByStream},
	{name: "answers to POST kept", bad: hostile.Bad{Cache: "polite"}, ways: all, won: wire.BySocket},
	{name: "and no-store ignored", bad: hostile.Bad{Cache: "rude"}, ways: all[:1], won: wire.BySocket, then: secondPage},
	{name: "bodies up to 8 KB", bad: hostile.Bad{MaxBody: 8 << 10}, ways: all, won: wire.BySocket, more: 20 << 10},
	{name: "asleep for a moment", ways: all, won: wire.BySocket, then: doze},
	{name: "asleep, and connections lost", ways: all, won: wire.BySocket, then: sleep},
	{name: "another address", ways: all, won: wire.BySocket, then: moves},
}

// cell is one network, with a page behind it and a device that has the same key.
type cell struct {
	*server
	*hostile.Proxy
	seen   chan string // what the network sees; what is too much for it is forgotten
	key    key
	page   *browser
	device *wire.Client
	pipe   *wire.Pipe
	client *wire.Client // on the pipe
	first  wire.Message // the first value that it was shown
}

// between puts a network in front of the server.
func (s *server) between(bad hostile.Bad) *cell {
	s.t.Helper()
	c := &cell{server: s, seen: make(chan string, 1000)}
	proxy, err := hostile.Start(s.listen, bad, func(what string) {
		select {
		case c.seen <- what:
		default:
		}
	})
	must(s.t, err)
	s.t.Cleanup(proxy.Close)
	c.Proxy = proxy
	return c
}

// settle signs the page in, and has the device publish a value. Both go straight: how a page is fetched is not the matter here.
func (c *cell) settle() {
	c.t.Helper()
	c.key = c.addKey(fmt.Sprintf("e%d", time.Now().UnixNano()))
	c.page = c.browser()
	c.page.signIn(c.key)
	c.device = c.server.device(c.key, "#device")
	must(c.t, c.device.Subscribe(1, c.key.topic("publish")))
	must(c.t, c.device.Publish(wire.Message{Topic: c.key.topic("publish"), QoS: 1, Payload: []byte(`{"data":{"value":1}}`)}))
	_, err := c.device.Receive(prompt)
	must(c.t, err)
}

// dial begins to connect the page.
func (c *cell) dial(door wire.Door, plan ...string) {
	pipe := wire.DialPipe(door, plan...)
	c.t.Cleanup(func() { _ = pipe.Close() })
	c.pipe = pipe
}

// watch logs in and waits for the first value. It says after how long MQTT was up, by which way, and the value there.
func (c *cell) watch() (up, first time.Duration, won string) {
	c.t.Helper()
	began := time.Now()
	client, err := wire.OpenOn(c.pipe, wire.Login{ClientID: "page", KeepAlive: 60})
	must(c.t, err)
	c.client, up, won = client, time.Since(began), c.pipe.Went()[0]
	must(c.t, client.Subscribe(1, c.key.topic("publish")))
	c.first, err = client.Receive(prompt)
	must(c.t, err)
	first = time.Since(began)
	c.t.Logf("MQTT was up after %v by %s, the first value there after %v", up.Round(time.Millisecond), won, first.Round(time.Millisecond))
	return up, first, won
}

// sees waits for a request that begins so.
func (c *cell) sees(what ...string) {
	c.t.Helper()
	late := time.After(prompt)
	for {
		select {
		case seen := <-c.seen:
			if slices.ContainsFunc(what, func(w string) bool { return strings.HasPrefix(seen, w) }) {
				return
			}
		case <-late:
			c.t.Fatalf("the network did not see %v within %v", what, prompt)
		}
	}
}

func (c *cell) forget() {
	for len(c.seen) > 0 {
		<-c.seen
	}
}

// cutByItself waits until the page has had to come again.
func cutByItself(c *cell) {
	c.forget()
	c.sees("upgrade", "down")
}

// moves gives the page another address.
func moves(c *cell) { c.Set(hostile.Bad{From: "127.0.0.2"}) }

// doze stops everything for a moment that is too short for anybody to notice; what was under way goes on.
func doze(c *cell) { stop(c, func() {}) }

// sleep is longer: whoever is on the way has forgotten the page's connections by the end. The session is still there.
func sleep(c *cell) { stop(c, c.Cut) }

func stop(c *cell, meanwhile func()) {
	c.Set(hostile.Bad{Still: true})
	meanwhile()
	sent := make(chan error, 1)
	go func() { sent <- c.client.Ping() }()
	select {
	case err := <-sent:
		c.t.Errorf("a ping was answered while everything slept: %v", err)
	case <-time.After(time.Second):
		c.Set(hostile.Bad{})
		must(c.t, <-sent)
	}
}

// secondPage opens another page behind the same network, which may take the first one's answers for its own.
func secondPage(c *cell) {
	first := c.pipe.ID()
	c.dial(c.page.door(c.URL))
	c.watch()
	if id := c.pipe.ID(); id == first {
		c.t.Errorf("both pages have the pipe %s", id)
	}
}

// row is what the table at the end says of a cell.
type row struct {
	network, plan, won string
	up, first, most    time.Duration
}

func TestNetworks(t *testing.T) {
	s := start(t)
	rows := make([][]row, len(networks))
	turns := make(chan struct{}, atATime)
	var running sync.WaitGroup
	for n, net := range networks {
		plans := append([]string{"ladder"}, net.ways...)
		rows[n] = make([]row, len(plans))
		for i, plan := range plans {
			turns <- struct{}{}
			running.Go(func() {
				defer func() { <-turns }()
				t.Run(net.name+", "+plan, func(t *testing.T) { rows[n][i] = live(s.in(t), net, plan) })
			})
		}
	}
	running.Wait()
	logTable(t, slices.Concat(rows...))
}

func logTable(t *testing.T, rows []row) {
	table := &strings.Builder{}
	_, _ = fmt.Fprintf(table, "%-34s %-7s %-8s %9s %12s\n", "network", "plan", "won", "MQTT up", "first value")
	for _, r := range rows {
		_, _ = fmt.Fprintf(table, "%-34s %-7s %-8s %6d ms %9d ms\n", r.network, r.plan, r.won, r.up.Milliseconds(), r.first.Milliseconds())
	}
	t.Log("\n" + table.String())
	late := 0
	for _, r := range rows {
		if r.first > r.most {
			late++
		}
	}
	if late > len(rows)/10 {
		t.Errorf("%d of %d first values came late", late, len(rows))
	}
}

// live has a page live in a network: its first value in time, and messages both ways exactly as they were sent.
func live(s *server, net network, plan string) row {
	c := s.between(net.bad)
	c.settle()
	r := c.begin(net.name, plan, net.won, max(soonLive, net.slow), c.page.door(c.URL))
	rounds := 12
	if net.slow > 0 {
		rounds = 1
	}
	converse(c, rounds, "first", net.more)
	if net.then != nil {
		net.then(c)
		converse(c, rounds, "then", 0)
	}
	return r
}

// begin connects the page by a plan and holds it to the time for its first value and, if the plan leaves a choice, to the way
// that should win.
func (c *cell) begin(name, plan, want string, most time.Duration, door wire.Door) row {
	c.t.Helper()
	if plan == "ladder" {
		c.dial(door)
	} else {
		c.dial(door, plan)
	}
	up, first, won := c.watch()
	if first > most+busy {
		c.t.Errorf("the first value was there after %v", first)
	}
	if plan == "ladder" && won != want {
		c.t.Errorf("%s won, want %s", won, want)
	}
	return row{name, plan, won, up, first, most}
}

// rest is what else comes within a moment, for the words of a failure.
func rest(reader *wire.Client) string {
	words := &strings.Builder{}
	for {
		m, err := reader.Receive(3 * time.Second)
		if err != nil {
			return words.String()
		}
		_, _ = fmt.Fprintf(words, "%.100s, ", m.Payload)
	}
}

// converse sends messages both ways and wants each of them once, in the order of its sender, at both ends.
func converse(c *cell, each int, round string, more int) {
	c.t.Helper()
	senders := map[string]*wire.Client{"up": c.client, "down": c.device}
	for i := range each {
		for which, sender := range senders {
			payload := fmt.Appendf(nil, `{"data":{"round":%q,"from":%q,"n":%d}}`, round, which, i)
			if more > 0 && i == each-1 {
				payload = fmt.Appendf(nil, `{"data":{"round":%q,"from":%q,"n":%d,"more":%q}}`, round, which, i, strings.Repeat("x", more))
			}
			must(c.t, sender.Publish(wire.Message{Topic: c.key.topic("publish"), QoS: 1, Payload: payload}))
		}
	}
	for who, reader := range senders {
		next := map[string]int{}
		for next["up"]+next["down"] < 2*each {
			m, err := reader.Receive(prompt)
			if err != nil {
				c.t.Fatalf("at the %s's end came %v of %d each: %v", who, next, each, err)
			}
			if m.Retain {
				continue // of an earlier conversation, for whoever comes later
			}
			var got struct {
				Round, From, More string
				N                 int
			}
			decode(c.t, opened(c.t, m.Payload).Data, &got)
			if got.Round != round || got.N != next[got.From] || (more > 0 && got.N == each-1 && len(got.More) != more) {
				c.t.Fatalf("at the %s's end came %.100s, want %s %v; then %s", who, m.Payload, round, next, rest(reader))
			}
			next[got.From]++
		}
		if reader.Waiting() > 0 {
			c.t.Errorf("at the %s's end %d more messages came", who, reader.Waiting())
		}
	}
}
