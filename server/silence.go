package server

import (
	"cmp"
	"context"
	"slices"
	"time"

	"trellis/access"
	"trellis/history"
	"trellis/rhythm"
)

// silence is a time in which a device was silent for longer than is usual for it.
type silence struct {
	entity   string
	from, to time.Time // a zero to: it lasts
	unheard  bool      // a gap of ours ended what is known of it
	rhythm   rhythm.Rhythm
}

func (s silence) end(or time.Time) time.Time {
	if s.to.IsZero() {
		return or
	}
	return s.to
}

const (
	leastPause     = time.Minute
	happenedLearns = time.Second // that this page waits for what is not known yet of how often devices speak
)

// silences finds those of all devices between two moments. Learning says of how many it is not known yet how often they speak.
func (s *Server) silences(ctx context.Context, g access.Grant, from, to time.Time, gaps *gapsOf) (found []silence, learning int, more bool, err error) {
	speakers, more, err := s.Past.Speakers(ctx, g.MayReceive)
	if err != nil {
		return nil, 0, false, err
	}
	normal, err := s.Store.Normal(ctx, boards(g)...)
	if err != nil {
		return nil, 0, false, err
	}
	byEntity, learns := map[string][]speaking{}, map[string]bool{}
	for _, who := range speakers {
		r := s.rhythms.of(speaker{who, gaps.whose(who.Topic)})
		if r.Kind == "" {
			learns[who.About] = true
		}
		if r.Kind == "" || r.Kind == rhythm.Events || normal[who.About] {
			continue
		}
		byEntity[who.About] = append(byEntity[who.About], speaking{who, r})
	}
	for _, all := range byEntity {
		quiet, err := s.quietTimes(ctx, all, from, to, gaps)
		if err != nil {
			return nil, 0, false, err
		}
		found = append(found, slices.DeleteFunc(quiet, func(one silence) bool { return !one.isNews(from) })...)
	}
	slices.SortFunc(found, func(a, b silence) int { return cmp.Or(b.from.Compare(a.from), cmp.Compare(a.entity, b.entity)) })
	return found, len(learns), more, nil
}

// isNews leaves out what was so before and still is, and what was over before since nothing could be heard any more.
func (s silence) isNews(from time.Time) bool {
	return (!s.to.IsZero() || !s.rhythm.Quiet(s.from, from)) && (!s.unheard || s.to.After(from))
}

// speaking is a device as it is heard on one topic, and how often it usually speaks there.
type speaking struct {
	history.Speaker
	rhythm.Rhythm
}

// mostTopics is on how many topics one device is listened to, those on which it was heard last: in front of any broker a device may make them up.
const mostTopics = 16

// speaksOn is what is known of how often a device speaks, on each of its topics: nothing where it speaks only when something happens, or is to be left
// in peace. Learning says that of a topic it is not known yet.
func (s *Server) speaksOn(ctx context.Context, g access.Grant, entity string) (all []speaking, learning bool, err error) {
	normal, err := s.Store.Normal(ctx, boards(g)...)
	if err != nil || normal[entity] {
		return nil, false, err
	}
	signs, err := s.Store.Signs(ctx, g.MayReceive)
	if err != nil {
		return nil, false, err
	}
	signs = slices.DeleteFunc(signs, func(one history.Sign) bool { return one.About != entity })
	slices.SortFunc(signs, func(a, b history.Sign) int { return b.At.Compare(a.At) })
	for _, one := range signs[:min(len(signs), mostTopics)] {
		r := s.rhythms.of(speaker{one.Speaker, s.listens(g, one.Topic)})
		learning = learning || r.Kind == ""
		if r.Kind != "" && r.Kind != rhythm.Events {
			all = append(all, speaking{one.Speaker, r})
		}
	}
	return all, learning, nil
}

// quietTimes are those, of one device, in which it was silent for longer than usual while we could hear it, oldest first: of several topics, each may
// be the one that it speaks on. Whatever is said of a silence that is over is said of one of these.
func (s *Server) quietTimes(ctx context.Context, topics []speaking, from, to time.Time, gaps *gapsOf) (common []silence, err error) {
	for i, who := range topics {
		own, err := s.silencesOf(ctx, who, from, to, gaps)
		if err != nil {
			return nil, err
		}
		if common = both(common, own, to); i == 0 {
			common = own
		}
	}
	return slices.DeleteFunc(common, func(one silence) bool { return !one.rhythm.Quiet(one.from, one.end(to)) }), nil
}

// gapQuiet is the reason of a gap that is a device's own; the record has only ours.
const gapQuiet = "quiet"

// gapsAndSilences are the times in which a device could not be heard, and those in which it could be and was silent for longer than usual, oldest
// first. One of the latter that lasts does so at the end of the time, or now.
func (s *Server) gapsAndSilences(ctx context.Context, g access.Grant, entity string, from, to time.Time) (all []history.Gap, learning bool, err error) {
	to = earlier(to, s.Now().UTC())
	if !to.After(from) || to.Sub(from) > happenedLongest {
		return nil, false, errQuery("Of one entity, from must be before to, and no more than 31 days.")
	}
	if err := s.learn(ctx, g, happenedLearns); err != nil {
		return nil, false, err
	}
	var quiet []silence
	err = s.turns.take(ctx, g, func() (err error) {
		if all, err = s.gapsOfDevice(ctx, g, entity, from, to); err != nil {
			return err
		}
		var topics []speaking
		if topics, learning, err = s.speaksOn(ctx, g, entity); err != nil {
			return err
		}
		quiet, err = s.quietTimes(ctx, topics, from, to, s.gapsBetween(g, from.Add(-happenedLongest), to))
		return err
	})
	for _, one := range quiet {
		if one.end(to).After(from) { // it may have been cut short by a gap of ours
			all = append(all, history.Gap{Reason: gapQuiet, Began: one.from, Ended: one.to})
		}
	}
	slices.SortStableFunc(all, func(a, b history.Gap) int { return a.Began.Compare(b.Began) })
	return all, learning, err
}

// silencesOf cuts off what could not be heard.
func (s *Server) silencesOf(ctx context.Context, who speaking, from, to time.Time, gaps *gapsOf) (found []silence, err error) {
	look := who.Usual / 2
	if who.Kind == rhythm.Steady {
		look = who.Usual * 3 / 2 // no silence yet, or every message would be looked at
	}
	all, err := s.Past.Silences(ctx, who.Speaker, from, to, max(look, leastPause), who.Quiet)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	ours, err := gaps.of(ctx, who.Topic)
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		for _, part := range without(one, to, ours) {
			if who.Quiet(part.From, endOf(part, to)) {
				found = append(found, silence{who.About, part.From, part.To, !part.To.IsZero() && !part.To.Equal(one.To), who.Rhythm})
			}
		}
	}
	return found, nil
}

// both gives the times in which two are silent, by the rhythm of the one that is usually heard more often.
func both(a, b []silence, to time.Time) (common []silence) {
	for _, x := range a {
		for _, y := range b {
			one := x
			if y.rhythm.Usual > 0 && (x.rhythm.Usual == 0 || y.rhythm.Usual < x.rhythm.Usual) {
				one.rhythm = y.rhythm
			}
			if y.from.After(x.from) {
				one.from = y.from
			}
			if y.end(to).Before(x.end(to)) {
				one.to, one.unheard = y.to, y.unheard
			}
			if one.from.Before(one.end(to)) {
				common = append(common, one)
			}
		}
	}
	return common
}
