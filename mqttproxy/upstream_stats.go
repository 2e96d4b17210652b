package mqttproxy

import (
	"errors"
	"sync/atomic"
	"time"
)

// UplinksStats says how the links are, and counts what they did. The counts are of all links that there ever were, so they only grow.
type UplinksStats struct {
	Links      int         // that somebody needs, or did a moment ago: each is up, connecting or down
	Up         int         // these work
	Connecting int         // these are not up for the first time yet, or have just been lost
	Down       map[Why]int // and these are down, by what keeps them so
	DownSince  time.Time   // since when the one is that has been down longest; zero if none is
	Waiting    int         // messages that came and are not safe yet

	Connected uint64 // connections that came up
	Lost      uint64 // of them, those that we did not end ourselves
	Fights    uint64 // times that somebody else turned out to use the same name
	Received  uint64 // messages that came and were asked for
	Echoes    uint64 // of them, those that we had sent ourselves
	Dropped   uint64 // QoS 0 messages that there was no room for
	Strays    uint64 // messages of topics that were not asked for

	Acknowledged uint64 // messages of pages that the broker acknowledged
	Sent         uint64 // those at QoS 0, which nobody acknowledges
	Unsure       uint64 // those that were sent, and not acknowledged
	NotSent      uint64 // those that were not sent at all
}

// Whys are all reasons for a link to be down, for whoever counts them.
var Whys = []Why{WhyAway, WhyTaken, WhyOtherKey, WhyConsent, WhyRefused, WhyCertificate, WhyTwin, WhyLogin, WhyTopics}

// Word names a Why where it stands alone.
func (w Why) Word() string {
	if w == WhyAway {
		return "away"
	}
	return string(w)
}

// uplinkCounts are the numbers behind [UplinksStats]. They belong to all links together: a link that ends takes none away.
type uplinkCounts struct {
	connected, lost, fights, received, echoes, dropped, strays, acknowledged, sent, unsure, notSent atomic.Uint64
}

// published counts what became of a page's message.
func (c *uplinkCounts) published(qos byte, err error) {
	var unsure unsureError
	switch {
	case errors.As(err, &unsure):
		c.unsure.Add(1)
	case err != nil:
		c.notSent.Add(1)
	case qos == 0:
		c.sent.Add(1)
	default:
		c.acknowledged.Add(1)
	}
}

// count adds one where somebody counts.
func count(to *atomic.Uint64) {
	if to != nil {
		to.Add(1)
	}
}

// Stats tells how the links are now.
func (u *Uplinks) Stats() UplinksStats {
	c := &u.counts
	s := UplinksStats{
		Down: map[Why]int{}, Connected: c.connected.Load(), Lost: c.lost.Load(), Fights: c.fights.Load(), Received: c.received.Load(),
		Echoes: c.echoes.Load(), Dropped: c.dropped.Load(), Strays: c.strays.Load(), Acknowledged: c.acknowledged.Load(), Sent: c.sent.Load(),
		Unsure: c.unsure.Load(), NotSent: c.notSent.Load(),
	}
	for _, l := range u.now() {
		s.Links++
		s.Waiting += l.inbox.size()
		switch state := l.state(); {
		case state.Down:
			s.Down[state.Why]++
			if s.DownSince.IsZero() || state.Since.Before(s.DownSince) {
				s.DownSince = state.Since
			}
		case l.current() != nil:
			s.Up++
		default:
			s.Connecting++
		}
	}
	return s
}

// States tells how each link is, by its key; that of a House by nothing.
func (u *Uplinks) States() map[string]State {
	all := map[string]State{}
	for _, l := range u.now() {
		all[l.id] = l.state()
	}
	return all
}

// now are the links there are. They are looked at one by one, without keeping pages from theirs meanwhile.
func (u *Uplinks) now() []*uplink {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := make([]*uplink, 0, len(u.links))
	for _, l := range u.links {
		all = append(all, l)
	}
	return all
}
