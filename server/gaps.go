package server

import (
	"context"
	"slices"
	"strings"
	"time"

	"trellis/access"
	"trellis/history"
)

// When we could not hear. Time in which we could not is nobody's silence, wherever one is told: on the board, on the page of a value, and in
// what happened.

// gapsOf are the gaps of a time. In front of another service each key has its own.
type gapsOf struct {
	read  func(ctx context.Context, whose string, since time.Time) ([]history.Gap, error)
	whose func(topic string) string
	first map[string]time.Time // since when they matter, by key; none: since the whole time began
	known map[string][]history.Gap
}

// gapUnread is the reason of a time of which we do not look up when we could hear, as there are too many gaps after it: no silence is told of
// it, and it is drawn and listed nowhere.
const gapUnread = "unread"

func (s *Server) gapsBetween(g access.Grant, from, to time.Time) *gapsOf {
	return &gapsOf{
		read: func(ctx context.Context, whose string, since time.Time) ([]history.Gap, error) {
			since = later(from, since)
			found, err := s.Past.Gaps(ctx, whose, since, to)
			if len(found) >= history.MaxGaps && found[0].Began.After(since) {
				found = slices.Insert(found, 0, history.Gap{Whose: whose, Reason: gapUnread, Began: since, Ended: found[0].Began})
			}
			return found, err
		},
		first: map[string]time.Time{},
		known: map[string][]history.Gap{},
		whose: func(topic string) string { return s.listens(g, topic) },
	}
}

// listens is whose key hears a topic for a Grant: an operator hears what all keys do.
func (s *Server) listens(g access.Grant, topic string) string {
	if levels := strings.Split(topic, "/"); g.KeyID == "" && s.ofService() && len(levels) == 4 {
		return levels[2]
	}
	return g.KeyID
}

// since says that those of a topic's key matter no longer back than that, or as far as was said before. An operator has as many keys as devices.
func (g *gapsOf) since(topic string, at time.Time) {
	whose := g.whose(topic)
	if first, said := g.first[whose]; !said || at.Before(first) {
		g.first[whose] = at
	}
}

func (g *gapsOf) of(ctx context.Context, topic string) ([]history.Gap, error) {
	whose := g.whose(topic)
	if gaps, known := g.known[whose]; known {
		return gaps, nil
	}
	gaps, err := g.read(ctx, whose, g.first[whose])
	if err == nil {
		g.known[whose] = gaps
	}
	return gaps, err
}

// ofAll are the times in which nothing could be heard on any of these topics, oldest first.
func (g *gapsOf) ofAll(ctx context.Context, topics []string, to time.Time) (common []history.Gap, err error) {
	if len(topics) == 0 {
		return g.of(ctx, "")
	}
	for i, topic := range topics {
		own, err := g.of(ctx, topic)
		if err != nil {
			return nil, err
		}
		if i == 0 || g.whose(topic) == g.whose(topics[i-1]) {
			common = own
			continue
		}
		common = gapsOfBoth(common, own, to)
	}
	return common, nil
}

// gapsOfBoth are the times in which nothing could be heard in either way, with the reasons of the one.
func gapsOfBoth(a, b []history.Gap, to time.Time) (common []history.Gap) {
	for _, gap := range a {
		from, end := gap.Began, ended(gap, to)
		for _, free := range append(without(history.Silence{From: from, To: end}, end, b), history.Silence{From: end}) {
			if part := gap; from.Before(free.From) {
				part.Began = from
				if free.From.Before(end) || !gap.Ended.IsZero() {
					part.Ended = free.From
				}
				common = append(common, part)
			}
			from = free.To
		}
	}
	return common
}

// gapsOfDevice are the times in which a device could not be heard, on none of the topics on which it speaks.
func (s *Server) gapsOfDevice(ctx context.Context, g access.Grant, entity string, from, to time.Time) ([]history.Gap, error) {
	gaps := s.gapsBetween(g, from, to)
	all := gaps.read
	gaps.read = func(ctx context.Context, whose string, since time.Time) ([]history.Gap, error) {
		found, err := all(ctx, whose, since)
		return slices.DeleteFunc(found, func(one history.Gap) bool { return one.Reason == gapUnread }), err
	}
	if g.KeyID != "" || !s.ofService() {
		return gaps.of(ctx, "")
	}
	signs, err := s.Store.Signs(ctx, g.MayReceive)
	if err != nil {
		return nil, err
	}
	var topics []string
	for _, one := range signs {
		if one.About == entity {
			topics = append(topics, one.Topic)
		}
	}
	return gaps.ofAll(ctx, topics, to)
}

func endOf(s history.Silence, to time.Time) time.Time {
	if s.To.IsZero() {
		return to
	}
	return s.To
}

// without gives what is left of a silence where we could have heard. It is the only thing that cuts one.
func without(s history.Silence, to time.Time, gaps []history.Gap) (left []history.Silence) {
	end := endOf(s, to)
	for _, gap := range gaps { // oldest first
		if !gap.Began.Before(end) || (!gap.Ended.IsZero() && !gap.Ended.After(s.From)) {
			continue
		}
		if gap.Began.After(s.From) {
			left = append(left, history.Silence{From: s.From, To: gap.Began})
		}
		if gap.Ended.IsZero() || !gap.Ended.Before(end) {
			return left
		}
		s.From = gap.Ended
	}
	return append(left, s)
}
