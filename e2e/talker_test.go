package e2e

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"trellis/e2e/wire"
)

const (
	talkerWindow = 16                     // messages of one talker that wait for their acknowledgement
	talkerWaits  = 5 * time.Minute        // for the next packet: longer than anything here takes, also what another one waits for
	talkerRests  = 500 * time.Millisecond // after a message was given back
)

// talker is a client that sends numbered messages at QoS 1, several underway at a time, sends again what was given back, and
// counts the numbered messages of others that it hears.
type talker struct {
	topic string // to send on
	word  string // names its numbers: {"data":{"up":7}}
	open  func() (*wire.Client, error)
	again <-chan struct{} // closed when it is worth connecting again; nil: it does not come back
	news  func()          // something has changed

	running sync.WaitGroup

	mu      sync.Mutex
	ready   *sync.Cond
	client  *wire.Client // nil while there is none
	next    int          // the first number that was never sent
	limit   int          // numbers below may be sent
	back    []int        // numbers that have to be sent once more
	waiting map[uint16]int
	id      uint16
	quiet   bool      // the page was told that its link is down: it sends nothing
	rests   time.Time // nor before this
	over    bool
	ended   error

	acked   map[int]bool
	heard   map[string]map[int]int // how often, by word
	links   []linkTold
	refused map[string]int // sentences
	retried int
}

// linkTold is one thing that a page was told about its link, and when.
type linkTold struct {
	up            bool
	why, sentence string
	at            time.Time
}

// start connects and begins; end has to be called.
func (k *talker) start(filters ...string) error {
	k.ready = sync.NewCond(&k.mu)
	k.waiting, k.acked, k.heard, k.refused = map[uint16]int{}, map[int]bool{}, map[string]map[int]int{}, map[string]int{}
	client, err := k.open()
	if err != nil {
		return err
	}
	if err := client.Subscribe(1, filters...); err != nil {
		return err
	}
	k.client = client
	k.running.Go(k.listen)
	k.running.Go(k.talk)
	return nil
}

// end hangs up and waits until nothing of it runs.
func (k *talker) end() {
	k.mu.Lock()
	k.over = true
	if k.client != nil {
		_ = k.client.Close()
	}
	k.ready.Broadcast()
	k.mu.Unlock()
	k.running.Wait()
}

// may allows it to send all numbers below this.
func (k *talker) may(limit int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.limit = max(k.limit, limit)
	k.ready.Broadcast()
}

// see reads its counts.
func (k *talker) see(look func(*talker)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	look(k)
}

// talk sends what may be sent, until the end.
func (k *talker) talk() {
	for {
		k.mu.Lock()
		for !k.over && (k.client == nil || k.quiet || time.Now().Before(k.rests) || len(k.waiting) >= talkerWindow || (len(k.back) == 0 && k.next >= k.limit)) {
			k.ready.Wait()
		}
		if k.over {
			k.mu.Unlock()
			return
		}
		n := k.next
		if len(k.back) > 0 {
			n, k.back = k.back[0], k.back[1:]
		} else {
			k.next++
		}
		for k.id++; k.id == 0 || k.isWaiting(k.id); k.id++ {
		}
		k.waiting[k.id] = n
		client, m := k.client, wire.Message{Topic: k.topic, QoS: 1, ID: k.id, Payload: fmt.Appendf(nil, `{"data":{%q:%d}}`, k.word, n)}
		k.mu.Unlock()
		_ = client.Send(m.Packet()) // listen sees a connection that is over, and takes back what waits
	}
}

func (k *talker) isWaiting(id uint16) bool {
	_, is := k.waiting[id]
	return is
}

// listen reads what comes, over all connections, until the end.
func (k *talker) listen() {
	for {
		p, err := k.client.Packet(talkerWaits)
		if err == nil {
			err = k.take(p)
		}
		if err != nil && !k.comeBack(err) {
			k.news()
			return
		}
	}
}

// comeBack takes back what waits for an acknowledgement that will not come, and connects again when that is worth it.
func (k *talker) comeBack(lost error) bool {
	k.mu.Lock()
	_ = k.client.Close()
	for _, n := range k.waiting {
		k.back = append(k.back, n)
		k.retried++
	}
	clear(k.waiting)
	if k.over || k.again == nil {
		k.ended, k.over = lost, true
		k.ready.Broadcast()
		k.mu.Unlock()
		return false
	}
	k.client = nil
	k.mu.Unlock()
	select {
	case <-k.again:
	case <-time.After(talkerWaits):
	}
	client, err := k.open()
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil || k.over {
		if client != nil {
			_ = client.Close()
		}
		k.ended, k.over = err, true
		return false
	}
	k.client = client
	k.ready.Broadcast()
	return true
}

// take deals with one packet.
func (k *talker) take(p wire.Packet) error {
	switch p.Kind {
	case wire.PUBACK:
		k.mu.Lock()
		if n, is := k.waiting[p.ID()]; is {
			k.acked[n] = true
			delete(k.waiting, p.ID())
		}
		k.ready.Broadcast()
		k.mu.Unlock()
	case wire.PUBLISH:
		m, err := p.Message()
		if err != nil {
			return err
		}
		if m.QoS == 1 {
			if err := k.client.Send(wire.Ack(wire.PUBACK, m.ID)); err != nil {
				return err
			}
		}
		if err := k.hear(m); err != nil {
			return err
		}
	default:
		return nil
	}
	k.news()
	return nil
}

func (k *talker) hear(m wire.Message) error {
	if m.Topic == "$trellis/session" {
		return k.toldOf(m.Payload)
	}
	var body struct{ Data map[string]int }
	if err := json.Unmarshal(m.Payload, &body); err != nil {
		return fmt.Errorf("a message that nobody sent, %s: %w", m.Payload, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for word, n := range body.Data {
		at := m.Topic + " " + word
		if k.heard[at] == nil {
			k.heard[at] = map[int]int{}
		}
		k.heard[at][n]++
	}
	return nil
}

// toldOf takes what a page is told about itself.
func (k *talker) toldOf(payload []byte) error {
	var n struct {
		Dropped uint64
		Refused *struct {
			ID       uint16
			Sentence string
		}
		Link *struct {
			Up            bool
			Why, Sentence string
		}
	}
	if err := json.Unmarshal(payload, &n); err != nil || n.Dropped > 0 {
		return fmt.Errorf("the page is told %s: %w", payload, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if n.Refused != nil {
		if number, is := k.waiting[n.Refused.ID]; is {
			k.back = append(k.back, number)
			delete(k.waiting, n.Refused.ID)
		}
		k.refused[n.Refused.Sentence]++
		k.retried++
		k.rests = time.Now().Add(talkerRests)
		time.AfterFunc(talkerRests, k.ready.Broadcast)
	}
	if n.Link != nil {
		k.links = append(k.links, linkTold{n.Link.Up, n.Link.Why, n.Link.Sentence, time.Now()})
		k.quiet = !n.Link.Up
	}
	k.ready.Broadcast()
	return nil
}

// tally compares what was sent with what came: how much of it is missing, and how much came more than once.
func tally(t *testing.T, what string, sent map[int]bool, came map[int]int) (lost, twice int) {
	t.Helper()
	first := -1
	for n := range sent {
		if came[n] == 0 {
			if lost++; first < 0 || n < first {
				first = n
			}
		}
	}
	for _, times := range came {
		twice += times - 1
	}
	if lost > 0 {
		t.Errorf("%s: %d of %d acknowledged messages did not arrive, the first is %d", what, lost, len(sent), first)
	}
	return lost, twice
}
