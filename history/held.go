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
	Watched            bool
	Echo               int
	Client             string
}

// HeldMark is something remembered about a held key that changes by itself.
type HeldMark string

// The marks of a held key, named as its columns are.
const (
	HeldAgreed  HeldMark = "agreed"
	HeldLinked  HeldMark = "linked"
	HeldWatched HeldMark = "watched"
	HeldEcho    HeldMark = "echo"
	HeldClient  HeldMark = "client"
)

// HeldKeys gives all of them.
func (s *Store) HeldKeys(ctx context.Context) ([]HeldKey, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT subject, id, print, sealed, until, used, agreed, linked, watched, echo, client FROM held ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("read held keys: %w", err)
	}
	defer rows.Close()
	var keys []HeldKey
	for rows.Next() {
		var k HeldKey
		var until sql.NullInt64
		var used int64
		if err := rows.Scan(&k.Subject, &k.ID, &k.Print, &k.Sealed, &until, &used, &k.Agreed, &k.Linked, &k.Watched, &k.Echo, &k.Client); err != nil {
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

// PutHeldKey keeps a key, in place of what was kept under its id. The marks of a key that is there stay as they are, unless it is
// another entity's: somebody else may be setting one at this moment, see [Store.MarkHeldKey].
func (s *Store) PutHeldKey(ctx context.Context, k HeldKey) error {
	_, err := s.write.ExecContext(ctx, `INSERT INTO held (subject, id, print, sealed, until, used, agreed, linked, watched, echo, client)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET subject = excluded.subject, print = excluded.print, sealed = excluded.sealed, until = excluded.until,
			used = excluded.used,
			agreed = iif(subject = excluded.subject, agreed, excluded.agreed), linked = iif(subject = excluded.subject, linked, excluded.linked),
			watched = iif(subject = excluded.subject, watched, excluded.watched), echo = iif(subject = excluded.subject, echo, excluded.echo),
			client = iif(subject = excluded.subject, client, excluded.client)`,
		k.Subject, k.ID, k.Print, k.Sealed, stampOrNull(k.Until), stamp(k.Used), k.Agreed, k.Linked, k.Watched, k.Echo, k.Client)
	if err != nil {
		return fmt.Errorf("keep key: %w", err)
	}
	return nil
}

// MarkHeldKey sets one mark and leaves the others alone: the command line may be setting another. It says whether the key is there.
func (s *Store) MarkHeldKey(ctx context.Context, id string, mark HeldMark, value any) (there bool, err error) {
	var query string
	switch mark {
	case HeldAgreed:
		query = `UPDATE held SET agreed = ? WHERE id = ?`
	case HeldLinked:
		query = `UPDATE held SET linked = ? WHERE id = ?`
	case HeldWatched:
		query = `UPDATE held SET watched = ? WHERE id = ?`
	case HeldEcho:
		query = `UPDATE held SET echo = ? WHERE id = ?`
	case HeldClient:
		query = `UPDATE held SET client = ? WHERE id = ?`
	default:
		return false, fmt.Errorf("mark held key: there is no mark %q", mark)
	}
	done, err := s.write.ExecContext(ctx, query, value, id)
	if err != nil {
		return false, fmt.Errorf("mark held key: %w", err)
	}
	n, err := done.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("mark held key: %w", err)
	}
	return n == 1, nil
}

// DropHeldKey forgets a key; one that is not there is no error.
func (s *Store) DropHeldKey(ctx context.Context, id string) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM held WHERE id = ?`, id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM asked WHERE key = ?`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget key: %w", err)
	}
	return nil
}
