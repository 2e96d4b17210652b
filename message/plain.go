package message

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"sync"
	"unicode/utf8"
)

// Plain makes one message of what a broker that knows no envelopes has brought. What it is about says the topic alone, as from.Entity: a
// payload may say of itself what it likes. A bare number, word or truth is the reading of this name; empty means "value".
// A documented envelope is taken apart all the same.
func Plain(payload []byte, from Origin, reading string) Message {
	r := plainReader()
	about := from.Entity
	switch {
	case !utf8.Valid(payload):
		r.bare(payload)
		about = "" // bytes are nothing to put on a card
	case enveloped(payload):
		r = read(payload)
		if r.dest != "" {
			about = "" // meant for somebody
		}
	default:
		r.bare(payload)
		r.data = named(r.data, reading)
	}
	m := Message{Origin: from, Type: r.kind, Data: r.data, Tags: r.tags, Timestamp: r.when, For: r.dest, About: about, Hops: 1}
	if m.Timestamp.IsZero() {
		m.Timestamp = from.Received
	}
	return r.finish(m, from.Entity)
}

// TooLong makes a message of one that had more bytes than are kept.
func TooLong(size int, from Origin) Message {
	r := plainReader()
	r.data = json.RawMessage("null")
	r.context["envelope"] = false
	r.note("%d bytes came, which is more than is kept", size)
	m := Message{Origin: from, Type: r.kind, Data: r.data, Tags: r.tags, Timestamp: from.Received, Hops: 1}
	return r.finish(m, from.Entity)
}

func plainReader() reader {
	return reader{kind: "publish", tags: []string{}, context: map[string]any{}}
}

// Order makes one message of what a page sends to a device of such a broker: nobody's readings, whomever it names. from.Entity
// is whom it is for, where that is known; else it is what the page says, in For.
func Order(payload []byte, from Origin) Message {
	r := read(payload)
	m := Message{Origin: from, Type: r.kind, Data: r.data, Tags: r.tags, Timestamp: r.when, For: r.dest, Hops: 1}
	m.For = cmp.Or(from.Entity, m.For, r.entity)
	r.context["by"] = "page"
	if m.Timestamp.IsZero() {
		m.Timestamp = from.Received
	}
	return r.finish(m, m.For)
}

// enveloped is stricter than [read]: on a broker of all kinds of devices an object with a member named data is nothing special.
func enveloped(payload []byte) bool {
	var fields struct {
		Type *string         `json:"msg_type"`
		Data json.RawMessage `json:"data"`
	}
	return !tooDeep(payload) && json.Unmarshal(payload, &fields) == nil && fields.Type != nil && fields.Data != nil
}

// named gives a bare value a name, if that is what data is.
func named(data json.RawMessage, reading string) json.RawMessage {
	if found := Readings(data); reading == "" || len(found) != 1 || found[0].Name != "value" || data[0] == '{' {
		return data
	}
	if len(reading) > maxNameLen {
		return data
	}
	return bytes.Join([][]byte{[]byte("{"), quote(reading), []byte(":"), data, []byte("}")}, nil)
}

// finish gives a message its delivered envelope, and its readings to whoever will ask.
func (r reader) finish(m Message, entity string) Message {
	if m.About != "" {
		r.context["about"] = m.About
	}
	r.context["hops"] = m.Hops
	r.context["received"] = stamp(m.Received)
	if m.Kept {
		r.note("the broker had kept this; it may be older than it looks")
	}
	if len(r.notes) > 0 {
		r.context["notes"] = r.notes
	}
	m.Payload = encode(envelope{
		Type: m.Type, Data: m.Data, Tags: m.Tags, Timestamp: stamp(m.Timestamp), Entity: entity, Dest: r.dest, Source: m.Source, Context: r.context,
	})
	data := m.Data
	m.readings = sync.OnceValue(func() []Reading { return Readings(data) })
	return m
}

// Text is a message's data as a device that knows no envelopes is sent it: text as it is, everything else as JSON.
func (m Message) Text() []byte {
	var s string
	if json.Unmarshal(m.Data, &s) == nil && len(m.Data) > 0 && m.Data[0] == '"' {
		return []byte(s)
	}
	return m.Data
}

// Said takes the data out of a delivered envelope.
func Said(payload []byte) (json.RawMessage, error) {
	var e struct{ Data json.RawMessage }
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, fmt.Errorf("read what was delivered: %w", err)
	}
	return e.Data, nil
}
