package main

import (
	"context"
	"log/slog"
	"time"
)

// lossesEvery is how often losses are summed up in the log.
const lossesEvery = time.Minute

// losses are what could not be delivered or recorded, and what went wrong, since the start.
type losses struct {
	QoS0Unrecorded, Undeliverable, PagesBehind, Panics uint64
	Unsent                                             uint64 // messages of programs that expired or were refused
}

func (s *service) losses() losses {
	h, o := s.hub.Stats(), s.outbox.Stats()
	unsent := o.Expired + o.Refused
	if s.front != nil {
		dropped, panics := s.front.losses()
		return losses{QoS0Unrecorded: dropped, PagesBehind: h.Dropped, Panics: panics + h.Panics + o.Panics, Unsent: unsent}
	}
	b := s.broker.Stats()
	return losses{QoS0Unrecorded: b.DroppedQoS0, Undeliverable: b.Undeliverable, PagesBehind: h.Dropped, Panics: b.Panics + h.Panics + o.Panics, Unsent: unsent}
}

// tellLosses says in the log what was lost in the last minute, if anything was, until ctx ends, and then once more.
func tellLosses(ctx context.Context, log *slog.Logger, count func() losses) {
	tick := time.NewTicker(lossesEvery)
	defer tick.Stop()
	over := false
	for was := count(); !over; {
		select {
		case <-ctx.Done():
			over = true // what ends may have lost something
		case <-tick.C:
		}
		now := count()
		if now != was {
			log.WarnContext(ctx, "some messages were lost in the last minute; the numbers count from the start",
				"qos0_not_recorded", now.QoS0Unrecorded, "undeliverable", now.Undeliverable,
				"not_shown_on_slow_pages", now.PagesBehind, "programs_unsent", now.Unsent, "faults", now.Panics)
		}
		was = now
	}
}
