package broker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

const sumUpEvery = time.Minute

// strangers counts what was refused to those who showed no good key. Each of them is no line in the log, since anyone
// who reaches the port could fill the disk with them; a minute of them is.
type strangers struct {
	log *slog.Logger

	mu      sync.Mutex
	reasons map[string]int // bounded: only our own sentences, never what a stranger sent
}

func (s *strangers) refused(reason error) {
	said := "the connection broke"
	var r *Refusal
	for _, known := range []error{ErrDeviceGone, ErrStopping, ErrKeyEnded, ErrClosed, ErrFault} {
		if errors.Is(reason, known) {
			said = known.Error()
		}
	}
	if errors.As(reason, &r) {
		said = r.sentence
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reasons == nil {
		s.reasons = map[string]int{}
	}
	s.reasons[said]++
}

// run sums up until ctx ends, and once more then.
func (s *strangers) run(ctx context.Context) {
	defer s.sumUp()
	for sleep(ctx, sumUpEvery) {
		s.sumUp()
	}
}

func (s *strangers) sumUp() {
	s.mu.Lock()
	reasons := s.reasons
	s.reasons = nil
	s.mu.Unlock()
	if len(reasons) == 0 {
		return
	}
	total := 0
	for _, n := range reasons {
		total += n
	}
	s.log.Info("connections refused to strangers", "refused", total, "reasons", reasons)
}
