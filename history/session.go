package history

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Find, Commit and Delete are what github.com/alexedwards/scs asks of a store. The token opens the session, so only its hash
// is kept; of what the session holds nothing is known here.

// What is kept of each at most: whoever can sign in can do so again and again.
const (
	maxSessions = 2000
	maxOfHolder = 50
	maxCodes    = 100
)

// Find gives what a session holds, unless it has ended.
func (s *Store) Find(token string) ([]byte, bool, error) {
	hash := sha256.Sum256([]byte(token))
	var data []byte
	err := s.read.QueryRow(`SELECT data FROM sessions WHERE token = ? AND expires > ?`, hash[:], stamp(s.clock())).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("find session: %w", err)
	}
	return data, true, nil
}

// Commit keeps what a session holds until expiry. Those that end soonest make room for it.
func (s *Store) Commit(token string, data []byte, expiry time.Time) error {
	hash, ctx := sha256.Sum256([]byte(token)), context.Background()
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO sessions (token, data, expires) VALUES (?, ?, ?)
			ON CONFLICT (token) DO UPDATE SET data = excluded.data, expires = excluded.expires`, hash[:], orEmpty(data), stamp(expiry))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM sessions WHERE token IN (SELECT token FROM sessions WHERE token <> ?
			ORDER BY expires DESC LIMIT -1 OFFSET ?)`, hash[:], maxSessions-1)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep session: %w", err)
	}
	return nil
}

// Hold notes whose a session is. Of one holder those that end soonest make room for it.
func (s *Store) Hold(ctx context.Context, token, holder string) error {
	hash := sha256.Sum256([]byte(token))
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE sessions SET holder = ? WHERE token = ?`, holder, hash[:]); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE token IN (SELECT token FROM sessions WHERE holder = ? AND token <> ?
			ORDER BY expires DESC LIMIT -1 OFFSET ?)`, holder, hash[:], maxOfHolder-1)
		return err
	})
	if err != nil {
		return fmt.Errorf("note whose a session is: %w", err)
	}
	return nil
}

// Delete ends a session; one that is not there is no error.
func (s *Store) Delete(token string) error {
	hash := sha256.Sum256([]byte(token))
	if _, err := s.write.ExecContext(context.Background(), `DELETE FROM sessions WHERE token = ?`, hash[:]); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// PutCode keeps the hash of a one-time code. Those that end soonest make room for it.
func (s *Store) PutCode(ctx context.Context, hash [32]byte, expires time.Time) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO codes (hash, expires) VALUES (?, ?)`, hash[:], stamp(expires)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM codes WHERE hash IN (SELECT hash FROM codes WHERE hash <> ?
			ORDER BY expires DESC LIMIT -1 OFFSET ?)`, hash[:], maxCodes-1)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep code: %w", err)
	}
	return nil
}

// TakeCode says whether the code was there and has not ended. It is true once. A wrong one costs a read alone: anybody may try one.
func (s *Store) TakeCode(ctx context.Context, hash [32]byte) (bool, error) {
	var there bool
	err := s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM codes WHERE hash = ? AND expires > ?)`, hash[:], stamp(s.clock())).Scan(&there)
	if err != nil {
		return false, fmt.Errorf("take code: %w", err)
	}
	if !there {
		return false, nil
	}
	done, err := s.write.ExecContext(ctx, `DELETE FROM codes WHERE hash = ? AND expires > ?`, hash[:], stamp(s.clock()))
	if err != nil {
		return false, fmt.Errorf("take code: %w", err)
	}
	n, err := done.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("take code: %w", err)
	}
	return n == 1, nil
}
