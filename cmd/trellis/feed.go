package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"trellis/access"
	"trellis/history"
	"trellis/message"
	"trellis/mqttproxy"
)

// feed is the way of what somebody else's broker brings: understood, recorded, and then shown.
type feed struct {
	links *mqttproxy.Uplinks
	store *history.Store
	log   *slog.Logger
	kept  *keeping

	failing atomic.Bool   // the last messages could not be recorded
	panics  atomic.Uint64 // messages that hit a fault of ours and were given up alone

	mu      sync.Mutex
	deliver func(mqttproxy.Message)
}

// Subscribe hands on what the links bring.
func (f *feed) Subscribe(deliver func(mqttproxy.Message)) (stop func()) {
	f.hear(deliver)
	return func() { f.hear(nil) }
}

func (f *feed) hear(deliver func(mqttproxy.Message)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deliver = deliver
}

// taking gives the links a way to hand on what they bring. A fault of ours in understanding or showing one message costs that one, and says so;
// one in sifting has all of them taken for new.
func (f *feed) taking(understand func(mqttproxy.Arrival) []message.Message, sift func(context.Context, []mqttproxy.Arrival, [][]message.Message) error) func(context.Context, []mqttproxy.Arrival) error {
	return func(ctx context.Context, came []mqttproxy.Arrival) error {
		each := make([][]message.Message, len(came))
		for i, a := range came {
			each[i] = f.understood(a, understand)
		}
		err := error(nil)
		if sift != nil {
			err = f.sifted(ctx, came, each, sift)
		}
		var all []message.Message
		for _, messages := range each {
			all = append(all, messages...)
		}
		if err == nil {
			err = f.kept.record(ctx, all)
		}
		if !errors.Is(err, context.Canceled) { // a link that ends in the middle says nothing of the record
			f.failing.Store(err != nil)
		}
		if err == nil {
			f.show(all)
		}
		return err
	}
}

func (f *feed) understood(a mqttproxy.Arrival, understand func(mqttproxy.Arrival) []message.Message) (all []message.Message) {
	defer f.survive(slog.String("topic", a.Topic))
	return understand(a)
}

func (f *feed) sifted(ctx context.Context, came []mqttproxy.Arrival, each [][]message.Message, sift func(context.Context, []mqttproxy.Arrival, [][]message.Message) error) (err error) {
	defer f.survive(slog.Int("messages", len(came)))
	return sift(ctx, came, each)
}

// survive keeps a fault of ours from ending the process: what a broker keeps comes again, and would end it after each start.
func (f *feed) survive(over slog.Attr) {
	if caught := recover(); caught != nil {
		f.panics.Add(1)
		f.log.Error("a message hit a fault", over, "fault", caught, "stack", string(debug.Stack()))
	}
}

// show hands messages to the pages, which may have gone: what is recorded is there when they come back.
func (f *feed) show(all []message.Message) {
	f.mu.Lock()
	deliver := f.deliver
	f.mu.Unlock()
	if deliver == nil {
		return
	}
	for _, m := range all {
		f.showOne(m, deliver)
	}
}

func (f *feed) showOne(m message.Message, deliver func(mqttproxy.Message)) {
	defer f.survive(slog.String("topic", m.Topic))
	out := mqttproxy.Message{Topic: m.Topic, Payload: m.Payload}
	if m.About != "" {
		_, found := m.Heard()
		out.Parts = parts(m.About, found)
	}
	deliver(out)
}

// healthy says why messages are not taken now, or nil. That a link is down is its page's concern: there may be many.
func (f *feed) healthy() error {
	if f.failing.Load() {
		return errors.New("messages cannot be recorded")
	}
	return nil
}

// Recording tells a page whether what it sees is recorded. What is not recorded is not shown either: it waits with the broker.
func (f *feed) Recording(g access.Grant) mqttproxy.Recording {
	now := f.kept.Recording(g)
	now.Still = now.Why != ""
	return now
}

func (f *feed) losses() (dropped, panics uint64) { return f.links.Stats().Dropped, f.panics.Load() }

// Close ends the links. The broker keeps what comes at QoS 1 for them until the next start.
func (f *feed) Close(ctx context.Context) error {
	if err := f.links.Close(ctx); err != nil {
		return fmt.Errorf("close the links: %w", err)
	}
	return nil
}
