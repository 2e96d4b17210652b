package server

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"trellis/history"
)

// Whoever reads both must not wonder which of them is true.
func TestTheBoardsLogOfPressesSaysTheSame(t *testing.T) {
	s, now, shed, _ := absence(t, nil)
	one := history.Setting{Board: shed.Sub, Entity: "shed:pump", Field: history.SettingName, Value: "Big pump"}
	if err := s.store.PutSettings(t.Context(), []history.Setting{one}); err != nil {
		t.Fatal(err)
	}
	ago := now.Add(-time.Hour)
	for id, p := range map[string]history.Press{
		"waiting":    {State: history.PressWaiting, Due: now.Add(4 * time.Second)},
		"unanswered": {State: history.PressAccepted, Settled: ago, Patient: ago.Add(time.Minute)},
		"not sent":   {State: history.PressNotSent, Settled: ago},
		"refused":    {State: history.PressRefused, Words: "It is for nobody."},
		"unsure":     {State: history.PressUnsure, Settled: ago},
		"answered":   {State: history.PressAnswered, Chosen: "19 °C", Words: "on"},
	} {
		p.ID, p.Board, p.Button, p.Who, p.Label, p.Entity, p.Pressed = id, shed.Sub, "b", "shed", "Heat "+id, "shed:pump", ago
		to := p.State
		p.State = history.PressWaiting
		if _, _, err := s.store.BeginPress(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if moved, err := s.store.MovePress(t.Context(), p, history.PressWaiting, to); err != nil || !moved {
			t.Fatal(id, moved, err)
		}
	}
	b := comeIn(t, s, shed)
	_, board := send(t, b, http.MethodGet, s.URL+"/", nil)
	_, page := send(t, b, http.MethodGet, s.URL+"/happened", nil)
	logged := regexp.MustCompile(`(?s)<p>([^<]*) <span class="help">([^<]*)</span></p><p class="help" data-far>([^<]*)</p>`).FindAllStringSubmatch(board, -1)
	if len(logged) != 6 {
		t.Fatalf("%d presses on the board: %s", len(logged), board)
	}
	for _, l := range logged {
		same := "<strong>" + l[1] + "</strong> was pressed by shed. " + l[3] + ` <span class="happened-of">` + l[2] + "</span>"
		if !strings.Contains(page, same) || l[2] != "Big pump, Shed" {
			t.Errorf("the board says %q, and the page of what happened does not say %q", l[1:], same)
		}
	}
}
