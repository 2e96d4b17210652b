package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// What is remembered of presses at most. Those of the last day are all remembered: they count for how often a button may be pressed, and an
// id that comes again is none of a new press.
const (
	maxPresses    = 1000 // of one board, of before the last day
	maxInADay     = 5000 // of one board; more are refused
	maxAllPresses = 200_000
	pressDay      = 24 * time.Hour
)

// pressLimits are those of one board.
type pressLimits struct{ before, inADay int }

// PressState says how far a press got.
type PressState int

// The states of a press. Those up to PressHanded are of one that is under way.
const (
	PressWaiting  PressState = iota // it can be undone
	PressTrying                     // it is to be sent, and was not yet
	PressHanded                     // it is on its way to the broker, which has not said that it has it
	PressAccepted                   // the broker has it
	PressAnswered                   // the device has answered
	PressNotSent                    // it was not sent, and will not be
	PressUnsure                     // it was sent, and nobody knows whether it arrived
	PressUndone                     // whoever pressed has undone it
	PressRefused                    // it could be sent to nobody, or the broker did not want it
)

var pressStates = [...]string{"waiting", "sending", "sending", "accepted", "answered", "not_sent", "unsure", "undone", "refused"}

// String is the word for programs and scripts.
func (s PressState) String() string { return pressStates[s] }

// Press is one press of a button.
type Press struct {
	ID, Board, Button  string
	Who, Label, Chosen string
	Entity             string
	Answers            Answers
	State              PressState
	Pressed, Due       time.Time
	Settled            time.Time // when it was accepted, or given up
	Patient            time.Time // when an answer should have come; zero: none is awaited
	Heard              time.Time // when the answer came
	Words              string    // of the answer, or why it was refused
	Most               int       // how often its button may be pressed in Per; 0: any number
	Per                time.Duration
	Version            int // of its button; not kept
}

// Answers says what counts as the answer to a press.
type Answers struct {
	Reading string   `json:"reading"` // see [Button.Answer]
	Unit    string   `json:"unit,omitempty"`
	Hears   []string `json:"hears"` // topic filters on which it may come
}

// TooOftenError says that a button was pressed as often as it may be, and how long to wait.
type TooOftenError struct{ After time.Duration }

func (e TooOftenError) Error() string {
	return "pressed as often as it may be; again in " + e.After.String()
}

const pressColumns = `SELECT board, id, button, who, label, chosen, entity, answers, state, pressed, due, settled, patient, heard, words FROM presses`

func scanPress(scan func(...any) error) (p Press, err error) {
	var answers []byte
	var pressed, due int64
	var settled, patient, heard sql.NullInt64
	err = scan(&p.Board, &p.ID, &p.Button, &p.Who, &p.Label, &p.Chosen, &p.Entity, &answers, &p.State, &pressed, &due, &settled, &patient, &heard, &p.Words)
	if err != nil {
		return p, err
	}
	p.Pressed, p.Due, p.Settled, p.Patient, p.Heard = fromStamp(pressed), fromStamp(due), fromNull(settled), fromNull(patient), fromNull(heard)
	return p, json.Unmarshal(answers, &p.Answers)
}

// BeginPress keeps a new press before anything is done about it. One that its board has under the same id is given back as it is now, and
// first is false: it is done once, however often it is asked for.
func (s *Store) BeginPress(ctx context.Context, p Press) (now Press, first bool, err error) {
	answers, err := json.Marshal(p.Answers)
	if err != nil {
		return p, false, fmt.Errorf("keep a press: %w", err)
	}
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		was, err := scanPress(tx.QueryRowContext(ctx, pressColumns+` WHERE board = ? AND id = ?`, p.Board, p.ID).Scan)
		if err == nil {
			p = was
			return nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := often(ctx, tx, p); err != nil {
			return err
		}
		if err := tooMany(ctx, tx, p, s.pressed.inADay); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO presses (board, id, button, who, label, chosen, entity, answers, state, pressed, due) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			p.Board, p.ID, p.Button, p.Who, p.Label, p.Chosen, p.Entity, string(answers), int(p.State), stamp(p.Pressed), stamp(p.Due))
		first = err == nil
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM presses WHERE seq IN (SELECT seq FROM presses WHERE board = ? AND pressed <= ? ORDER BY seq DESC LIMIT -1 OFFSET ?)`,
			p.Board, stamp(p.Pressed.Add(-pressDay)), s.pressed.before)
		return err
	})
	if err != nil {
		return p, false, fmt.Errorf("keep a press: %w", err)
	}
	return p, first, nil
}

// often refuses a press too many. What was not sent, or undone, does not count.
func often(ctx context.Context, tx *sql.Tx, p Press) error {
	if p.Most == 0 {
		return nil
	}
	var first sql.NullInt64 // of the last Most presses: when that one is over, there is room
	err := tx.QueryRowContext(ctx, `SELECT pressed FROM presses WHERE button = ? AND pressed > ? AND state NOT IN (?, ?, ?) ORDER BY pressed DESC LIMIT 1 OFFSET ?`,
		p.Button, stamp(p.Pressed.Add(-p.Per)), int(PressNotSent), int(PressUndone), int(PressRefused), p.Most-1).Scan(&first)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return TooOftenError{After: fromStamp(first.Int64).Add(p.Per).Sub(p.Pressed)}
}

// tooMany refuses what would make the log of a board longer than it may be in a day.
func tooMany(ctx context.Context, tx *sql.Tx, p Press, most int) error {
	var first int64
	err := tx.QueryRowContext(ctx, `SELECT pressed FROM presses WHERE board = ? AND pressed > ? ORDER BY seq DESC LIMIT 1 OFFSET ?`,
		p.Board, stamp(p.Pressed.Add(-pressDay)), most-1).Scan(&first)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return TooOftenError{After: fromStamp(first).Add(pressDay).Sub(p.Pressed)}
}

// MovePress notes how far a press got, if it stands where it is thought to: an undoing and a sending must not both succeed.
func (s *Store) MovePress(ctx context.Context, p Press, from, to PressState) (moved bool, err error) {
	done, err := s.write.ExecContext(ctx, `UPDATE presses SET state = ?, settled = ?, patient = ?, heard = ?, words = ? WHERE board = ? AND id = ? AND state = ?`,
		int(to), stampOrNull(p.Settled), stampOrNull(p.Patient), stampOrNull(p.Heard), p.Words, p.Board, p.ID, int(from))
	if err != nil {
		return false, fmt.Errorf("note how far a press got: %w", err)
	}
	n, err := done.RowsAffected()
	return n == 1, err
}

// EndPresses is for a start: what was under way when the last run ended will not be sent. What was on its way may have been.
func (s *Store) EndPresses(ctx context.Context) error {
	_, err := s.write.ExecContext(ctx, `UPDATE presses SET state = iif(state = ?1, ?2, ?3), settled = ?4 WHERE state <= ?1`,
		int(PressHanded), int(PressUnsure), int(PressNotSent), stamp(s.clock()))
	if err != nil {
		return fmt.Errorf("end what was pressed before: %w", err)
	}
	return nil
}

// FindPress says how far a press of a board got.
func (s *Store) FindPress(ctx context.Context, board, id string) (p Press, there bool, err error) {
	p, err = scanPress(s.read.QueryRowContext(ctx, pressColumns+` WHERE board = ? AND id = ?`, board, id).Scan)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Press{}, false, nil
	case err != nil:
		return Press{}, false, fmt.Errorf("find a press: %w", err)
	}
	return p, true, nil
}

// Presses gives the last presses of a board, the newest first.
func (s *Store) Presses(ctx context.Context, board string, limit int) ([]Press, error) {
	return s.presses(ctx, ` WHERE board = ? ORDER BY seq DESC LIMIT ?`, board, limit)
}

// LastAccepted gives of each button of a board the last press that was accepted.
func (s *Store) LastAccepted(ctx context.Context, board string) ([]Press, error) {
	return s.presses(ctx, ` WHERE seq IN (SELECT (SELECT seq FROM presses AS p WHERE p.button = b.id AND p.state IN (3, 4) ORDER BY p.pressed DESC LIMIT 1) FROM buttons AS b WHERE b.board = ?)`, board)
}

// AwaitedPresses gives those since a time that the device may still answer, the newest first: accepted, or sent and nobody knows whether it arrived.
func (s *Store) AwaitedPresses(ctx context.Context, since time.Time, limit int) ([]Press, error) {
	return s.presses(ctx, ` WHERE state IN (?, ?) AND pressed > ? ORDER BY seq DESC LIMIT ?`, int(PressAccepted), int(PressUnsure), stamp(since), limit)
}

func (s *Store) presses(ctx context.Context, which string, args ...any) ([]Press, error) {
	rows, err := s.read.QueryContext(ctx, pressColumns+which, args...)
	if err != nil {
		return nil, fmt.Errorf("read presses: %w", err)
	}
	defer rows.Close()
	var all []Press
	for rows.Next() {
		p, err := scanPress(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("read presses: %w", err)
		}
		all = append(all, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read presses: %w", err)
	}
	return all, nil
}

// sweepPresses forgets those that are older than what is kept and than a day, and the oldest where there are too many.
func (s *Store) sweepPresses(ctx context.Context) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if s.keepFor > 0 {
			if _, err := tx.ExecContext(ctx, `DELETE FROM presses WHERE state >= ? AND pressed <= ?`, int(PressAccepted), stamp(s.clock().Add(-max(s.keepFor, pressDay)))); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM presses WHERE seq IN (SELECT seq FROM presses ORDER BY seq DESC LIMIT -1 OFFSET ?)`, maxAllPresses)
		return err
	})
}
