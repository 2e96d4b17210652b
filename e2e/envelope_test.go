package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// wanted is what becomes of one published payload, in the record and for whoever listens.
type wanted struct {
	payload string
	data    []string // of each message that it becomes, as compact JSON; ending in … means: begins so
	bare    bool     // marked "no envelope"
	note    string   // a word of a note in the context; empty means any or none
}

// sloppy are payloads that real devices and hostile ones send. None may be lost, end the connection or stay unmarked.
func sloppy() map[string]wanted {
	deep := strings.Repeat("[", 40_000) + strings.Repeat("]", 40_000)
	return map[string]wanted{
		"the documented form":          {payload: `{"msg_type":"publish","data":{"a":1},"tags":["x"],"timestamp":"2026-01-02T03:04:05Z","entity":null}`, data: []string{`{"a":1}`}},
		"a heartbeat":                  {payload: `{"msg_type":"heartbeat","data":{"mem_free":1e3,"disk_free":2.5}}`, data: []string{`{"mem_free":1e3,"disk_free":2.5}`}},
		"a bare data object":           {payload: `{"temperature":21.5}`, data: []string{`{"temperature":21.5}`}, bare: true},
		"a bare number":                {payload: `21.5`, data: []string{`21.5`}, bare: true},
		"null":                         {payload: `null`, data: []string{`null`}, bare: true},
		"an empty payload":             {payload: ``, data: []string{`""`}, bare: true},
		"text that is not JSON":        {payload: `door open`, data: []string{`"door open"`}, bare: true},
		"JSON cut short":               {payload: `{"msg_type":"publish","data":{"a":1}`, data: []string{`"{\"msg_type…`}, bare: true},
		"JSON with something after":    {payload: `{"data":1} {"data":2}`, data: []string{`"{\"data\":1} {\"data\":2}"`}, bare: true},
		"not a number":                 {payload: `{"data":NaN}`, data: []string{`"{\"data\":NaN}"`}, bare: true},
		"bytes that are not text":      {payload: "\xff\xfe\x00\x01", data: []string{`"//4AAQ=="`}, bare: true, note: "base64"},
		"invalid UTF-8 inside JSON":    {payload: "{\"data\":\"\xff\"}", data: []string{`"…`}, bare: true, note: "base64"},
		"a lone surrogate":             {payload: `{"data":"\ud800"}`, data: []string{`"\ud800"`}},
		"an array of two messages":     {payload: `[{"msg_type":"publish","data":1},{"msg_type":"publish","data":2}]`, data: []string{`1`, `2`}},
		"an array of numbers":          {payload: `[1,2,3]`, data: []string{`[1,2,3]`}, bare: true},
		"an empty array":               {payload: `[]`, data: []string{`[]`}, bare: true},
		"40,000 arrays deep":           {payload: deep, data: []string{`"[[[…`}, bare: true, note: "deep"},
		"data 40,000 objects deep":     {payload: `{"data":` + strings.Repeat(`{"":`, 25_000) + `1` + strings.Repeat(`}`, 25_000) + `}`, data: []string{`"{\"data…`}, bare: true, note: "deep"},
		"data of every wrong type":     {payload: `{"msg_type":"publish","data":[true,null,"x"]}`, data: []string{`[true,null,"x"]`}},
		"no data":                      {payload: `{"msg_type":"publish"}`, data: []string{`null`}, note: "data"},
		"a message type that is none":  {payload: `{"msg_type":42,"data":1}`, data: []string{`1`}, note: "msg_type"},
		"an unknown message type":      {payload: `{"msg_type":"firmware","data":1}`, data: []string{`1`}},
		"an entity that is a number":   {payload: `{"msg_type":"publish","data":1,"entity":7}`, data: []string{`1`}, note: "entity"},
		"an endless entity":            {payload: `{"msg_type":"publish","data":1,"entity":"` + strings.Repeat("e", 100_000) + `"}`, data: []string{`1`}, note: "entity"},
		"a dest that is an object":     {payload: `{"msg_type":"publish","data":1,"dest":{}}`, data: []string{`1`}, note: "dest"},
		"tags that are text":           {payload: `{"msg_type":"publish","data":1,"tags":"sensor"}`, data: []string{`1`}, note: "tags"},
		"tags of wrong types":          {payload: `{"msg_type":"publish","data":1,"tags":[1,null,"x",{}]}`, data: []string{`1`}, note: "tags"},
		"10,000 tags":                  {payload: string(tags(10_000)), data: []string{`1`}, note: "tags"},
		"a tag of 100,000 bytes":       {payload: `{"msg_type":"publish","data":1,"tags":["` + strings.Repeat("t", 100_000) + `"]}`, data: []string{`1`}, note: "tags"},
		"a timestamp that is none":     {payload: `{"msg_type":"publish","data":1,"timestamp":"yesterday"}`, data: []string{`1`}, note: "timestamp"},
		"a timestamp that is a number": {payload: `{"msg_type":"publish","data":1,"timestamp":1e300}`, data: []string{`1`}, note: "timestamp"},
		"a timestamp far away":         {payload: `{"msg_type":"publish","data":1,"timestamp":"99999-01-01T00:00:00Z"}`, data: []string{`1`}, note: "timestamp"},
		"a context that is text":       {payload: `{"msg_type":"publish","data":1,"context":"x"}`, data: []string{`1`}, note: "context"},
		"a context that lies":          {payload: `{"msg_type":"publish","data":1,"context":{"about":"barn","source":"x","envelope":false,"notes":"x"}}`, data: []string{`1`}},
		"a source that lies":           {payload: `{"msg_type":"publish","data":1,"source":"acme:local:barn"}`, data: []string{`1`}},
		"a hop count without end":      {payload: `{"msg_type":"publish","data":1,"entity":"barn","context":{"hops":1e18}}`, data: []string{`1`}},
		"a name given twice":           {payload: `{"msg_type":"publish","data":1,"data":2}`, data: []string{`2`}},
		"a name in other letters":      {payload: `{"msg_type":"publish","DATA":1,"data":2}`, data: []string{`2`}},
		"a number without end":         {payload: `{"msg_type":"publish","data":` + strings.Repeat("9", 50_000) + `}`, data: []string{`99…`}},
		"a number too large":           {payload: `{"msg_type":"publish","data":1e99999}`, data: []string{`1e99999`}},
		"names of the language inside": {payload: `{"msg_type":"publish","data":{"__proto__":{"x":1},"constructor":2}}`, data: []string{`{"__proto__":{"x":1},"constructor":2}`}},
		"9,000 names in data":          {payload: `{"msg_type":"publish","data":{` + names(9_000) + `}}`, data: []string{`{"n0":0,…`}},
	}
}

func names(n int) string {
	var all strings.Builder
	for i := range n {
		if i > 0 {
			all.WriteByte(',')
		}
		fmt.Fprintf(&all, `"n%d":%d`, i, i)
	}
	return all.String()
}

func TestSloppyEnvelopesAreKeptAndMarked(t *testing.T) {
	s := start(t)
	k, well := s.addKey("shed"), s.addKey("barn")
	healthy := s.device(well, "")
	must(t, healthy.Subscribe(1, well.topic("publish")))
	page := s.browser()
	page.signIn(k)
	live := page.live()
	must(t, live.Subscribe(1, k.topic("publish")))

	for door, address := range map[string]string{"TCP": s.mqtt, "ws": s.ws} {
		device := s.open(address, k.login("#"+door))
		for name, want := range sloppy() {
			t.Run(door+": "+name, func(t *testing.T) {
				sent := time.Now().Add(-time.Second)
				must(t, device.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: []byte(want.payload)}))
				var heard wire.Message
				for i := range want.data {
					var err error
					heard, err = live.Receive(prompt)
					must(t, err)
					want.check(t, i, heard.Payload, k, sent)
				}
				if s.in(t).lastRecorded(k, heard.Payload) != nil {
					t.Errorf("what was delivered is not on record, or not so: %.100s", heard.Payload)
				}
				roundTrip(t, healthy, well)
			})
		}
	}
}

// check holds the i-th message that a payload became to what was wanted of it.
func (w wanted) check(t *testing.T, i int, payload []byte, k key, sent time.Time) {
	t.Helper()
	e := opened(t, payload)
	got, want := string(e.Data), w.data[i]
	start, open := strings.CutSuffix(want, "…")
	if got != want && (!open || !strings.HasPrefix(got, start)) {
		t.Errorf("data is %.80s, want %.80s", got, want)
	}
	if e.Source != k.Sub || len(e.Tags) > 10 || e.Type == "" || e.Context.Hops < 1 {
		t.Errorf("source %q, %d tags, type %q, %d hops", e.Source, len(e.Tags), e.Type, e.Context.Hops)
	}
	if about := e.Context.About; about != "" && about != k.Entity {
		t.Errorf("the readings are said to be of %.80q", about)
	}
	if when, err := time.Parse("2006-01-02T15:04:05.000Z", e.Timestamp); err != nil {
		t.Errorf("timestamp %q", e.Timestamp)
	} else if !strings.Contains(w.payload, "2026-01-02") && when.Before(sent) {
		t.Errorf("stamped %v, but it was sent after %v", when, sent)
	}
	if bare := e.Context.Envelope != nil && !*e.Context.Envelope; bare != w.bare && !strings.Contains(w.payload, `"data"`) || w.bare && !bare {
		t.Errorf("marked as having no envelope: %v, want %v", bare, w.bare)
	}
	if notes := strings.Join(e.Context.Notes, "; "); !strings.Contains(notes, w.note) {
		t.Errorf("notes are %q, want %q in them", notes, w.note)
	}
}
