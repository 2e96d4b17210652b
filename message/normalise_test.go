package message

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var (
	noon   = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	origin = Origin{Topic: "home/local/k1/publish", Source: "home:local:shed", Entity: "shed", ID: "s-1", Received: noon}
)

// known plays the keys: only "gate" can be addressed, besides the sender.
func known(name string) bool { return name == "gate" || name == "shed" }

// delivered is the part of an envelope that the table below looks at.
type delivered struct {
	Type      string          `json:"msg_type"`
	Data      json.RawMessage `json:"data"`
	Tags      []string        `json:"tags"`
	Timestamp string          `json:"timestamp"`
	Entity    string          `json:"entity"`
	Dest      string          `json:"dest"`
	Source    string          `json:"source"`
	Context   struct {
		About    string   `json:"about"`
		Hops     int      `json:"hops"`
		Envelope *bool    `json:"envelope"`
		Notes    []string `json:"notes"`
		Wait     bool     `json:"wait"`
	} `json:"context"`
}

func normalised(t *testing.T, payload string) (Message, delivered) {
	t.Helper()
	all := Normalise([]byte(payload), origin, known)
	if len(all) != 1 {
		t.Fatalf("%d messages, want 1", len(all))
	}
	var d delivered
	if err := json.Unmarshal(all[0].Payload, &d); err != nil {
		t.Fatalf("what is delivered is not JSON: %v", err)
	}
	return all[0], d
}

func TestNormaliseKeepsWhatTheSenderSaid(t *testing.T) {
	m, d := normalised(t, `{"msg_type":"publish","data":{"temperature":25.50},"tags":["sensor","environment"],
		"timestamp":"2026-05-01T11:59:58.123456Z","entity":null,"context":{"tags":["sensor","indoor"],"wait":true}}`)
	if string(d.Data) != `{"temperature":25.50}` {
		t.Errorf("data = %s: numbers must stay as they were written", d.Data)
	}
	if diff := cmp.Diff([]string{"sensor", "environment", "indoor"}, d.Tags); diff != "" {
		t.Errorf("tags of both places, each once:\n%s", diff)
	}
	if d.Timestamp != "2026-05-01T11:59:58.123Z" || d.Source != "home:local:shed" || d.Context.Hops != 1 || !d.Context.Wait || d.Context.Envelope != nil {
		t.Errorf("envelope = %+v", d)
	}
	if m.About != "shed" || d.Context.About != "shed" || m.For != "" {
		t.Errorf("about = %q, for = %q", m.About, m.For)
	}
}

func TestNormaliseMarksWhatIsNoEnvelope(t *testing.T) {
	for name, tt := range map[string]struct{ payload, data string }{
		"a bare object":          {`{"temperature": 3}`, `{"temperature":3}`},
		"a bare number":          {`21.50`, `21.50`},
		"a list of numbers":      {`[1, 2]`, `[1,2]`},
		"a list with an odd one": {`[{"data":1}, 2]`, `[{"data":1},2]`},
		"an empty list":          {`[]`, `[]`},
		"text":                   {`hello`, `"hello"`},
		"nothing at all":         {``, `""`},
		"JSON cut short":         {`{"data":`, `"{\"data\":"`},
		"bytes":                  {"\xff\xfe\x00", `"//4A"`},
		"null":                   {`null`, `null`},
	} {
		t.Run(name, func(t *testing.T) {
			_, d := normalised(t, tt.payload)
			if string(d.Data) != tt.data {
				t.Errorf("data = %s, want %s", d.Data, tt.data)
			}
			if d.Context.Envelope == nil || *d.Context.Envelope {
				t.Error("not marked as having no envelope")
			}
			if d.Type != "publish" || d.Timestamp != "2026-05-01T12:00:00.000Z" {
				t.Errorf("type %q at %s", d.Type, d.Timestamp)
			}
		})
	}
}

func TestNormaliseSaysWhatItLeftOut(t *testing.T) {
	for name, tt := range map[string]struct {
		payload, note string
		tags          int
	}{
		"eleven tags":            {`{"data":1,"tags":["a","b","c","d","e","f","g","h","i","j","k"]}`, "only the first 10 tags", 10},
		"a hundred thousand":     {`{"data":1,"tags":[` + strings.Repeat(`"t",`, 99_999) + `"u"]}`, "", 2},
		"different ones":         {`{"data":1,"tags":[` + manyTags(100_000) + `]}`, "only the first 10 tags", 10},
		"tags that are text":     {`{"data":1,"tags":"a"}`, "tags is not a list", 0},
		"a tag that is a number": {`{"data":1,"tags":["a",3]}`, "each must be text", 1},
		"a time in seconds":      {`{"data":1,"timestamp":1700000000}`, "timestamp is not ISO 8601", 0},
		"a time that is none":    {`{"data":1,"timestamp":"yesterday"}`, "timestamp is not ISO 8601", 0},
		"an entity of numbers":   {`{"data":1,"entity":12}`, "entity is not text", 0},
		"an endless entity":      {`{"data":1,"entity":"` + strings.Repeat("x", 300) + `"}`, "entity is longer", 0},
		"a context that is text": {`{"data":1,"context":"x"}`, "context is not an object", 0},
		"no data":                {`{"msg_type":"heartbeat"}`, "data is missing", 0},
		"deep data":              {`{"data":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, "nested deeper", 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, d := normalised(t, tt.payload)
			if notes := strings.Join(d.Context.Notes, "; "); !strings.Contains(notes, tt.note) || (tt.note == "") != (notes == "") {
				t.Errorf("notes = %q, want %q", notes, tt.note)
			}
			if len(d.Tags) != tt.tags {
				t.Errorf("%d tags, want %d", len(d.Tags), tt.tags)
			}
		})
	}
}

func manyTags(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"t` + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + `"`)
	}
	return b.String()
}

func TestNormaliseTellsAMeasurementFromACommand(t *testing.T) {
	for name, tt := range map[string]struct{ payload, about, to string }{
		"about the sender":          {`{"data":1}`, "shed", ""},
		"naming the sender":         {`{"data":1,"entity":"shed"}`, "shed", "shed"},
		"naming a thing of its own": {`{"data":1,"entity":"shed:north:probe"}`, "shed:north:probe", "shed:north:probe"},
		"to somebody who hears it":  {`{"data":1,"entity":"gate"}`, "", "gate"},
		"dest goes before entity":   {`{"data":1,"entity":"shed","dest":"gate"}`, "", "gate"},
		"to somebody unknown":       {`{"data":1,"dest":"moon"}`, "", "moon"},
		"entity in the context":     {`{"data":1,"context":{"entity":"gate"}}`, "", "gate"},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := normalised(t, tt.payload)
			if m.About != tt.about || m.For != tt.to {
				t.Errorf("about %q for %q, want about %q for %q", m.About, m.For, tt.about, tt.to)
			}
		})
	}
}

func TestNormaliseCountsHops(t *testing.T) {
	first, _ := normalised(t, `{"data":1,"dest":"gate"}`)
	second := Normalise(first.Payload, origin, known)[0]
	if first.Hops != 1 || second.Hops != 2 {
		t.Errorf("hops %d, then %d; want 1, then 2", first.Hops, second.Hops)
	}
	if forged, _ := normalised(t, `{"data":1,"context":{"hops":-5}}`); forged.Hops != 1 {
		t.Errorf("a negative count was believed: %d", forged.Hops)
	}
}

func TestNormaliseTakesArraysOfMessagesApart(t *testing.T) {
	all := Normalise([]byte(`[{"data":{"a":1}},{"b":2}]`), origin, known)
	if len(all) != 2 || all[0].ID != "s-1" || all[1].ID != "s-1.1" {
		t.Fatalf("got %d messages with ids %q and so on", len(all), all[0].ID)
	}
	if string(all[1].Data) != `{"b":2}` {
		t.Errorf("second holds %s", all[1].Data)
	}
}

func TestReadingsAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"x":0`)
	for i := range 5000 {
		b.WriteString(`,"k` + strings.Repeat("y", i%50) + string(rune('a'+i%26)) + `":1`)
	}
	b.WriteString(`}`)
	if got := len(Readings(json.RawMessage(b.String()))); got != MaxReadings {
		t.Errorf("%d readings, want %d", got, MaxReadings)
	}
}

func FuzzNormalise(f *testing.F) {
	for _, seed := range []string{
		`{"msg_type":"publish","data":{"t":1},"tags":["a"],"timestamp":"2026-05-01T12:00:00+00:00","entity":"gate"}`,
		`[{"data":1},{"data":2}]`, `[[[[`, "\xff", `{"data":"\ud800"}`, `{"context":{"hops":1e99,"tags":[[]]}}`, `""`, `{"a":{"b":{"c":{"d":{"e":1}}}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, m := range Normalise(payload, origin, known) {
			if !json.Valid(m.Payload) || !utf8.Valid(m.Payload) {
				t.Fatalf("not valid: %q", m.Payload)
			}
			if len(m.Tags) > MaxTags || m.Source != origin.Source || m.Timestamp.IsZero() {
				t.Fatalf("out of bounds: %+v", m)
			}
			for _, r := range Readings(m.Data) {
				if s := Describe(r); s.Label == "" {
					t.Fatalf("reading %q has no label", r.Name)
				}
			}
			again := Normalise(m.Payload, origin, known)
			if len(again) != 1 || string(again[0].Data) != string(m.Data) || again[0].Hops != m.Hops+1 {
				t.Fatalf("delivered and sent again it is another message: %s", again[0].Payload)
			}
		}
	})
}

func TestDeliveredSaysOfWhenAValueIs(t *testing.T) {
	for name, tt := range map[string]struct{ stamp, want string }{
		"the sender's time":           {`"2026-05-01T09:00:00Z"`, "2026-05-01T09:00:00Z"},
		"none given":                  {`null`, "2026-05-01T12:00:00Z"},
		"a clock that was never set":  {`"1970-01-01T00:00:07Z"`, "2026-05-01T12:00:00Z"},
		"a clock that lost its time":  {`"2019-01-01T00:03:00Z"`, "2026-05-01T12:00:00Z"},
		"what was kept for months":    {`"2025-11-01T09:00:00Z"`, "2025-11-01T09:00:00Z"},
		"a clock that runs ahead":     {`"2031-01-01T00:00:00Z"`, "2026-05-01T12:00:00Z"},
		"a year beyond all":           {`"9999-12-31T23:59:59-23:59"`, "2026-05-01T12:00:00Z"},
		"an arrival in other letters": {`null,"context":{"Received":5,"ABOUT":"x"}`, "2026-05-01T12:00:00Z"},
		"an arrival that was made up": {`"2026-05-01T12:30:00Z","context":{"received":"2040-01-01T00:00:00Z"}`, "2026-05-01T12:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := normalised(t, `{"data":{"temperature":3},"timestamp":`+tt.stamp+`}`)
			at, readings := Delivered(m.Payload)
			if at.Format(time.RFC3339) != tt.want || len(readings) != 1 {
				t.Errorf("of %s with %d readings, want %s", at, len(readings), tt.want)
			}
		})
	}
}
