package message

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of an envelope (tendrl-facts, envelope; the rest are ours).
const (
	MaxTags     = 10
	maxTagLen   = 128
	maxNameText = 256 // entity, dest and msg_type
	maxDepth    = 64  // nesting that we look into; deeper JSON is kept as text
	maxElements = 100 // messages of one array; a longer array is kept as data
)

// Normalise makes messages out of whatever was published: always at least one, never an error, since what
// cannot be understood is kept as it came and marked. known says whether a name belongs to somebody who can be addressed.
func Normalise(payload []byte, from Origin, known func(name string) bool) []Message {
	parts := split(payload)
	out := make([]Message, 0, len(parts))
	for i, part := range parts {
		origin := from
		if from.ID != "" && i > 0 {
			origin.ID = fmt.Sprintf("%s.%d", from.ID, i)
		}
		out = append(out, one(part, origin, known))
	}
	return out
}

// split takes an array of message objects apart; everything else stays one.
func split(payload []byte) [][]byte {
	trimmed := bytes.TrimSpace(payload)
	if len(trimmed) == 0 || trimmed[0] != '[' || tooDeep(trimmed) {
		return [][]byte{payload}
	}
	var elements []json.RawMessage
	if json.Unmarshal(trimmed, &elements) != nil || len(elements) == 0 || len(elements) > maxElements {
		return [][]byte{payload}
	}
	parts := make([][]byte, len(elements))
	for i, e := range elements {
		if e[0] != '{' {
			return [][]byte{payload}
		}
		parts[i] = e
	}
	return parts
}

// one normalises a single message.
func one(payload []byte, from Origin, known func(string) bool) Message {
	r := read(payload)
	if from.Hearer != (Hearer{}) {
		from.Source, from.Entity = r.source, entityOf(r.source)
	}
	m := Message{Origin: from, Type: r.kind, Data: r.data, Tags: r.tags, Timestamp: r.when, Hops: r.hops + 1}
	if m.Timestamp.IsZero() {
		m.Timestamp = from.Received
	}
	addressed := r.dest
	if addressed == "" {
		addressed = r.entity
	}
	m.For = addressed
	m.About = about(r, from, known)
	return r.finish(m, r.entity)
}

// about names the entity whose readings a message holds. A message addressed to somebody else who can hear it is a
// message to them, not a measurement of them: a command must never look like a value that was measured.
func about(r reader, from Origin, known func(string) bool) string {
	switch {
	case from.Hearer != (Hearer{}):
		return aboutHeard(r, from)
	case r.dest != "":
		return ""
	case r.entity == "" || r.entity == from.Entity || r.entity == from.Source:
		return from.Entity
	case known(r.entity):
		return ""
	default:
		return r.entity
	}
}

// aboutHeard is about for a message that another service has delivered: that it is addressed to its hearer is why it came, and says
// nothing. What somebody else tells the hearer are that one's readings; what a person sent, or the hearer itself, are nobody's.
func aboutHeard(r reader, from Origin) string {
	by, _ := r.context["by"].(json.RawMessage)
	switch {
	case from.Entity == "" || from.Hearer.is(from.Entity) || from.Hearer.is(from.Source):
		return ""
	case string(by) == `"page"` || from.Entity == operator:
		return ""
	case r.entity != "" && !from.Hearer.is(r.entity) && r.entity != from.Source:
		return r.entity // a probe behind a gateway
	}
	return from.Entity
}

// operator is who has no entity of his own.
const operator = "operator"

// entityOf is the last part of a sender's path, which may hold colons itself.
func entityOf(source string) string {
	if parts := strings.SplitN(source, ":", 3); len(parts) == 3 {
		return parts[2]
	}
	return source
}

// stamp writes a time as the documented envelope has it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// asText keeps bytes that are not JSON: as text when they are text, in base64 otherwise.
func asText(payload []byte) (data json.RawMessage, note string) {
	if utf8.Valid(payload) {
		return quote(string(payload)), ""
	}
	return quote(base64.StdEncoding.EncodeToString(payload)), "the bytes are not text; data holds them in base64"
}

// tooDeep counts nesting without recursion, so that a stranger's brackets cost us nothing.
func tooDeep(b []byte) bool {
	depth, inText, escaped := 0, false, false
	for _, c := range b {
		switch {
		case escaped:
			escaped = false
		case inText && c == '\\':
			escaped = true
		case c == '"':
			inText = !inText
		case inText:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
