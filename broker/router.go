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
	hold       *hold
	log        *slog.Logger
	created    time.Time // of the stream; part of every ID
	listeners  listeners
	probes     probes

	plain   *nats.Subscription // QoS 0 as it comes
	arrived *backlog[arrival]  // QoS 0, waiting to be shown
	queue   *backlog[routed]   // QoS 0, normalised and shown, waiting for the record
	ebbed   chan struct{}      // closed when nothing more will arrive
	seen    chan struct{}      // closed when all of it has been shown
	fetched chan jetstream.Msg // QoS 1 and 2 for the recorder
	owed    []routed           // recorded at the start and to be delivered; owned by the recorder
	done    uint64             // everything up to this sequence has been handled; owned by the recorder
	shown   uint64             // the same of the watcher, and owned by it

	patience time.Duration // how long delivering may hold up the rest; owned by the recorder

	renewing sync.Mutex
	renewed  chan struct{} // closed when our consumers have to be made again
	watching *signal       // given when the watcher is there since

	halt    context.CancelFunc // take nothing new
	abandon context.CancelFunc // leave even what is in hand
	showing sync.WaitGroup     // of QoS 0
	running sync.WaitGroup     // all else
	stopped atomic.Bool

	panics        *atomic.Uint64
	lost          atomic.Uint64
	tellLost      func(topic string)
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

func startRouter(ctx context.Context, e *engine, c Config, normalise normaliser, h *health, hold *hold, panics *atomic.Uint64) (*router, error) {
	working, abandon := context.WithCancel(context.Background())
	running, halt := context.WithCancel(working)
	r := &router{
		engine: e, keys: c.Keys, record: c.Record, normalise: normalise, log: c.Log, panics: panics,
		health: h, hold: hold, patience: deliverWithin, tellLost: c.Lost,
		halt: halt, abandon: abandon,
		maxPayload: int(e.conn.MaxPayload()) - 1024, // room for headers
		arrived:    newBacklog(arrivedBytes, (*arrival).weight), ebbed: make(chan struct{}), seen: make(chan struct{}),
		queue: newBacklog(queuedBytes, (*routed).weight), fetched: make(chan jetstream.Msg, batchSize),
		renewed: make(chan struct{}), watching: newSignal(),
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
	if r.plain, err = r.engine.conn.Subscribe(publishes, r.arrive); err != nil {
		return fmt.Errorf("listen on QoS 0 publishes: %w", err)
	}
	r.plain.SetPendingLimits(-1, arrivedBytes)
	watcher, err := r.watcher(ctx)
	if err != nil {
		return fmt.Errorf("watch stored publishes: %w", err)
	}
	r.watching.give()
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
	r.running.Go(func() { r.follow(running, watcher, r.watcherAgain, r.watch) })
	r.running.Go(func() {
		defer close(r.fetched)
		r.follow(running, recorder, r.recorderAgain, func(m jetstream.Msg) {
			select {
			case r.fetched <- m:
			case <-running.Done():
			}
		})
	})
	go r.showArrived() // until stop
	r.running.Go(func() { r.recordAll(running, working) })
}

// follow hands over what c brings. When nats closes it (the consumer is gone) it makes a new one with again.
func (r *router) follow(running context.Context, c jetstream.Consumer,
	again func(context.Context) (jetstream.Consumer, error), handle func(jetstream.Msg)) {
	var err error
	renewed := r.renewal()
	for pause := retryFirst; ; pause = min(2*pause, retryLongest) {
		if err == nil {
			var all jetstream.MessagesContext
			if all, err = c.Messages(jetstream.PullMaxMessages(fetchAhead)); err == nil {
				err = r.untilRenewed(running, renewed, all, handle)
			}
		}
		if running.Err() != nil {
			return
		}
		if errors.Is(err, errRenewed) {
			pause, renewed = retryFirst, nil
		} else {
			r.log.Warn("nats closed a consumer of ours, it is made again", "error", err)
			r.health.doubt()
		}
		select {
		case <-time.After(pause):
		case <-renewed: // what kept it from being made may be over
			pause = retryFirst
		case <-running.Done():
			return
		}
		renewed = r.renewal() // before it is made: it may be gone the next moment
		c, err = again(running)
	}
}

// errRenewed says that nats has begun anew.
var errRenewed = errors.New("nats has begun anew")

// renew has our consumers made again: nats has begun anew and knows them no more, of which it tells nobody.
func (r *router) renew() {
	r.renewing.Lock()
	defer r.renewing.Unlock()
	close(r.renewed)
	r.renewed, r.watching = make(chan struct{}), newSignal()
}

func (r *router) renewal() <-chan struct{} {
	r.renewing.Lock()
	defer r.renewing.Unlock()
	return r.renewed
}

func (r *router) watcherSignal() *signal {
	r.renewing.Lock()
	defer r.renewing.Unlock()
	return r.watching
}

// watcherAgain makes the watcher after nats has begun anew, and lets the recorder go on.
func (r *router) watcherAgain(ctx context.Context) (jetstream.Consumer, error) {
	there := r.watcherSignal()
	c, err := r.watcher(ctx)
	if err == nil {
		there.give()
	}
	return c, err
}

// recorderAgain waits for the watcher: nats lets go of what nobody waits for, and what was recorded before the watcher is there would not be shown. But
// the record does not wait for ever.
func (r *router) recorderAgain(ctx context.Context) (jetstream.Consumer, error) {
	select {
	case <-r.watcherSignal().given:
	case <-time.After(retryLongest):
	case <-ctx.Done():
	}
	return r.recorder(ctx)
}

// signal is given once.
type signal struct {
	once  sync.Once
	given chan struct{}
}

func newSignal() *signal { return &signal{given: make(chan struct{})} }

func (s *signal) give() { s.once.Do(func() { close(s.given) }) }

// untilRenewed is each, until nats begins anew or running ends.
func (r *router) untilRenewed(running context.Context, renewed <-chan struct{}, all jetstream.MessagesContext, handle func(jetstream.Msg)) error {
	over := make(chan struct{})
	var stopping sync.WaitGroup
	stopping.Go(func() {
		select {
		case <-renewed:
		case <-running.Done():
		case <-over:
		}
		all.Stop()
	})
	err := r.each(all, handle)
	close(over)
	stopping.Wait()
	select {
	case <-renewed:
		return errRenewed
	default:
		return err
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

// arrive takes what comes on the plain subjects: QoS 0 only, the rest comes by the stream. It is quick: what waits for it nats would drop
// without a word of whose it was.
func (r *router) arrive(m *nats.Msg) {
	if qos := m.Header.Get(qosHeader); qos != "" && qos[0] != '0' {
		return
	}
	if r.arrived.put(arrival{m, time.Now()}) {
		return
	}
	if from, ok := senderOf(m.Subject); ok {
		r.lose(from.topic())
	}
}

// showArrived shows what has arrived and leaves it to the record, until nothing more will arrive.
func (r *router) showArrived() {
	defer close(r.seen)
	var some []arrival
	for ebbed := false; ; {
		n := 0
		some = r.arrived.take(some[:0], func(*arrival) bool { n++; return n <= batchSize })
		for _, a := range some {
			r.handlePlain(a)
		}
		clear(some)
		if len(some) > 0 {
			continue
		}
		if ebbed {
			return
		}
		select {
		case <-r.arrived.came:
		case <-r.ebbed:
			ebbed = true
		}
	}
}

func (r *router) handlePlain(a arrival) {
	p, ok := r.understand(a.Subject, a.Data, "", a.at)
	if !ok {
		return
	}
	r.show(p)
	if !r.queue.put(p) {
		r.lose(p.topic())
	}
}

// topic is where it was published; empty where nothing is left of it.
func (p routed) topic() string {
	if len(p.messages) == 0 {
		return ""
	}
	return p.messages[0].Topic
}

// lose counts a QoS 0 publish that is not recorded, and says whose it was.
func (r *router) lose(topic string) {
	if r.tellLost != nil && topic != "" {
		r.tellLost(topic)
	}
	if n := r.lost.Add(1); n&(n-1) == 0 { // at 1, 2, 4, 8 ... so that a flood does not flood the log too
		r.log.Warn("QoS 0 publishes are dropped, the record is too slow", "dropped", n)
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
	close(r.ebbed)
	select {
	case <-r.seen:
	case <-ctx.Done():
	}
	r.halt()
	cut := context.AfterFunc(ctx, r.abandon)
	defer cut()
	r.running.Wait()
	return errors.Join(ctx.Err(), r.engine.conn.FlushTimeout(time.Second))
}
