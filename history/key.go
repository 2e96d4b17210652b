package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Key is what is kept of an API key. Subject is its `sub`; a zero Expires or Revoked means never. Ended is when it was first
// seen to be past Expires; zero means not yet.
type Key struct {
	Subject, ID                      string
	Created, Expires, Revoked, Ended time.Time
	Hash                             [32]byte
}

// Keys gives all keys, oldest first.
func (s *Store) Keys(ctx context.Context) ([]Key, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT subject, id, created, expires, revoked, ended, hash FROM keys ORDER BY created, id`)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	defer rows.Close()
	var keys []Key
	for rows.Next() {
		var k Key
		var created int64
		var expires, revoked, ended sql.NullInt64
		var hash []byte
		if err := rows.Scan(&k.Subject, &k.ID, &created, &expires, &revoked, &ended, &hash); err != nil {
			return nil, fmt.Errorf("read keys: %w", err)
		}
		k.Created, k.Expires, k.Revoked, k.Ended = fromStamp(created), fromNull(expires), fromNull(revoked), fromNull(ended)
		copy(k.Hash[:], hash)
		keys = append(keys, k)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return keys, nil
}

// AddKey keeps a new key.
func (s *Store) AddKey(ctx context.Context, k Key) error {
	_, err := s.write.ExecContext(ctx, `INSERT INTO keys (subject, id, created, expires, revoked, hash) VALUES (?, ?, ?, ?, ?, ?)`,
		k.Subject, k.ID, stamp(k.Created), stampOrNull(k.Expires), stampOrNull(k.Revoked), k.Hash[:])
	if err != nil {
		return fmt.Errorf("store key: %w", err)
	}
	return nil
}

// RenewKey puts the hash of another token in place of the one before.
func (s *Store) RenewKey(ctx context.Context, id string, hash [32]byte) error {
	done, err := s.write.ExecContext(ctx, `UPDATE keys SET hash = ? WHERE id = ? AND revoked IS NULL`, hash[:], id)
	if err != nil {
		return fmt.Errorf("renew key: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("renew key: %q is not a live key: %w", id, errors.Join(err, sql.ErrNoRows))
	}
	return nil
}

// RevokeKey notes that a key was revoked. The first time counts; a key that is not there is no error.
func (s *Store) RevokeKey(ctx context.Context, id string, at time.Time) error {
	_, err := s.write.ExecContext(ctx, `UPDATE keys SET revoked = ? WHERE id = ? AND revoked IS NULL`, stamp(at), id)
	if err != nil {
		return fmt.Errorf("revoke key: %w", err)
	}
	return nil
}

// EndKey notes that a key was seen to be past its end. The first time counts; a key that is not there is no error.
func (s *Store) EndKey(ctx context.Context, id string, at time.Time) error {
	_, err := s.write.ExecContext(ctx, `UPDATE keys SET ended = ? WHERE id = ? AND ended IS NULL`, stamp(at), id)
	if err != nil {
		return fmt.Errorf("note the end of a key: %w", err)
	}
	return nil
}

// Changed says whether keys were added or revoked since it was last asked, by this process or another. It is cheap enough
// to ask many times a second: as long as nobody wrote anything, it reads no table.
func (s *Store) Changed(ctx context.Context) (bool, error) {
	return s.changed(ctx, &s.keysSeen, `SELECT keys FROM revision`)
}

// HeldChanged is [Store.Changed] for held keys: whether one came, went, was replaced, or is to be watched or not any more.
func (s *Store) HeldChanged(ctx context.Context) (bool, error) {
	return s.changed(ctx, &s.heldSeen, `SELECT held FROM revision`)
}

// follower is how far somebody has followed what happens in the file.
type follower struct {
	version  int64 // data_version of Store.watch when last asked
	revision int64
}

func (s *Store) changed(ctx context.Context, seen *follower, query string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var version, revision int64
	if err := s.watch.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&version); err != nil {
		return false, fmt.Errorf("look for changes: %w", err)
	}
	if version == seen.version {
		return false, nil
	}
	if err := s.watch.QueryRowContext(ctx, query).Scan(&revision); err != nil {
		return false, fmt.Errorf("look for changes: %w", err)
	}
	changed := revision != seen.revision
	*seen = follower{version, revision}
	return changed, nil
}
