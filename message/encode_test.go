package message

import (
	"encoding/json"
	"testing"
)

// An envelope is written as encoding/json writes it, whatever is in it.
func FuzzEncode(f *testing.F) {
	for _, seed := range [][2]string{{"publish", `{"a": 1}`}, {`"\\`, `[1 , "ä<>&\u2028"]`}, {"\xff\u2028\x7f\x00<é>", `null`}, {"", `"x"`}} {
		f.Add(seed[0], seed[1], 3)
	}
	f.Fuzz(func(t *testing.T, text, data string, n int) {
		if !json.Valid([]byte(data)) {
			t.Skip()
		}
		e := envelope{
			Type: text, Data: json.RawMessage(data), Tags: []string{text, "b"}[:max(0, min(n, 2))], Timestamp: "2026-05-01T12:00:00.000Z", Entity: text, Source: text + "a",
			Context: map[string]any{text: json.RawMessage(data), "hops": n, "envelope": n > 3, "by": text, "notes": []string{text}, "other": float64(n)},
		}
		if n > 5 {
			e.Dest, e.Entity, e.Tags, e.Data, e.Context = text, "", nil, nil, map[string]any{}
		}
		if got, want := string(encode(e)), string(encoded(e)); got != want {
			t.Fatalf("%s\nis not %s", got, want)
		}
	})
}
