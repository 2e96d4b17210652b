package message

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The same file holds web/src/reading.ts to the same answers.
func TestReadingsAgreeWithTheSharedVectors(t *testing.T) {
	file, err := os.ReadFile("testdata/readings.json")
	if err != nil {
		t.Fatal(err)
	}
	type shown struct{ Name, Label, Value, Unit string }
	var vectors []struct {
		Case     string
		Data     json.RawMessage
		Readings []shown
	}
	if err := json.Unmarshal(file, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 20 {
		t.Fatalf("only %d vectors: the file was cut short", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.Case, func(t *testing.T) {
			got := []shown{}
			for _, r := range Readings(v.Data) {
				s := Describe(r)
				got = append(got, shown{r.Name, s.Label, s.Value, s.Unit})
			}
			if diff := cmp.Diff(v.Readings, got); diff != "" {
				t.Errorf("readings of %s (-want +got):\n%s", v.Data, diff)
			}
		})
	}
}
