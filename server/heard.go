package server

import (
	"context"
	"slices"
	"time"

	"trellis/access"
	"trellis/templates"
)

// heard says when each device that a Grant may see was last heard, and whether that is longer ago than usual.
func (s *Server) heard(ctx context.Context, g access.Grant) (*templates.DevicesHeard, error) {
	values, err := s.Store.Values(ctx, g.MayReceive)
	if err != nil {
		return nil, err
	}
	recent, err := s.Store.RecentShort(ctx, g.MayReceive, maxRecent, maxShort)
	if err != nil {
		return nil, err
	}
	// What a person sent says nothing of the device, and may stand where its last value stood.
	last, times := map[string]time.Time{}, map[string][]time.Time{}
	for _, r := range slices.Backward(recent) { // they come newest first
		if r.About != "" && !r.ByHand {
			times[r.About] = append(times[r.About], r.Received)
			last[r.About] = r.Received
		}
	}
	for _, v := range values { // for the others: of when their values say they are
		if len(times[v.About]) == 0 && !v.ByHand && v.At.After(last[v.About]) {
			last[v.About] = v.At
		}
	}
	now, deaf := s.Now(), s.linkDown(g) // a device that we could not hear was not quiet
	devices := make([]templates.DeviceHeard, 0, len(last))
	for entity, at := range last {
		devices = append(devices, templates.DeviceHeard{Entity: entity, At: at, Quiet: !deaf && quiet(now.Sub(at), times[entity])})
	}
	heard := templates.Heard(devices, now)
	if deaf {
		heard.Unheard()
	}
	return heard, nil
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
