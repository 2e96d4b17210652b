package demo

import (
	"reflect"
	"testing"
	"time"
)

// morning is a time at which the air outside is at its daily middle, so that nothing but the tested cause moves much.
var morning = time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)

func TestWorld(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(*world)
		after  time.Duration
		holds  func(then, now world) bool
	}{
		"an open door lets it get colder": {
			func(w *world) { w.doorOpen, w.doorNext = true, morning.Add(time.Hour) }, 3 * time.Minute,
			func(then, now world) bool { return now.temperature < then.temperature-1.5 },
		},
		"a closed door keeps it warm": {
			func(w *world) { w.doorNext = morning.Add(time.Hour) }, 3 * time.Minute,
			func(then, now world) bool { return now.temperature > then.temperature-0.5 },
		},
		"watering raises soil moisture": {
			func(w *world) { w.pump(20 * time.Second) }, 30 * time.Second,
			func(then, now world) bool { return now.soil > then.soil+4 && now.soil < then.soil+6 },
		},
		"watering makes the air damper": {
			func(w *world) { w.pump(time.Minute) }, time.Minute,
			func(then, now world) bool { return now.humidity > then.humidity },
		},
		"the pump stops when its time is over": {
			func(w *world) { w.pump(20 * time.Second) }, 20 * time.Second,
			func(_, now world) bool { return !now.pumping() },
		},
		"the pump still runs before that": {
			func(w *world) { w.pump(20 * time.Second) }, 19 * time.Second,
			func(_, now world) bool { return now.pumping() },
		},
		"soil dries slowly by itself": {
			func(*world) {}, time.Hour,
			func(then, now world) bool { return now.soil < then.soil-2 && now.soil > then.soil-8 },
		},
		"dry soil starts the pump": {
			func(w *world) { w.soil = driest + 0.001 }, 10 * time.Second,
			func(_, now world) bool { return now.pumping() },
		},
		"the afternoon is warmer than the morning": {
			func(w *world) { w.doorNext = morning.Add(24 * time.Hour) }, 6 * time.Hour,
			func(then, now world) bool { return now.temperature > then.temperature+1 },
		},
		"somebody passes the door within four minutes": {
			func(*world) {}, 4*time.Minute + longestStep,
			func(_, now world) bool { return now.doorNext.After(morning.Add(2 * time.Minute)) },
		},
		"a time already lived changes nothing": {
			func(*world) {}, -time.Hour,
			func(then, now world) bool { return reflect.DeepEqual(then, now) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, morning)
			tt.before(w)
			then := *w
			w.advance(morning.Add(tt.after))
			if !tt.holds(then, *w) {
				t.Errorf("then %+v\nnow  %+v", then, *w)
			}
		})
	}
}

func TestWorldStaysPlausible(t *testing.T) {
	w := newWorld(7, morning)
	doors := 0
	for at := morning; at.Before(morning.Add(3 * 24 * time.Hour)); at = at.Add(20 * time.Second) {
		open := w.doorOpen
		w.advance(at)
		if open != w.doorOpen {
			doors++
		}
		switch {
		case w.temperature < 0 || w.temperature > 35,
			w.humidity < 30 || w.humidity > 98,
			w.soil < driest-1 || w.soil > wettest,
			w.memFree < 0 || w.memFree > memTotal,
			w.diskFree < 0 || w.diskFree > diskSize,
			w.signal < -80 || w.signal > -50:
			t.Fatalf("not a greenhouse any more at %v: %+v", at, *w)
		}
	}
	if few, many := 3*24*60/4, 3*24*60; doors < few || doors > many {
		t.Errorf("the door moved %d times in three days, want between %d and %d", doors, few, many)
	}
}

func TestWorldIsTheSameFromTheSameSeed(t *testing.T) {
	one, other := newWorld(3, morning), newWorld(3, morning)
	for range 50 {
		at := one.at.Add(3 * time.Second)
		one.advance(at)
		other.advance(at)
	}
	if !reflect.DeepEqual(one, other) {
		t.Errorf("two worlds from one seed differ:\n%+v\n%+v", *one, *other)
	}
	if different := newWorld(4, morning); different.doorNext.Equal(newWorld(3, morning).doorNext) {
		t.Error("another seed gives the same world")
	}
}

func TestLongGapIsLivedQuickly(t *testing.T) {
	w := newWorld(1, morning)
	w.advance(morning.Add(10 * 365 * 24 * time.Hour)) // would be 150 million short steps
	if !w.at.Equal(morning.Add(10 * 365 * 24 * time.Hour)) {
		t.Errorf("lived up to %v only", w.at)
	}
}
