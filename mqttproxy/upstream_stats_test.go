package mqttproxy

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"
)

func TestLinksAreCountedByHowTheyAre(t *testing.T) {
	m := lenient(t, fullACL)
	f := newFront(t, m.address())
	if s := f.Stats(); s.Links != 0 || !s.DownSince.IsZero() {
		t.Errorf("nobody needs anything: %+v", s)
	}
	t.Cleanup(f.Need(shed()))
	f.up()
	if s := f.Stats(); s.Links != 1 || s.Up != 1 || s.Connecting != 0 || len(s.Down) != 0 || s.Connected != 1 || s.Lost != 0 {
		t.Errorf("one link that works: %+v", s)
	}
	m.end(syscall.SIGKILL)
	down := f.is(because(WhyAway))
	if s := f.Stats(); s.Links != 1 || s.Up != 0 || s.Down[WhyAway] != 1 || !s.DownSince.Equal(down.Since) || s.Lost != 1 {
		t.Errorf("one link that is down since %v: %+v", down.Since, s)
	}
}

func TestCountsOutliveTheirLinks(t *testing.T) {
	m := lenient(t, fullACL)
	f := newFront(t, m.address(), func(c *UplinksConfig) { c.Linger, c.EchoIn = time.Millisecond, time.Hour })
	release := f.Need(shed())
	f.up()
	service := m.service()
	for n := range 3 {
		send(t, service, shedHeard, fmt.Sprint(n), 1)
	}
	f.count(3)
	if err := f.Publish(t.Context(), shedOwn, []byte("to the service"), 1); err != nil {
		t.Fatal(err)
	}
	f.count(4)
	before := f.Stats()
	if before.Received != 4 || before.Echoes != 1 || before.Acknowledged != 1 || before.Waiting != 0 {
		t.Errorf("%+v", before)
	}
	if err := f.Publish(t.Context(), "acme/eu/nobody/publish", []byte("x"), 1); err == nil || f.Stats().NotSent != 1 {
		t.Errorf("%v and %d not sent", err, f.Stats().NotSent)
	}
	release()
	m.said("Client "+shedOurs+" disconnected", 2)
	after := f.Stats()
	if after.Links != 0 || after.Received != before.Received || after.Connected != before.Connected || after.Acknowledged != 1 {
		t.Errorf("after the link: %+v, before: %+v", after, before)
	}
	if after.Lost != 0 {
		t.Error("a link that we ended counts as lost")
	}
	if err := f.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if closed := f.Stats(); closed.Received != before.Received || closed.Lost != 0 {
		t.Errorf("after the end: %+v", closed)
	}
}

func TestDropsAreCountedOnceWhateverBecomesOfTheLink(t *testing.T) {
	const all = 500
	p := newPuppet(t, func(p *puppeteer) {
		for n := range all {
			_, _ = p.Write(publishPacket(shedHeard, fmt.Sprint(n), 0, 0))
		}
		_, _ = p.Write(publishPacket("not/asked/for", "the end", 0, 0))
	})
	hold := make(chan struct{})
	f := newFront(t, p.at, func(c *UplinksConfig) {
		c.Waiting = 10
		c.Take = func(ctx context.Context, _ []Arrival) error {
			select {
			case <-hold:
			case <-ctx.Done():
			}
			return ctx.Err()
		}
	})
	t.Cleanup(f.Need(shed()))
	var before UplinksStats
	for until := time.Now().Add(20 * time.Second); before.Strays == 0 && time.Now().Before(until); time.Sleep(2 * time.Millisecond) {
		before = f.Stats() // counts are asked for, nothing tells them
	}
	if before.Received != all || before.Dropped < all-10-atOnce {
		t.Fatalf("%+v", before)
	}
	close(hold)
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := f.Stats().Dropped; after != before.Dropped {
		t.Errorf("%d were dropped, and %d when the link was over", before.Dropped, after)
	}
}
