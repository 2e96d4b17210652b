package rhythm

import (
	"math/rand/v2"
	"testing"
	"time"
)

// What nobody heard because nobody listened is not taken for the device's own silence.
func TestOurOwnSilenceTeachesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 7))
	said := every(5*time.Minute, 0.1, 0)(random, monday, monday.Add(20*24*time.Hour))
	var deaf []Deaf
	for day := range 20 { // we listen from nine to five
		begin := monday.Add(time.Duration(day) * 24 * time.Hour)
		deaf = append(deaf, Deaf{begin.Add(17 * time.Hour), begin.Add(33 * time.Hour)}, Deaf{begin.Add(20 * time.Hour), begin.Add(22 * time.Hour)})
	}
	var heard []time.Time
	for _, at := range said {
		if h := at.Hour(); h >= 9 && h < 17 {
			heard = append(heard, at)
		}
	}
	night := monday.Add(21*24*time.Hour + 2*time.Hour)
	r := Learn(heard, deaf...)
	if r.Kind != Steady || r.Usual.Round(time.Minute) != 5*time.Minute || !r.Quiet(night, night.Add(20*time.Minute)) || r.Quiet(night, night.Add(10*time.Minute)) {
		t.Errorf("%+v, want steady in the night too", r)
	}
}

// Half an hour of every two, many short outages: what is left of it is as regular as it is.
func TestManyOutagesMakeNobodyIrregular(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 7))
	var heard []time.Time
	var deaf []Deaf
	for _, at := range every(10*time.Minute, 0.1, 0)(random, monday, monday.Add(5*24*time.Hour)) {
		if at.Sub(monday)%(2*time.Hour) < 90*time.Minute {
			heard = append(heard, at)
		}
	}
	for at := monday; at.Before(monday.Add(5 * 24 * time.Hour)); at = at.Add(2 * time.Hour) {
		deaf = append(deaf, Deaf{at.Add(90 * time.Minute), at.Add(2 * time.Hour)})
	}
	if r := Learn(heard, deaf...); r.Kind != Steady || !r.Quiet(monday, monday.Add(30*time.Minute)) {
		t.Errorf("%+v", r)
	}
	if r := Learn(heard); r.Kind == Steady && r.Quiet(monday, monday.Add(30*time.Minute)) {
		t.Error("this test shows nothing: it is steady without being told")
	}
}
