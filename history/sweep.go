package history

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	sweepFirst  = 5 * time.Second // after the start, which may be with another bound than before
	sweepEvery  = time.Minute
	sweepAfter  = 64 << 20 // bytes recorded, whatever the time
	sweepRows   = 500      // messages removed at once: whoever waits to record something waits for no more than these
	sweepBytes  = 4 << 20  // nor for more than these
	sweepMargin = 16       // the share of KeepBytes that a sweep frees, so that not every sweep has to
)

// Sweep removes what need not be kept, again and again until ctx ends: messages beyond what [Config] keeps, unless they are the
// newest of a reading, and sessions and codes that have ended. With [Config.Sync] it also makes what was recorded safe that often.
func (s *Store) Sweep(ctx context.Context) error {
	var safe sync.WaitGroup
	defer safe.Wait()
	if s.sync > 0 {
		safe.Go(func() { s.keepSafe(ctx) }) // beside the sweep, which may take longer than that
	}
	safe.Go(func() { s.keepAlive(ctx) })
	next := time.NewTimer(sweepFirst)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		case <-s.swollen:
		}
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "history cannot be swept", "err", err)
		}
		next.Reset(sweepEvery)
	}
}

// keepSafe makes what was recorded safe again and again until ctx ends.
func (s *Store) keepSafe(ctx context.Context) {
	every := time.NewTicker(s.sync)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		if err := s.makeSafe(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "history cannot be made safe", "err", err)
		}
	}
}

// makeSafe syncs the write-ahead log by folding it into the file, without waiting for readers.
func (s *Store) makeSafe(ctx context.Context) error {
	if err := s.write.fold(ctx); err != nil {
		return fmt.Errorf("sync history: %w", err)
	}
	return nil
}

// keptTopics is how many topics have their newest messages remembered, however old; the hub has the same bound. In front of any broker a
// device may make up topics.
const keptTopics = 10_000

// sweepTopics forgets what was newest on the topics that were silent longest, so that their messages may go.
func (s *Store) sweepTopics(ctx context.Context) error {
	_, err := s.write.ExecContext(ctx, `DELETE FROM latest WHERE topic IN (
		SELECT topic FROM latest GROUP BY topic ORDER BY max(message) DESC LIMIT -1 OFFSET ?)`, s.topics)
	if err != nil {
		return err
	}
	_, err = s.write.ExecContext(ctx, `DELETE FROM signs WHERE topic IN (
		SELECT topic FROM signs GROUP BY topic ORDER BY max(at) DESC LIMIT -1 OFFSET ?)`, s.topics)
	if err != nil {
		return err
	}
	_, err = s.write.ExecContext(ctx, `DELETE FROM swept WHERE NOT EXISTS (SELECT 1 FROM messages WHERE messages.topic = swept.topic)`)
	return err
}

// sweep looks once.
func (s *Store) sweep(ctx context.Context) error {
	s.appended.Store(0)
	now := stamp(s.clock())
	if _, err := s.write.ExecContext(ctx, `DELETE FROM sessions WHERE expires <= ?`, now); err != nil {
		return fmt.Errorf("sweep sessions: %w", err)
	}
	if _, err := s.write.ExecContext(ctx, `DELETE FROM codes WHERE expires <= ?`, now); err != nil {
		return fmt.Errorf("sweep codes: %w", err)
	}
	if err := s.sweepLetters(ctx); err != nil {
		return fmt.Errorf("sweep outbox: %w", err)
	}
	if err := s.sweepMoments(ctx); err != nil {
		return fmt.Errorf("sweep moments: %w", err)
	}
	if err := s.sweepPresses(ctx); err != nil {
		return fmt.Errorf("sweep presses: %w", err)
	}
	if err := s.sweepTopics(ctx); err != nil {
		return fmt.Errorf("sweep topics: %w", err)
	}
	if err := s.sweepForgotten(ctx); err != nil {
		return fmt.Errorf("sweep topics: %w", err)
	}
	if err := s.sweepAge(ctx); err != nil {
		return fmt.Errorf("sweep messages: %w", err)
	}
	if err := s.sweepNumber(ctx); err != nil {
		return fmt.Errorf("sweep messages: %w", err)
	}
	if err := s.sweepSize(ctx); err != nil {
		return fmt.Errorf("sweep messages: %w", err)
	}
	return nil
}
