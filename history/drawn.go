package history

import (
	"context"
	"database/sql"
	"slices"
	"time"
)

// What is drawn over time takes room as messages do, and as there whoever says most loses most: at most half of what the file may hold is
// drawn, and each topic has its share of that.

const (
	sumBytes    = 48   // what a minute or an hour takes, about
	changeBytes = 24   // and a word, besides its letters
	drawnAtOnce = 2000 // rows removed at once: whoever waits to record something waits for no more than these
	seriesPer   = 64   // series that are swept in one transaction: each of those waits for the disk
)

// weight is what the series of a topic take.
type weight struct {
	series []int64
	bytes  int64
}

// sweepDrawn removes the oldest minutes and words of topics that have more than their share.
func (s *Store) sweepDrawn(ctx context.Context) error {
	all, err := s.weights(ctx)
	if err != nil {
		return err
	}
	sizes := make([]int64, 0, len(all))
	for _, w := range all {
		sizes = append(sizes, w.bytes)
	}
	most := level(sizes, s.keepBytes/2)
	for _, w := range all {
		if w.bytes <= most {
			continue
		}
		share := 1 - float64(most)/float64(w.bytes)
		for _, id := range w.series {
			for _, table := range []string{"changes", "minutes"} {
				if err := s.removeShare(ctx, table, id, share); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// weights is what each topic has drawn, but for hours, which are few.
func (s *Store) weights(ctx context.Context) (map[string]weight, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	type row struct {
		topic     string
		id, bytes int64
	}
	rows, err := scanAll(ctx, tx, func(scan func(...any) error) (r row, err error) { return r, scan(&r.topic, &r.id, &r.bytes) },
		`SELECT topic, id, ?1 * (SELECT count(*) FROM minutes WHERE series = id)
			+ (SELECT coalesce(sum(?2 + length(CAST(value AS BLOB))), 0) FROM changes WHERE series = id) FROM series`, sumBytes, changeBytes)
	if err != nil {
		return nil, err
	}
	all := map[string]weight{}
	for _, r := range rows {
		w := all[r.topic]
		all[r.topic] = weight{append(w.series, r.id), w.bytes + r.bytes}
	}
	return all, nil
}

// removeShare removes the oldest rows of a series, so much of all of them.
func (s *Store) removeShare(ctx context.Context, table string, series int64, share float64) error {
	var n int64
	if err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM `+table+` WHERE series = ?`, series).Scan(&n); err != nil {
		return err
	}
	for left := int64(share * float64(n)); left > 0; left -= drawnAtOnce {
		_, err := s.affected(ctx, `DELETE FROM `+table+` WHERE series = ?1 AND at IN (SELECT at FROM `+table+` WHERE series = ?1 ORDER BY at LIMIT ?2)`,
			series, min(left, drawnAtOnce))
		if err != nil {
			return err
		}
	}
	return nil
}

// sweepForgotten removes what was drawn of topics whose newest messages are remembered no more: somebody makes up topics.
func (s *Store) sweepForgotten(ctx context.Context) error {
	ids, err := s.seriesIDs(ctx, `SELECT id FROM series WHERE NOT EXISTS (SELECT 1 FROM latest WHERE latest.topic = series.topic)`)
	if err != nil {
		return err
	}
	return s.eachSeries(ctx, ids, func(tx *sql.Tx, id int64) error {
		for _, remove := range []string{`DELETE FROM minutes WHERE series = ?`, `DELETE FROM hours WHERE series = ?`, `DELETE FROM changes WHERE series = ?`,
			`DELETE FROM series WHERE id = ?`} {
			if _, err := tx.ExecContext(ctx, remove, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachSeries does something with each of these, a few in one transaction.
func (s *Store) eachSeries(ctx context.Context, ids []int64, do func(tx *sql.Tx, id int64) error) error {
	for some := range slices.Chunk(ids, seriesPer) {
		err := s.inTx(ctx, func(tx *sql.Tx) error {
			for _, id := range some {
				if err := do(tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) seriesIDs(ctx context.Context, query string) ([]int64, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	return column[int64](ctx, tx, query)
}

// thin removes the oldest sixteenth of the minutes, whose hours stay; when there are none, of the words; and at last of the hours. It gives
// false when nothing is left.
func (s *Store) thin(ctx context.Context) (bool, error) {
	for _, table := range []string{"minutes", "changes", "hours"} {
		var first, last sql.NullInt64
		if err := s.read.QueryRowContext(ctx, `SELECT min(at), max(at) FROM `+table).Scan(&first, &last); err != nil {
			return false, err
		}
		if !first.Valid {
			continue
		}
		until := first.Int64 + max((last.Int64-first.Int64)/sweepMargin, time.Minute.Microseconds())
		ids, err := s.seriesIDs(ctx, `SELECT id FROM series`)
		if err != nil {
			return false, err
		}
		return true, s.eachSeries(ctx, ids, func(tx *sql.Tx, id int64) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE series = ? AND at < ?`, id, until)
			return err
		})
	}
	return false, nil
}
