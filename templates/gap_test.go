package templates

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// web/src/words.away.test.ts holds the script to the same words.
func TestGapsAreSaidInTheScriptsWords(t *testing.T) {
	raw, err := os.ReadFile("testdata/gaps.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors map[string]struct{ Was, Has string }
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	got := map[string]struct{ Was, Has string }{}
	for reason, said := range gapsSaid {
		got[reason] = struct{ Was, Has string }{said.was, said.has}
	}
	if diff := cmp.Diff(vectors, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAGapInAChartNamesWhoseTroubleItWas(t *testing.T) {
	for _, tt := range []struct{ reason, service, want string }{
		{"upstream", "tendrl.example", "Our link to tendrl.example was down"},
		{"upstream", "", "Our link to the devices was down"},
		{"unheard", "tendrl.example", "This page's server did not listen: pages were closed, or went past it"},
		{"full", "", "The disk of this page's server was full"},
		{"of another kind", "", "Nothing could be recorded"},
	} {
		if got := GapWords(tt.reason, tt.service); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.reason, got, tt.want)
		}
	}
}
