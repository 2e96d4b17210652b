package message

import (
	"encoding/json"
	"testing"
)

// A key of signs alone has no last word.
func TestKeysOfSignsAloneAreRead(t *testing.T) {
	for _, key := range []string{"_", " ", "-", ":", "/", "_-_"} {
		got := Readings(json.RawMessage(`{"` + key + `":"5"}`))
		if len(got) != 1 || got[0].Value != 5.0 {
			t.Errorf("%q: %v", key, got)
		}
	}
}
