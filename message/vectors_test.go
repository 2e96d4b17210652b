package message

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// The same file holds web/src/normalise.ts to the same answers. A page that goes to another service's broker itself is shown what
// the relay would show it.
func TestNormaliseAgreesWithTheSharedVectors(t *testing.T) {
	file, err := os.ReadFile("testdata/normalise.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Path     string
		Received time.Time
		Known    []string
		Vectors  []struct {
			Case            string
			Own             bool
			Payload, Base64 string
			Want            []json.RawMessage
			Raw             string // in the first one, to the letter
		}
	}
	if err := json.Unmarshal(file, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Vectors) < 50 {
		t.Fatalf("only %d vectors: the file was cut short", len(all.Vectors))
	}
	known := func(name string) bool { return slices.Contains(all.Known, name) }
	for _, v := range all.Vectors {
		t.Run(v.Case, func(t *testing.T) {
			payload := []byte(v.Payload)
			if v.Base64 != "" {
				payload, _ = base64.StdEncoding.DecodeString(v.Base64)
			}
			from := Origin{Received: all.Received}
			if v.Own {
				from.Source, from.Entity = all.Path, entityOf(all.Path)
			} else {
				from.Hearer = Hearer{Entity: entityOf(all.Path), Path: all.Path}
			}
			var got []any
			for i, m := range Normalise(payload, from, known) {
				var one any
				if err := json.Unmarshal(m.Payload, &one); err != nil {
					t.Fatal(err)
				}
				got = append(got, one)
				if i == 0 && !strings.Contains(string(m.Payload), v.Raw) {
					t.Errorf("%s does not hold %s", m.Payload, v.Raw)
				}
			}
			var want []any
			for _, w := range v.Want {
				var one any
				if err := json.Unmarshal(w, &one); err != nil {
					t.Fatal(err)
				}
				want = append(want, one)
			}
			if !reflect.DeepEqual(want, got) { // cmp takes for ever over what is nested deep
				t.Errorf("normalise %q:\n%v, want\n%v", payload, got, want)
			}
		})
	}
}
