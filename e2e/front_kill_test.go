package e2e

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// missing waits until everything that was acknowledged is on record in a folder, and gives what is not. What was underway when somebody
// died the service sends again only after ten seconds.
func missing(t *testing.T, dir string, k key, acked []string) map[string]bool {
	t.Helper()
	left := map[string]bool{}
	for _, m := range acked {
		left[m] = true
	}
	for until := time.Now().Add(3 * prompt); len(left) > 0 && time.Now().Before(until); {
		for _, r := range recorded(t, dir, k.topic("publish"), 100_000) {
			delete(left, mark(t, r.Payload))
		}
	}
	return left
}

func TestFrontThatIsKilledLosesNothing(t *testing.T) {
	const rounds = 3
	back := start(t, "--sync", "1s")
	k := back.addKey("sink")
	front := back.inFront(t)
	person := front.browser()
	person.signIn(k)
	page := person.live()
	must(t, page.Subscribe(1, k.topic("publish")))
	front.linkUp(1) // from now on the service keeps what comes for it

	var mu sync.Mutex
	var up, down []string
	var devices sync.WaitGroup
	for n := range publishers {
		device := back.device(k, fmt.Sprintf("#%d", n))
		devices.Go(func() {
			acked := load(device, k.topic("publish"), fmt.Sprintf("device%d", n), func() {})
			mu.Lock()
			defer mu.Unlock()
			down = append(down, acked...)
		})
	}
	for round := range rounds {
		begun := make(chan struct{})
		var sending sync.WaitGroup
		sending.Go(func() {
			acked := load(page, k.topic("publish"), fmt.Sprintf("page%d", round), sync.OnceFunc(func() { close(begun) }))
			mu.Lock()
			defer mu.Unlock()
			up = append(up, acked...)
		})
		select {
		case <-begun:
		case <-time.After(prompt):
			t.Fatalf("nothing is acknowledged to the page in round %d", round)
		}
		<-time.After(time.Duration(20+rand.IntN(300)) * time.Millisecond) // anywhere in the middle of it
		front.kill()
		sending.Wait()
		front.startFront()
		front.linkUp(1)
		page = person.live()
	}
	devices.Wait()
	if len(up) < rounds || len(down) < publishers*(perRoundMax-underway) {
		t.Errorf("only %d and %d messages were acknowledged", len(up), len(down))
	}
	if left := missing(t, back.data, k, up); len(left) > 0 {
		t.Errorf("%d of %d messages that were acknowledged to the page are not at the service, such as %s", len(left), len(up), one(left))
	}
	if left := missing(t, front.data, k, down); len(left) > 0 {
		t.Errorf("%d of %d messages of the devices are not on record here, such as %s", len(left), len(down), one(left))
	}
	t.Logf("%d up and %d down, through %d deaths", len(up), len(down), rounds)
}
