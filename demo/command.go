package demo

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// envelope is the documented message, as far as a device needs it.
type envelope struct {
	Type      string          `json:"msg_type"`
	Data      json.RawMessage `json:"data"`
	Tags      []string        `json:"tags,omitempty"`
	Timestamp string          `json:"timestamp,omitempty"`
	Dest      string          `json:"dest,omitempty"`
	Source    string          `json:"source,omitempty"`
	Context   *hopContext     `json:"context,omitempty"`
}

// hopContext hands on how far a message has come, so that two devices which answer each other are stopped by the service, and which press
// a message answers.
type hopContext struct {
	Hops    int    `json:"hops,omitempty"`
	Press   string `json:"press,omitempty"`   // of what somebody pressed on a page
	Answers string `json:"answers,omitempty"` // the press that this is the answer to
}

// envelop writes what is said as it goes over the wire; to is empty unless it is an answer.
func envelop(s said, at time.Time, to letter) ([]byte, error) {
	data, err := json.Marshal(s.data)
	if err != nil {
		return nil, err
	}
	e := envelope{Type: s.kind, Data: data, Tags: s.tags, Dest: to.from, Timestamp: at.UTC().Format("2006-01-02T15:04:05.000Z")}
	if to.hops > 0 || to.press != "" {
		e.Context = &hopContext{Hops: to.hops, Answers: to.press}
	}
	return json.Marshal(e)
}

// order is a command: the members of a message's data.
type order map[string]any

// letter is an order, and who wants to hear the answer.
type letter struct {
	order order
	from  string
	hops  int
	press string // that it came from; empty if it came otherwise
}

// open reads a message from the messages topic. It is no letter if it must not be answered: it is our own,
// an answer, a heartbeat, or nobody's.
func open(payload []byte, self string) (letter, bool) {
	var e envelope
	if json.Unmarshal(payload, &e) != nil || e.Source == "" || e.Source == self || e.Type == "heartbeat" {
		return letter{}, false
	}
	o := readOrder(e.Data)
	if _, isAnswer := o["answer"]; isAnswer {
		return letter{}, false
	}
	l := letter{order: o, from: e.Source}
	if e.Context != nil {
		l.hops, l.press = e.Context.Hops, e.Context.Press
	}
	return l, true
}

// readOrder takes data as people send it: an object, an object written as text, or a bare word.
func readOrder(data json.RawMessage) order {
	var o order
	if json.Unmarshal(data, &o) == nil {
		return o
	}
	var text string
	if json.Unmarshal(data, &text) != nil {
		return nil
	}
	if json.Unmarshal([]byte(text), &o) == nil {
		return o
	}
	return order{text: true}
}

// word gives a member as a lower-case word; an absent one is empty.
func (o order) word(name string) string {
	switch v := o[name].(type) {
	case string:
		return strings.ToLower(strings.TrimSpace(v))
	case bool:
		return strconv.FormatBool(v)
	case nil:
		return ""
	default:
		return "?"
	}
}

// number gives a member as a number, also when a form made text of it; usual stands for an absent one.
func (o order) number(name string, usual float64) (n float64, ok bool) {
	switch v := o[name].(type) {
	case float64:
		return v, true
	case string:
		n, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		return n, err == nil
	case nil:
		return usual, true
	default:
		return 0, false
	}
}

// names lists what was asked for, shortened: the sender knows the rest.
func (o order) names() string {
	names := slices.Sorted(maps.Keys(o))
	if len(names) == 0 {
		return "that"
	}
	rest := ""
	if len(names) > 3 {
		names, rest = names[:3], " and more"
	}
	for i, name := range names {
		if r := []rune(name); len(r) > 24 {
			name = string(r[:24]) + "…"
		}
		names[i] = strconv.Quote(name)
	}
	return strings.Join(names, ", ") + rest
}

// outcome says what became of a command.
type outcome int

const (
	unknown outcome = iota // not a command of this device
	refused                // one that it will not do, as asked
	done                   // done; the values that changed are worth a report
)

// answer does what a letter asks for, and words the answer.
func (k kind) answer(w *world, o order) (outcome, string) {
	if o.word("report") != "" {
		return done, "here it is"
	}
	if k.obey != nil {
		if did, text := k.obey(w, o); did != unknown {
			return did, text
		}
	}
	return unknown, "I do not know what to do with " + o.names() + ". Try " + k.knows
}
