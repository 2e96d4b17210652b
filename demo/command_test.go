package demo

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

const soilSub = "acme:local:greenhouse-soil"

func TestOpen(t *testing.T) {
	for name, tt := range map[string]struct {
		payload string
		answers bool
		asks    string
	}{
		"a command":              {`{"msg_type":"publish","data":{"pump":"on"},"source":"acme:local:operator"}`, true, `"pump"`},
		"a command as text":      {`{"data":"{\"pump\":\"on\"}","source":"acme:local:operator"}`, true, `"pump"`},
		"a bare word":            {`{"data":"hello","source":"acme:local:operator"}`, true, `"hello"`},
		"data of another type":   {`{"data":[1,2],"source":"acme:local:operator"}`, true, "that"},
		"our own message":        {`{"data":{"pump":"on"},"source":"` + soilSub + `"}`, false, ""},
		"an answer":              {`{"data":{"answer":"pump on for 20 s"},"source":"acme:local:robot"}`, false, ""},
		"an answer as text":      {`{"data":"{\"answer\":\"yes\"}","source":"acme:local:robot"}`, false, ""},
		"somebody's heartbeat":   {`{"msg_type":"heartbeat","data":{"mem_free":1},"source":"acme:local:robot"}`, false, ""},
		"from nobody":            {`{"data":{"pump":"on"}}`, false, ""},
		"not an envelope":        {`[]`, false, ""},
		"not JSON":               {"\xff\x00", false, ""},
		"more than fits a reply": {`{"data":{"a":1,"b":2,"c":3,"d":4},"source":"x:y:z"}`, true, `"a", "b", "c" and more`},
	} {
		t.Run(name, func(t *testing.T) {
			l, ok := open([]byte(tt.payload), soilSub)
			if ok != tt.answers {
				t.Fatalf("open(%s) is a letter: %v, want %v", tt.payload, ok, tt.answers)
			}
			if ok && l.order.names() != tt.asks {
				t.Errorf("asks for %s, want %s", l.order.names(), tt.asks)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		device, data, want string
		pumps              bool
	}{
		"pump with a time":          {"greenhouse-soil", `{"pump":"on","seconds":20}`, "pump on for 20 s", true},
		"pump without a time":       {"greenhouse-soil", `{"pump":"ON"}`, "pump on for 20 s", true},
		"pump, seconds from a form": {"greenhouse-soil", `{"pump":"on","seconds":" 5 "}`, "pump on for 5 s", true},
		"pump as a switch":          {"greenhouse-soil", `{"pump":true}`, "pump on for 20 s", true},
		"pump off":                  {"greenhouse-soil", `{"pump":"off"}`, "pump off", false},
		"too long a watering":       {"greenhouse-soil", `{"pump":"on","seconds":1e9}`, "the pump can run for 1 to 120 seconds at a time", false},
		"no length of time":         {"greenhouse-soil", `{"pump":"on","seconds":"long"}`, "the pump can run for 1 to 120 seconds at a time", false},
		"seconds of another type":   {"greenhouse-soil", `{"pump":"on","seconds":[]}`, "the pump can run for 1 to 120 seconds at a time", false},
		"half a pump":               {"greenhouse-soil", `{"pump":0.5}`, `the pump can be "on" or "off"`, false},
		"a lamp":                    {"greenhouse-soil", `{"lamp":1}`, `I do not know what to do with "lamp". Try {"pump":"on","seconds":20}`, false},
		"pump of a door":            {"greenhouse-door", `{"pump":"on"}`, `I do not know what to do with "pump". Try {"report":"now"}`, false},
		"a report":                  {"greenhouse-climate", `{"report":"now"}`, "here it is", false},
		"a very long name": {"greenhouse-gateway", `{"` + strings.Repeat("ä", 500) + `":1}`,
			`I do not know what to do with "` + strings.Repeat("ä", 24) + `…". Try {"report":"now"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, morning)
			_, got := kindOf(t, tt.device).answer(w, readOrder(json.RawMessage(tt.data)))
			if got != tt.want {
				t.Errorf("answers %q, want %q", got, tt.want)
			}
			if w.pumping() != tt.pumps {
				t.Errorf("pumping: %v, want %v", w.pumping(), tt.pumps)
			}
		})
	}
}

func kindOf(t *testing.T, name string) kind {
	t.Helper()
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	t.Fatalf("no device %s", name)
	return kind{}
}

func TestEnvelope(t *testing.T) {
	at := time.Date(2026, 6, 1, 9, 0, 0, 5e6, time.FixedZone("somewhere", 7200))
	for name, tt := range map[string]struct {
		says said
		to   letter
		want string
	}{
		"a reading": {
			said{"publish", doorData{"open"}, []string{"sensor"}}, letter{},
			`{"msg_type":"publish","data":{"door":"open"},"tags":["sensor"],"timestamp":"2026-06-01T07:00:00.005Z"}`,
		},
		"an answer goes on counting hops": {
			said{"publish", map[string]string{"answer": "pump off"}, nil}, letter{from: "acme:local:operator", hops: 2, press: "abc"},
			`{"msg_type":"publish","data":{"answer":"pump off"},"timestamp":"2026-06-01T07:00:00.005Z",` +
				`"dest":"acme:local:operator","context":{"hops":2,"answers":"abc"}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := envelop(tt.says, at, tt.to)
			if err != nil || string(got) != tt.want {
				t.Errorf("envelop: %s, %v\nwant     %s", got, err, tt.want)
			}
		})
	}
}

func TestReports(t *testing.T) {
	w := newWorld(1, morning)
	for name, tt := range map[string]struct {
		device string
		last   *world
		want   int
	}{
		"climate always speaks":            {"greenhouse-climate", w, 1},
		"soil always speaks":               {"greenhouse-soil", w, 1},
		"gateway sends two":                {"greenhouse-gateway", w, 2},
		"door speaks at the start":         {"greenhouse-door", nil, 1},
		"door is silent if it stayed":      {"greenhouse-door", w, 0},
		"door speaks when it has moved":    {"greenhouse-door", &world{doorOpen: !w.doorOpen}, 1},
		"climate needs nothing to compare": {"greenhouse-climate", nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := kindOf(t, tt.device).report(w, tt.last); len(got) != tt.want {
				t.Errorf("says %v, want %d messages", got, tt.want)
			}
		})
	}
}
