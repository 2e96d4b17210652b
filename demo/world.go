package demo

import (
	"math"
	"math/rand/v2"
	"time"
)

// What the greenhouse is like. The numbers are chosen so that something is worth watching within a few minutes:
// an open door costs a degree or two before it closes, and one watering can be seen on a small graph.
const (
	heating       = 7.0  // °C that the closed house keeps above the air outside
	coolsWithin   = 240  // seconds until an open door has let about two thirds of that out
	warmsWithin   = 900  // seconds until a closed house has won about two thirds of it back
	heatsWithin   = 120  // seconds until a heating that somebody has set has done about two thirds of its work
	driesPerHour  = 4.0  // percentage points of soil moisture lost in an hour at 20 °C
	pumpPerSecond = 0.25 // percentage points of soil moisture gained per second of watering
	driest        = 28.0 // percent at which the pump starts by itself
	wettest       = 75.0 // percent that the soil can hold

	memTotal = 512 << 20
	diskSize = 16 << 30
)

// longestStep keeps one step of the arithmetic small against the times above.
const longestStep = 2 * time.Second

// world is the greenhouse itself. It has no clock, no lock and no goroutine: the same seed and the same calls
// give the same greenhouse.
type world struct {
	rand    *rand.Rand
	started time.Time
	at      time.Time // how far it has been lived

	drift       float64 // °C, the weather's slow wandering
	temperature float64 // °C inside
	humidity    float64 // percent inside
	soil        float64 // percent

	pumpUntil time.Time
	heated    float64 // °C that somebody has set the heating to; 0: nobody has
	roofOpen  bool
	doorOpen  bool
	doorNext  time.Time // when somebody next passes the door

	memFree, diskFree float64 // bytes
	signal            float64 // dBm
}

// newWorld is a greenhouse at this time of its day, settled, with the door closed.
func newWorld(seed uint64, at time.Time) *world {
	w := &world{
		rand:     rand.New(rand.NewPCG(seed, seed)),
		started:  at,
		at:       at,
		soil:     41,
		memFree:  214 << 20,
		diskFree: 9.4e9,
		signal:   -67,
	}
	w.temperature = outside(at) + heating
	w.humidity = w.dampness()
	w.doorNext = at.Add(w.pause())
	return w
}

// advance lives the greenhouse up to this time. A time already lived changes nothing.
func (w *world) advance(to time.Time) {
	// A machine that slept for a night must not make us count seconds: long gaps take coarser steps.
	step := max(longestStep, to.Sub(w.at)/1000)
	for w.at.Before(to) {
		w.step(min(step, to.Sub(w.at)))
	}
}

// step lives one short moment.
func (w *world) step(d time.Duration) {
	w.at = w.at.Add(d)
	seconds := d.Seconds()
	if !w.at.Before(w.doorNext) {
		w.doorOpen = !w.doorOpen
		w.doorNext = w.at.Add(w.pause())
	}
	w.drift = wander(w.rand, w.drift, 0, 3600, 1.2, seconds)
	w.memFree = wander(w.rand, w.memFree, 214<<20, 600, 20<<20, seconds)
	w.signal = wander(w.rand, w.signal, -67, 120, 1.5, seconds)
	w.diskFree = max(1e9, w.diskFree-20*seconds)
	w.air(seconds)
	w.earth(d)
}

// air moves temperature and humidity towards what the door, the heating and the time of day ask for.
func (w *world) air(seconds float64) {
	warmth, within := outside(w.at)+w.drift+heating, float64(warmsWithin)
	if w.heated > 0 {
		warmth, within = max(w.heated, outside(w.at)+w.drift), heatsWithin
	}
	if w.doorOpen || w.roofOpen {
		warmth, within = outside(w.at)+w.drift, coolsWithin
	}
	w.temperature = between(-5, towards(w.temperature, warmth, within, seconds), 45)
	w.humidity = between(20, towards(w.humidity, w.dampness(), within/2, seconds), 98)
}

// earth waters while the pump runs and dries all the time, faster when it is warm.
func (w *world) earth(d time.Duration) {
	watered := d
	if over := w.at.Sub(w.pumpUntil); over > 0 {
		watered = max(0, d-over)
	}
	warmth := max(0, w.temperature) / 20
	w.soil += pumpPerSecond*watered.Seconds() - driesPerHour/3600*warmth*d.Seconds()
	w.soil = between(5, w.soil, wettest)
	if w.soil < driest && !w.pumping() {
		w.pump(40 * time.Second)
	}
}

// dampness is the humidity that the air would settle at: warm air is drier, wet soil and a running pump help.
func (w *world) dampness() float64 {
	damp := 94 - 1.7*w.temperature + 0.15*w.soil
	if w.pumping() {
		damp += 6
	}
	return damp
}

// pump waters for this long from now; nothing or less stops it.
func (w *world) pump(d time.Duration) { w.pumpUntil = w.at.Add(d) }

// pumping says whether water is running.
func (w *world) pumping() bool { return w.at.Before(w.pumpUntil) }

// pause is how long until somebody next opens or closes the door.
func (w *world) pause() time.Duration {
	return time.Minute + time.Duration(w.rand.Int64N(int64(3*time.Minute)))
}

// measure is what a sensor would say about a true value: it is never quite right.
func (w *world) measure(truth, noise float64) float64 {
	return math.Round((truth+w.rand.NormFloat64()*noise)*10) / 10
}

// outside is the temperature of the open air over a day: coldest before sunrise, warmest in the afternoon.
func outside(at time.Time) float64 {
	hour := float64(at.Hour()) + float64(at.Minute())/60
	return 13 + 6*math.Sin((hour-9)/24*2*math.Pi)
}

// towards moves a value to its goal, two thirds of the way within the time given; any step length is stable.
func towards(value, goal, within, seconds float64) float64 {
	return goal + (value-goal)*math.Exp(-seconds/within)
}

// wander is a random walk that is pulled back to its middle and mostly stays within width of it.
func wander(r *rand.Rand, value, middle, within, width, seconds float64) float64 {
	kick := width * math.Sqrt(1-math.Exp(-2*seconds/within)) * r.NormFloat64()
	return towards(value, middle, within, seconds) + kick
}

func between(low, value, high float64) float64 { return max(low, min(value, high)) }
