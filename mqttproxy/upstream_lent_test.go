package mqttproxy

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"
)

// notes are what is remembered of sessions across restarts.
type notes struct {
	mu     sync.Mutex
	client string
	told   chan string
}

func (n *notes) keep(c *UplinksConfig) {
	c.Client = func(string) string {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.client
	}
	c.SetClient = func(_, id string) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.client = id
		n.told <- id
	}
}

// takenOver is a link that goes on with a page's session.
func takenOver(t *testing.T, m *mosquitto, n *notes) (f *front, release func(), id string) {
	t.Helper()
	f = newFront(t, m.address(), n.keep, func(c *UplinksConfig) { c.Linger = 100 * time.Millisecond })
	phone := signedIn("phone")
	id = lend(t, f, phone)
	page, _ := m.page(id)
	page.Disconnect(0)
	release = f.Need(phone)
	f.up()
	if told := <-n.told; told != id {
		t.Fatalf("noted is %q, want %q", told, id)
	}
	return f, release, id
}

func TestARestartGoesOnWithAPagesSession(t *testing.T) {
	m, n := lenient(t, fullACL), &notes{told: make(chan string, 10)}
	f, _, id := takenOver(t, m, n)
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	service := m.service()
	for n := range 3 {
		send(t, service, shedHeard, fmt.Sprint(n), 1)
	}
	g := newFront(t, m.address(), n.keep, func(c *UplinksConfig) { c.Linger = 100 * time.Millisecond })
	release := g.Need(shed()) // as at the start, by nobody's sign-in
	for n, a := range g.count(3) {
		if string(a.Payload) != fmt.Sprint(n) {
			t.Errorf("message %d is %q", n, a.Payload)
		}
	}
	release()
	m.said(fmt.Sprintf("as %s (p2, c1, k10", id), 1)
	if told := <-n.told; told != "" {
		t.Errorf("after its goodbye noted is %q", told)
	}
	t.Cleanup(g.Need(shed()))
	m.said("as "+shedOurs+" (p2, c0", 1) // and then by an id of our own again
}

func TestASessionThatCouldNotBeEndedIsGoneOnWith(t *testing.T) {
	m, n := lenient(t, fullACL), &notes{told: make(chan string, 10)}
	f, release, id := takenOver(t, m, n)
	send(t, m.service(), shedHeard, "1", 1)
	f.count(1)
	m.said("Received PUBACK from "+id, 1) // else the broker has it still, and brings it again
	m.end(syscall.SIGTERM)
	f.is(func(s State) bool { return s.Down })
	f.Uplinks.mu.Lock()
	over := f.links["k1"].over
	f.Uplinks.mu.Unlock()
	release()
	<-over // nobody could be told goodbye
	m.start()
	send(t, m.service(), shedHeard, "2", 1)
	t.Cleanup(f.Need(shed()))
	if a := f.count(2)[1]; string(a.Payload) != "2" {
		t.Errorf("recorded %q", a.Payload)
	}
	if len(n.told) != 0 {
		t.Errorf("noted is %q, want %q still", <-n.told, id)
	}
}

func TestOfTwoPagesSessionsTheOlderIsEnded(t *testing.T) {
	m, n := lenient(t, fullACL), &notes{client: shedSub + "#OLDER", told: make(chan string, 10)}
	m.page(n.client)
	takenOver(t, m, n)
	m.said("as "+shedSub+"#OLDER (p2, c1, k10", 1)
}
