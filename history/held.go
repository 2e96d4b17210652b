package history

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// HeldKey is a sealed key of another service, and what is remembered about it.
type HeldKey struct {
	Subject, ID, Print string
	Sealed             []byte
	Until, Used        time.Time // a zero Until means no end
	Agreed, Linked     bool
}

// HeldKeys gives all of them.
func (s *Store) HeldKeys(ctx context.Context) ([]HeldKey, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT subject, id, print, sealed, until, used, agreed, linked FROM held ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("read held keys: %w", err)
	}
	defer rows.Close()
	var keys []HeldKey
	for rows.Next() {
		var k HeldKey
		var until sql.NullInt64
		var used int64
		if err := rows.Scan(&k.Subject, &k.ID, &k.Print, &k.Sealed, &until, &used, &k.Agreed, &k.Linked); err != nil {
			return nil, fmt.Errorf("read held keys: %w", err)
		}
		k.Until, k.Used = fromNull(until), fromStamp(used)
		keys = append(keys, k)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read held keys: %w", err)
	}
	return keys, nil
}

// PutHeldKey keeps a key, in place of what was kept under its id.
func (s *Store) PutHeldKey(ctx context.Context, k HeldKey) error {
	_, err := s.write.ExecContext(ctx, `INSERT INTO held (subject, id, print, sealed, until, used, agreed, linked) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET subject = excluded.subject, print = excluded.print, sealed = excluded.sealed, until = excluded.until,
			used = excluded.used, agreed = excluded.agreed, linked = excluded.linked`,
		k.Subject, k.ID, k.Print, k.Sealed, stampOrNull(k.Until), stamp(k.Used), k.Agreed, k.Linked)
	if err != nil {
		return fmt.Errorf("keep key: %w", err)
	}
	return nil
}

// DropHeldKey forgets a key; one that is not there is no error.
func (s *Store) DropHeldKey(ctx context.Context, id string) error {
	if _, err := s.write.ExecContext(ctx, `DELETE FROM held WHERE id = ?`, id); err != nil {
		return fmt.Errorf("forget key: %w", err)
	}
	return nil
}
