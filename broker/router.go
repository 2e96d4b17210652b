package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"trellis/access"
	"trellis/message"
)

// The way of a publish. Nats stores what comes at QoS 1 or 2 in its stream of MQTT messages, synced, before it
// acknowledges to the device. Two consumers of ours sit on that stream, so that a slow record never holds up the screens:
//
//	recorder  durable; normalises, records, delivers, and only then acknowledges, so a crash repeats and never loses
//	watcher   forgetful; normalises and hands to those who watch now
//
// What comes at QoS 0 is not stored; a plain subscription brings it to both. Nats marks every MQTT publish with its QoS
// in a header, by which the plain subscription leaves the stored ones alone.
const (
	stream        = "$MQTT_msgs"
	streamPrefix  = "$MQTT.msgs."
	publishes     = "*.*.*.publish"
	recorderName  = "trellis_recorder"
	qosHeader     = "Nmqtt-Pub"
	maxHops       = 8
	batchSize     = 256
	queuedQoS0    = 4096
	fetchAhead    = 512
	unackedAtMost = 1024
	repeatAfter   = 10 * time.Second
	retryFirst    = 100 * time.Millisecond
	retryLongest  = 10 * time.Second
	deliverWithin = 30 * time.Second // so long a message that nats refuses holds up those behind it
)

type router struct {
	engine     *engine
	keys       Keys
	record     func(context.Context, []message.Message) error
	normalise  normaliser
	maxPayload int
	health     *health
	log        *slog.Logger
	created    time.Time // of the stream; part of every ID
	listeners  listeners
	probes     probes

	queue   chan routed        // QoS 0, normalised, waiting for the record
	plain   *nats.Subscription // QoS 0 as it comes
	fetched chan jetstream.Msg // QoS 1 and 2 for the recorder
	done    uint64             // everything up to this sequence has been handled; owned by the recorder
	shown   uint64             // the same of the watcher, and owned by it

	patience time.Duration // how long delivering may hold up the rest; owned by the recorder

	halt    context.CancelFunc // take nothing new
	abandon context.CancelFunc // leave even what is in hand
	running sync.WaitGroup
	stopped atomic.Bool

	panics        *atomic.Uint64
	lost          atomic.Uint64
	undeliverable atomic.Uint64
}

// routed is one publish and what was made of it.
type routed struct {
	account   string
	unclaimed bool // by a key that nobody knows
	messages  []message.Message
	stored    jetstream.Msg // nil for QoS 0
	sequence  uint64
}

func startRouter(ctx context.Context, e *engine, c Config, normalise normaliser, h *health, panics *atomic.Uint64) (*router, error) {
	working, abandon := context.WithCancel(context.Background())
	running, halt := context.WithCancel(working)
	r := &router{
		engine: e, keys: c.Keys, record: c.Record, normalise: normalise, log: c.Log, panics: panics,
		health: h, patience: deliverWithin,
		halt: halt, abandon: abandon,
		maxPayload: int(e.conn.MaxPayload()) - 1024, // room for headers
		queue:      make(chan routed, queuedQoS0), fetched: make(chan jetstream.Msg, batchSize),
	}
	s, err := e.js.Stream(ctx, stream)
	if err != nil {
		abandon()
		return nil, fmt.Errorf("find the stream of MQTT messages: %w", err)
	}
	r.created = s.CachedInfo().Created
	if err := r.start(ctx, running, working, s); err != nil {
		abandon()
		return nil, err
	}
	return r, nil
}

func (r *router) start(ctx, running, working context.Context, s jetstream.Stream) error {
	recorder, err := r.recorder(ctx)
	if err != nil {
		return fmt.Errorf("listen on stored publishes: %w", err)
	}
	if err := r.catchUp(ctx, s, recorder); err != nil {
		return fmt.Errorf("catch up with what was accepted before: %w", err)
	}
	if r.plain, err = r.engine.conn.Subscribe(publishes, r.handlePlain); err != nil {
		return fmt.Errorf("listen on QoS 0 publishes: %w", err)
	}
	r.plain.SetPendingLimits(queuedQoS0, 64<<20)
	watcher, err := r.watcher(ctx)
	if err != nil {
		return fmt.Errorf("watch stored publishes: %w", err)
	}
	r.run(running, working, watcher, recorder)
	return nil
}

func (r *router) recorder(ctx context.Context) (jetstream.Consumer, error) {
	return r.engine.js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable: recorderName, FilterSubject: streamPrefix + publishes,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: repeatAfter, MaxAckPending: unackedAtMost,
	})
}

// watcher listens from where the last one stopped; the first one from now on.
func (r *router) watcher(ctx context.Context) (jetstream.Consumer, error) {
	c := jetstream.ConsumerConfig{
		FilterSubject: streamPrefix + publishes, AckPolicy: jetstream.AckNonePolicy,
		DeliverPolicy: jetstream.DeliverNewPolicy, MemoryStorage: true, InactiveThreshold: time.Minute,
	}
	if r.shown > 0 {
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.shown+1
	}
	return r.engine.js.CreateConsumer(ctx, stream, c)
}

// run starts the goroutines; stop ends them.
func (r *router) run(running, working context.Context, watcher, recorder jetstream.Consumer) {
	r.running.Go(func() { r.follow(running, watcher, r.watcher, r.watch) })
	r.running.Go(func() {
		defer close(r.fetched)
		r.follow(running, recorder, r.recorder, func(m jetstream.Msg) {
			select {
			case r.fetched <- m:
			case <-running.Done():
			}
		})
	})
	r.running.Go(func() { r.recordAll(running, working) })
}

// follow hands over what c brings. When nats closes it (the consumer is gone) it makes a new one with again.
func (r *router) follow(running context.Context, c jetstream.Consumer,
	again func(context.Context) (jetstream.Consumer, error), handle func(jetstream.Msg)) {
	var err error
	for pause := retryFirst; ; pause = min(2*pause, retryLongest) {
		if err == nil {
			var all jetstream.MessagesContext
			if all, err = c.Messages(jetstream.PullMaxMessages(fetchAhead)); err == nil {
				stop := context.AfterFunc(running, all.Stop)
				err = r.each(all, handle)
				stop()
				all.Stop()
			}
		}
		if running.Err() != nil {
			return
		}
		r.log.Warn("nats closed a consumer of ours, it is made again", "error", err)
		r.health.doubt()
		if !sleep(running, pause) {
			return
		}
		c, err = again(running)
	}
}

// each returns when the iterator is closed, with the reason.
func (r *router) each(all jetstream.MessagesContext, handle func(jetstream.Msg)) error {
	var before error
	for {
		m, err := all.Next()
		switch {
		case err == nil:
			handle(m)
		case errors.Is(err, jetstream.ErrMsgIteratorClosed), errors.Is(err, nats.ErrConnectionClosed):
			return errors.Join(before, err)
		default:
			before = err
			r.log.Warn("nats hands over no messages", "error", err)
		}
	}
}

// handlePlain takes what comes on the plain subjects: QoS 0 only, the rest comes by the stream.
func (r *router) handlePlain(m *nats.Msg) {
	if qos := m.Header.Get(qosHeader); qos != "" && qos[0] != '0' {
		return
	}
	p, ok := r.understand(m.Subject, m.Data, "", time.Now())
	if !ok {
		return
	}
	r.show(p)
	select {
	case r.queue <- p:
	default:
		if n := r.lost.Add(1); n&(n-1) == 0 { // at 1, 2, 4, 8 ... so that a flood does not flood the log too
			r.log.Warn("QoS 0 publishes are dropped, the record is too slow", "dropped", n)
		}
	}
}

func (r *router) dropped() uint64 {
	n := r.lost.Load()
	if missed, err := r.plain.Dropped(); err == nil {
		n += uint64(missed)
	}
	return n
}

func (r *router) watch(m jetstream.Msg) {
	if meta, err := m.Metadata(); err == nil {
		r.shown = meta.Sequence.Stream
	}
	if m.Subject() == streamPrefix+probeSubject {
		r.probes.came(string(m.Data()))
	}
	if p, ok := r.stored(m); ok {
		r.show(p)
	}
}

// stored makes messages of a publish that nats has stored.
func (r *router) stored(m jetstream.Msg) (routed, bool) {
	meta, err := m.Metadata()
	if err != nil || m.Subject() == streamPrefix+probeSubject {
		return routed{}, false
	}
	p, ok := r.understand(strings.TrimPrefix(m.Subject(), streamPrefix), m.Data(), r.id(meta.Sequence.Stream), meta.Timestamp)
	p.stored, p.sequence = m, meta.Sequence.Stream
	return p, ok
}

// id names a stored publish, the same again whenever it is handed over again.
func (r *router) id(sequence uint64) string {
	return strconv.FormatInt(r.created.UnixNano(), 36) + "-" + strconv.FormatUint(sequence, 36)
}

// understand normalises a publish. A fault in there costs this one message, and says so.
func (r *router) understand(subject string, payload []byte, id string, at time.Time) (p routed, ok bool) {
	from, ok := senderOf(subject)
	if !ok {
		r.log.Error("a publish has an impossible subject", "subject", subject)
		return routed{}, false
	}
	defer func() {
		if caught := recover(); caught != nil {
			r.panics.Add(1)
			r.log.Error("a message hit a fault", "topic", from.topic(), "fault", caught, "stack", string(debug.Stack()))
			p, ok = routed{}, false
		}
	}()
	who, known := r.sender(from)
	origin := message.Origin{Topic: from.topic(), Source: who.String(), Entity: who.Entity, ID: id, Received: at}
	all := r.normalise(payload, origin, func(name string) bool { return r.keys.Known(from.account, name) })
	return routed{account: from.account, messages: all, unclaimed: !known}, true
}

// unknownName is the entity of a sender whose key is not in the list any more: nobody answers for what it says.
const unknownName = "unknown"

func (r *router) sender(from sender) (who access.Subject, known bool) {
	if from.key == access.OperatorName {
		return access.Subject{Account: from.account, Region: from.region, Entity: access.OperatorName}, true
	}
	if who, known = r.keys.Subject(from.account, from.key); known {
		return who, true
	}
	return access.Subject{Account: from.account, Region: from.region, Entity: unknownName}, false
}

// show hands a publish to those who watch now.
func (r *router) show(p routed) {
	for _, m := range p.messages {
		r.listeners.tell(m.Topic, m)
		for _, to := range r.addressees(p, m) {
			r.listeners.tell(to, m)
		}
	}
}

// addressees are the topics m is to be delivered on. A message that has been through too many routers goes nowhere any more,
// nor does one whose sender is not known.
func (r *router) addressees(p routed, m message.Message) []string {
	if m.For == "" || m.Hops > maxHops || p.unclaimed {
		return nil
	}
	var topics []string
	for _, g := range r.keys.Addressees(p.account, m.For) {
		topics = append(topics, g.Subject.MessagesTopic(g.KeyID))
	}
	return topics
}

// stop lets the recorder finish what is in its hands and ends every goroutine of the router.
func (r *router) stop(ctx context.Context) error {
	if r.stopped.Swap(true) {
		return nil
	}
	defer r.abandon()
	drained := r.plain.StatusChanged(nats.SubscriptionClosed)
	if r.plain.Drain() == nil {
		select {
		case <-drained:
		case <-ctx.Done():
		}
	}
	r.halt()
	cut := context.AfterFunc(ctx, r.abandon)
	defer cut()
	r.running.Wait()
	return errors.Join(ctx.Err(), r.engine.conn.FlushTimeout(time.Second))
}
