package history

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// What the outbox holds at most. Nothing that waits is dropped to make room.
const (
	MaxLetters      = 1000 // of one key that wait
	maxLetterBytes  = 8 << 20
	maxAllLetters   = 20_000
	maxAllBytes     = 128 << 20
	doneKept        = 24 * time.Hour
	maxDoneOfKey    = 10_000 // whose end is remembered
	maxDone         = 200_000
	letterStateDone = `state <> 0` // as the indexes have it
)

// Why a message is not taken.
var (
	ErrOutboxFull    = errors.New("too many messages of this key wait to be sent")
	ErrOutboxCrowded = errors.New("too many messages wait to be sent")
	ErrLetterDiffers = errors.New("another message was sent under the same idempotency key")
)

// LetterState says what has become of a message that a program left here.
type LetterState int

// The states of a letter.
const (
	LetterWaiting LetterState = iota
	LetterSent
	LetterExpired
	LetterRefused
)

// String is the word for programs.
func (s LetterState) String() string {
	return [...]string{"waiting", "sent", "expired", "refused"}[s]
}

// Letter is a message that a program has left here to be sent.
type Letter struct {
	ID, KeyID, Topic  string
	Payload           []byte // empty when it is done
	Made, Until, Done time.Time
	State             LetterState
}

// Leaving is what a program asks for besides.
type Leaving struct {
	Once   *[32]byte // SHA-256 of the program's own name for the message: the same again is the same message
	Digest [32]byte  // SHA-256 of all that was asked for
}

// LeaveLetter keeps a message until it is sent; it is safe when this returns (see [Config]). One that was left before under the same name
// is given back as it is now.
func (s *Store) LeaveLetter(ctx context.Context, l Letter, asked Leaving) (Letter, error) {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if asked.Once != nil {
			was, digest, err := scanLetter(tx.QueryRowContext(ctx, letterColumns+` WHERE key = ? AND once = ?`, l.KeyID, asked.Once[:]))
			switch {
			case err == nil && !bytes.Equal(digest, asked.Digest[:]):
				return ErrLetterDiffers
			case err == nil:
				l = was
				return nil
			case !errors.Is(err, sql.ErrNoRows):
				return err
			}
		}
		if err := roomFor(ctx, tx, l); err != nil {
			return err
		}
		var once []byte
		if asked.Once != nil {
			once = asked.Once[:]
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO outbox (id, key, topic, once, digest, payload, size, made, until, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
			l.ID, l.KeyID, l.Topic, once, asked.Digest[:], orEmpty(l.Payload), len(l.Payload), stamp(l.Made), stamp(l.Until))
		return err
	})
	if err != nil {
		return Letter{}, fmt.Errorf("keep message to be sent: %w", err)
	}
	return l, nil
}

func roomFor(ctx context.Context, tx *sql.Tx, l Letter) error {
	var mine, mineBytes, all, allBytes int
	err := tx.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE key = ?1), coalesce(sum(size) FILTER (WHERE key = ?1), 0), count(*), coalesce(sum(size), 0)
		FROM outbox WHERE state = 0`, l.KeyID).Scan(&mine, &mineBytes, &all, &allBytes)
	switch size := len(l.Payload); {
	case err != nil:
		return err
	case mine >= MaxLetters || mineBytes+size > maxLetterBytes:
		return ErrOutboxFull
	case all >= maxAllLetters || allBytes+size > maxAllBytes:
		return ErrOutboxCrowded
	}
	return nil
}

const letterColumns = `SELECT id, key, topic, payload, made, until, done, state, digest FROM outbox`

func scanLetter(row *sql.Row) (l Letter, digest []byte, err error) {
	var made, until int64
	var done sql.NullInt64
	err = row.Scan(&l.ID, &l.KeyID, &l.Topic, &l.Payload, &made, &until, &done, &l.State, &digest)
	l.Made, l.Until, l.Done = fromStamp(made), fromStamp(until), fromNull(done)
	return l, digest, err
}

// FindLetter says what has become of a message that this key left. there is false if nothing is known of it, or not any more.
func (s *Store) FindLetter(ctx context.Context, keyID, id string) (l Letter, there bool, err error) {
	return found(scanLetter(s.read.QueryRowContext(ctx, letterColumns+` WHERE id = ? AND key = ?`, id, keyID)))
}

// NextLetter gives the message of a key that is to be sent next, and when the first of those that wait expires.
func (s *Store) NextLetter(ctx context.Context, keyID string) (l Letter, first time.Time, there bool, err error) {
	l, there, err = found(scanLetter(s.read.QueryRowContext(ctx, letterColumns+` WHERE state = 0 AND key = ? ORDER BY seq LIMIT 1`, keyID)))
	if err != nil || !there {
		return l, first, there, err
	}
	var until sql.NullInt64
	if err := s.read.QueryRowContext(ctx, `SELECT min(until) FROM outbox WHERE state = 0 AND key = ?`, keyID).Scan(&until); err != nil {
		return l, first, false, fmt.Errorf("read outbox: %w", err)
	}
	return l, fromNull(until), until.Valid, nil
}

func found(l Letter, _ []byte, err error) (Letter, bool, error) {
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Letter{}, false, nil
	case err != nil:
		return Letter{}, false, fmt.Errorf("read outbox: %w", err)
	}
	return l, true, nil
}

// EndLetter notes what became of a message that waited.
func (s *Store) EndLetter(ctx context.Context, id string, state LetterState) error {
	_, err := s.endLetters(ctx, state, `id = ?`, id)
	return err
}

// ExpireLetters gives up those of a key whose time is over, and says how many.
func (s *Store) ExpireLetters(ctx context.Context, keyID string) (int, error) {
	return s.endLetters(ctx, LetterExpired, `key = ? AND until <= ?`, keyID, stamp(s.clock()))
}

// RefuseLetters gives up all of a key, and says how many.
func (s *Store) RefuseLetters(ctx context.Context, keyID string) (int, error) {
	return s.endLetters(ctx, LetterRefused, `key = ?`, keyID)
}

func (s *Store) endLetters(ctx context.Context, state LetterState, which string, args ...any) (int, error) {
	done, err := s.write.ExecContext(ctx, `UPDATE outbox SET state = ?, done = ?, payload = x'' WHERE state = 0 AND `+which,
		append([]any{int(state), stamp(s.clock())}, args...)...)
	if err != nil {
		return 0, fmt.Errorf("note what became of a message: %w", err)
	}
	n, err := done.RowsAffected()
	return int(n), err
}

// LetterKeys gives the keys of which something waits to be sent.
func (s *Store) LetterKeys(ctx context.Context) ([]string, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	return column[string](ctx, tx, `SELECT DISTINCT key FROM outbox WHERE state = 0`)
}

// sweepLetters forgets what became of messages a day ago, and sooner where a key has had too many, or all together.
func (s *Store) sweepLetters(ctx context.Context) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM outbox WHERE `+letterStateDone+` AND done <= ?`, stamp(s.clock().Add(-doneKept))); err != nil {
			return err
		}
		busy, err := column[string](ctx, tx, `SELECT key FROM outbox WHERE `+letterStateDone+` GROUP BY key HAVING count(*) > ?`, maxDoneOfKey)
		if err != nil {
			return err
		}
		for _, key := range busy {
			_, err := tx.ExecContext(ctx, `DELETE FROM outbox WHERE `+letterStateDone+` AND key = ?1 AND seq <=
				(SELECT seq FROM outbox WHERE `+letterStateDone+` AND key = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)`, key, maxDoneOfKey)
			if err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE `+letterStateDone+` ORDER BY done DESC LIMIT -1 OFFSET ?)`, maxDone)
		return err
	})
}
