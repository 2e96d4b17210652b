package mqttproxy

import (
	"context"
	"errors"
	"time"

	"trellis/access"
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

// look ends the sessions whose time is over and tells pages when their link to the broker changed.
func (h *Hub) look() {
	wall, now := h.config.Now(), h.clock()
	h.mu.Lock()
	defer h.mu.Unlock()
	stateOf, recordingOf := h.statesNow(), h.recordingsNow()
	for s := range h.sessions {
		if reason, over := s.overdue(now, wall); over {
			s.end(reason)
		} else if s.connected.Load() {
			s.tellLink(stateOf(s.grant))
			if recording, known := recordingOf(s.grant); known && recording != s.recording {
				s.tellRecording(recording)
			}
		}
	}
}

// statesNow gives the state of every link, each asked for once.
func (h *Hub) statesNow() func(access.Grant) State {
	links, several := h.config.Source.(Links)
	if !several {
		one := h.config.Source.State()
		return func(access.Grant) State { return one }
	}
	known := map[string]State{}
	return func(g access.Grant) State {
		state, ok := known[g.KeyID]
		if !ok {
			state = links.StateOf(g)
			known[g.KeyID] = state
		}
		return state
	}
}

// tellLink says how the page's link is, if that is not what it was last told. Hub.mu is held.
func (s *session) tellLink(link State) {
	if link.Down != s.link.Down || link.Why != s.link.Why {
		s.link = link
		s.say(linkNotice(link))
	}
}

// greetLink says to a page that has just come how its link is, if there is something to say.
func (h *Hub) greetLink(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.tellLink(h.statesNow()(s.grant))
	if recording, known := h.recordingsNow()(s.grant); known {
		s.tellRecording(recording) // in any case: what the page was printed with may be over
	}
}

// recordingsNow gives what of everybody's is recorded, each asked for once; nothing where the Source does not know.
func (h *Hub) recordingsNow() func(access.Grant) (Recording, bool) {
	recorder, is := h.config.Source.(Recorder)
	known := map[string]Recording{}
	return func(g access.Grant) (Recording, bool) {
		if !is {
			return Recording{}, false
		}
		now, asked := known[g.KeyID]
		if !asked {
			now = recorder.Recording(g)
			known[g.KeyID] = now
		}
		return now, true
	}
}

// tellRecording says whether what the page sees is recorded. Hub.mu is held.
func (s *session) tellRecording(now Recording) {
	s.recording = now
	s.say(recordingNotice(now))
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
