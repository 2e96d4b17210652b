package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"trellis/e2e/wire"
)

const (
	eachWay      = 10_000 // numbered messages from the pages up to the service, and as many from the devices down to the pages
	lanes        = 10     // keys among which they are divided: a service takes 100 messages a second of each connection
	perLane      = eachWay / lanes
	noticeIn     = 30 * time.Second // 25 is what is promised; the rest is what a busy machine takes
	faultsAtOnce = 4                // rows; they mostly wait

	// What a page is told of a message that was not taken.
	notDelivered = "The message could not be delivered. It was not accepted; please send it again."
	notConfirmed = "We sent the message, but it was not confirmed. It may or may not have arrived."
	notInTime    = "Our link to the devices was too slow with what you sent before, so this was not sent. Please try again."
)

// fault is something that happens to the service, or on the way there, in the middle of a conversation.
type fault struct {
	name      string
	mosquitto bool // a real mosquitto takes the messages and trellis only knows the keys, else trellis is the whole service
	tls       bool
	ends      bool // there is one more key, which does not outlive the fault
	strike    func(*conversation)
	heal      func(*conversation) // nil: there is nothing to heal
	notice    func(*conversation) (string, time.Time)
	why       string // of the notice that a page gets; the sentence of "" is the page's own
	sentence  string
}

var upstreamFaults = []fault{
	{name: "frozen", strike: func(c *conversation) { _ = c.back.Process.Signal(syscall.SIGSTOP) }, heal: func(c *conversation) { _ = c.back.Process.Signal(syscall.SIGCONT) }},
	{name: "half-open", mosquitto: true, strike: func(c *conversation) { c.mqtt.set(passSilent) }, heal: func(c *conversation) { c.mqtt.set(passOpen) }},
	{name: "killed", strike: func(c *conversation) { c.back.kill() }, heal: func(c *conversation) { c.back.start() }},
	{name: "restarted", mosquitto: true, strike: func(c *conversation) { c.broker.stop() }, heal: func(c *conversation) { c.broker.start() }},
	{name: "certificate expired", mosquitto: true, tls: true, why: "certificate",
		sentence: "Our link to the devices is down: the certificate at its other end is not accepted here. Whoever runs this server can say why.",
		strike:   func(c *conversation) { c.mqtt.show(c.signer.until(time.Now().Add(-time.Minute))) },
		heal:     func(c *conversation) { c.mqtt.show(c.signer.until(time.Now().Add(time.Hour))) }},
	{name: "MQTT down, claims up", strike: func(c *conversation) { c.mqtt.set(passShut) }, heal: func(c *conversation) { c.claimsAnswer(); c.mqtt.set(passOpen) }},
	{name: "claims down, MQTT up", strike: func(c *conversation) { c.claims.set(passSilent) }, heal: func(c *conversation) { c.claims.set(passOpen) }, notice: claimsAway},
	{name: "key revoked", ends: true, strike: func(c *conversation) { c.back.revoke(c.extra.Entity) }, notice: keyGone},
}

func TestFaultsOfTheServiceLoseNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute and a half")
	}
	rows := make([]string, len(upstreamFaults))
	turns := make(chan struct{}, faultsAtOnce)
	var running sync.WaitGroup
	for n, f := range upstreamFaults {
		turns <- struct{}{}
		running.Go(func() {
			defer func() { <-turns }()
			t.Run(f.name, func(t *testing.T) { rows[n] = f.run(t) })
		})
	}
	running.Wait()
	t.Logf("%d messages each way, through:\n%-22s %9s %9s %9s %9s %9s %9s %8s %9s  %s\n%s", eachWay, "fault", "noticed", "back", "lost up", "lost down", "twice up", "twice dn", "retried",
		"took", "sentence", strings.Join(rows, "\n"))
}

// run is one row of the table.
func (f fault) run(t *testing.T) string {
	began := time.Now()
	c := f.begin(t)
	for _, l := range c.all() {
		l.page.may(perLane * 3 / 4)
	}
	c.until("half of the messages are sent", func() bool {
		up, down := c.acked()
		return up >= eachWay/2 && down >= eachWay/3
	})
	if told := c.told(isDown(time.Time{})); len(told) > 0 {
		t.Errorf("before anything happens the pages are told %+v", told)
	}
	c.struck = time.Now()
	f.strike(c)
	for _, l := range c.all() {
		l.page.may(perLane)
		l.device.may(perLane)
	}
	sentence, noticed := f.noticed(c)
	if took := noticed.Sub(c.struck); took > noticeIn {
		t.Errorf("noticed after %v", took)
	}
	back := "-"
	if f.heal != nil {
		c.mended = time.Now()
		f.heal(c)
	}
	close(c.healed)
	if f.notice == nil {
		up := func(told linkTold) bool { return told.up && told.at.After(c.mended) }
		c.until("every page is told that its link is up again", func() bool { return len(c.told(up)) == lanes })
		back = latest(c.told(up)).at.Sub(c.mended).Round(10 * time.Millisecond).String()
	}
	c.until("everything is acknowledged and heard", c.complete)
	return fmt.Sprintf("%-22s %9s %9s %s %9s  %s", f.name, noticed.Sub(c.struck).Round(10*time.Millisecond), back, c.finish(), time.Since(began).Round(100*time.Millisecond), sentence)
}

// noticed waits until people are told, and gives the words and when the last one was.
func (f fault) noticed(c *conversation) (sentence string, at time.Time) {
	if f.notice != nil {
		return f.notice(c)
	}
	down := func(told linkTold) bool { return isDown(c.struck)(told) && told.why == f.why }
	c.until("every page is told that its link is down, and why", func() bool { return len(c.told(down)) == lanes })
	told := c.told(down)
	for _, one := range told {
		if one.sentence != f.sentence {
			c.t.Errorf("a page is told %q", one.sentence)
		}
	}
	if f.sentence == "" {
		return "(the page's own: Our link to its host is down since …)", latest(told).at
	}
	return f.sentence, latest(told).at
}

// isDown says of what a page was told whether it is that its link is down, later than this.
func isDown(since time.Time) func(linkTold) bool {
	return func(told linkTold) bool { return !told.up && told.at.After(since) }
}

// claimsAnswer has somebody sign in whose key nobody here knows yet: that part of the service is there.
func (c *conversation) claimsAnswer() { c.front.browser().signIn(c.spare) }

// claimsAway is what somebody is told who signs in while the service does not say whose a key is. The others are told nothing.
func claimsAway(c *conversation) (string, time.Time) {
	r := c.front.browser().post("/session", url.Values{"key": {c.spare.Key}}, "Accept", "application/json")
	at := time.Now()
	said := r.refusal(c.t)
	if r.StatusCode != http.StatusBadGateway || !strings.Contains(said.Message, "is not answering") {
		c.t.Errorf("who signs in is told %s %s", r.Status, r.body)
	}
	if told := c.told(isDown(c.struck)); len(told) > 0 {
		c.t.Errorf("who is signed in is told %+v", told)
	}
	return said.Message, at
}

// keyGone is how the page of the withdrawn key ends. The others are told nothing.
func keyGone(c *conversation) (string, time.Time) {
	var ended error
	c.until("the page of the withdrawn key ends", func() bool {
		c.extra.page.see(func(k *talker) { ended = k.ended })
		return ended != nil
	})
	at := time.Now()
	var closed *wire.CloseError
	if !errors.As(ended, &closed) || closed.Code != 4003 || closed.Words != "This access key no longer works." {
		c.t.Fatalf("the page of a withdrawn key ends with %v", ended)
	}
	if told := c.told(isDown(c.struck)); len(told) > 0 {
		c.t.Errorf("the pages of other keys are told %+v", told)
	}
	return closed.Words, at
}
