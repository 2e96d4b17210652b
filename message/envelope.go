package message

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// reader is what an envelope says, with a note for everything in it that could not be taken as it was.
type reader struct {
	kind    string
	data    json.RawMessage
	tags    []string
	when    time.Time
	entity  string
	dest    string
	source  string // what the envelope says of its sender: believed only of what another service delivers
	hops    int
	context map[string]any
	notes   []string
}

// read takes an envelope apart. What is not an envelope becomes the data of one, marked "no envelope".
func read(payload []byte) reader {
	r := reader{kind: "publish", tags: []string{}, context: map[string]any{}}
	if tooDeep(payload) {
		r.note("nested deeper than %d levels; kept as text", maxDepth)
		r.bare(payload)
		return r
	}
	if !utf8.Valid(payload) || !json.Valid(payload) {
		r.bare(payload)
		return r
	}
	fields := membersOf(payload)
	data, hasData := fields["data"]
	_, hasType := fields["msg_type"]
	if !hasData && !hasType {
		r.bare(payload)
		return r
	}
	r.data = compact(data)
	if !hasData {
		r.data = json.RawMessage("null")
		r.note("data is missing")
	}
	if hasType {
		r.text(fields, "msg_type", &r.kind)
	} else {
		r.context["envelope"] = false
	}
	r.text(fields, "entity", &r.entity)
	r.text(fields, "dest", &r.dest)
	r.readSource(fields["source"])
	r.time(fields["timestamp"])
	r.addTags(fields["tags"], "tags")
	r.readContext(fields["context"])
	return r
}

// bare keeps a payload that has no envelope: JSON as it is, everything else as text.
func (r *reader) bare(payload []byte) {
	r.context["envelope"] = false
	if utf8.Valid(payload) && json.Valid(payload) && !tooDeep(payload) {
		r.data = compact(payload)
		return
	}
	data, note := asText(payload)
	r.data = data
	if note != "" {
		r.note("%s", note)
	}
}

// compact takes the white space out and leaves numbers and text to the letter as they were sent.
func compact(data json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, data) != nil {
		return data
	}
	return b.Bytes()
}

func (r *reader) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// text reads a member that should be a string or null.
func (r *reader) text(fields map[string]json.RawMessage, name string, into *string) {
	raw, there := fields[name]
	if !there || string(raw) == "null" {
		return
	}
	s, is := textOf(raw)
	switch {
	case !is:
		r.note("%s is not text and was left out", name)
	case len(s) > maxNameText:
		r.note("%s is longer than %d bytes and was left out", name, maxNameText)
	case s != "":
		*into = s
	}
}

// readSource takes no note of a source that is none: a device need not send one.
func (r *reader) readSource(raw json.RawMessage) {
	if s, is := textOf(raw); is && len(s) <= maxNameText && utf8.ValidString(s) {
		r.source = s
	}
}

// time reads ISO 8601 with 0 to 9 fraction digits, `Z` or an offset; the hour of arrival stands in for anything else.
func (r *reader) time(raw json.RawMessage) {
	if len(raw) == 0 || string(raw) == "null" {
		return
	}
	if s, is := textOf(raw); is {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00"} {
			if t, err := time.Parse(layout, s); err == nil && t.UTC().Year() > 0 && t.UTC().Year() < 10000 {
				r.when = t.UTC()
				return
			}
		}
	}
	r.note("timestamp is not ISO 8601; the time of arrival stands in for it")
}

// readContext keeps the sender's own members; tags in it count as tags, entity as entity, hops as the way behind it.
func (r *reader) readContext(raw json.RawMessage) {
	if len(raw) == 0 || string(raw) == "null" {
		return
	}
	fields := membersOf(raw)
	if fields == nil {
		r.note("context is not an object and was left out")
		return
	}
	for name, value := range fields {
		switch strings.ToLower(name) { // in any writing: some readers do not look at it
		case "tags", "about", "envelope", "notes", "received": // ours, or read below
		case "hops":
			var n int
			if json.Unmarshal(value, &n) == nil && n > 0 {
				r.hops = min(n, 1000)
			}
		case "entity":
			if r.entity == "" {
				r.text(fields, "entity", &r.entity)
			}
		default:
			r.context[name] = value
		}
	}
	r.addTags(fields["tags"], "context.tags")
}

// addTags takes tags one by one, so that a list of 100,000 costs no more than ten.
func (r *reader) addTags(raw json.RawMessage, name string) {
	if len(raw) == 0 || string(raw) == "null" {
		return
	}
	if raw[0] != '[' {
		r.note("%s is not a list and was left out", name)
		return
	}
	list := scanner{data: raw, at: 1}
	for list.next() != ']' {
		if list.data[list.at] == ',' {
			list.at++
		}
		tag, isText := "", list.next() == '"'
		if isText {
			tag = list.text()
		}
		switch {
		case !isText || tag == "" || len(tag) > maxTagLen:
			r.note("%s: each must be text of 1 to %d bytes; the rest was left out", name, maxTagLen)
			return
		case slices.Contains(r.tags, tag):
		case len(r.tags) == MaxTags:
			r.note("only the first %d tags were kept", MaxTags)
			return
		default:
			r.tags = append(r.tags, tag)
		}
	}
}

// textOf takes a string out of JSON. What is null is an empty one, as encoding/json has it.
func textOf(raw json.RawMessage) (text string, is bool) {
	if text, plain := plainText(raw); plain {
		return text, true
	}
	return text, json.Unmarshal(raw, &text) == nil
}
