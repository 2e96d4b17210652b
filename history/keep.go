package history

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// sweepAge removes what is older than it may be: messages, unless they are the newest of a reading, what was drawn of them, and gaps.
func (s *Store) sweepAge(ctx context.Context) error {
	if s.keepFor <= 0 {
		return nil
	}
	oldest := stamp(s.clock().Add(-s.keepFor))
	for {
		n, err := s.sweepOld(ctx, oldest)
		if err != nil {
			return err
		}
		if n < sweepRows {
			break
		}
	}
	if _, err := s.affected(ctx, `DELETE FROM gaps WHERE ended < ?`, oldest); err != nil {
		return err
	}
	if _, err := s.affected(ctx, `DELETE FROM unrecorded WHERE minute < ?`, oldest); err != nil {
		return err
	}
	return s.sweepSeries(ctx, oldest)
}

// sweepSeries removes what was drawn before a moment. Of words the last one before it stays: it is what held then, for as long as the
// newest message of that reading is remembered. It looks through all that
// is drawn, so it does that once in an hour, or more often where little is kept.
func (s *Store) sweepSeries(ctx context.Context, oldest int64) error {
	if oldest-s.drawnUntil < min(time.Hour, s.keepFor/24).Microseconds() && oldest >= s.drawnUntil {
		return nil
	}
	ids, err := s.seriesIDs(ctx, `SELECT id FROM series`)
	if err != nil {
		return err
	}
	err = s.eachSeries(ctx, ids, func(tx *sql.Tx, id int64) error {
		for _, remove := range []string{
			`DELETE FROM minutes WHERE series = ?1 AND at < ?2`,
			`DELETE FROM hours WHERE series = ?1 AND at < ?2 - 3600000000`,
			`DELETE FROM changes WHERE series = ?1 AND at < (SELECT max(at) FROM changes WHERE series = ?1 AND at <= ?2)`,
			`DELETE FROM changes WHERE series = ?1 AND at <= ?2 AND NOT EXISTS (SELECT 1 FROM series AS s JOIN latest AS l USING (topic, about, reading) WHERE s.id = ?1)`,
			`DELETE FROM series WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM hours WHERE series = ?1)
				AND NOT EXISTS (SELECT 1 FROM minutes WHERE series = ?1) AND NOT EXISTS (SELECT 1 FROM changes WHERE series = ?1)`,
		} {
			if _, err := tx.ExecContext(ctx, remove, id, oldest); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sweep series: %w", err)
	}
	s.drawnUntil = oldest
	return nil
}

func (s *Store) affected(ctx context.Context, query string, args ...any) (int64, error) {
	done, err := s.write.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return done.RowsAffected()
}
