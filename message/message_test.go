package message

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What a message that was made here holds is what anybody reads in its payload.
func TestHeardIsWhatItsPayloadSays(t *testing.T) {
	received := time.Date(2026, 5, 1, 12, 0, 0, 123_456_789, time.FixedZone("", 7200))
	for name, payload := range map[string]string{
		"no time":              `{"msg_type":"publish","data":{"t":1}}`,
		"its own":              `{"msg_type":"publish","data":{"t":1,"w":"on"},"timestamp":"2026-05-01T09:59:59.9999Z"}`,
		"after the arrival":    `{"msg_type":"publish","data":{"t":1},"timestamp":"2026-05-01T10:00:00.124Z"}`,
		"as it arrived":        `{"msg_type":"publish","data":{"t":1},"timestamp":"2026-05-01T12:00:00.123456789+02:00"}`,
		"a year ago and more":  `{"msg_type":"publish","data":{"t":1},"timestamp":"2025-04-30T09:00:00Z"}`,
		"no envelope":          `{"t":1,"nested":{"deep":[1,{"n":"x","v":2}]}}`,
		"no JSON":              `21.5 °C`,
		"a list":               `[{"data":1},{"data":{"a":2}}]`,
		"data twice":           `{"msg_type":"publish","data":{"t":1},"data":{"u":2},"DATA":{"v":3},"context":{"Data":1,"RECEIVED":"2020-01-01T00:00:00Z"}}`,
		"white space":          "{ \"data\" : { \"t\" : 1 } , \"timestamp\" : \"2026-05-01T09:00:00Z\" }",
		"nothing that is read": `{"data":null}`,
	} {
		t.Run(name, func(t *testing.T) {
			for _, m := range Normalise([]byte(payload), Origin{Source: "a:b:shed", Entity: "shed", Received: received}, func(string) bool { return false }) {
				at, found := m.Heard()
				wantAt, want := Delivered(m.Payload)
				if diff := cmp.Diff(want, found); !at.Equal(wantAt) || diff != "" {
					t.Errorf("%s: at %v, its payload says %v; %s", m.Payload, at, wantAt, diff)
				}
				again := m // as it is handed on
				if _, twice := again.Heard(); len(found) > 0 && &twice[0] != &found[0] {
					t.Error("they were taken out twice")
				}
			}
		})
	}
}

func TestHeardOfAMessageThatWasNotMadeHere(t *testing.T) {
	received := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for name, m := range map[string]Message{
		"by its payload":                {Payload: []byte(`{"data":{"t":1}}`)},
		"by its data, where that fails": {Payload: []byte(`{`), Data: []byte(`{"t":1}`)},
	} {
		m.Received = received
		if at, found := m.Heard(); !at.Equal(received) || len(found) != 1 || found[0] != (Reading{"t", 1.0}) {
			t.Errorf("%s: %v %v", name, at, found)
		}
	}
}

// A queue that is bounded by the weight of what is in it is bounded in memory, whatever a stranger sends.
func TestWeight(t *testing.T) {
	var many, deep strings.Builder
	for i := range MaxReadings {
		fmt.Fprintf(&many, `"k%d":%d,`, i, i)
	}
	for i := range 4 {
		fmt.Fprintf(&deep, `{"%s%d":`, strings.Repeat("n", 28), i)
	}
	for name, payload := range map[string]string{
		"short":      `1`,
		"as devices": `{"msg_type":"publish","data":{"temperature":21.5,"humidity":48,"n":123456},"timestamp":"2026-05-01T12:00:00.123Z","tags":["flood"]}`,
		"many names": "{" + many.String() + `"z":0}`,
		"long names": deep.String() + "{" + many.String() + `"z":0}` + strings.Repeat("}", 4),
		"long text":  `{"w":"` + strings.Repeat("w", 4000) + `"}`,
		"many tags":  `{"msg_type":"publish","data":1,"tags":["` + strings.Repeat("a", 100) + `","b","c","d","e","f","g","h","i","j"]}`,
		"escapes":    `"` + strings.Repeat(`\u0001`, 500) + `"`,
		"white":      strings.Repeat(" ", 4000) + "1",
		"bytes":      strings.Repeat("\xff", 3000),
	} {
		t.Run(name, func(t *testing.T) {
			const n = 500
			all := make([]Message, n)
			before, weight := allocated(), 0
			for i := range all {
				all[i] = Normalise([]byte(payload), Origin{Topic: strings.Clone("acme/local/key/publish"), Source: strings.Clone("acme:local:shed"), Entity: "shed", Received: time.Now()},
					func(string) bool { return false })[0]
				all[i].Heard()
				weight += all[i].Weight()
			}
			took := allocated() - before
			runtime.KeepAlive(all)
			if took > weight {
				t.Errorf("it takes %d bytes, and is said to weigh %d", took/n, weight/n)
			}
			t.Logf("it takes %d bytes, and is said to weigh %d", took/n, weight/n)
		})
	}
}

func allocated() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
