package message

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWhatAnyBrokerBrings(t *testing.T) {
	from := Origin{Topic: "home/shed/temperature", Entity: "shed", Received: time.Now()}
	for name, tt := range map[string]struct {
		payload, data, about string
		readings             []string
	}{
		"a number":                       {"21.5", `{"temperature":21.5}`, "shed", []string{"temperature=21.5"}},
		"a number with white space":      {" 21.5\r\n", `{"temperature":21.5}`, "shed", []string{"temperature=21.5"}},
		"a word":                         {"ON", `{"temperature":"ON"}`, "shed", []string{"temperature=ON"}},
		"a word in quotes":               {`"open"`, `{"temperature":"open"}`, "shed", []string{"temperature=open"}},
		"a truth":                        {"true", `{"temperature":true}`, "shed", []string{"temperature=true"}},
		"nothing":                        {"", `""`, "shed", nil},
		"null":                           {"null", "null", "shed", nil},
		"an object":                      {`{"t":1,"battery":{"pct":90}}`, `{"t":1,"battery":{"pct":90}}`, "shed", []string{"t=1", "battery.pct=90"}},
		"an object with one value":       {`{"value":1}`, `{"value":1}`, "shed", []string{"value=1"}},
		"an object with data in it":      {`{"id":5,"data":"0a0b"}`, `{"id":5,"data":"0a0b"}`, "shed", []string{"id=5", "data=0a0b"}},
		"a list":                         {`[{"a":1},{"a":2}]`, `[{"a":1},{"a":2}]`, "shed", []string{"1.a=1", "2.a=2"}},
		"a long text":                    {strings.Repeat("x", 300), `"` + strings.Repeat("x", 300) + `"`, "shed", nil},
		"bytes":                          {"\xff\xfe", `"//4="`, "", nil},
		"nested too deep":                {strings.Repeat("[", 100), `"` + strings.Repeat("[", 100) + `"`, "shed", nil},
		"cut off":                        {`{"temp_c":21.5,"hu`, `"{\"temp_c\":21.5,\"hu"`, "shed", nil},
		"an envelope":                    {`{"msg_type":"publish","data":{"t":1},"tags":["a"]}`, `{"t":1}`, "shed", []string{"t=1"}},
		"an envelope of somebody else's": {`{"msg_type":"publish","data":{"t":1},"entity":"barn","source":"a:b:barn"}`, `{"t":1}`, "shed", []string{"t=1"}},
		"an envelope for somebody":       {`{"msg_type":"publish","data":{"t":1},"dest":"barn"}`, `{"t":1}`, "", []string{"t=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := Plain([]byte(tt.payload), from, "temperature")
			if string(m.Data) != tt.data || m.About != tt.about || m.Source != "" {
				t.Errorf("data %.200s about %q from %q, want %.200s about %q", m.Data, m.About, m.Source, tt.data, tt.about)
			}
			var found []string
			for _, r := range Readings(m.Data) {
				found = append(found, fmt.Sprintf("%s=%v", r.Name, r.Value))
			}
			if !slices.Equal(found, tt.readings) && name != "bytes" {
				t.Errorf("readings %q, want %q", found, tt.readings)
			}
			_, delivered := Delivered(m.Payload)
			if !slices.Equal(delivered, Readings(m.Data)) || !json.Valid(m.Payload) {
				t.Errorf("delivered is %s", m.Payload)
			}
			if said, err := Said(m.Payload); err != nil || string(said) != string(m.Data) {
				t.Errorf("it says %s, %v", said, err)
			}
		})
	}
	if m := TooLong(3<<20, from); string(m.Data) != "null" || m.About != "" || !strings.Contains(string(m.Payload), "3145728 bytes came") {
		t.Errorf("too much is delivered as %s", m.Payload)
	}
	from.Kept = true
	if m := Plain([]byte("21.5"), from, ""); !strings.Contains(string(m.Payload), "it may be older than it looks") {
		t.Errorf("what was kept is delivered as %s", m.Payload)
	}
	if m := Plain([]byte("21.5"), from, ""); string(m.Data) != "21.5" {
		t.Errorf("without a name the data are %s", m.Data)
	}
}

func TestWhatAPageSendsIsNobodysReading(t *testing.T) {
	for payload, want := range map[string]struct{ to, text string }{
		`{"msg_type":"publish","data":{"led":"on"},"entity":"shed","context":{"by":"page"}}`: {"shed", `{"led":"on"}`},
		`{"data":"ON","dest":"shed"}`:   {"shed", "ON"},
		`{"data":21.5,"entity":"shed"}`: {"shed", "21.5"},
		`{"data":"\"quoted\""}`:         {"", `"quoted"`},
		`{"data":null}`:                 {"", "null"},
		`bare`:                          {"", "bare"},
	} {
		m := Order([]byte(payload), Origin{Source: "home:local:operator", Received: time.Now()})
		if m.About != "" || m.For != want.to || string(m.Text()) != want.text || m.Source != "home:local:operator" || !strings.Contains(string(m.Payload), `"by":"page"`) {
			t.Errorf("%s is about %q for %q and says %s", payload, m.About, m.For, m.Text())
		}
	}
}
