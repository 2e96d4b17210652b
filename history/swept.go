package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// The newest message of a reading stays when those around it go. So that two messages lie side by side in the record says nothing of what came
// between them, unless it is known that nothing was removed there.

// noteSwept notes that messages of a topic were removed, up to this one.
func noteSwept(ctx context.Context, tx *sql.Tx, topic string, last int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO swept (topic, message) VALUES (?, ?) ON CONFLICT DO UPDATE SET message = max(message, excluded.message)`, topic, last)
	return err
}

// wholeFrom is the first message of a topic from which on all are kept.
func wholeFrom(ctx context.Context, tx *sql.Tx, topic string) (int64, error) {
	var last int64
	err := tx.QueryRowContext(ctx, `SELECT message FROM swept WHERE topic = ?`, topic).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return last + 1, err
}

// KeptSince is from when on all messages are kept of those that came on wanted topics from from on and before to. It is zero where that is from from on.
func (s *Store) KeptSince(ctx context.Context, wanted func(topic string) bool, from, to time.Time) (since time.Time, err error) {
	err = s.looking(ctx, func(tx *sql.Tx) error {
		_, before, err := between(ctx, tx, PageOf{To: from})
		if err != nil {
			return err
		}
		topics, err := column[string](ctx, tx, `SELECT topic FROM swept WHERE message > ?`, before)
		if err != nil {
			return err
		}
		for _, topic := range topics {
			if wanted != nil && !wanted(topic) {
				continue
			}
			kept, err := column[int64](ctx, tx, `SELECT received FROM messages WHERE topic = ?1 AND id > (SELECT message FROM swept WHERE topic = ?1) ORDER BY id LIMIT 1`, topic)
			if err != nil {
				return err
			}
			at := to
			if len(kept) > 0 && kept[0] < stamp(to) {
				at = fromStamp(kept[0])
			}
			if at.After(since) {
				since = at
			}
		}
		return nil
	})
	if err != nil {
		return since, fmt.Errorf("since when all is kept: %w", err)
	}
	return since, nil
}

// sweepOld removes a few messages that were received before then, but for the newest of a reading.
func (s *Store) sweepOld(ctx context.Context, before int64) (n int, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		type gone struct {
			topic string
			id    int64
		}
		all, err := scanAll(ctx, tx, func(scan func(...any) error) (g gone, err error) { return g, scan(&g.topic, &g.id) },
			`DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE received < ?
				AND NOT EXISTS (SELECT 1 FROM latest WHERE message = messages.id) LIMIT ?) RETURNING topic, id`, before, sweepRows)
		if err != nil {
			return err
		}
		last := map[string]int64{}
		for _, g := range all {
			last[g.topic] = max(last[g.topic], g.id)
		}
		for topic, id := range last {
			if err := noteSwept(ctx, tx, topic, id); err != nil {
				return err
			}
		}
		n = len(all)
		return nil
	})
	return n, err
}
