package message

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// envelope is the delivered form. Field order is the order people read.
type envelope struct {
	Type      string          `json:"msg_type"`
	Data      json.RawMessage `json:"data"`
	Tags      []string        `json:"tags"`
	Timestamp string          `json:"timestamp"`
	Entity    string          `json:"entity,omitempty"`
	Dest      string          `json:"dest,omitempty"`
	Source    string          `json:"source"`
	Context   map[string]any  `json:"context"`
}

// encode writes an envelope as encoding/json does, to the letter, and in a quarter of the time: it is done for every message that comes. It
// cannot fail: every member was either decoded from JSON or is ours.
func encode(e envelope) []byte {
	b := make([]byte, 0, 192+len(e.Data)+len(e.Type)+len(e.Source)+32*len(e.Tags)) // enough for nearly all
	b = appendText(append(b, `{"msg_type":`...), e.Type)
	b = appendRaw(append(b, `,"data":`...), e.Data)
	b = appendTexts(append(b, `,"tags":`...), e.Tags)
	b = appendText(append(b, `,"timestamp":`...), e.Timestamp)
	if e.Entity != "" {
		b = appendText(append(b, `,"entity":`...), e.Entity)
	}
	if e.Dest != "" {
		b = appendText(append(b, `,"dest":`...), e.Dest)
	}
	b = appendText(append(b, `,"source":`...), e.Source)
	b = append(b, `,"context":{`...)
	names := make([]string, 0, 8) // nearly always enough
	for name := range e.Context {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendValue(append(appendText(b, name), ':'), e.Context[name])
	}
	return append(b, '}', '}')
}

// appendValue writes a member of the context: what a sender said as it stands there, and what is ours.
func appendValue(b []byte, value any) []byte {
	switch v := value.(type) {
	case json.RawMessage:
		return appendRaw(b, v)
	case string:
		return appendText(b, v)
	case []string:
		return appendTexts(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case bool:
		return strconv.AppendBool(b, v)
	}
	return append(b, encoded(value)...)
}

func appendTexts(b []byte, all []string) []byte {
	if all == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, text := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, text)
	}
	return append(b, ']')
}

// appendRaw writes JSON without its white space.
func appendRaw(b []byte, raw json.RawMessage) []byte {
	if raw == nil {
		return append(b, "null"...)
	}
	into := bytes.NewBuffer(b)
	if err := json.Compact(into, raw); err != nil {
		panic(fmt.Sprintf("encode envelope: %v", err))
	}
	return into.Bytes()
}

// appendText writes a string, of which nearly all stand there as they are.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return append(b, encoded(text)...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

func quote(s string) json.RawMessage { return appendText(nil, s) }

// encoded is what encoding/json makes of it.
func encoded(value any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		panic(fmt.Sprintf("encode envelope: %v", err))
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}
