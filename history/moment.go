package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Moment is a link that somebody sent: to one reading over a time, with a copy of what it shows.
type Moment struct {
	ID             string
	Hash           [32]byte // of the code in the link
	Board          string   // who sent it: account:region:entity, the last part empty for the operator
	About, Reading string
	Title          string
	From, To       time.Time // that it shows
	Data           []byte    // what it shows; empty in lists, and when it is over
	Made           time.Time
	Until          time.Time // zero: no end
	Withdrawn      time.Time // zero: not
	Opened         int       // how often
	Last           time.Time // when it was opened; zero: never
}

// Over says since when the link leads nowhere; zero: it does.
func (m Moment) Over(now time.Time) time.Time {
	switch {
	case !m.Withdrawn.IsZero():
		return m.Withdrawn
	case !m.Until.IsZero() && !now.Before(m.Until):
		return m.Until
	}
	return time.Time{}
}

// Reasons for which a moment is not kept.
var (
	ErrMomentsFull    = errors.New("this board has as many moments as it may have")
	ErrMomentsCrowded = errors.New("there are as many moments as may be kept")
	ErrMomentLong     = errors.New("a moment holds too much")
)

// What moments may take: their copies outlive whatever --keep and --keep-size say.
const (
	MaxMoments     = 100       // of a board, that are not over
	maxAllMoments  = 1000      // of all boards
	maxMomentBytes = 128 << 10 // of one
	maxVisits      = 500       // of one moment: who opened it longest ago opens the link again
	rememberOver   = 90 * 24 * time.Hour
	maxOver        = 100 // of a board, of which it is remembered that they are over
)

// lasts is the condition for a moment that is not over; ?1 is the time.
const lasts = `withdrawn IS NULL AND (until IS NULL OR until > ?1)`

// AddMoment keeps a moment.
func (s *Store) AddMoment(ctx context.Context, m Moment) error {
	if len(m.Data) > maxMomentBytes {
		return fmt.Errorf("keep a moment of %d bytes: %w", len(m.Data), ErrMomentLong)
	}
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		var own, all int
		err := tx.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE board = ?2), count(*) FROM moments WHERE `+lasts, stamp(m.Made), m.Board).Scan(&own, &all)
		switch {
		case err != nil:
			return err
		case own >= MaxMoments:
			return ErrMomentsFull
		case all >= maxAllMoments:
			return ErrMomentsCrowded
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO moments (id, hash, board, about, reading, title, began, ended, data, made, until, opened)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
			m.ID, m.Hash[:], m.Board, m.About, m.Reading, m.Title, stamp(m.From), stamp(m.To), orEmpty(m.Data), stamp(m.Made), stampOrNull(m.Until))
		return err
	})
	if err != nil {
		return fmt.Errorf("keep a moment: %w", err)
	}
	return nil
}

// OpenMoment finds the moment of a code, and unless it is over notes a browser that may see it from now on until expires. A code that opens
// nothing costs a read alone: anybody may try one.
func (s *Store) OpenMoment(ctx context.Context, hash, visit [32]byte, now, expires time.Time) (m Moment, there bool, err error) {
	if m, there, err = oneMoment(ctx, s.read, `hash = ?`, hash[:]); err == nil && (!there || !m.Over(now).IsZero()) {
		return m, there, nil
	}
	if err != nil {
		return m, false, fmt.Errorf("open a moment: %w", err)
	}
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		if m, there, err = oneMoment(ctx, tx, `hash = ?`, hash[:]); err != nil || !there || !m.Over(now).IsZero() {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO visits (token, moment, at, expires) VALUES (?, ?, ?, ?)`, visit[:], m.ID, stamp(now), stamp(expires)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM visits WHERE moment = ?1 AND token IN (
			SELECT token FROM visits WHERE moment = ?1 ORDER BY at DESC LIMIT -1 OFFSET ?2)`, m.ID, maxVisits); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE moments SET opened = opened + 1, last = ? WHERE id = ?`, stamp(now), m.ID)
		return err
	})
	if err != nil {
		return m, false, fmt.Errorf("open a moment: %w", err)
	}
	return m, there, nil
}

// VisitedMoment is a moment for a browser that has opened it.
func (s *Store) VisitedMoment(ctx context.Context, id string, visit [32]byte, now time.Time) (Moment, bool, error) {
	m, there, err := oneMoment(ctx, s.read, `id = ? AND EXISTS (SELECT 1 FROM visits WHERE token = ? AND moment = moments.id AND expires > ?)`,
		id, visit[:], stamp(now))
	if err != nil {
		return m, false, fmt.Errorf("find a moment: %w", err)
	}
	return m, there, nil
}

// Moments are those of a value that a board may see, the newest first: its own, and for the operator's those of everybody in the region.
func (s *Store) Moments(ctx context.Context, board, about, reading string) ([]Moment, error) {
	own, arg := ofBoard(board)
	rows, err := s.read.QueryContext(ctx, `SELECT `+momentColumns+`, x'' FROM moments WHERE about = ? AND reading = ? AND `+own+` ORDER BY made DESC, id LIMIT ?`,
		about, reading, arg, MaxMoments+maxOver)
	if err != nil {
		return nil, fmt.Errorf("list moments: %w", err)
	}
	defer rows.Close()
	var all []Moment
	for rows.Next() {
		m, err := scanMoment(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("list moments: %w", err)
		}
		all = append(all, m)
	}
	return all, rows.Err()
}

// ofBoard is the condition for what a board may see. A region's ends in a colon, so it begins no other name.
func ofBoard(board string) (condition, arg string) {
	if strings.HasSuffix(board, ":") {
		return `substr(board, 1, length(?3)) = ?3`, board
	}
	return `board = ?3`, board
}

// WithdrawMoment ends a link that a board may see, and forgets what it showed. It gives false where there is none that lasts.
func (s *Store) WithdrawMoment(ctx context.Context, board, id string, at time.Time) (bool, error) {
	own, arg := ofBoard(board)
	var n int64
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `UPDATE moments SET withdrawn = ?1, data = x'' WHERE id = ?2 AND `+own+` AND `+lasts, stamp(at), id, arg)
		if err != nil {
			return err
		}
		n, err = done.RowsAffected()
		return err
	})
	if err != nil {
		return false, fmt.Errorf("withdraw a moment: %w", err)
	}
	return n == 1, nil
}

// sweepMoments forgets what links showed that are over, and later that there were any.
func (s *Store) sweepMoments(ctx context.Context) error {
	now := s.clock()
	for _, one := range []struct {
		query string
		args  []any
	}{
		{`UPDATE moments SET data = x'' WHERE length(data) > 0 AND NOT (` + lasts + `)`, []any{stamp(now)}},
		{`DELETE FROM visits WHERE expires <= ?`, []any{stamp(now)}},
		{`DELETE FROM visits WHERE moment IN (SELECT id FROM moments WHERE ` + long + `)`, []any{stamp(now), stamp(now.Add(-rememberOver)), maxOver}},
		{`DELETE FROM moments WHERE ` + long, []any{stamp(now), stamp(now.Add(-rememberOver)), maxOver}},
	} {
		if _, err := s.write.ExecContext(ctx, one.query, one.args...); err != nil {
			return err
		}
	}
	return nil
}

// long is the condition for what has been over for so long, or for what so many others of the board were after, that nobody need know.
const long = `id IN (SELECT id FROM (
	SELECT id, coalesce(withdrawn, until) AS since, row_number() OVER (PARTITION BY board ORDER BY coalesce(withdrawn, until) DESC) AS place
	FROM moments WHERE NOT (` + lasts + `)) WHERE since < ?2 OR place > ?3)`

const momentColumns = `id, hash, board, about, reading, title, began, ended, made, until, withdrawn, opened, last`

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func oneMoment(ctx context.Context, from querier, condition string, args ...any) (m Moment, there bool, err error) {
	m, err = scanMoment(from.QueryRowContext(ctx, `SELECT `+momentColumns+`, data FROM moments WHERE `+condition, args...).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return m, false, nil
	}
	return m, err == nil, err
}

func scanMoment(scan func(...any) error) (m Moment, err error) {
	var hash []byte
	var began, ended, made int64
	var until, withdrawn, last sql.NullInt64
	if err = scan(&m.ID, &hash, &m.Board, &m.About, &m.Reading, &m.Title, &began, &ended, &made, &until, &withdrawn, &m.Opened, &last, &m.Data); err != nil {
		return m, err
	}
	copy(m.Hash[:], hash)
	m.From, m.To, m.Made = fromStamp(began), fromStamp(ended), fromStamp(made)
	m.Until, m.Withdrawn, m.Last = fromNull(until), fromNull(withdrawn), fromNull(last)
	return m, nil
}
