package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Setting is one thing that the owner of a board wants otherwise than it comes. Each is a row of its own, so that two who change
// different things of one card lose nothing of each other.
type Setting struct {
	Board   string // whose: account:region: of the operator, account:region:entity of a key
	Entity  string
	Reading string // empty: the device itself
	Field   SettingField
	Value   string // empty: as it comes, whatever a board above says
	Gone    bool   // for [Store.PutSettings]: there is no such setting any more
}

// SettingField says what is set.
type SettingField string

// What can be set.
const (
	SettingName   SettingField = "name"
	SettingHidden SettingField = "hidden"
	SettingPlace  SettingField = "place" // a number; the lowest comes first
	SettingUnit   SettingField = "unit"
	SettingDigits SettingField = "digits"
	SettingLow    SettingField = "low"
	SettingHigh   SettingField = "high"
)

func (f SettingField) known() bool {
	switch f {
	case SettingName, SettingHidden, SettingPlace, SettingUnit, SettingDigits, SettingLow, SettingHigh:
		return true
	}
	return false
}

// What is kept of settings at most: whoever holds a key may make a board of its own.
const (
	maxSettings      = 5000 // of one board
	maxAllSettings   = 200_000
	maxSettingBytes  = 400  // of a value
	maxSettingOfName = 1024 // bytes of the name of an entity, a reading or a board
)

// ErrSettingsFull says that a board holds as many settings as it may, and that all of them are about what is still heard.
var ErrSettingsFull = errors.New("too many settings")

// Settings gives what is set on these boards, in the order in which they are named.
func (s *Store) Settings(ctx context.Context, boards ...string) ([]Setting, error) {
	var all []Setting
	for _, board := range boards {
		found, err := s.settingsOf(ctx, board)
		if err != nil {
			return nil, fmt.Errorf("read settings: %w", err)
		}
		all = append(all, found...)
	}
	return all, nil
}

func (s *Store) settingsOf(ctx context.Context, board string) ([]Setting, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT entity, reading, field, value FROM settings WHERE board = ? ORDER BY entity, reading, field`, board)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Setting
	for rows.Next() {
		one := Setting{Board: board}
		if err := rows.Scan(&one.Entity, &one.Reading, &one.Field, &one.Value); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// PutSettings keeps all of these or none. What they do not name stays as it is.
func (s *Store) PutSettings(ctx context.Context, all []Setting) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		for _, one := range all {
			if err := one.check(); err != nil {
				return err
			}
			if err := putSetting(ctx, tx, one); err != nil {
				return err
			}
		}
		return s.roomForSettings(ctx, tx, all)
	})
	if err != nil {
		return fmt.Errorf("keep settings: %w", err)
	}
	return nil
}

func (s Setting) check() error {
	ok := s.Field.known() && s.Board != "" && s.Entity != "" && len(s.Value) <= maxSettingBytes &&
		len(s.Board) <= maxSettingOfName && len(s.Entity) <= maxSettingOfName && len(s.Reading) <= maxSettingOfName && utf8.ValidString(s.Value)
	if !ok {
		return fmt.Errorf("%q of %q is no setting", s.Field, s.Entity)
	}
	return nil
}

func putSetting(ctx context.Context, tx *sql.Tx, one Setting) error {
	if one.Gone {
		_, err := tx.ExecContext(ctx, `DELETE FROM settings WHERE board = ? AND entity = ? AND reading = ? AND field = ?`,
			one.Board, one.Entity, one.Reading, one.Field)
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO settings (board, entity, reading, field, value) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET value = excluded.value`, one.Board, one.Entity, one.Reading, one.Field, one.Value)
	return err
}

// roomForSettings lets what is about nobody who is still heard make room, and then says no.
func (s *Store) roomForSettings(ctx context.Context, tx *sql.Tx, all []Setting) error {
	most := map[string]int{"": maxAllSettings}
	for _, one := range all {
		most[one.Board] = s.settings
	}
	for board, most := range most {
		n, err := countSettings(ctx, tx, board)
		if err == nil && n > most {
			_, err = tx.ExecContext(ctx, `DELETE FROM settings WHERE (?1 = '' OR board = ?1)
				AND ((reading <> '' AND (entity, reading) NOT IN (SELECT about, reading FROM latest)) OR (reading = '' AND entity NOT IN (SELECT about FROM latest)))`, board)
			if err == nil {
				n, err = countSettings(ctx, tx, board)
			}
		}
		if err != nil {
			return err
		}
		if n > most {
			return ErrSettingsFull
		}
	}
	return nil
}

// countSettings counts those of a board, of all without one.
func countSettings(ctx context.Context, tx *sql.Tx, board string) (n int, err error) {
	err = tx.QueryRowContext(ctx, `SELECT count(*) FROM settings WHERE ?1 = '' OR board = ?1`, board).Scan(&n)
	return n, err
}
