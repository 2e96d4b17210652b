package message

import (
	"bytes"
	"encoding/json"
	"time"
	"unicode/utf8"
)

// Bounds of what one message can make us keep and show.
const (
	MaxReadings     = 64  // values of one message
	maxReadingDepth = 4   // objects inside objects
	maxNameLen      = 120 // bytes of a reading's name
	maxWordLen      = 200 // bytes of a value that is text
)

// Reading is one value taken out of a message's data.
type Reading struct {
	Name  string // path of keys inside data, joined with "."; "value" for bare data
	Value any    // float64, string or bool
}

// Readings takes the values out of a message's data, at most MaxReadings, in the order they stand there. Numbers, text and
// truth values count; null, arrays, long text and anything nested deeper than four objects do not.
// web/src/reading.ts does the same; both are held to testdata/readings.json.
func Readings(data json.RawMessage) []Reading {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // a number that no float holds must not end the reading of the rest
	tok, err := dec.Token()
	if err != nil {
		return nil
	}
	w := walker{dec: dec, at: map[string]int{}}
	if tok == json.Delim('{') {
		w.object("", 1)
	} else if _, composite := tok.(json.Delim); !composite {
		w.leaf("value", tok)
	}
	return w.found
}

// walker reads the tokens of one JSON value and keeps the leaves.
type walker struct {
	dec   *json.Decoder
	found []Reading
	at    map[string]int // where a name stands in found: a repeated key replaces its value, as JSON.parse does
}

// object reads to the end of the object that has just been opened; false means that the JSON ended early.
func (w *walker) object(prefix string, depth int) bool {
	for w.dec.More() {
		key, err := w.dec.Token()
		if err != nil {
			return false
		}
		name := prefix + key.(string)
		tok, err := w.dec.Token()
		if err != nil {
			return false
		}
		switch {
		case tok == json.Delim('{') && depth < maxReadingDepth:
			if !w.object(name+".", depth+1) {
				return false
			}
		case tok == json.Delim('{') || tok == json.Delim('['):
			if !w.skip() {
				return false
			}
		default:
			w.leaf(name, tok)
		}
	}
	_, err := w.dec.Token()
	return err == nil
}

// skip reads to the end of the array or object that has just been opened.
func (w *walker) skip() bool {
	for open := 1; open > 0; {
		tok, err := w.dec.Token()
		if err != nil {
			return false
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			open++
		case json.Delim('}'), json.Delim(']'):
			open--
		}
	}
	return true
}

func (w *walker) leaf(name string, value any) {
	if digits, ok := value.(json.Number); ok {
		number, err := digits.Float64()
		if err != nil {
			return // 1e400
		}
		value = number
	}
	if value == nil || name == "" || len(name) > maxNameLen || !utf8.ValidString(name) {
		return
	}
	if text, ok := value.(string); ok && (text == "" || len(text) > maxWordLen) {
		return
	}
	if i, seen := w.at[name]; seen {
		w.found[i].Value = value
		return
	}
	if len(w.found) < MaxReadings {
		w.at[name] = len(w.found)
		w.found = append(w.found, Reading{Name: name, Value: value})
	}
}

// earliest is before any such device was made: a clock that says less has never been set.
var earliest = time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)

// Delivered takes the values out of a delivered envelope, as [Message.Payload] holds it, and says of when they are: the
// sender's time, unless that lies after the arrival or before any such device was made. Then its clock is wrong, and the arrival
// is the better truth. web/src/envelope.ts says the same.
func Delivered(payload []byte) (at time.Time, readings []Reading) {
	var e struct {
		Data      json.RawMessage
		Timestamp time.Time
		Context   struct{ Received time.Time }
	}
	if json.Unmarshal(payload, &e) != nil {
		return time.Time{}, nil
	}
	at = e.Timestamp
	if at.Before(earliest) || at.After(e.Context.Received) {
		at = e.Context.Received
	}
	return at, Readings(e.Data)
}
