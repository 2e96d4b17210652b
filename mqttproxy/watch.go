package mqttproxy

import (
	"context"
	"errors"
	"time"
)

const watchEvery = 250 * time.Millisecond

// watch is the one clock for all sessions, so that none needs a timer of its own.
func (h *Hub) watch(quit <-chan struct{}) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-quit:
			return
		case <-ticker.C:
			h.look()
		}
	}
}

// look ends the sessions whose time is over and tells all pages when the link to the broker changed.
func (h *Hub) look() {
	link := h.config.Source.State()
	wall, now := h.config.Now(), h.clock()
	h.mu.Lock()
	defer h.mu.Unlock()
	changed := link.Down != h.link.Down
	h.link = link
	for s := range h.sessions {
		if reason, over := s.overdue(now, wall); over {
			s.end(reason)
		} else if changed && s.connected.Load() {
			s.say(linkNotice(link))
		}
	}
}

// linkDown gives the state of the link if there is something to tell a page that has just come.
func (h *Hub) linkDown() (State, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.link, h.link.Down
}

// overdue says whether the session's time is over: no CONNECT, silence for one and a half times what the page promised,
// or a Grant that has ended.
func (s *session) overdue(now time.Duration, wall time.Time) (Reason, bool) {
	held := s.held.Load() // before heard: when holding ends, heard is set first
	heard := time.Duration(s.heard.Load())
	silence := time.Duration(s.keepAlive.Load())
	switch {
	case s.grant.Ended(wall):
		return Refused, true
	case !s.connected.Load():
		return Silent, now-s.opened > s.hub.config.ConnectIn
	default:
		// A page that we make wait cannot be heard: it is not silent.
		return Silent, silence > 0 && !held && !s.judged && now-heard > silence
	}
}

// causeOf gives the reason for which ctx ended.
func causeOf(ctx context.Context) Reason {
	if reason, ok := errors.AsType[Reason](context.Cause(ctx)); ok {
		return reason
	}
	return Restart
}
