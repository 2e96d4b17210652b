package demo

import (
	"fmt"
	"math"
	"time"
)

// kind is what makes one device different from the others.
type kind struct {
	name   string
	every  func(time.Duration) time.Duration             // how often it looks, from the greenhouse's own rhythm
	report func(w *world, last *world) []said            // what it has to say; last is nil the first time
	obey   func(w *world, order order) (outcome, string) // what it does with a command; nil knows none of its own
	knows  string                                        // a command to suggest to who asked for something else
}

// said is one thing that a device says, before it is put into an envelope.
type said struct {
	kind string // msg_type
	data any
	tags []string
}

// measured is what it had to say at a moment.
type measured struct {
	said
	at time.Time
}

// The data of the devices' messages. Units are those of the documented examples.
type (
	climateData struct {
		Temperature float64 `json:"temperature"` // °C
		Humidity    float64 `json:"humidity"`    // percent
	}
	soilData struct {
		Moisture float64 `json:"soil_moisture"` // percent
		Pump     string  `json:"pump"`
	}
	doorData struct {
		Door string `json:"door"`
	}
	memoryData struct {
		MemFree  int64 `json:"mem_free"` // bytes, all four
		MemTotal int64 `json:"mem_total"`
		DiskFree int64 `json:"disk_free"`
		DiskSize int64 `json:"disk_size"`
	}
	linkData struct {
		Signal int   `json:"signal"` // dBm
		Uptime int64 `json:"uptime"` // seconds
	}
)

var kinds = []kind{
	{
		name:   "greenhouse-climate",
		every:  func(d time.Duration) time.Duration { return d },
		report: reportClimate,
		obey:   obeyClimate,
		knows:  `{"roof":"open"}`,
	},
	{
		name:   "greenhouse-soil",
		every:  func(d time.Duration) time.Duration { return d + d/3 },
		report: reportSoil,
		obey:   obeySoil,
		knows:  `{"pump":"on","seconds":20}`,
	},
	{
		name:   "greenhouse-door",
		every:  func(d time.Duration) time.Duration { return d / 3 },
		report: reportDoor,
		knows:  `{"report":"now"}`,
	},
	{
		name:   "greenhouse-gateway",
		every:  func(d time.Duration) time.Duration { return 5 * d },
		report: reportGateway,
		knows:  `{"report":"now"}`,
	},
}

func reportClimate(w, _ *world) []said {
	return []said{{"publish", climateData{
		Temperature: w.measure(w.temperature, 0.08),
		Humidity:    between(0, w.measure(w.humidity, 0.4), 100),
	}, []string{"sensor", "environment"}}}
}

func reportSoil(w, _ *world) []said {
	return []said{{"publish", soilData{w.measure(w.soil, 0.1), word(w.pumping(), "on", "off")}, []string{"sensor", "soil"}}}
}

// reportDoor is silent unless the door has moved: a page has to live with devices that say nothing for a long time.
func reportDoor(w, last *world) []said {
	if last != nil && last.doorOpen == w.doorOpen {
		return nil
	}
	return []said{{"publish", doorData{word(w.doorOpen, "open", "closed")}, []string{"sensor", "door"}}}
}

func reportGateway(w, _ *world) []said {
	return []said{
		{"heartbeat", memoryData{int64(w.memFree), memTotal, int64(w.diskFree), diskSize}, []string{"system"}},
		{"publish", linkData{int(math.Round(w.signal)), int64(w.at.Sub(w.started).Seconds())}, []string{"system", "status"}},
	}
}

const (
	coldestHeating = 5.0 // °C
	warmestHeating = 30.0
)

// obeyClimate sets the heating, and moves the roof.
func obeyClimate(w *world, o order) (outcome, string) {
	if _, asked := o["heating"]; asked {
		degrees, ok := o.number("heating", 0)
		if !ok || degrees < coldestHeating || degrees > warmestHeating {
			return refused, fmt.Sprintf("the heating can be set to %g to %g °C", coldestHeating, warmestHeating)
		}
		w.heated = degrees
		return done, fmt.Sprintf("%g °C", degrees)
	}
	switch at := o.word("roof"); at {
	case "open", "closed":
		w.roofOpen = at == "open"
		return done, "the roof is " + at
	case "":
		return unknown, ""
	default:
		return refused, `the roof can be "open" or "closed"`
	}
}

const (
	usualWatering   = 20 // seconds, if a command does not say
	longestWatering = 120
)

// obeySoil waters, within what a pump can take.
func obeySoil(w *world, o order) (outcome, string) {
	switch o.word("pump") {
	case "on", "true":
		seconds, ok := o.number("seconds", usualWatering)
		if !ok || seconds < 1 || seconds > longestWatering {
			return refused, fmt.Sprintf("the pump can run for 1 to %d seconds at a time", longestWatering)
		}
		w.pump(time.Duration(seconds * float64(time.Second)))
		return done, fmt.Sprintf("pump on for %g s", seconds)
	case "off", "false":
		w.pump(0)
		return done, "pump off"
	case "":
		return unknown, ""
	default:
		return refused, `the pump can be "on" or "off"`
	}
}

func word(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}
