package message

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever is said, what it means is bounded, the same each time, and fit to be shown.
func FuzzReadings(f *testing.F) {
	for _, seed := range []string{
		`{"temp_c":21.44,"air":{"co2":612},"door":"open","POWER":"ON"}`, `{"_":"5"}`, `{"b":1,"2":2,"1":3,"1":4}`, `[{"n":"t","u":"Cel","v":21.5}]`, `"21.5 °C"`,
		`{"tmp":{"value":21.5,"units":"C","tC":21.5,"tF":70.7}}`, `{"lat":"52.5","lon":-0.0}`, `{"type":"Point","coordinates":[13.4,52.5,30]}`,
		`{"data.a":1,"data":{"a":2},"payload":{"data.a":3},"value":{"a":4}}`, `{"a":1e400,"b":-1e400,"c":5e-324}`, `{"\ud800":"\udfff","ab\u202edc":1,"nul\u0000l":1}`,
		`[[[[[[[1]]]]]]]`, `{"a":{"b":{"c":{"d":{"e":{"f":1}}}}}}`, `{"ts":1772366400123456,"t":"2026-02-30T12:00:00Z"}`, `{"battery_mV":3712,"x":{"unit":"mAh","value":"2000"}}`,
		`{"` + strings.Repeat("k", 130) + `":{"value":1}}`, `{"w":"` + strings.Repeat("ä", 101) + `"}`, `nonsense`, `{"a":1`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		found := Readings(payload)
		if again := Readings(payload); !reflect.DeepEqual(found, again) {
			t.Fatalf("read twice: %v and %v", found, again)
		}
		if len(found) > MaxReadings {
			t.Fatalf("%d readings", len(found))
		}
		seen := map[string]bool{}
		for _, r := range found {
			if seen[r.Name] || r.Name == "" || len(r.Name) > maxNameLen || !utf8.ValidString(r.Name) || strings.ContainsFunc(r.Name, isControl) {
				t.Fatalf("the name %q", r.Name)
			}
			seen[r.Name] = true
			switch v := r.Value.(type) {
			case float64:
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("%s is %v", r.Name, v)
				}
			case string:
				if v == "" || len(v) > maxWordLen || !utf8.ValidString(v) {
					t.Fatalf("%s is %q", r.Name, v)
				}
			case bool:
			default:
				t.Fatalf("%s is a %T", r.Name, v)
			}
			check(t, r)
		}
		again(t, found)
	})
}

// again reads what was read as a device would say it plainly: a value is what it was, if no name beside it says more.
func again(t *testing.T, found []Reading) {
	for _, r := range found {
		text, err := json.Marshal(map[string]any{r.Name: r.Value})
		if err != nil {
			t.Fatal(err)
		}
		twice := Readings(text)
		if len(twice) != 1 {
			t.Fatalf("%s has %d readings", text, len(twice))
		}
		if _, isWord := r.Value.(string); !isWord && twice[0] != r {
			t.Fatalf("%s reads as %v, was %v", text, twice[0], r)
		}
	}
}

func FuzzDescribe(f *testing.F) {
	for _, name := range []string{"soil.tempC_2", "battery_mV", "_", "", ".", "pm2.5", "a.g", "relays.1", "İ", "ΘΕΡΜΟΣ", "ab\u202edc", "x\x00y", "\xff", "ts_ms", "ison", "1.1.1"} {
		for _, value := range []float64{0, -0.0005, 1e15, 1772366400} {
			f.Add(name, "ON", value)
		}
	}
	f.Add("t", "2026-05-01T12:00:00.123+02:00", math.MaxFloat64)
	f.Add("t", "line\nbreak\u2066", math.SmallestNonzeroFloat64)
	f.Fuzz(func(t *testing.T, name, word string, number float64) {
		if math.IsNaN(number) || math.IsInf(number, 0) || len(name) > maxNameLen || len(word) > maxWordLen {
			t.Skip() // no reading has it
		}
		for _, value := range []any{word, number, true, false} {
			check(t, Reading{name, value})
		}
	})
}

// check holds the words for a reading to what may stand on a page.
func check(t *testing.T, r Reading) {
	t.Helper()
	shown := Describe(r)
	if !reflect.DeepEqual(shown, Describe(r)) {
		t.Fatalf("%+v is worded in two ways", r)
	}
	for what, text := range map[string]string{"label": shown.Label, "value": shown.Value, "unit": shown.Unit} {
		unfit := func(c rune) bool { return isControl(c) || turns(c) || c == '\u2028' || c == '\u2029' }
		if strings.ContainsFunc(text, unfit) || len(text) > 4*maxWordLen {
			t.Fatalf("%+v has the %s %q", r, what, text)
		}
	}
	if shown.Label == "" {
		t.Fatalf("%+v has no label", r)
	}
	if _, isNumber := r.Value.(float64); isNumber && (shown.Value == "" || slices.Contains([]string{"-0", "\u22120"}, shown.Value)) {
		t.Fatalf("%+v has the value %q", r, shown.Value)
	}
}
