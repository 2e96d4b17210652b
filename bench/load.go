package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"trellis/e2e/wire"
)

// Sizes of the load. Several publishers, because one connection may send 100 messages a second here.
const (
	senders = 20
	window  = 256                    // messages that have not reached every subscriber yet, where nobody says otherwise
	stuck   = 3 * time.Second        // without any delivery: the rest was dropped
	calm    = 500 * time.Millisecond // for what the flood left behind to be over
)

// pace is one that nobody finds hard, to measure delays at.
type pace struct {
	messages int
	every    time.Duration
}

var (
	paceToAll    = pace{50, 40 * time.Millisecond}
	paceToGroups = pace{150, 10 * time.Millisecond}
)

func (p pace) perSecond() float64 { return 1 / p.every.Seconds() }

// crowd publishes, each in its turn.
type crowd struct {
	clients []*wire.Client
	topics  []string
	payload func(time.Time) []byte // nil: envelope
	sent    int
}

func (c *crowd) add(client *wire.Client, topic string, err error) error {
	if err == nil {
		c.clients, c.topics = append(c.clients, client), append(c.topics, topic)
	}
	return err
}

func (c *crowd) publish() error {
	i := c.sent % len(c.clients)
	c.sent++
	payload := c.payload
	if payload == nil {
		payload = envelope
	}
	return c.clients[i].Send(wire.Message{Topic: c.topics[i], Payload: payload(time.Now())}.Packet())
}

func (c *crowd) leave() {
	for _, client := range c.clients {
		client.Leave()
	}
}

// load is what is put on one way.
type load struct {
	server worker
	front  *proxy // nil if there is none
	to     *pages
	from   *crowd
	long   time.Duration // as fast as the slowest subscriber allows; 0 means not at all
	window int64         // messages under way meanwhile; 0 means 256
	gentle pace          // afterwards; no messages mean not at all
}

// put does it, and closes the subscribers.
func (l load) put() (figures, error) {
	found := figures{}
	err := l.flood(found)
	if err == nil {
		err = l.goGently(found)
	}
	if err := errors.Join(err, l.to.close()); err != nil { // the readers hand in what they noted when they end
		return nil, err
	}
	if took := l.to.took; len(took) > 0 {
		found[half], found[late] = milliseconds(percentile(took, 0.5)), milliseconds(percentile(took, 0.99))
	}
	return found, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// mark is how much of everything has been used at a moment.
type mark struct {
	at                   time.Time
	server, front, own   time.Duration
	got, passed, content float64
}

func (l load) mark() (m mark, err error) {
	m = mark{
		at: time.Now(), got: float64(l.to.got.Load()),
		passed: float64(l.to.passed.Load()), content: float64(l.to.content.Load()),
	}
	m.server, err = l.server.cpu()
	if err == nil && l.front != nil {
		m.front, err = l.front.cpu()
	}
	if err == nil {
		m.own, err = cpu(os.Getpid())
	}
	return m, err
}

// flood finds what there is to find under load.
func (l load) flood(found figures) error {
	if l.long == 0 {
		return nil
	}
	l.to.gulping.Store(true)
	defer l.to.gulping.Store(false)
	before, err := l.mark()
	if err != nil {
		return err
	}
	sent, err := l.publish()
	if err != nil {
		return fmt.Errorf("publish under load: %w", err)
	}
	after, err := l.mark()
	if err != nil {
		return err
	}
	got := after.got - before.got
	if due := float64(sent * l.to.reach); got < due {
		fmt.Fprintf(os.Stderr, "  %.0f of %.0f deliveries were dropped under load\n", due-got, due)
	}
	server, front := after.server-before.server, after.front-before.front
	found[delivered] = got / after.at.Sub(before.at).Seconds()
	found[allCPU], found[proxyCPU] = microseconds(server+front)/got, microseconds(front)/got
	found[loadCPU] = microseconds(after.own-before.own) / got
	found[wireBytes] = (after.passed - before.passed) / (after.content - before.content)
	return nil
}

func microseconds(d time.Duration) float64 { return float64(d.Microseconds()) }

// publish keeps a window of messages under way and returns how many were published, when all have come or nothing comes any more.
func (l load) publish() (sent int64, err error) {
	all, window := l.to, cmp.Or(l.window, window)
	for until := time.Now().Add(l.long); time.Now().Before(until); sent++ {
		if !all.reached((sent - window) * all.reach) {
			return sent, nil
		}
		if err := l.from.publish(); err != nil {
			return sent, err
		}
	}
	all.reached(sent * all.reach)
	return sent, nil
}

// goGently finds what there is to find while nobody has much to do.
func (l load) goGently(found figures) error {
	if l.gentle.messages == 0 {
		return nil
	}
	time.Sleep(calm)
	l.to.timing.Store(true)
	defer l.to.timing.Store(false)
	before, err := l.mark()
	if err != nil {
		return err
	}
	tick := time.NewTicker(l.gentle.every)
	defer tick.Stop()
	for range l.gentle.messages {
		<-tick.C
		if err := l.from.publish(); err != nil {
			return fmt.Errorf("publish gently: %w", err)
		}
	}
	if !l.to.reached(int64(before.got) + int64(l.gentle.messages)*l.to.reach) {
		return errors.New("messages were lost at a gentle pace")
	}
	after, err := l.mark()
	found[calmWire] = (after.passed - before.passed) / (after.content - before.content)
	return err
}

// Sizes of the load in the other direction: so many connections that no limit for one of them is the limit.
const (
	writers  = 64
	underway = 8 // publishes of one connection that wait for their acknowledgement
)

// bring publishes from many sessions at QoS 1 and gives the number of acknowledgements.
func bring(all []*page, topic func(n int) string, payload func(time.Time) []byte, long time.Duration) (int64, error) {
	var writing sync.WaitGroup
	var done atomic.Int64
	errs := make([]error, len(all))
	until := time.Now().Add(long)
	for n, p := range all {
		writing.Go(func() { errs[n] = p.bring(topic(n), payload, until, &done) })
	}
	writing.Wait()
	return done.Load(), errors.Join(errs...)
}

// bring keeps some publishes under way until the time is over and all are acknowledged. What may be sent is sent at once.
func (p *page) bring(topic string, payload func(time.Time) []byte, until time.Time, done *atomic.Int64) error {
	for sent, answered := uint16(0), uint16(0); time.Now().Before(until) || answered < sent; {
		var packets []byte
		for ; sent-answered < underway && time.Now().Before(until); sent++ {
			m := wire.Message{Topic: topic, QoS: 1, ID: sent + 1, Payload: payload(time.Now())}
			packets = append(packets, m.Packet()...)
		}
		if answered == sent {
			return nil
		}
		if len(packets) > 0 {
			if _, err := p.Write(packets); err != nil {
				return err
			}
		}
		for more := true; more; more = p.in.Buffered() > 0 {
			answer, err := wire.ReadPacket(p.in)
			if err != nil {
				return fmt.Errorf("await PUBACK: %w", err)
			}
			if answer.Kind == wire.PUBACK {
				answered++
				done.Add(1)
			}
		}
	}
	return nil
}
