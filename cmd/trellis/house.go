package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"trellis/access"
	"trellis/message"
	"trellis/mqttproxy"
)

// Topics of our own pages in front of any broker. They are none of its topics, which begin with $trellis only if somebody named them so.
const (
	sendTopic = "$trellis/send/" // and who sends: where a page puts what it sends
	sentTopic = "$trellis/sent/" // and whom it was for: where everybody is shown it
)

// house lets the hub stand on any broker by one login for everybody. What comes is about whom its topic names; what pages send is
// put where the device listens.
type house struct {
	feed
	topics access.Templates
	send   *access.Template // nil: nothing can be sent
	owner  access.Subject   // the operator
	keys   *access.Keys
}

// operatorGrant lets the operator hear everything that this server hears.
func (h *house) operatorGrant(until time.Time) access.Grant {
	g := access.OperatorGrant(h.owner.Account, h.owner.Region, until)
	g.Subscribe, g.Publish = append(h.topics.Filters(), sentTopic+"+"), nil
	if h.send != nil {
		g.Publish = []string{sendTopic + access.OperatorName}
	}
	return g
}

// keyTopics are those of the key's entity alone.
func (b *otherBroker) keyTopics(sub access.Subject, keyID string) (subscribe, publish []string) {
	subscribe = append(b.topics.Of(sub.Entity), sentTopic+sub.Entity)
	if b.send != nil {
		publish = []string{sendTopic + keyID}
	}
	return subscribe, publish
}

// orderError says why what a page sent goes nowhere.
type orderError struct{ sentence string }

func (e orderError) Error() string { return "nothing was sent: " + e.sentence }

// Final says that another try would be no better.
func (orderError) Final() bool { return true }

// Sentence is for the person who sent it.
func (e orderError) Sentence() string { return e.sentence }

// Publish sends what a page says to the device it is for: the data alone.
func (h *house) Publish(ctx context.Context, topic string, payload []byte, qos byte) error {
	if h.send == nil {
		return orderError{"This server only shows what devices say; it cannot send to them."}
	}
	from, err := h.sender(topic)
	if err != nil {
		return err
	}
	order := message.Order(payload, message.Origin{Received: time.Now()})
	to, err := addressee(from, order.For)
	if err != nil {
		return err
	}
	where, err := h.send.Fill(to)
	if err != nil {
		return orderError{fmt.Sprintf("%q cannot be a device's name: it would not be a part of a topic.", short(to))}
	}
	return h.links.Send(ctx, where, order.Text(), qos, mqttproxy.Arrival{Topic: sentTopic + to, Payload: payload, Subject: from})
}

func short(s string) string {
	if runes := []rune(s); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return s
}

// sender is who owns a topic of ours for sending; the hub has let nobody else write there.
func (h *house) sender(topic string) (access.Subject, error) {
	who := strings.TrimPrefix(topic, sendTopic)
	if who == access.OperatorName {
		return h.owner, nil
	}
	g, err := h.keys.Grant(who)
	if err != nil {
		return access.Subject{}, fmt.Errorf("whose message is this: %w", err)
	}
	return g.Subject, nil
}

// addressee is whom a message is for: for who holds a key nobody but its own entity.
func addressee(from access.Subject, named string) (string, error) {
	named = strings.TrimPrefix(named, from.Account+":"+from.Region+":")
	switch {
	case from.Entity == "" && named == "":
		return "", orderError{"Say which device it is for: write its name into the field entity."}
	case from.Entity == "":
		return named, nil
	case named != "" && named != from.Entity:
		return "", orderError{"With this access key you can send to " + from.Entity + " only."}
	}
	return from.Entity, nil
}

// understand says whom a message is about, by its topic. What comes where orders are sent to is somebody's order, and nobody's reading.
func (h *house) understand(a mqttproxy.Arrival) []message.Message {
	from := message.Origin{Topic: a.Topic, Received: a.At, Kept: a.Retained}
	if a.Sent {
		from.Source, from.Entity = sourceOf(a.Subject), strings.TrimPrefix(a.Topic, sentTopic)
		return []message.Message{message.Order(a.Payload, from)}
	}
	entity, reading, _ := h.topics.Name(a.Topic)
	if !h.orders(a.Topic) {
		from.Entity = entity
	}
	if a.Cut > 0 {
		return []message.Message{message.TooLong(a.Cut, from)}
	}
	return []message.Message{message.Plain(a.Payload, from, reading)}
}

// orders says whether a topic is one where orders are sent to, and not one that devices speak on too.
func (h *house) orders(topic string) bool {
	if h.send == nil {
		return false
	}
	for _, t := range h.topics {
		if t.Filter() == h.send.Filter() {
			return false
		}
	}
	return access.Matches(h.send.Filter(), topic)
}

func sourceOf(s access.Subject) string {
	if s.Entity == "" {
		s.Entity = access.OperatorName
	}
	return s.String()
}

// sift leaves out what the broker had kept and we know already: it comes again with every connection, and would look new.
func (h *house) sift(ctx context.Context, came []mqttproxy.Arrival, each [][]message.Message) error {
	last := map[string][]byte{} // what was said last on each topic, as far as it was asked for or is new
	for i, a := range came {
		if len(each[i]) == 0 {
			continue
		}
		said := []byte(each[i][0].Data)
		if a.Retained {
			before, known := last[a.Topic]
			if !known {
				payload, err := h.store.Last(ctx, a.Topic)
				if err != nil {
					return err
				}
				if payload != nil {
					before, _ = message.Said(payload)
				}
			}
			if before != nil && bytes.Equal(before, said) {
				each[i] = nil
			}
		}
		last[a.Topic] = said
	}
	return nil
}

// Need is nobody's: the one link is held for ever.
func (h *house) Need(access.Grant) (release func()) { return func() {} }

// Ready waits for a connection of the link.
func (h *house) Ready(ctx context.Context, g access.Grant) error { return h.links.Ready(ctx, g) }

// Answers says whether the broker answers on the link.
func (h *house) Answers(ctx context.Context, g access.Grant) error { return h.links.Answers(ctx, g) }

// Cut ends the link's connection.
func (h *house) Cut(g access.Grant) { h.links.Cut(g) }

// StateOf is the one link's, too.
func (h *house) StateOf(g access.Grant) mqttproxy.State { return h.links.StateOf(g) }

// State is the one link's.
func (h *house) State() mqttproxy.State { return h.links.StateOf(access.Grant{}) }

// reach tells how long a connection to the broker takes, while the link is up.
func (h *house) reach(ctx context.Context) (time.Duration, error) {
	if h.links.Stats().Up == 0 {
		return 0, errors.New("there is no link to the broker")
	}
	return h.links.Reach(ctx)
}

// Watch notes when nothing is heard. The keys are our own, and watched as ever.
func (h *house) Watch(ctx context.Context) error {
	return h.noteGaps(ctx, func() []string { return []string{""} }) // whose messages are missing then: everybody's
}
