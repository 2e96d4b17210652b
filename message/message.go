// Package message knows what a message looks like: the documented envelope, what we add to it on its way,
// and the readings (numbers and words) inside its data.
//
// Start at [Normalise]; [Readings] takes the values out of a message's data.
package message

import (
	"bytes"
	"encoding/json"
	"time"
)

// Origin is what the router knows of a publish before it looks inside.
type Origin struct {
	Topic    string    // the MQTT topic it was published on
	Source   string    // path of the sender, `account:region:entity`
	Entity   string    // entity of the sender
	ID       string    // names the publish; the same again when it is delivered again. Empty for QoS 0
	Received time.Time // when it reached this server
	Kept     bool      // its broker had kept it since nobody knows when

	// Hearer is the entity at whose door the message was heard, when that is all that is known of its way: another service's broker
	// has brought it. Source and Entity are then what the envelope itself says of its sender.
	Hearer Hearer
}

// Message is one normalised message.
type Message struct {
	Origin
	Type      string          // msg_type
	Data      json.RawMessage // any JSON
	Tags      []string
	Timestamp time.Time // the sender's, or Received
	For       string    // entity or dest as the sender wrote it: who or what it names; empty if nobody
	Hops      int       // how many times it has been through a router
	About     string    // the entity whose readings these are; empty when the message is addressed to somebody
	Payload   []byte    // the envelope as it is delivered and recorded, JSON

	readings func() []Reading // of Data, taken out when they are first asked for; nil in a message that was not made here
}

// Heard gives a message's readings and says of when they are, as [Delivered] does of its payload. They are taken out once, whoever asks
// however often: its screens and its record need the same.
func (m *Message) Heard() (at time.Time, readings []Reading) {
	if m.readings != nil {
		at, readings = measured(m.Timestamp.UTC().Truncate(time.Millisecond), m.Received.UTC().Truncate(time.Millisecond)), m.readings()
	} else if at, readings = Delivered(m.Payload); readings == nil {
		readings = Readings(m.Data) // nothing in the envelope may hide what the data say
	}
	if at.IsZero() {
		at = m.Received
	}
	return at, readings
}

// Hearer is an entity by both its names; the zero value is nobody.
type Hearer struct{ Entity, Path string }

func (h Hearer) is(name string) bool { return name != "" && (name == h.Entity || name == h.Path) }

// Bytes of memory that a message takes beside its texts, and each of its readings at most.
const (
	messageBytes = 640
	readingBytes = 48 + maxNameLen
)

// Weight is how many bytes of memory a message may take, its readings included, whether they have been taken out or not.
func (m *Message) Weight() int {
	n := messageBytes + len(m.Topic) + len(m.Source) + len(m.ID) + cap(m.Payload) + 2*cap(m.Data)
	for _, tag := range m.Tags {
		n += 16 + len(tag)
	}
	return n + readingBytes*min(MaxReadings, 1+bytes.Count(m.Data, []byte{','}))
}
