package e2e

import (
	"strings"
	"testing"
	"time"

	"trellis/e2e/hostile"
	"trellis/e2e/wire"
)

// TestSleepLongerThanAPageMayBeAway has a page come back when its session is over: it is told so, opens a new one, and has
// the latest value at once.
func TestSleepLongerThanAPageMayBeAway(t *testing.T) {
	const away = time.Second
	s := start(t, "--page-away", away.String())
	for _, plan := range append([]string{"ladder"}, all...) {
		t.Run(plan, func(t *testing.T) {
			c := s.in(t).between(hostile.Bad{})
			c.settle()
			c.begin("asleep", plan, wire.BySocket, soonLive, c.page.door(c.URL))
			converse(c, 3, "before", 0)
			c.Set(hostile.Bad{Still: true})
			c.Cut() // machines sleep longer than networks remember their connections
			must(t, c.device.Publish(wire.Message{Topic: c.key.topic("publish"), QoS: 1, Payload: []byte(`{"data":{"value":2}}`)}))
			time.Sleep(2 * away) // the server says nothing of the end: there is nobody to hear it
			began := time.Now()
			c.Set(hostile.Bad{})
			reason, err := c.client.Ended(prompt)
			must(t, err)
			wantEnd(t, reason, 4025)
			told := time.Since(began)
			c.begin("awake", plan, wire.BySocket, soonLive, c.page.door(c.URL))
			t.Logf("it was told so after %v", told.Round(time.Millisecond))
			for m := c.first; !strings.Contains(string(m.Payload), `"value":2`); { // messages of the conversation may come before it
				m, err = c.client.Receive(prompt)
				must(t, err)
			}
			if took := time.Since(began); took > soonLive+busy {
				t.Errorf("it was back after %v", took)
			}
		})
	}
}
