// Package broker is the MQTT broker inside the binary: an embedded nats-server with JetStream on disk, a gate in front
// of it and a router behind it.
//
// The gate lets nobody in without a key and hands nats no packet that it has not checked. The router makes messages out
// of what devices publish, has them recorded and delivers them to whom they name. Nothing here speaks HTTP and nothing
// here listens on a public port by itself: connections are handed in.
//
// Start at [Open], then [Broker.ServeConn] for the gate and router.go for the way of a message.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"trellis/access"
	"trellis/message"
)

// ErrFull says that the disk has no room for more.
var ErrFull error = errFull{}

type errFull struct{}

func (errFull) Error() string { return "the disk is full" }

// Untaken says that nothing of a message was taken.
func (errFull) Untaken() bool { return true }

// Sentence says it to whoever pressed something.
func (errFull) Sentence() string {
	return "This page's server cannot record now: its disk is full. Nothing was sent."
}

// ErrUnsynced says that the disk has failed to keep what was written, so that nothing more is taken until a new start.
var ErrUnsynced error = errUnsynced{}

type errUnsynced struct{}

func (errUnsynced) Error() string { return "the disk failed to keep what was written" }

// Untaken says that nothing of a message was taken.
func (errUnsynced) Untaken() bool { return true }

// Sentence says it to whoever pressed something.
func (errUnsynced) Sentence() string {
	return "This page's server cannot record now: its disk failed. Nothing was sent."
}

// ErrClosed says that the broker has been closed or is closing.
var ErrClosed = errors.New("broker is closed")

// Keys is what the broker asks about API keys and those who hold them.
type Keys interface {
	Verify(token string) (access.Grant, error)
	Known(account, name string) bool
	Addressees(account, name string) []access.Grant
	Subject(account, jti string) (access.Subject, bool)
}

// Config says how a Broker behaves. Dir, Keys and Record are required.
type Config struct {
	Dir       string        // where JetStream keeps its files
	SyncEvery time.Duration // how long an acknowledged message may wait for its sync; 0 syncs before every acknowledgement
	Keys      Keys
	Record    func(context.Context, []message.Message) error // returns when they are safe; seen IDs are ignored
	Room      func() error                                   // nil, or why nothing more may be stored, such as [ErrFull]; asked before each message. nil: there always is room
	Lost      func(topic string)                             // is told of every QoS 0 publish that will not be recorded; nil: nobody is. It must not block
	Limits    Limits
	Log       *slog.Logger // nil discards
}

// Broker is a running broker. It is safe for use by many goroutines.
type Broker struct {
	limits Limits
	keys   Keys
	log    *slog.Logger

	engine    *engine
	router    *router
	door      *register
	lasting   *lasting
	health    *health
	keeper    *keeper
	hold      *hold
	strangers *strangers

	background *background

	ended  atomic.Uint64 // how many times EndKey was called; see admit
	counts counts
}

// counts are the numbers behind [Stats].
type counts struct{ accepted, refused, panics atomic.Uint64 }

// Stats are numbers for a metrics page. All but Connections only grow.
type Stats struct {
	Connections   int    // sessions that are live now
	Accepted      uint64 // sessions ever
	Refused       uint64 // connections turned away at the gate, or cut for breaking a rule
	Panics        uint64 // connections or messages that hit a fault of ours and were given up alone
	DroppedQoS0   uint64 // QoS 0 publishes that could not be recorded and delivered because the record was too slow
	Undeliverable uint64 // deliveries given up: too large once normalised, or not stored within half a minute
	Unclaimed     uint64 // messages dropped because the store was full of what waited for absent sessions
}

// Open starts the broker on its folder. What was accepted before the last stop and not yet recorded is recorded and
// delivered before Open returns, so that whoever reads the record afterwards sees all of it.
func Open(ctx context.Context, c Config) (*Broker, error) { return open(ctx, c, message.Normalise) }

// normaliser is message.Normalise; tests put a simpler one in its place.
type normaliser func(payload []byte, from message.Origin, known func(string) bool) []message.Message

func open(ctx context.Context, c Config, normalise normaliser) (*Broker, error) {
	if c.Dir == "" || c.Keys == nil || c.Record == nil {
		return nil, errors.New("open broker: Dir, Keys and Record must be given")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Limits = c.Limits.withDefaults()
	h := newHealth(c.Dir, c.Log)
	e, err := startBounded(ctx, c, h)
	if err != nil {
		return nil, fmt.Errorf("open broker: %w", err)
	}
	h.publish = func(ctx context.Context) error { return e.probe(ctx, "") }
	h.bound(c.Room)
	b := &Broker{
		limits: c.Limits, keys: c.Keys, log: c.Log, engine: e, door: newRegister(c.Limits), health: h, hold: newHold(h.takes),
		strangers: &strangers{log: c.Log},
		keeper:    &keeper{engine: e, log: c.Log, doubt: h.doubt, most: messageBytes(c.Limits)},
	}
	if err := b.begin(ctx, c, normalise); err != nil {
		_ = e.close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("open broker: %w", err)
	}
	return b, nil
}

// begin brings the engine to life.
func (b *Broker) begin(ctx context.Context, c Config, normalise normaliser) (err error) {
	if err := b.engine.wake(ctx); err != nil {
		return err
	}
	if err := b.engine.bound(ctx, c.Limits); err != nil { // those that wake has made
		return err
	}
	if b.lasting, err = learnSessions(ctx, b.engine, c.Limits); err != nil {
		return err
	}
	if b.router, err = startRouter(ctx, b.engine, c, normalise, b.health, b.hold, &b.counts.panics); err != nil {
		return err
	}
	b.health.slow = b.hold.slow
	b.health.revive = func() error {
		defer b.hold.cut()
		defer b.router.renew() // what nats knew of our consumers is gone
		return b.engine.revive()
	}
	b.background = startBackground(b.health.run, b.keeper.run, b.strangers.run, b.hold.run)
	return nil
}

// background is what runs beside the messages until the broker closes.
type background struct {
	halt    context.CancelFunc
	running sync.WaitGroup
}

func startBackground(all ...func(context.Context)) *background {
	ctx, halt := context.WithCancel(context.Background())
	g := &background{halt: halt}
	for _, one := range all {
		g.running.Go(func() { one(ctx) })
	}
	return g
}

func (g *background) stop() {
	g.halt()
	g.running.Wait()
}

// Subscribe has every routed message handed to deliver: once on the topic it was published on, and once on the messages
// topic of every key it is addressed to. A message may come again after a crash, with the same ID. deliver must not block.
func (b *Broker) Subscribe(deliver func(topic string, m message.Message)) (stop func()) {
	return b.router.listeners.add(deliver)
}

// Publish sends as if the holder of topic's name had published. At QoS 1 it returns when the message is safe on disk.
func (b *Broker) Publish(ctx context.Context, topic string, payload []byte, qos byte) error {
	if len(payload) > b.limits.MaxPacket {
		return fmt.Errorf("publish on %q: %w", topic, ErrPacketTooLarge)
	}
	if err := b.health.takes(); err != nil && qos > 0 {
		return fmt.Errorf("publish on %q: %w", topic, err)
	}
	if err := b.router.publish(ctx, topic, payload, qos); err != nil {
		return fmt.Errorf("publish on %q: %w", topic, err)
	}
	return nil
}

// EndKey ends the live sessions of a key that was revoked or has expired. No will of theirs fires.
func (b *Broker) EndKey(jti string) {
	b.ended.Add(1)
	endAll(b.door.ofKey(jti), ErrKeyEnded)
}

// Stats gives the numbers as they are now.
func (b *Broker) Stats() Stats {
	return Stats{
		Connections:   b.door.live(),
		Accepted:      b.counts.accepted.Load(),
		Refused:       b.counts.refused.Load(),
		Panics:        b.counts.panics.Load(),
		DroppedQoS0:   b.router.dropped(),
		Undeliverable: b.router.undeliverable.Load(),
		Unclaimed:     b.keeper.dropped.Load(),
	}
}

// Close ends every connection without firing wills, lets the router finish what it holds and stops nats.
// What is not finished when ctx ends stays on disk for the next Open; nats may still be stopping then, and a second call
// of Close waits for that. Until nats has stopped the folder cannot be opened again.
func (b *Broker) Close(ctx context.Context) error {
	endAll(b.door.close(), ErrStopping)
	err := b.door.wait(ctx)
	b.background.stop()
	if stopErr := b.router.stop(ctx); err == nil {
		err = stopErr
	}
	err = errors.Join(err, b.engine.close(ctx))
	if err != nil {
		return fmt.Errorf("close broker: %w", err)
	}
	return nil
}
