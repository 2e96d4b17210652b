package rhythm

import (
	"testing"
	"time"
)

func learned(gap time.Duration, n int) (Rhythm, time.Time) {
	var heard []time.Time
	for i := range n {
		heard = append(heard, monday.Add(time.Duration(i)*gap))
	}
	return Learn(heard), heard[n-1]
}

func TestWhenSomebodyCountsAsOldAndAsQuiet(t *testing.T) {
	r, last := learned(5*time.Minute, 100)
	old, quiet := r.Until(last)
	if got := old.Sub(last).Round(time.Second); got != 450*time.Second {
		t.Errorf("old after %v, want 1.5 usual gaps", got)
	}
	if r.Quiet(last, quiet.Add(-time.Second)) || !r.Quiet(last, quiet.Add(time.Second)) {
		t.Errorf("quiet from %v after the last word, which Quiet does not say", quiet.Sub(last))
	}
	fast, last := learned(2*time.Second, 500)
	if old, quiet := fast.Until(last); quiet.Sub(last) != shortest || old.Sub(last) > 4*time.Second {
		t.Errorf("every 2 s: old after %v, quiet after %v", old.Sub(last), quiet.Sub(last))
	}
}

func TestUntilAgreesWithQuietAtNight(t *testing.T) {
	var heard []time.Time
	for at := monday; at.Before(monday.Add(10 * 24 * time.Hour)); at = at.Add(10 * time.Minute) {
		if h := at.Hour(); h >= 7 && h < 22 {
			heard = append(heard, at)
		}
	}
	r, last := Learn(heard), heard[len(heard)-1]
	_, quiet := r.Until(last)
	if r.Quiet(last, quiet.Add(-time.Second)) || !r.Quiet(last, quiet.Add(time.Second)) || quiet.Sub(last) < 8*time.Hour {
		t.Errorf("a device that sleeps at night is quiet after %v", quiet.Sub(last))
	}
}

func TestNobodyIsOldOrQuietWhoseRhythmIsNone(t *testing.T) {
	if old, quiet := (Rhythm{Kind: Events, Usual: 9 * time.Hour}).Until(monday); !old.IsZero() || !quiet.IsZero() {
		t.Errorf("events: %v, %v", old, quiet)
	}
	for name, tt := range map[string]struct {
		every time.Duration
		n     int
		old   time.Duration // 0: never
	}{
		"every 3 s, for a while":   {3 * time.Second, 8, 5 * time.Minute},
		"every hour, for a while":  {time.Hour, 4, 3 * time.Hour},
		"every ten hours, thrice":  {10 * time.Hour, 3, 24 * time.Hour},
		"twice, which says little": {time.Second, 2, 0},
	} {
		var heard []time.Time
		for n := range tt.n {
			heard = append(heard, monday.Add(time.Duration(n)*tt.every))
		}
		old, quiet := Learn(heard).Until(monday)
		if tt.old > 0 && old.Sub(monday) != tt.old || tt.old == 0 && !old.IsZero() || quiet.Sub(monday) != 24*time.Hour {
			t.Errorf("%s: old %v, quiet %v", name, old, quiet)
		}
	}
	if old, quiet := (Rhythm{}).Until(monday); !old.IsZero() || quiet.Sub(monday) != 24*time.Hour {
		t.Errorf("unknown: %v, %v", old, quiet)
	}
}
