package broker

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// probes are messages of our own that are on their way through the broker.
type probes struct {
	mu      sync.Mutex
	waiting map[string]chan struct{} // by what they say
}

func (p *probes) expect(mark string) (back <-chan struct{}, forget func()) {
	came := make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == nil {
		p.waiting = map[string]chan struct{}{}
	}
	p.waiting[mark] = came
	return came, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.waiting, mark)
	}
}

// came tells whoever waits for this one. The health's own probes say nothing, and nobody waits for them.
func (p *probes) came(mark string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if back, expected := p.waiting[mark]; expected {
		close(back)
		delete(p.waiting, mark)
	}
}

// Probe sends a message of our own the way of a device's: stored by nats and handed back to whoever watches. It gives how
// long that took. Nobody else is shown the message, and it is not recorded.
func (b *Broker) Probe(ctx context.Context) (time.Duration, error) {
	mark := rand.Text()
	back, forget := b.router.probes.expect(mark)
	defer forget()
	began := time.Now()
	if err := b.engine.probe(ctx, mark); err != nil {
		b.health.doubt()
		return 0, fmt.Errorf("store a probe: %w", err)
	}
	select {
	case <-back:
		return time.Since(began), nil
	case <-ctx.Done():
		b.health.doubt()
		return 0, fmt.Errorf("wait for a probe to come back: %w", ctx.Err())
	}
}

// probe has nats store a message that says nothing but this.
func (e *engine) probe(ctx context.Context, mark string) error {
	m := nats.NewMsg(streamPrefix + probeSubject)
	m.Data = []byte(mark)
	_, err := e.js.PublishMsg(ctx, m, jetstream.WithExpectStream(stream))
	return err
}
