package mqttproxy

import (
	"context"
	"time"
)

// Source is the one interface upward: where messages come from and go to. The broker inside makes it true, or a session
// with another broker.
type Source interface {
	// Subscribe has every message handed to deliver, those of one sender and one quality of service in order; deliver does
	// not block. It may still be called once or twice while stop returns.
	Subscribe(deliver func(Message)) (stop func())
	// Publish sends a page's message. At QoS 1 it returns nil only when the message is safe.
	Publish(ctx context.Context, topic string, payload []byte, qos byte) error
	// State tells how the link to the broker is. It must be cheap: it is asked several times a second.
	State() State
}

// State is how the link between this server and its broker is, as told to the page.
type State struct {
	Down  bool
	Since time.Time // when it became so; zero if that is not known
}
