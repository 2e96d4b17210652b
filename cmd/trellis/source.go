package main

import (
	"context"

	"trellis/broker"
	"trellis/message"
	"trellis/mqttproxy"
)

// source lets the hub stand on the broker inside this binary.
type source struct {
	broker *broker.Broker
	*keeping
}

// Subscribe hands every routed message on. Only readings on their sender's own topic are remembered for those who join later.
func (s source) Subscribe(deliver func(mqttproxy.Message)) (stop func()) {
	return s.broker.Subscribe(func(topic string, m message.Message) {
		out := mqttproxy.Message{Topic: topic, Payload: m.Payload}
		if m.About != "" && topic == m.Topic {
			_, found := m.Heard()
			out.Parts = parts(m.About, found)
		}
		deliver(out)
	})
}

// Publish hands a page's message to the broker and returns when it is as safe as its quality of service asks.
func (s source) Publish(ctx context.Context, topic string, payload []byte, qos byte) error {
	return s.broker.Publish(ctx, topic, payload, qos)
}

// State of a broker in the same program: there is no link that could be down.
func (s source) State() mqttproxy.State { return mqttproxy.State{} }

func parts(about string, readings []message.Reading) []string {
	names := make([]string, len(readings))
	for i, r := range readings {
		names[i] = about + "\x00" + r.Name
	}
	return names
}
