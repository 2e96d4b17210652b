package server

import (
	"context"
	"time"

	"trellis/access"
	"trellis/templates"
)

// unrecordedAnswer is a time in which messages came that are not on record.
type unrecordedAnswer struct {
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	Count int64     `json:"count"`
}

// oneLoss is how far two of them may be apart to be told as one.
const oneLoss = time.Minute

// unrecorded gives what is missing of what somebody may hear, oldest first.
func (s *Server) unrecorded(ctx context.Context, g access.Grant, from, to time.Time) ([]unrecordedAnswer, error) {
	found, err := s.Past.Unrecorded(ctx, g.MayReceive, from, to)
	if err != nil {
		return nil, err
	}
	all := []unrecordedAnswer{}
	for _, u := range found {
		if n := len(all); n > 0 && u.First.Sub(all[n-1].Ended) <= oneLoss {
			last := &all[n-1]
			last.Count += u.N
			if u.First.Before(last.Began) {
				last.Began = u.First
			}
			if u.Last.After(last.Ended) {
				last.Ended = u.Last
			}
			continue
		}
		all = append(all, unrecordedAnswer{u.First, u.Last, u.N})
	}
	return all, nil
}

// recorded says whether what is on a board is recorded, for whoever prints it.
func (s *Server) recorded(g access.Grant) templates.Recorded {
	if s.Recording == nil {
		return templates.Recorded{}
	}
	now := s.Recording(g)
	return templates.RecordedAs(templates.Recorded{
		Operator: g.KeyID == "", Why: now.Why, Since: now.Since, Still: now.Still, Lost: now.Lost, From: now.From, To: now.To,
	}, s.Now())
}
