package history

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Unrecorded counts messages that are not in the record, though they came.
type Unrecorded struct {
	Topic       string // empty: of topics too many to name
	First, Last time.Time
	N           int64
}

// keptUnrecorded is how many notes are kept: one for each minute and topic. What could not be noted for hours is in the minute of the last.
const keptUnrecorded = 10_000

// NoteUnrecorded adds to what is known to be missing, all or none of it.
func (s *Store) NoteUnrecorded(ctx context.Context, all []Unrecorded) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		for _, u := range all {
			_, err := tx.ExecContext(ctx, `INSERT INTO unrecorded (minute, topic, first, last, n) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT DO UPDATE SET n = n + excluded.n, first = min(first, excluded.first), last = max(last, excluded.last)`,
				stamp(u.Last.Truncate(time.Minute)), u.Topic, stamp(u.First), stamp(u.Last), u.N)
			if err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM unrecorded WHERE (minute, topic) IN (
			SELECT minute, topic FROM unrecorded ORDER BY minute DESC, topic DESC LIMIT -1 OFFSET ?)`, keptUnrecorded)
		return err
	})
	if err != nil {
		return fmt.Errorf("note what was not recorded: %w", err)
	}
	return nil
}

// Unrecorded gives what is missing of the topics that wanted accepts, by topic and minute, oldest first. A nil wanted accepts all.
func (s *Store) Unrecorded(ctx context.Context, wanted func(topic string) bool, from, to time.Time) ([]Unrecorded, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT topic, first, last, n FROM unrecorded
		WHERE minute >= ?1 - 60000000 AND last >= ?1 AND first < ?2 ORDER BY minute, topic`, stamp(from), stamp(to))
	if err != nil {
		return nil, fmt.Errorf("read what was not recorded: %w", err)
	}
	defer rows.Close()
	var all []Unrecorded
	for rows.Next() {
		var u Unrecorded
		var first, last int64
		if err := rows.Scan(&u.Topic, &first, &last, &u.N); err != nil {
			return nil, fmt.Errorf("read what was not recorded: %w", err)
		}
		if wanted == nil || wanted(u.Topic) {
			u.First, u.Last = fromStamp(first), fromStamp(last)
			all = append(all, u)
		}
	}
	return all, rows.Err()
}
