package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// maxAskedBytes is about how much one answer to [Store.Unasked] holds, unless one message alone is longer.
const maxAskedBytes = 1 << 20

// Unasked gives at most limit messages of a topic that were recorded since this key last asked, the oldest first; before the first time,
// all that is kept. Each is given once.
func (s *Store) Unasked(ctx context.Context, keyID, topic string, limit int) (payloads [][]byte, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		var last int64
		err := tx.QueryRowContext(ctx, `SELECT message FROM asked WHERE key = ?`, keyID).Scan(&last)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		was := last
		if payloads, last, err = after(ctx, tx, topic, last, limit); err != nil || last == was {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO asked (key, message) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET message = excluded.message`, keyID, last)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read what was not asked for yet: %w", err)
	}
	return payloads, nil
}

func after(ctx context.Context, tx *sql.Tx, topic string, last int64, limit int) (payloads [][]byte, at int64, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, payload FROM messages WHERE topic = ? AND id > ? ORDER BY id LIMIT ?`, topic, last, limit)
	if err != nil {
		return nil, last, err
	}
	defer rows.Close()
	for size := 0; size < maxAskedBytes && rows.Next(); {
		var payload []byte
		if err := rows.Scan(&last, &payload); err != nil {
			return nil, last, err
		}
		payloads, size = append(payloads, payload), size+len(payload)
	}
	return payloads, last, rows.Err()
}
