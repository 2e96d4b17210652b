package mqttproxy

import (
	"flag"
	"strconv"
	"strings"
	"testing"

	"trellis/access"
)

// runs sets how often rapid tries, for one test.
func runs(t *testing.T, n int) {
	t.Helper()
	f := flag.Lookup("rapid.checks")
	before := f.Value.String()
	if before != "100" {
		return // somebody asked for another number
	}
	if err := f.Value.Set(strconv.Itoa(n)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Value.Set(before) })
}

func testPipes(config PipesConfig) *Pipes {
	if config.Serve == nil {
		config.Serve = func(Carrier, access.Grant) bool { return true }
	}
	return NewPipes(config)
}

func TestPositions(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "7": 7, "9007199254740991": longestPos,
		"": -1, "-1": -1, "+1": -1, "01": -1, "00": -1, " 1": -1, "1 ": -1, "1e3": -1, "0x1": -1, "1_0": -1, "١": -1,
		"9007199254740992": -1, "99999999999999999999": -1,
	} {
		got, ok := parsePos(text)
		if ok != (want >= 0) || (ok && got != want) {
			t.Errorf("%q: %d, %v", text, got, ok)
		}
	}
}

func FuzzPos(f *testing.F) {
	for _, seed := range []string{"0", "1", "9007199254740991", "-1", "1e9", "", strings.Repeat("9", 40)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, ok := parsePos(text); ok && (n < 0 || n > longestPos || strconv.FormatInt(n, 10) != text) {
			t.Errorf("%q was read as %d", text, n)
		}
	})
}
