package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"trellis/access"
	"trellis/history"
)

func TestWhatShrinks(t *testing.T) {
	for name, tt := range map[string]struct {
		left func(n int) float64
		of   int
		want bool
	}{
		"less and less":           {func(n int) float64 { return 500 - 10*float64(n) }, 48, true},
		"and wavers a little":     {func(n int) float64 { return 500 - 10*float64(n) + 15*float64(n%2) }, 48, true},
		"too few to say":          {func(n int) float64 { return 500 - 45*float64(n) }, 11, false},
		"little, but always so":   {func(int) float64 { return 12 }, 48, false},
		"fell once":               {func(n int) float64 { return 500 - 450*float64(n/40) }, 48, false},
		"less, but most is there": {func(n int) float64 { return 500 - 2*float64(n) }, 48, false},
		"freed in between":        {func(n int) float64 { return 500 - 15*float64(n%24) }, 48, false},
		"more and more":           {func(n int) float64 { return 10 * float64(n) }, 48, false},
	} {
		t.Run(name, func(t *testing.T) {
			var all []history.Point
			for n := range tt.of {
				all = append(all, history.Point{Mean: tt.left(n), N: 1})
			}
			if got := shrinking(all); got != tt.want {
				t.Errorf("shrinking is %v, want %v", got, tt.want)
			}
		})
	}
}

// Each fact is said of the device it is true of.
func TestMemoryThatShrankBeforeASilenceIsAFact(t *testing.T) {
	s, key, b := boardSite(t, nil)
	for n := range 40 {
		at := boardNow.Add(-22*time.Minute - time.Duration(39-n)*5*time.Minute)
		record(t, s, key, fmt.Sprintf(`{"entity":"leaky","data":{"mem_free":%d,"mem_total":512000,"disk_free":1000000,"disk_size":16000000000}}`, 402000-n*10000), at)
	}
	speak(t, s, key, "small", `{"mem_free":12000,"mem_total":512000}`, 22*time.Minute)
	page := pageOf(t, s, b)
	for entity, want := range map[string][]string{
		"leaky": {"Memory was shrinking before: 12 kB left.", "Disk was low: 1 MB left."},
		"small": {"Memory was low: 12 kB left."},
	} {
		for _, words := range want {
			if group := groupOf(t, page, entity); !strings.Contains(group, "<li>"+words) {
				t.Errorf("%s: %q is not said: %s", entity, words, group)
			}
		}
	}
}

// A device that was locked out is not waited for. What is not known of its key is not said.
func TestAKeyThatEndedAfterTheLastMessageIsAFact(t *testing.T) {
	s, _, _ := boardSite(t, nil)
	withdrawn, early, good := s.key(t, "withdrawn"), s.key(t, "early"), s.key(t, "good")
	expired, err := s.keys.Add(t.Context(), access.Subject{Account: "home", Region: "local", Entity: "expired"}, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.EndKey(t.Context(), expired.JTI, boardNow); err != nil {
		t.Fatal(err)
	}
	for key, ago := range map[access.NewKey]time.Duration{withdrawn: 15 * time.Minute, early: 30 * time.Minute} {
		if err := s.store.RevokeKey(t.Context(), key.JTI, boardNow.Add(-ago)); err != nil {
			t.Fatal(err)
		}
	}
	s.key(t, "another") // so that the keys are read anew
	operator := operatorOf(t, s)
	for _, key := range []access.NewKey{withdrawn, early, good, expired} {
		speak(t, s, key, key.Entity, `{"flow":3}`, 22*time.Minute)
	}
	answer, page := send(t, operator, http.MethodGet, s.URL+"/", nil)
	if answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	}
	for _, entity := range []string{"withdrawn", "early", "good", "expired"} {
		group := groupOf(t, page, entity)
		for who, words := range map[string]string{
			"withdrawn": "<li>Its access key was withdrawn on May 1, 11:45 UTC: it needs a new one.", "expired": "<li>Its access key ended on ",
		} {
			if strings.Contains(group, words) != (who == entity) {
				t.Errorf("%s: %q is said, or is not: %s", entity, words, group)
			}
		}
	}
}
