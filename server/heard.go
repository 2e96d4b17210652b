package server

import (
	"cmp"
	"context"
	"slices"
	"time"

	"trellis/access"
	"trellis/history"
	"trellis/rhythm"
	"trellis/templates"
)

// heardDevice is a device as it was heard.
type heardDevice struct {
	entity string
	at     time.Time
	rhythm rhythm.Rhythm
	quiet  bool // for longer than is usual for it
}

// heard says in words when each device that a Grant may see was last heard, and whether that is longer ago than usual.
func (s *Server) heard(ctx context.Context, g access.Grant) (*templates.DevicesHeard, error) {
	found, err := s.devicesHeard(ctx, g)
	if err != nil {
		return nil, err
	}
	devices := make([]templates.DeviceHeard, 0, len(found))
	for _, d := range found {
		devices = append(devices, templates.DeviceHeard{Entity: d.entity, At: d.at, Quiet: d.quiet})
	}
	heard := templates.Heard(devices, s.Now())
	if s.linkDown(g) {
		heard.Unheard()
	}
	return heard, nil
}

// devicesHeard looks at what was said last, and at how often each device speaks.
func (s *Server) devicesHeard(ctx context.Context, g access.Grant) ([]heardDevice, error) {
	values, err := s.Store.Values(ctx, g.MayReceive)
	if err != nil {
		return nil, err
	}
	recent, err := s.Store.RecentShort(ctx, g.MayReceive, maxRecent, maxShort)
	if err != nil {
		return nil, err
	}
	// What a person sent says nothing of the device, and may stand where its last value stood.
	last, times, topics := map[string]time.Time{}, map[string][]time.Time{}, map[string]string{}
	for _, r := range slices.Backward(recent) { // they come newest first
		if r.About != "" && !r.ByHand {
			times[r.About] = append(times[r.About], r.Received)
			last[r.About], topics[r.About] = r.Received, r.Topic
		}
	}
	for _, v := range values { // for the others: of when their values say they are
		if len(times[v.About]) == 0 && !v.ByHand && v.At.After(last[v.About]) {
			last[v.About], topics[v.About] = v.At, v.Topic
		}
	}
	now, deaf := s.Now(), s.linkDown(g) // a device that we could not hear was not quiet
	devices := make([]heardDevice, 0, len(last))
	for entity, at := range last {
		d := heardDevice{entity: entity, at: at, rhythm: s.rhythms.of(history.Speaker{Topic: topics[entity], About: entity})}
		switch {
		case deaf:
		case d.rhythm.Kind == "" || d.rhythm.Kind == rhythm.Unknown:
			d.quiet = quiet(now.Sub(at), times[entity])
		default:
			d.quiet = d.rhythm.Quiet(at, now)
		}
		devices = append(devices, d)
	}
	slices.SortFunc(devices, func(a, b heardDevice) int { return cmp.Compare(a.entity, b.entity) })
	return devices, nil
}

// As web/src/series.ts has it.
const (
	fewestGaps    = 4
	shortestQuiet = time.Minute
)

// longSilence is quiet for a device of which too little is known: those that talk much push it out of what is looked at.
const longSilence = 24 * time.Hour

// quiet says whether an age is more than usual for whoever was heard at these times, the first first.
func quiet(age time.Duration, times []time.Time) bool {
	gaps := make([]time.Duration, 0, len(times))
	for i := 1; i < len(times); i++ {
		gaps = append(gaps, times[i].Sub(times[i-1]))
	}
	if len(gaps) < fewestGaps {
		return age > longSilence
	}
	slices.Sort(gaps)
	return age > max(3*gaps[len(gaps)/2], shortestQuiet)
}
