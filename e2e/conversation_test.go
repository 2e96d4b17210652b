package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// conversation is one service with a front, and for each of several keys a device there and a page here that talk.
type conversation struct {
	t      *testing.T
	back   *server  // knows the keys
	broker *lenient // takes the messages; nil: back does
	front  *server
	claims *passage
	mqtt   *passage
	signer *authority
	lanes  []*lane
	extra  *lane   // one more, beside those that make up the count, whose key ends; nil: there is none
	ear    *talker // hears what arrives at mosquitto
	spare  key     // nobody has signed in with it yet
	news   chan struct{}
	healed chan struct{}
	struck time.Time
	mended time.Time
}

// lane is one key.
type lane struct {
	key
	device, page *talker
}

// begin starts everything, and waits until all links are up.
func (f fault) begin(t *testing.T) *conversation {
	c := &conversation{t: t, news: make(chan struct{}, 1), healed: make(chan struct{})}
	c.back = start(t, "--sync", "1s")
	for n := range lanes {
		c.lanes = append(c.lanes, &lane{key: c.back.addKey(fmt.Sprintf("lane%d", n))})
	}
	if f.ends {
		c.extra = &lane{key: c.back.addKey("extra")}
	}
	c.spare = c.back.addKey("spare")
	to, scheme, more := c.back.mqtt, "mqtt://", []string{}
	if f.mosquitto {
		var keys []key
		for _, l := range c.all() {
			keys = append(keys, l.key)
		}
		c.broker = lenientBroker(t, keys...)
		to = c.broker.address
	}
	c.claims = newPassage(t, c.back.listen, nil)
	if f.tls {
		c.signer = newAuthority(t)
		c.mqtt = newPassage(t, to, c.signer.until(time.Now().Add(time.Hour)))
		scheme, more = "mqtts://", []string{"--upstream-ca", c.signer.file}
	} else {
		c.mqtt = newPassage(t, to, nil)
	}
	c.front = c.back.inFront(t, append(more, "--upstream", "http://"+c.claims.address, "--upstream-mqtt", scheme+c.mqtt.address)...)
	c.talk(to)
	c.front.linkUp(len(c.all()))
	return c
}

// talk has everybody connect.
func (c *conversation) talk(to string) {
	signal := func() {
		select {
		case c.news <- struct{}{}:
		default:
		}
	}
	if c.broker != nil {
		c.ear = &talker{news: signal, again: c.healed, open: func() (*wire.Client, error) { return wire.Open(c.t.Context(), to, oversees()) }}
		c.begins(c.ear, "+/+/+/publish")
	}
	for _, l := range c.all() {
		person := c.front.browser()
		person.signIn(l.key)
		l.device = &talker{topic: l.topic("publish"), word: "down", news: signal, again: c.healed,
			open: func() (*wire.Client, error) { return wire.Open(c.t.Context(), to, l.login("")) }}
		l.page = &talker{topic: l.topic("publish"), word: "up", open: func() (*wire.Client, error) { return person.live(), nil }}
		l.page.news = func() {
			signal()
			done := 0
			l.page.see(func(k *talker) { done = len(k.acked) })
			l.device.may(min(done+2*talkerWindow, perLane*3/4)) // so that both are underway when it happens
		}
		if l == c.extra {
			l.device.again = nil
		}
		c.begins(l.device, l.topic("messages"))
		c.begins(l.page, l.topic("publish"), l.topic("messages"))
	}
}

func (c *conversation) begins(k *talker, filters ...string) {
	c.t.Helper()
	must(c.t, k.start(filters...))
	c.t.Cleanup(k.end)
}

func (c *conversation) all() []*lane {
	if c.extra == nil {
		return c.lanes
	}
	return append(c.lanes[:len(c.lanes):len(c.lanes)], c.extra)
}

// until waits until something is so.
func (c *conversation) until(what string, is func() bool) {
	c.t.Helper()
	late := time.After(3 * noticeIn)
	for !is() {
		select {
		case <-c.news:
		case <-late:
			c.t.Fatalf("it does not come to this: %s\n%s", what, c.counts())
		}
	}
}

// acked counts what was acknowledged, without the extra lane.
func (c *conversation) acked() (up, down int) {
	for _, l := range c.lanes {
		l.page.see(func(k *talker) { up += len(k.acked) })
		l.device.see(func(k *talker) { down += len(k.acked) })
	}
	return up, down
}

// told gives for each page the first such thing that it was told of its link.
func (c *conversation) told(such func(linkTold) bool) (all []linkTold) {
	for _, l := range c.lanes {
		l.page.see(func(k *talker) {
			if n := slices.IndexFunc(k.links, such); n >= 0 {
				all = append(all, k.links[n])
			}
		})
	}
	return all
}

func latest(all []linkTold) (last linkTold) {
	for _, told := range all {
		if told.at.After(last.at) {
			last = told
		}
	}
	return last
}

// complete says whether all is acknowledged, and heard by the pages.
func (c *conversation) complete() bool {
	up, down := c.acked()
	if up < eachWay || down < eachWay {
		return false
	}
	for _, l := range c.lanes {
		whole := false
		l.page.see(func(k *talker) {
			whole = len(k.heard[l.topic("publish")+" down"]) == perLane && len(k.heard[l.topic("publish")+" up"]) == perLane
		})
		if !whole {
			return false
		}
	}
	return true
}

// finish counts what was lost and what came twice.
func (c *conversation) finish() string {
	var lostUp, lostDown, twiceUp, twiceDown, retried int
	for _, l := range c.all() {
		arrived := c.arrived(l)
		l.page.see(func(k *talker) {
			lost, twice := tally(c.t, l.Entity+", up", k.acked, arrived)
			lostUp, twiceUp, retried = lostUp+lost, twiceUp+twice, retried+k.retried
			for sentence := range k.refused {
				if sentence != notDelivered && sentence != notConfirmed && sentence != notInTime {
					c.t.Errorf("a page is told of its message: %s", sentence)
				}
			}
			if l != c.extra {
				tally(c.t, l.Entity+", sent and shown", k.acked, k.heard[l.topic("publish")+" up"])
			}
			if k.ended != nil && l != c.extra {
				c.t.Errorf("%s: the page's connection ended: %v", l.Entity, k.ended)
			}
		})
		var sent map[int]bool
		l.device.see(func(k *talker) { sent = maps.Clone(k.acked) })
		l.page.see(func(k *talker) {
			came := k.heard[l.topic("publish")+" down"]
			if l == c.extra { // its page went early: what came until then has no hole
				sent = map[int]bool{}
				for n := range len(came) {
					sent[n] = true
				}
			}
			lost, twice := tally(c.t, l.Entity+", down", sent, came)
			lostDown, twiceDown = lostDown+lost, twiceDown+twice
		})
	}
	return fmt.Sprintf("%9d %9d %9d %9d %8d", lostUp, lostDown, twiceUp, twiceDown, retried)
}

// arrived waits until what was acknowledged to the page of a lane has arrived at the service, and gives all that has.
func (c *conversation) arrived(l *lane) (came map[int]int) {
	var acked map[int]bool
	l.page.see(func(k *talker) { acked = maps.Clone(k.acked) })
	whole := func() bool {
		for n := range acked {
			if came[n] == 0 {
				return false
			}
		}
		return true
	}
	for until := time.Now().Add(prompt); ; {
		came = map[int]int{}
		if c.ear != nil {
			c.ear.see(func(k *talker) {
				for n, times := range k.heard[l.topic("publish")+" up"] {
					came[n] = times
				}
			})
		} else {
			for _, r := range recorded(c.t, c.back.data, l.topic("publish"), 10*perLane) {
				if n, is := numberOf(c.t, r.Payload, "up"); is {
					came[n]++
				}
			}
		}
		if whole() || time.Now().After(until) {
			return came
		}
	}
}

func numberOf(t *testing.T, payload []byte, word string) (n int, is bool) {
	var data map[string]int
	decode(t, opened(t, payload).Data, &data)
	n, is = data[word]
	return n, is
}

// counts is for a row that does not come to its end.
func (c *conversation) counts() string {
	text := &strings.Builder{}
	for _, l := range c.all() {
		l.page.see(func(k *talker) {
			_, _ = fmt.Fprintf(text, "%s: page sent %d, acked %d, waiting %d, again %d, quiet %v, ended %v, hears %d down and %d up", l.Entity, k.next, len(k.acked),
				len(k.waiting), len(k.back), k.quiet, k.ended, len(k.heard[l.topic("publish")+" down"]), len(k.heard[l.topic("publish")+" up"]))
		})
		l.device.see(func(k *talker) {
			_, _ = fmt.Fprintf(text, "; device sent %d, acked %d, waiting %d, ended %v\n", k.next, len(k.acked), len(k.waiting), k.ended)
		})
	}
	return text.String()
}
