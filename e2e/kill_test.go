package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// Bounds of the power-cut test: as many rounds as fit, at least a few.
const (
	killFor     = 22 * time.Second
	killRounds  = 3
	publishers  = 4
	underway    = 8 // publishes of one connection that wait for their acknowledgement
	perRoundMax = 600
)

// load publishes at QoS 1 as fast as acknowledgements come, until the connection breaks, and returns what was acknowledged.
func load(c *wire.Client, topic string, name string, started func()) (acked []string) {
	waiting := map[uint16]string{}
	for n := uint16(1); n <= perRoundMax; {
		for ; len(waiting) < underway && n <= perRoundMax; n++ {
			mark := fmt.Sprintf("%s.%d", name, n)
			waiting[n] = mark
			if c.Send(wire.Message{Topic: topic, QoS: 1, ID: n, Payload: to("sink", fmt.Sprintf(`{"mark":%q}`, mark))}.Packet()) != nil {
				break
			}
		}
		p, err := c.Packet(prompt)
		if err != nil {
			return acked
		}
		if p.Kind == wire.PUBACK {
			acked = append(acked, waiting[p.ID()])
			delete(waiting, p.ID())
			started()
		}
	}
	return acked
}

// round loads the server from several connections, kills it in the middle and returns what had been acknowledged.
func (s *server) round(k key, number int) (acked []string) {
	s.t.Helper()
	var all sync.Mutex
	var loads sync.WaitGroup
	begun := make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	for p := range publishers {
		c := s.device(k, fmt.Sprintf("#%d", p))
		loads.Go(func() {
			mine := load(c, k.topic("publish"), fmt.Sprintf("%d.%d", number, p), begin)
			all.Lock()
			defer all.Unlock()
			acked = append(acked, mine...)
		})
	}
	select {
	case <-begun:
	case <-time.After(prompt):
		s.t.Errorf("nothing was acknowledged in round %d", number)
	}
	// Somewhere in the middle of the traffic; where exactly is what the rounds try out.
	<-time.After(time.Duration(20+rand.IntN(500)) * time.Millisecond)
	s.kill()
	loads.Wait()
	return acked
}

func TestKillLosesNothingThatWasAcknowledged(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	s := start(t, "--log-level", "debug")
	source, sink := s.addKey("source"), s.addKey("sink")
	away := sink.login("")
	away.Persistent = true
	c := s.open(s.mqtt, away)
	must(t, c.Subscribe(1, sink.topic("messages")))
	c.Leave()

	total, slowest := 0, time.Duration(0)
	began, number := time.Now(), 0
	for ; number < killRounds || time.Since(began) < killFor; number++ {
		acked := s.round(source, number)
		total += len(acked)
		again := time.Now()
		s.start()
		took := time.Since(again)
		slowest = max(slowest, took)
		if took > 2*time.Second {
			t.Logf("round %d: the start took %v until %s, saying:\n%s", number, took, time.Now().UTC().Format("15:04:05.000"), tail(s.errs.String(), 30))
		}
		s.checkDelivered(away, acked, number)
		s.checkRecorded(source, acked, number)
		if t.Failed() {
			break
		}
	}
	if total < number*10 {
		t.Errorf("only %d messages acknowledged in %d rounds: this proves nothing", total, number)
	}
	t.Logf("%d rounds, %d acknowledged messages, slowest start %v", number, total, slowest)
}

func mark(t testing.TB, payload []byte) string {
	var data struct{ Mark string }
	if err := json.Unmarshal(opened(t, payload).Data, &data); err != nil {
		t.Errorf("data of %s: %v", payload, err)
	}
	return data.Mark
}

// checkDelivered lets the session that was away come back and collects until nothing acknowledged is missing.
func (s *server) checkDelivered(away wire.Login, acked []string, number int) {
	s.t.Helper()
	c := s.open(s.mqtt, away)
	if !c.Present {
		s.t.Errorf("round %d: the server forgot the session that was away", number)
	}
	missing := map[string]bool{}
	for _, m := range acked {
		missing[m] = true
	}
	for len(missing) > 0 {
		m, err := c.Receive(prompt)
		if err != nil {
			s.t.Errorf("round %d: %d of %d acknowledged messages were not delivered to the session that was away, such as %s (%v)",
				number, len(missing), len(acked), one(missing), err)
			break
		}
		delete(missing, mark(s.t, m.Payload))
	}
	c.Leave()
}

// checkRecorded reads the record, which may come a moment after the delivery, until nothing acknowledged is missing.
func (s *server) checkRecorded(source key, acked []string, number int) {
	s.t.Helper()
	missing := map[string]bool{}
	for _, m := range acked {
		missing[m] = true
	}
	for until := time.Now().Add(prompt / 2); len(missing) > 0 && time.Now().Before(until); {
		for _, r := range recorded(s.t, s.data, source.topic("publish"), 2*publishers*perRoundMax) {
			delete(missing, mark(s.t, r.Payload))
		}
	}
	if len(missing) > 0 {
		s.t.Errorf("round %d: %d of %d acknowledged messages are not on record, such as %s", number, len(missing), len(acked), one(missing))
	}
}

func one(set map[string]bool) string {
	for m := range set {
		return m
	}
	return ""
}
