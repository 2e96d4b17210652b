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
		n, err := s.affected(ctx, `DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE received < ?
			AND NOT EXISTS (SELECT 1 FROM latest WHERE message = messages.id) LIMIT ?)`, oldest, sweepRows)
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
	return s.sweepSeries(ctx, oldest)
}

// sweepSeries removes what was drawn before a moment. Of words the last one before it stays: it is what held then.
func (s *Store) sweepSeries(ctx context.Context, oldest int64) error {
	ids, err := s.seriesIDs(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		err := s.inTx(ctx, func(tx *sql.Tx) error {
			for _, remove := range []string{
				`DELETE FROM minutes WHERE series = ?1 AND at < ?2`,
				`DELETE FROM hours WHERE series = ?1 AND at < ?2 - 3600000000`,
				`DELETE FROM changes WHERE series = ?1 AND at < (SELECT max(at) FROM changes WHERE series = ?1 AND at <= ?2)`,
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
	}
	return nil
}

func (s *Store) seriesIDs(ctx context.Context) ([]int64, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	return column[int64](ctx, tx, `SELECT id FROM series`)
}

// thin removes the oldest sixteenth of the minutes, whose hours stay. It gives false when there are none.
func (s *Store) thin(ctx context.Context) (bool, error) {
	var first, last sql.NullInt64
	if err := s.read.QueryRowContext(ctx, `SELECT min(at), max(at) FROM minutes`).Scan(&first, &last); err != nil || !first.Valid {
		return false, err
	}
	until := first.Int64 + max((last.Int64-first.Int64)/sweepMargin, time.Minute.Microseconds())
	ids, err := s.seriesIDs(ctx)
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		if _, err := s.affected(ctx, `DELETE FROM minutes WHERE series = ? AND at < ?`, id, until); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (s *Store) affected(ctx context.Context, query string, args ...any) (int64, error) {
	done, err := s.write.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return done.RowsAffected()
}
