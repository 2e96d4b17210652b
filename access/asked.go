package access

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Answer is what came of asking another service about a key, in one word. None of them says whose key it was.
type Answer string

// The answers. Only the first two are the service's own word about the key; after the others nobody knows.
const (
	AnswerNone        Answer = ""            // nobody has been asked yet
	AnswerOK          Answer = "ok"          // it knows the key
	AnswerRefused     Answer = "refused"     // it does not take the key
	AnswerAway        Answer = "away"        // ErrServiceAway
	AnswerLimited     Answer = "limited"     // ErrServiceLimited
	AnswerCertificate Answer = "certificate" // ErrServiceCertificate
	AnswerUnclear     Answer = "unclear"     // ErrClaims: it is not the documented answer
)

// Answers are all that there can be, for whoever counts them.
var Answers = []Answer{AnswerOK, AnswerRefused, AnswerAway, AnswerLimited, AnswerCertificate, AnswerUnclear}

// Asked is how it went with asking a service about keys. What was answered out of memory does not count.
type Asked struct {
	Last   Answer
	At     time.Time         // when that was
	Counts map[Answer]uint64 // of each since the start
}

// askings remember how it went.
type askings struct {
	mu     sync.Mutex
	last   Answer
	at     time.Time
	counts map[Answer]uint64
}

// note takes down one question that was tried as often as it helps. One that the asker gave up says nothing of the service.
func (a *askings) note(err error, at time.Time) {
	if errors.Is(err, context.Canceled) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.counts == nil {
		a.counts = map[Answer]uint64{}
	}
	a.last, a.at = answerOf(err), at
	a.counts[a.last]++
}

func answerOf(err error) Answer {
	switch {
	case err == nil:
		return AnswerOK
	case errors.Is(err, ErrKeyUnknown):
		return AnswerRefused
	case errors.Is(err, ErrServiceLimited):
		return AnswerLimited
	case errors.Is(err, ErrServiceCertificate):
		return AnswerCertificate
	case errors.Is(err, ErrClaims):
		return AnswerUnclear
	}
	return AnswerAway
}

// Asked tells how it went with asking the service so far.
func (s *Service) Asked() Asked {
	s.asked.mu.Lock()
	defer s.asked.mu.Unlock()
	out := Asked{Last: s.asked.last, At: s.asked.at, Counts: map[Answer]uint64{}}
	for _, a := range Answers {
		out.Counts[a] = s.asked.counts[a]
	}
	return out
}
