// Package message knows what a message looks like: the documented envelope, what we add to it on its way,
// and the readings (numbers and words) inside its data.
//
// Start at [Normalise]; [Readings] takes the values out of a message's data.
package message

import (
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
}

// Hearer is an entity by both its names; the zero value is nobody.
type Hearer struct{ Entity, Path string }

func (h Hearer) is(name string) bool { return name != "" && (name == h.Entity || name == h.Path) }
