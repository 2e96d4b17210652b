package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"trellis/e2e/wire"
)

// measure is one thing done to both servers.
type measure struct {
	name    string
	durable bool // mosquitto keeps every change
	lines   func() []*line
	do      func(peer, options) ([]float64, error) // one figure for each line
}

// measures are all that is measured, in order.
func measures(o options) []measure {
	return []measure{
		{
			name: "fan-out",
			lines: func() []*line {
				return []*line{
					{name: fmt.Sprintf("fan-out to %d pages, delivered", o.pages), unit: "messages/s", better: more, aim: "≥ 10×"},
					{name: "  server CPU per delivered message", unit: "µs", better: less},
					{name: "  p99 from publisher to page, 10 messages/s", unit: "ms", better: less},
				}
			},
			do: fanOut,
		},
		{
			name: "idle pages",
			lines: func() []*line {
				return []*line{{name: "memory per idle page", unit: "KiB", better: less, aim: "≤ 24 KiB"}}
			},
			do: idlePages,
		},
		{
			name:  "idle devices",
			lines: func() []*line { return []*line{{name: "memory per idle device", unit: "KiB", better: less}} },
			do:    idleDevices,
		},
		{
			name: "durable publishes", durable: true,
			lines: func() []*line {
				return []*line{{name: "durable QoS 1 publishes, for a session that is away", unit: "messages/s", better: more}}
			},
			do: durable,
		},
	}
}

// both measures the two servers, one after the other.
func (m measure) both(o options, theirsFirst bool) ([]*line, error) {
	var figures [2][]float64
	order := []int{0, 1}
	if theirsFirst {
		order = []int{1, 0}
	}
	for _, which := range order {
		p, err := m.start(which == 0, o)
		if err != nil {
			return nil, err
		}
		figures[which], err = m.do(p, o)
		p.stop()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", []string{"trellis", "mosquitto"}[which], err)
		}
	}
	lines := m.lines()
	for i, l := range lines {
		l.add(figures[0][i], figures[1][i])
	}
	return lines, nil
}

func (m measure) start(ours bool, o options) (peer, error) {
	if ours {
		return startTrellis(o)
	}
	return startMosquitto(m.durable)
}

// Sizes of the fan-out. Several publishers, because one connection may send 100 messages a second here.
const (
	senders   = 20
	window    = 256                    // messages that have not reached every page yet
	stuck     = 3 * time.Second        // without any delivery: the rest was dropped
	gentle    = 50                     // messages for the latency
	gentleGap = 100 * time.Millisecond // between them
)

// fanOut publishes as fast as the slowest page allows, then gently, and gives messages/s, µs of CPU a message, and p99 in ms.
func fanOut(p peer, o options) ([]float64, error) {
	all, err := openPages(p, o.pages)
	if err != nil {
		return nil, err
	}
	all.read()
	var clients [senders]*wire.Client
	var topic string
	for i := range clients {
		if clients[i], topic, err = p.publisher(i); err != nil {
			return nil, errors.Join(err, all.close())
		}
		defer clients[i].Leave()
	}
	used, err := cpu(p.pid())
	if err != nil {
		return nil, err
	}
	began := time.Now()
	sent, err := all.flood(p, clients[:], topic, o.load)
	if err != nil {
		return nil, errors.Join(err, all.close())
	}
	lasted, got := time.Since(began), all.got.Load()
	after, err := cpu(p.pid())
	if err != nil {
		return nil, err
	}
	if lost := sent*int64(o.pages) - got; lost > 0 {
		fmt.Fprintf(os.Stderr, "  %d of %d deliveries were dropped under load\n", lost, sent*int64(o.pages))
	}
	p99, err := all.gently(p, clients[0], topic)
	if err != nil {
		return nil, errors.Join(err, all.close())
	}
	perMessage := float64((after - used).Microseconds()) / float64(got)
	return []float64{float64(got) / lasted.Seconds(), perMessage, p99}, all.close()
}

// flood keeps a window of messages under way and returns how many were published, when all have come or nothing comes any more.
func (all *pages) flood(p peer, clients []*wire.Client, topic string, long time.Duration) (sent int64, err error) {
	size := int64(len(all.conns))
	for until := time.Now().Add(long); time.Now().Before(until); sent++ {
		for all.got.Load() < (sent-window)*size {
			select {
			case <-all.whole:
			case <-time.After(stuck):
				return sent, nil
			}
		}
		m := wire.Message{Topic: topic, Payload: p.payload(time.Now())}
		if err := clients[sent%senders].Send(m.Packet()); err != nil {
			return sent, fmt.Errorf("publish under load: %w", err)
		}
	}
	for all.got.Load() < sent*size {
		select {
		case <-all.whole:
		case <-time.After(stuck):
			return sent, nil
		}
	}
	return sent, nil
}

// gently publishes at a pace that nobody finds hard and gives the 99th percentile of the ways from publisher to page, in ms.
func (all *pages) gently(p peer, c *wire.Client, topic string) (float64, error) {
	time.Sleep(time.Second) // what the flood left behind should be over
	all.timing.Store(true)
	pace := time.NewTicker(gentleGap)
	defer pace.Stop()
	from := all.got.Load()
	for range gentle {
		<-pace.C
		if err := c.Send(wire.Message{Topic: topic, Payload: p.payload(time.Now())}.Packet()); err != nil {
			return 0, fmt.Errorf("publish gently: %w", err)
		}
	}
	for all.got.Load() < from+gentle*int64(len(all.conns)) {
		select {
		case <-all.whole:
		case <-time.After(stuck):
			return 0, errors.Join(errors.New("messages were lost at a gentle pace"), all.close())
		}
	}
	all.timing.Store(false)
	if err := all.close(); err != nil { // the readers hand in what they noted when they end
		return 0, err
	}
	return float64(percentile(all.took, 0.99).Microseconds()) / 1000, nil
}

// settle is how long a server is left alone before its memory is read: long enough for a collection of garbage.
const settle = 4 * time.Second

// growth opens n things and gives how many KiB the server grew by, for each. The first tenth is not counted, so that what
// is needed once is not charged to each.
func growth(p peer, n int, open func(from, to int) error) ([]float64, error) {
	first := n / 10
	if err := open(0, first); err != nil {
		return nil, err
	}
	time.Sleep(settle)
	before, err := memory(p.pid())
	if err != nil {
		return nil, err
	}
	if err := open(first, n); err != nil {
		return nil, err
	}
	time.Sleep(settle)
	after, err := memory(p.pid())
	return []float64{(after - before) / 1024 / float64(n-first)}, err
}

func idlePages(p peer, o options) ([]float64, error) {
	var open []*pages
	defer func() {
		for _, some := range open {
			_ = some.close()
		}
	}()
	return growth(p, o.pages, func(from, to int) error {
		some, err := openPages(p, to-from)
		if err == nil {
			open = append(open, some)
		}
		return err
	})
}

func idleDevices(p peer, o options) ([]float64, error) {
	var open []*wire.Client
	defer func() {
		for _, c := range open {
			c.Leave()
		}
	}()
	return growth(p, o.devices, func(from, to int) error {
		for n := from; n < to; n++ {
			c, err := p.device(n)
			if err != nil {
				return fmt.Errorf("open device %d: %w", n, err)
			}
			open = append(open, c)
		}
		return nil
	})
}

// Sizes of the durable load: so many connections that no limit for one of them is the limit.
const (
	writers  = 64
	underway = 8 // publishes of one connection that wait for their acknowledgement
)

// durable publishes at QoS 1 for a session that is away, and gives acknowledgements a second.
func durable(p peer, o options) ([]float64, error) {
	away, err := p.sink()
	if err != nil {
		return nil, err
	}
	away.Leave()
	clients := make([]*wire.Client, writers)
	var topics [writers]string
	for i := range clients {
		if clients[i], topics[i], err = p.publisher(i); err != nil {
			return nil, err
		}
		defer clients[i].Leave()
	}
	var writing sync.WaitGroup
	var acked atomic.Int64
	errs := make([]error, writers)
	began := time.Now()
	until := began.Add(o.load)
	for i, c := range clients {
		writing.Go(func() { errs[i] = write(p, c, topics[i], until, &acked) })
	}
	writing.Wait()
	return []float64{float64(acked.Load()) / time.Since(began).Seconds()}, errors.Join(errs...)
}

// write keeps some publishes of one connection under way until the time is over and all are acknowledged.
func write(p peer, c *wire.Client, topic string, until time.Time, acked *atomic.Int64) error {
	for sent, done := uint16(0), uint16(0); time.Now().Before(until) || done < sent; {
		for ; sent-done < underway && time.Now().Before(until); sent++ {
			if err := c.Send(wire.Message{Topic: topic, QoS: 1, ID: sent + 1, Payload: p.payload(time.Now())}.Packet()); err != nil {
				return err
			}
		}
		if done == sent {
			return nil
		}
		answer, err := c.Packet(30 * time.Second)
		if err != nil {
			return fmt.Errorf("await PUBACK: %w", err)
		}
		if answer.Kind == wire.PUBACK {
			done++
			acked.Add(1)
		}
	}
	return nil
}
