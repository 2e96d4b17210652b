package main

import (
	"context"
	"time"

	"trellis/history"
	"trellis/mqttproxy"
)

// gapsEvery is how often it is looked at whether we hear what we are to record.
const gapsEvery = 5 * time.Second

// gapNotes write down when nothing of a key can be recorded, because its link is down or nobody needs one.
type gapNotes struct {
	feed  *feed
	whose func() []string // keys whose messages are recorded here; empty text: everybody's
	now   map[string]string
}

// noteGaps looks again and again until ctx ends.
func (f *feed) noteGaps(ctx context.Context, whose func() []string) error {
	n := gapNotes{feed: f, whose: whose, now: map[string]string{}}
	tick := time.NewTicker(gapsEvery)
	defer tick.Stop()
	for {
		n.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look writes down what has changed. What cannot be written is tried next time.
func (n *gapNotes) look(ctx context.Context) {
	states, all := n.feed.links.States(), n.whose()
	for _, key := range all {
		state, linked := states[key]
		if err := n.note(ctx, key, reasonOf(state, linked), state.Since); err != nil && ctx.Err() == nil {
			n.feed.log.WarnContext(ctx, "that messages are missing cannot be written down", "err", err)
			return
		}
	}
	if len(n.now) > 2*len(all)+16 {
		clear(n.now) // keys that have gone; beginning a gap that lasts already changes nothing
	}
}

func reasonOf(state mqttproxy.State, linked bool) string {
	switch {
	case !linked:
		return history.GapUnheard
	case state.Down:
		return history.GapUpstream
	}
	return ""
}

func (n *gapNotes) note(ctx context.Context, key, reason string, since time.Time) error {
	was, known := n.now[key]
	if known && was == reason {
		return nil
	}
	at := time.Now()
	for _, over := range []string{history.GapUnheard, history.GapUpstream} {
		if over == reason || (known && over != was) {
			continue
		}
		if err := n.feed.store.EndGap(ctx, key, over, at); err != nil {
			return err
		}
	}
	if reason != "" {
		if reason == history.GapUnheard || since.IsZero() {
			since = at
		}
		if err := n.feed.store.BeginGap(ctx, key, reason, since); err != nil {
			return err
		}
	}
	n.now[key] = reason
	return nil
}
