package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"trellis/e2e/hostile"
	"trellis/e2e/wire"
)

// healing are networks that get better while a page lives in them, or begins to.
var healing = []struct {
	name        string
	bad, better hostile.Bad
	from, to    string // from is empty where nothing works at first
}{
	{"upgrade refused", hostile.Bad{Upgrade: "403"}, hostile.Bad{}, wire.ByStream, wire.BySocket},
	{"frames swallowed", hostile.Bad{Upgrade: "swallow"}, hostile.Bad{}, wire.ByStream, wire.BySocket},
	{"cut after 1 frame", hostile.Bad{Upgrade: "cut", Frames: 1}, hostile.Bad{}, wire.ByStream, wire.BySocket},
	{"refused and held back", hostile.Bad{Upgrade: "403", Hold: -1}, hostile.Bad{}, wire.ByPoll, wire.BySocket},
	{"swallowed and held back", hostile.Bad{Upgrade: "swallow", Hold: -1}, hostile.Bad{}, wire.ByPoll, wire.BySocket},
	{"held back no longer, still refused", hostile.Bad{Upgrade: "403", Hold: -1}, hostile.Bad{Upgrade: "403"}, wire.ByPoll, wire.ByStream},
	{"a login page first", hostile.Bad{Portal: "page"}, hostile.Bad{}, "", wire.BySocket},
	{"sent to a login first", hostile.Bad{Portal: "redirect"}, hostile.Bad{}, "", wire.BySocket},
	{"a login page first, then refused", hostile.Bad{Portal: "page"}, hostile.Bad{Upgrade: "403"}, "", wire.ByStream},
}

// TestNetworksThatHeal wants a page back on the better way, its MQTT session the same, and no message lost or doubled.
func TestNetworksThatHeal(t *testing.T) {
	s := start(t)
	took := make([]time.Duration, len(healing))
	var running sync.WaitGroup
	for i, net := range healing {
		running.Go(func() {
			t.Run(net.name, func(t *testing.T) {
				c := s.in(t).between(net.bad)
				c.settle()
				c.dial(c.page.door(c.URL))
				if net.from == "" {
					took[i] = opens(c, net.better)
				} else {
					took[i] = climbs(c, net.better, net.from, net.to)
				}
				if took[i] > soonLive+busy {
					t.Errorf("it took %v", took[i])
				}
				if !c.pipe.On(net.to, prompt) {
					t.Fatalf("it goes by %v, want %s", c.pipe.Went(), net.to)
				}
				converse(c, 3, "good", 0)
			})
		})
	}
	running.Wait()
	table := &strings.Builder{}
	for i, net := range healing {
		_, _ = fmt.Fprintf(table, "%-34s %6s -> %-6s %6d ms\n", net.name, net.from, net.to, took[i].Milliseconds())
	}
	t.Log("\n" + table.String())
}

// opens waits until the page has met the login page more than once, lets it through, and says how soon a value is there.
func opens(c *cell, better hostile.Bad) time.Duration {
	c.sees("open")
	c.sees("open")
	c.Set(better)
	_, first, _ := c.watch()
	return first
}

// climbs makes the network better in mid-conversation and says how soon the page goes the better way. The page is told, as a
// browser tells it that it is online; by itself it would look after half a minute.
func climbs(c *cell, better hostile.Bad, from, to string) time.Duration {
	c.t.Helper()
	c.watch()
	if !c.pipe.On(from, prompt) {
		c.t.Fatalf("it goes by %v, want %s", c.pipe.Went(), from)
	}
	converse(c, 3, "bad", 0)
	began := time.Now()
	c.Set(better)
	c.pipe.Probe()
	var moved sync.WaitGroup
	var took time.Duration
	moved.Go(func() {
		c.pipe.On(to, prompt)
		took = time.Since(began)
	})
	converse(c, 20, "better", 0)
	moved.Wait()
	return took
}
