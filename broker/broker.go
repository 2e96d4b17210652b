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
	"sync/atomic"
	"time"

	"trellis/access"
	"trellis/message"
)

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
	Limits    Limits
	Log       *slog.Logger // nil discards
}

// Broker is a running broker. It is safe for use by many goroutines.
type Broker struct {
	limits Limits
	keys   Keys
	log    *slog.Logger

	engine *engine
	router *router
	door   *register

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
	Undeliverable uint64 // messages too large to be delivered once normalised
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
	e, err := startEngine(c.Dir, c.SyncEvery, c.Limits, c.Log)
	if err != nil {
		return nil, fmt.Errorf("open broker: %w", err)
	}
	b := &Broker{limits: c.Limits, keys: c.Keys, log: c.Log, engine: e, door: newRegister(c.Limits)}
	if err := e.wake(ctx); err != nil {
		e.close()
		return nil, fmt.Errorf("open broker: %w", err)
	}
	b.router, err = startRouter(ctx, e, c, normalise, &b.counts.panics)
	if err != nil {
		e.close()
		return nil, fmt.Errorf("open broker: %w", err)
	}
	return b, nil
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
	if err := b.router.publish(ctx, topic, payload, qos); err != nil {
		return fmt.Errorf("publish on %q: %w", topic, err)
	}
	return nil
}

// EndKey ends the live sessions of a key that was revoked or has expired. No will of theirs fires.
func (b *Broker) EndKey(jti string) {
	b.ended.Add(1)
	for _, v := range b.door.ofKey(jti) {
		v.end(ErrKeyEnded)
	}
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
	}
}

// Close ends every connection without firing wills, lets the router finish what it holds and stops nats.
// What is not finished when ctx ends stays on disk for the next Open.
func (b *Broker) Close(ctx context.Context) error {
	for _, v := range b.door.close() {
		v.end(ErrStopping)
	}
	err := b.door.wait(ctx)
	if stopErr := b.router.stop(ctx); err == nil {
		err = stopErr
	}
	b.engine.close()
	if err != nil {
		return fmt.Errorf("close broker: %w", err)
	}
	return nil
}
