package history

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

const (
	sweepEvery = time.Minute
	sweepRows  = 500 // messages removed at once: whoever waits to record something waits for no more than these
)

// Sweep removes what need not be kept, again and again until ctx ends: messages beyond the newest, unless they are the newest of
// a reading, and sessions and codes that have ended. With [Config.Sync] it also makes what was recorded safe that often.
func (s *Store) Sweep(ctx context.Context) error {
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	var safe <-chan time.Time // stays nil, and silent, if every Append is safe already
	if s.sync > 0 {
		t := time.NewTicker(s.sync)
		defer t.Stop()
		safe = t.C
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-sweep.C:
			err = s.sweep(ctx)
		case <-safe:
			err = s.makeSafe(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "history cannot be swept", "err", err)
		}
	}
}

// sweep looks once.
func (s *Store) sweep(ctx context.Context) error {
	now := stamp(s.clock())
	if _, err := s.write.ExecContext(ctx, `DELETE FROM sessions WHERE expires <= ?`, now); err != nil {
		return fmt.Errorf("sweep sessions: %w", err)
	}
	if _, err := s.write.ExecContext(ctx, `DELETE FROM codes WHERE expires <= ?`, now); err != nil {
		return fmt.Errorf("sweep codes: %w", err)
	}
	if err := s.sweepMessages(ctx); err != nil {
		return fmt.Errorf("sweep messages: %w", err)
	}
	return nil
}

// sweepMessages removes the oldest beyond the number to keep, then beyond the bytes.
func (s *Store) sweepMessages(ctx context.Context) error {
	// Ids have no gaps but those a sweep made, so counting back from the newest needs no counting.
	var newest sql.NullInt64
	if err := s.read.QueryRowContext(ctx, `SELECT max(id) FROM messages`).Scan(&newest); err != nil {
		return err
	}
	from := int64(0)
	for last := newest.Int64 - int64(s.keep); from < last; {
		to, err := s.removeStretch(ctx, from, last)
		if err != nil || to == 0 {
			return err
		}
		from = to
	}
	for {
		used, err := s.used(ctx)
		if err != nil || used <= s.keepBytes {
			return err
		}
		if from, err = s.removeStretch(ctx, from, newest.Int64); err != nil || from == 0 {
			return err
		}
	}
}

// removeStretch removes a few messages between two ids and says how far it came; 0 means that nothing was there to remove.
func (s *Store) removeStretch(ctx context.Context, from, last int64) (int64, error) {
	// The reader finds the stretch, so that walking over what stays does not hold the writer.
	var to sql.NullInt64
	err := s.read.QueryRowContext(ctx, `SELECT max(id) FROM (SELECT id FROM messages WHERE id > ? AND id <= ?
		AND NOT EXISTS (SELECT 1 FROM latest WHERE message = messages.id) ORDER BY id LIMIT ?)`, from, last, sweepRows).Scan(&to)
	if err != nil || !to.Valid {
		return 0, err
	}
	_, err = s.write.ExecContext(ctx, `DELETE FROM messages WHERE id > ? AND id <= ?
		AND NOT EXISTS (SELECT 1 FROM latest WHERE message = messages.id)`, from, to.Int64)
	return to.Int64, err
}

// used is how much of the file holds something. Pages of removed messages are used again, the file itself does not shrink.
func (s *Store) used(ctx context.Context) (int64, error) {
	var pages, free, size int64
	err := s.read.QueryRowContext(ctx, `SELECT page_count, freelist_count, page_size
		FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()`).Scan(&pages, &free, &size)
	return (pages - free) * size, err
}

// makeSafe syncs the write-ahead log by folding it into the file, without waiting for readers.
func (s *Store) makeSafe(ctx context.Context) error {
	var busy, pages, folded int
	if err := s.write.QueryRowContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`).Scan(&busy, &pages, &folded); err != nil {
		return fmt.Errorf("sync history: %w", err)
	}
	return nil
}
