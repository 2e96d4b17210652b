package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
)

// How many buttons there may be.
const (
	MaxButtons    = 30 // of one board
	maxAllButtons = 20_000
)

// What cannot be done with a button.
var (
	ErrButtonsFull   = errors.New("there are as many buttons as there may be")
	ErrButtonUnknown = errors.New("no button of this board has this id")
	ErrButtonChanged = errors.New("the button has been changed since it was looked at")
)

// Button is what somebody may press. What it holds was checked by whoever made it.
type Button struct {
	ID      string `json:"-"`
	Board   string `json:"-"`
	Version int    `json:"-"`

	Label  string  `json:"label"`
	Entity string  `json:"entity"`           // the device that it speaks to
	Data   string  `json:"data"`             // JSON
	Number *Number `json:"number,omitempty"` // chosen by the person; nil: there is nothing to choose
	Risk   string  `json:"risk"`             // plain, confirm or hold
	Undo   bool    `json:"undo,omitempty"`   // it waits for a moment, in which it can be undone
	Answer string  `json:"answer"`           // the reading that counts as the answer; empty: a message that names the press; "-": none is awaited

	Most int    `json:"most,omitempty"` // presses in Per seconds; 0: any number
	Per  int    `json:"per,omitempty"`
	From int    `json:"from"` // minutes of the day between which it may be pressed; the same twice: always
	To   int    `json:"to"`
	Zone string `json:"zone,omitempty"` // whose day
}

// Number is what a person chooses.
type Number struct {
	Name  string  `json:"name"` // member of the data
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
	Step  float64 `json:"step"`
	Start float64 `json:"start"`
	Unit  string  `json:"unit,omitempty"`
}

const buttonColumns = `SELECT id, board, version, button FROM buttons`

// Buttons gives those of a board, in their order.
func (s *Store) Buttons(ctx context.Context, board string) ([]Button, error) {
	rows, err := s.read.QueryContext(ctx, buttonColumns+` WHERE board = ? ORDER BY place, id`, board)
	if err != nil {
		return nil, fmt.Errorf("read buttons: %w", err)
	}
	defer rows.Close()
	var all []Button
	for rows.Next() {
		b, err := scanButton(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("read buttons: %w", err)
		}
		all = append(all, b)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read buttons: %w", err)
	}
	return all, nil
}

// FindButton gives one of a board.
func (s *Store) FindButton(ctx context.Context, board, id string) (Button, error) {
	b, err := scanButton(s.read.QueryRowContext(ctx, buttonColumns+` WHERE id = ? AND board = ?`, id, board).Scan)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Button{}, ErrButtonUnknown
	case err != nil:
		return Button{}, fmt.Errorf("find button: %w", err)
	}
	return b, nil
}

func scanButton(scan func(...any) error) (b Button, err error) {
	var text []byte
	if err := scan(&b.ID, &b.Board, &b.Version, &text); err != nil {
		return b, err
	}
	return b, json.Unmarshal(text, &b)
}

// AddButtons puts new buttons behind those of their board: all of them, or none.
func (s *Store) AddButtons(ctx context.Context, board string, buttons ...Button) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		var mine, all, last int
		err := tx.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE board = ?1), count(*), coalesce(max(place) FILTER (WHERE board = ?1), 0) FROM buttons`, board).
			Scan(&mine, &all, &last)
		if err != nil {
			return err
		}
		if mine+len(buttons) > MaxButtons || all+len(buttons) > maxAllButtons {
			return ErrButtonsFull
		}
		for i, b := range buttons {
			text, err := json.Marshal(b)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO buttons (id, board, place, version, button) VALUES (?, ?, ?, 1, ?)`, b.ID, board, last+1+i, string(text)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("make a button: %w", err)
	}
	return nil
}

// ChangeButton puts b in place of what its board has under its id, unless that is not the version any more from which b was made.
func (s *Store) ChangeButton(ctx context.Context, board string, b Button) error {
	text, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("change a button: %w", err)
	}
	done, err := s.write.ExecContext(ctx, `UPDATE buttons SET button = ?, version = version + 1 WHERE id = ? AND board = ? AND version = ?`, string(text), b.ID, board, b.Version)
	if err != nil {
		return fmt.Errorf("change a button: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		return err
	}
	if _, err := s.FindButton(ctx, board, b.ID); err != nil {
		return err
	}
	return ErrButtonChanged
}

// MoveButton changes places with the one before it, or behind it. At either end it stays where it is.
func (s *Store) MoveButton(ctx context.Context, board, id string, up bool) error {
	beside := `SELECT id, place FROM buttons WHERE board = ? AND place > ? ORDER BY place LIMIT 1`
	if up {
		beside = `SELECT id, place FROM buttons WHERE board = ? AND place < ? ORDER BY place DESC LIMIT 1`
	}
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		var mine, theirs int
		var other string
		err := tx.QueryRowContext(ctx, `SELECT place FROM buttons WHERE id = ? AND board = ?`, id, board).Scan(&mine)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrButtonUnknown
		}
		if err != nil {
			return err
		}
		err = tx.QueryRowContext(ctx, beside, board, mine).Scan(&other, &theirs)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE buttons SET place = CASE id WHEN ?1 THEN ?3 ELSE ?4 END WHERE id IN (?1, ?2)`, id, other, theirs, mine)
		return err
	})
	if err != nil {
		return fmt.Errorf("move a button: %w", err)
	}
	return nil
}

// DropButton takes one away; what was pressed stays in the log.
func (s *Store) DropButton(ctx context.Context, board, id string) error {
	done, err := s.write.ExecContext(ctx, `DELETE FROM buttons WHERE id = ? AND board = ?`, id, board)
	if err != nil {
		return fmt.Errorf("take a button away: %w", err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return ErrButtonUnknown
}
