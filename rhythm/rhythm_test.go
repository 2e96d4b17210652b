package rhythm

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// speaker makes the moments of a device from one moment on, for as long as it is asked.
type speaker func(random *rand.Rand, from, to time.Time) []time.Time

func every(gap time.Duration, jitter, lost float64) speaker {
	return func(random *rand.Rand, from, to time.Time) (all []time.Time) {
		for at := from; at.Before(to); at = at.Add(time.Duration(float64(gap) * (1 + jitter*(2*random.Float64()-1)))) {
			if random.Float64() >= lost {
				all = append(all, at)
			}
		}
		return all
	}
}

func byChance(mean time.Duration) speaker {
	return func(random *rand.Rand, from, to time.Time) (all []time.Time) {
		for at := from; at.Before(to); at = at.Add(time.Duration(random.ExpFloat64() * float64(mean))) {
			all = append(all, at)
		}
		return all
	}
}

func inBursts(gap time.Duration, n int, within time.Duration) speaker {
	return func(random *rand.Rand, from, to time.Time) (all []time.Time) {
		for _, at := range every(gap, 0.1, 0)(random, from, to) {
			for range n {
				all = append(all, at)
				at = at.Add(time.Duration(random.Float64() * float64(within)))
			}
		}
		return all
	}
}

func byDay(from, to int, s speaker) speaker {
	return func(random *rand.Rand, begin, end time.Time) (all []time.Time) {
		for _, at := range s(random, begin, end) {
			if h := at.Hour(); h >= from && h < to {
				all = append(all, at)
			}
		}
		return all
	}
}

// devices are rhythms as devices have them.
var devices = []struct {
	name   string
	speaks speaker
	kind   Kind
	awake  [2]int // hours of the day
}{
	{"every minute, 1 of 300 lost", every(time.Minute, 0.05, 1.0/300), Steady, [2]int{0, 24}},
	{"every 5 minutes", every(5*time.Minute, 0.1, 0.002), Steady, [2]int{0, 24}},
	{"every hour", every(time.Hour, 0.1, 0.002), Steady, [2]int{0, 24}},
	{"every 10 s", every(10*time.Second, 0.2, 0.002), Steady, [2]int{0, 24}},
	{"6 at once every 15 minutes", inBursts(15*time.Minute, 6, 5*time.Second), Steady, [2]int{0, 24}},
	{"every 5 minutes by day", byDay(7, 22, every(5*time.Minute, 0.1, 0.002)), Steady, [2]int{7, 22}},
	{"every minute by day", byDay(7, 22, every(time.Minute, 0.1, 0.002)), Steady, [2]int{7, 22}},
	{"every 15 minutes by day", byDay(6, 20, every(15*time.Minute, 0.1, 0.002)), Steady, [2]int{6, 20}},
	{"by chance, every 10 minutes", byChance(10 * time.Minute), Irregular, [2]int{0, 24}},
	{"by chance by day, every 20 minutes", byDay(6, 23, byChance(20*time.Minute)), Irregular, [2]int{6, 23}},
	{"a door, some times a day", byDay(6, 23, byChance(3*time.Hour)), Events, [2]int{6, 23}},
	{"a letter box, once a day or so", byChance(20 * time.Hour), Events, [2]int{0, 24}},
}

// A month of each kind of device: fewer than one false alarm, and a silence noticed within three usual gaps, or a minute.
func TestSilenceIsNoticedAndNothingElse(t *testing.T) {
	const runs = 8
	var table strings.Builder
	fmt.Fprintf(&table, "%-36s %-10s %8s %18s %26s\n", "device", "kind", "usual", "false a month", "noticed after, usual gaps")
	for _, d := range devices {
		alarms, worst, total, deaths := 0, 0.0, 0.0, 0
		var last Rhythm
		for run := range runs {
			random := rand.New(rand.NewPCG(uint64(run), 7))
			begin := monday.Add(time.Duration(random.IntN(24)) * time.Hour)
			heard := d.speaks(random, begin, begin.Add(37*24*time.Hour))
			n, r := aMonth(heard, begin)
			alarms, last = alarms+n, r
			if r.Kind != d.kind {
				t.Errorf("%s is taken for %s, want %s", d.name, r.Kind, d.kind)
			}
			if r.Kind == Events {
				continue
			}
			after := noticed(r, heard, d.awake)
			worst, total, deaths = max(worst, after), total+after, deaths+1
		}
		perMonth := float64(alarms) / runs
		after := "says nothing of it"
		if deaths > 0 {
			after = fmt.Sprintf("%.1f, at worst %.1f", total/float64(deaths), worst)
		}
		fmt.Fprintf(&table, "%-36s %-10s %8s %18.2f %26s\n", d.name, last.Kind, last.Usual.Round(time.Second), perMonth, after)
		if perMonth >= 1 {
			t.Errorf("%s: %.2f false alarms a month", d.name, perMonth)
		}
		if worst > max(3, float64(shortest)/float64(last.Usual)+0.1) {
			t.Errorf("%s: its silence was noticed only after %.1f usual gaps", d.name, worst)
		}
	}
	t.Logf("a month of each, %d times:\n%s", runs, table.String())
}

// aMonth learns for a week and then listens for a month, learning on every day. It counts the alarms, none of which is true.
func aMonth(heard []time.Time, begin time.Time) (alarms int, r Rhythm) {
	learned := begin
	for i, at := range heard {
		if at.Sub(begin) > 7*24*time.Hour && i > 0 && r.Quiet(heard[i-1], at) {
			alarms++
		}
		if at.Sub(learned) >= 24*time.Hour {
			r, learned = Learn(heard[:i+1]), at
		}
	}
	return alarms, r
}

// noticed is how many usual gaps after its last word a device that is dead is called quiet: counted in hours in which it would speak.
func noticed(r Rhythm, heard []time.Time, awake [2]int) float64 {
	last := heard[len(heard)-1]
	step := r.Usual / 50
	silent := time.Duration(0)
	for at := last; silent < 100*r.Usual; at = at.Add(step) {
		if r.Quiet(last, at) {
			break
		}
		if h := at.Hour(); h >= awake[0] && h < awake[1] {
			silent += step
		}
	}
	return float64(silent) / float64(r.Usual)
}

func TestWhoWasHeardTooSeldomIsQuietAfterADay(t *testing.T) {
	r := Learn([]time.Time{monday, monday.Add(time.Minute)})
	if r.Kind != Unknown || r.Quiet(monday, monday.Add(23*time.Hour)) || !r.Quiet(monday, monday.Add(25*time.Hour)) {
		t.Errorf("%+v", r)
	}
	if (Rhythm{}).Quiet(monday, monday.Add(time.Hour)) {
		t.Error("nothing is known, and an hour is too long")
	}
}

func FuzzLearn(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 200, 255})
	f.Fuzz(func(t *testing.T, gaps []byte) {
		at := monday
		var heard []time.Time
		for _, g := range gaps {
			at = at.Add(time.Duration(g) * time.Duration(g) * time.Second)
			heard = append(heard, at)
		}
		r := Learn(heard)
		if r.Kind == Steady || r.Kind == Irregular {
			if r.Usual < 0 || r.Quiet(at, at) || !r.Quiet(at, at.Add(365*24*time.Hour)) {
				t.Errorf("%+v", r)
			}
		}
	})
}
