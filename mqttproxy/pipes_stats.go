package mqttproxy

import "sync/atomic"

// PipesStats says how many pipes there are, and counts what was refused because there was too much of something.
type PipesStats struct {
	Open     map[string]int    // by the way that their bytes come down, or did when they last came; "none" for those that none has come to yet
	Buffered int64             // bytes kept for all pages
	Limited  map[string]uint64 // refusals, by which limit it was
	Panics   uint64            // mistakes of ours that ended a WebSocket
}

// wayNone is that of a pipe from which nobody has taken bytes yet.
const wayNone = "none"

// limitsOfPipes are the refusals that say that there is too much of something.
var limitsOfPipes = []string{
	refusedAddress.reason, refusedGrant.reason, refusedAll.reason, refusedBytes.reason, refusedFast.reason, refusedUploads.reason,
}

// refusals counts by limit. The map is never changed once it is made.
type refusals map[string]*atomic.Uint64

func newRefusals() refusals {
	all := refusals{}
	for _, limit := range limitsOfPipes {
		all[limit] = new(atomic.Uint64)
	}
	return all
}

// note counts a refusal if a limit was the reason.
func (r refusals) note(why *denial) {
	if why != nil {
		count(r[why.reason])
	}
}

// takenBy notes the way that bytes go down.
func (p *pipe) takenBy(way string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.way = way
}

// Stats tells how the pipes are now.
func (s *Pipes) Stats() PipesStats {
	out := PipesStats{Open: map[string]int{waySocket: 0, wayStream: 0, wayPoll: 0, wayNone: 0}, Buffered: s.buffered.Load(), Limited: map[string]uint64{}, Panics: s.panics.Load()}
	for limit, n := range s.limited {
		out.Limited[limit] = n.Load()
	}
	s.mu.Lock()
	all := make([]*pipe, 0, len(s.byID))
	for _, p := range s.byID {
		all = append(all, p)
	}
	s.mu.Unlock()
	for _, p := range all {
		if way, open := p.takenWay(); open {
			out.Open[way]++
		}
	}
	return out
}

func (p *pipe) takenWay() (way string, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if way = p.way; way == "" {
		way = wayNone
	}
	return way, !p.over
}
