package templates

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

func TestHowFarAPressGotInWords(t *testing.T) {
	raw, err := os.ReadFile("testdata/presses.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Press Press
		Words string
	}
	if err := json.Unmarshal(raw, &vectors); err != nil || len(vectors) == 0 {
		t.Fatalf("%d vectors, %v", len(vectors), err)
	}
	for _, v := range vectors {
		if got := stageWords(v.Press, moment, "14:03"); got != v.Words {
			t.Errorf("%+v: %q, want %q", v.Press, got, v.Words)
		}
	}
}

func TestLimitsInWords(t *testing.T) {
	for want, got := range map[string]string{
		"At most 3 times an hour. Only between 22:00 and 06:30 (Europe/Berlin).": limitWords(Button{Most: 3, Per: 3600, From: 22 * 60, To: 6*60 + 30, Zone: "Europe/Berlin"}),
		"At most 1 time a day.":              limitWords(Button{Most: 1, Per: 86400}),
		"from −5 to 30 °C, in steps of 0.5":  Choice(-5, 30, 0.5, "°C"),
		"It can be pressed again in 40 min.": AgainIn(40 * time.Minute),
		"It can be pressed again in 2 s.":    AgainIn(1100 * time.Millisecond),
		"It can be pressed again in 24 h.":   AgainIn(23*time.Hour + time.Minute),
		"19.5 °C":                            Amount(19.5, "°C"),
		"0.1":                                Amount(0.1, ""),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestNoTickBeforeTheDeviceHasAnswered(t *testing.T) {
	page := draw(t, Board(BoardExamples["board-buttons"]))
	if n := strings.Count(page, `data-state="answered"`); n != 1 {
		t.Errorf("%d buttons look answered, and one is", n)
	}
	if strings.Contains(page, "<img src=x>") || strings.Contains(page, "<b>door") {
		t.Error("words of others become markup")
	}
}

func TestWhoseItIsIsSaidOfTheEntityAndNotOfAKey(t *testing.T) {
	for name, want := range map[string]string{"board-buttons": "Whoever has an access key of greenhouse may press it.", "board-change": "Everybody who has an access key of greenhouse sees them."} {
		if page := draw(t, Board(BoardExamples[name])); !strings.Contains(page, want) {
			t.Errorf("%s does not say %q", name, want)
		}
	}
	if got := mayPress(""); got != "Whoever is signed in as the operator may press it." {
		t.Errorf("%q", got)
	}
}
