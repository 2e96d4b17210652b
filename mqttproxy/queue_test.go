package mqttproxy

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestQueueKeepsOrder holds the queue against a plain list: joins, drops and messages of both QoS in any order.
func TestQueueKeepsOrder(t *testing.T) {
	type entry struct {
		packet *packet
		qos    byte
		kept   bool
	}
	rapid.Check(t, func(rt *rapid.T) {
		var q queue
		var model []entry
		for n := range rapid.IntRange(1, 300).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "do") {
			case 0:
				var all []*packet
				for i := range rapid.IntRange(0, 3).Draw(rt, "joined") {
					all = append(all, newPacket(Message{Topic: fmt.Sprint("kept", n, i)}))
					model = append(model, entry{all[i], 0, true})
				}
				q.join(all, 0)
			case 1, 2:
				i := slices.IndexFunc(model, func(e entry) bool { return !e.kept && e.qos == 0 })
				if got := q.drop(); got != (i >= 0) {
					rt.Fatalf("drop said %v", got)
				}
				if i >= 0 {
					model = slices.Delete(model, i, i+1)
				}
			case 3, 4, 5:
				out, ok := q.peek()
				if ok != (len(model) > 0) {
					rt.Fatalf("peek said %v", ok)
				}
				if !ok {
					q.rest()
					continue
				}
				if want := model[0]; out.packet != want.packet || out.qos != want.qos || out.retain != want.kept {
					rt.Fatalf("next is %+v, want %+v", out, want)
				}
				q.pop(out)
				model = model[1:]
			default:
				it := item{packet: newPacket(Message{Topic: fmt.Sprint(n)}), qos: byte(rapid.IntRange(0, 1).Draw(rt, "qos"))}
				q.push(it)
				model = append(model, entry{it.packet, it.qos, false})
			}
			bytes, live := 0, 0
			for _, e := range model {
				if !e.kept {
					bytes, live = bytes+e.packet.size(), live+1
				}
			}
			if q.bytes != bytes || q.n != live || q.waiting != len(model)-live || q.empty() != (len(model) == 0) {
				rt.Fatalf("counts %d %d %d, want %d %d %d", q.bytes, q.n, q.waiting, bytes, live, len(model)-live)
			}
		}
	})
}

// TestASlowReaderLosesTheOldestAndIsToldHowMany also shows that others do not notice.
func TestASlowReaderLosesTheOldestAndIsToldHowMany(t *testing.T) {
	const published = 1000
	h, source := newTestHub(t, Config{QueueCount: 100})
	slow, fast := open(t, h, testGrant(), true), open(t, h, testGrant(), true)
	slow.subscribe(0, "acme/local/+/publish")
	fast.subscribe(0, "acme/local/+/publish")
	gate := make(chan struct{})
	slow.mu.Lock()
	slow.stuck = gate
	slow.mu.Unlock()
	for i := range published {
		source.deliver(Message{Topic: "acme/local/a/publish", Payload: fmt.Append(nil, i)})
		if m := fast.message(); string(m.payload) != fmt.Sprint(i) {
			t.Fatalf("the fast reader got %s, want %d", m.payload, i)
		}
	}
	slow.mu.Lock()
	slow.stuck = nil
	slow.mu.Unlock()
	close(gate)
	received, told, last := 0, uint64(0), -1
	for received+int(told) < published {
		m := slow.message()
		if m.topic == sessionTopic {
			var said notice
			if err := json.Unmarshal(m.payload, &said); err != nil {
				t.Fatal(err)
			}
			if told += said.Dropped; told != said.Total {
				t.Errorf("told %d, in all %d", told, said.Total)
			}
			continue
		}
		var n int
		_, _ = fmt.Sscan(string(m.payload), &n)
		if n <= last {
			t.Fatalf("%d after %d", n, last)
		}
		received, last = received+1, n
	}
	if last != published-1 || told != h.Stats().Dropped || told < published-210 {
		t.Errorf("received %d up to %d, told of %d, counted %d", received, last, told, h.Stats().Dropped)
	}
	fast.leave()
	slow.leave()
}

func TestTooMuchThatMayNotBeDroppedEndsTheSession(t *testing.T) {
	h, source := newTestHub(t, Config{QueueCount: 100})
	behind, other := open(t, h, testGrant(), true), open(t, h, testGrant(), true)
	behind.subscribe(1, "acme/local/+/publish")
	other.subscribe(0, "acme/local/+/publish")
	for i := range window + 100 { // the page acknowledges nothing: the window fills, then the queue
		source.deliver(Message{Topic: "acme/local/a/publish", Payload: fmt.Append(nil, i)})
		other.message()
		if i < window {
			behind.message()
		}
	}
	source.deliver(Message{Topic: "acme/local/a/publish", Payload: []byte("one too many")})
	if got := <-behind.ended; got != Behind {
		t.Errorf("ended with %v", got)
	}
	if got := other.message(); string(got.payload) != "one too many" {
		t.Errorf("the other got %+v", got)
	}
	other.leave()
}

func TestAnAcknowledgementOpensTheWindow(t *testing.T) {
	h, source := newTestHub(t, Config{})
	p := open(t, h, testGrant(), true)
	p.subscribe(1, "acme/local/+/publish")
	const all = 3 * window
	for i := range all {
		source.deliver(Message{Topic: "acme/local/a/publish", Payload: fmt.Append(nil, i)})
	}
	open := map[uint16]bool{}
	for i := range all {
		m := p.message()
		if string(m.payload) != fmt.Sprint(i) || open[m.id] || len(open) >= window {
			t.Fatalf("message %d: %+v with %d open", i, m, len(open))
		}
		if open[m.id] = true; len(open) == window {
			for id := range open {
				p.say(appendAck(nil, typePuback, id))
				delete(open, id)
			}
		}
	}
	p.leave()
}

func TestAReaderThatAsksWithoutReadingIsCutOff(t *testing.T) {
	for name, packet := range map[string][]byte{
		"pings":      {typePingreq << 4, 0},
		"subscribes": subscribePacket(1, 0, "acme/local/a/publish"),
	} {
		t.Run(name, func(t *testing.T) {
			h, source := newTestHub(t, Config{Rate: 1e6, Burst: 1e6})
			for i := range 60 {
				source.deliver(Message{Topic: "acme/local/a/publish", Parts: []string{fmt.Sprint(i)}})
			}
			p := open(t, h, testGrant(), true)
			p.mu.Lock()
			p.stuck = make(chan struct{})
			p.mu.Unlock()
			for {
				select {
				case p.up <- packet:
					continue
				case got := <-p.ended:
					if got != Behind {
						t.Errorf("ended with %v", got)
					}
				}
				break
			}
		})
	}
}

func TestManyMessagesShareOneWrite(t *testing.T) {
	h, source := newTestHub(t, Config{})
	p := open(t, h, testGrant(), true)
	p.subscribe(0, "acme/local/+/publish")
	gate := make(chan struct{})
	p.mu.Lock()
	p.stuck, p.sends = gate, 0
	p.mu.Unlock()
	for range 400 {
		source.deliver(Message{Topic: "acme/local/a/publish", Payload: []byte("x")})
	}
	close(gate)
	for range 400 {
		p.message()
	}
	p.leave()
	if p.sends > 3 {
		t.Errorf("%d writes", p.sends)
	}
}
