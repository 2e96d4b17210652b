package templates

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

// web/src/words.record.test.ts holds the script to the same words.
func TestWhatIsNotRecordedIsSaidInTheScriptsWords(t *testing.T) {
	raw, err := os.ReadFile("testdata/record.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Words []struct {
			Why             string
			Operator, Still bool
			Words           string
		}
		Missing []struct {
			Lost            uint64
			From, To, Words string
		}
	}
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors.Words {
		if got := recordWords(Recorded{Why: v.Why, Operator: v.Operator, Still: v.Still}, "14:02"); got != v.Words {
			t.Errorf("it says %q, want %q", got, v.Words)
		}
	}
	for _, v := range vectors.Missing {
		if got := missingWords(v.Lost, v.From, v.To); got != v.Words {
			t.Errorf("it says %q, want %q", got, v.Words)
		}
	}
}

func TestATimeOfAnotherDayHasItsDay(t *testing.T) {
	now := time.Date(2026, 5, 2, 9, 0, 0, 0, time.Local)
	for at, want := range map[time.Time]string{now.Add(-time.Hour): "since 08:00.", now.Add(-20 * time.Hour): "since yesterday, 13:00.", now.Add(-44 * time.Hour): "since Apr 30, 13:00."} {
		if got := RecordedAs(Recorded{Why: "failing", Since: at.UTC()}, now.UTC()).Words; !strings.Contains(got, want) {
			t.Errorf("%v is said as %q, want %q", at, got, want)
		}
	}
}
