package history

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"trellis/message"
)

// maxSigns is of how many entities one topic may have the last sign of life remembered; those that were silent longest go.
const maxSigns = 512

// Sign is when a speaker last gave a sign of life.
type Sign struct {
	Speaker
	At time.Time
}

// signs collects what a batch of messages says of who is alive.
type signs map[Speaker]int64

// note takes a message for a sign of life, unless a person sent it or its broker had kept it since nobody knows when.
func (s signs) note(m *message.Message, hand bool) {
	if who := (Speaker{m.Topic, m.About}); m.About != "" && !hand && !m.Kept {
		s[who] = max(s[who], stamp(m.Received))
	}
}

func (s signs) write(ready *prepared) error {
	for who, at := range s {
		_, err := ready.exec(`INSERT INTO signs (topic, about, at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)`, who.Topic, who.About, at)
		if err != nil {
			return err
		}
	}
	for topic := range s.topics() {
		var n int
		if err := ready.row(`SELECT count(*) FROM signs WHERE topic = ?`, []any{topic}, &n); err != nil {
			return err
		}
		if n <= maxSigns {
			continue
		}
		_, err := ready.exec(`DELETE FROM signs WHERE topic = ?1 AND about IN (SELECT about FROM signs WHERE topic = ?1 ORDER BY at LIMIT ?2)`, topic, n-maxSigns)
		if err != nil {
			return err
		}
	}
	return nil
}

func (s signs) topics() map[string]struct{} {
	all := map[string]struct{}{}
	for who := range s {
		all[who.Topic] = struct{}{}
	}
	return all
}

// Signs gives the last sign of life of everybody who was heard on the topics that wanted accepts; nil accepts all.
func (s *Store) Signs(ctx context.Context, wanted func(topic string) bool) ([]Sign, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("read signs of life: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	topics, err := topicsOf(ctx, tx, "signs")
	if err != nil {
		return nil, fmt.Errorf("read signs of life: %w", err)
	}
	var all []Sign
	for _, topic := range topics {
		if wanted != nil && !wanted(topic) {
			continue
		}
		more, err := scanAll(ctx, tx, func(scan func(...any) error) (one Sign, err error) {
			var at int64
			err = scan(&one.About, &at)
			one.Topic, one.At = topic, fromStamp(at)
			return one, err
		}, `SELECT about, at FROM signs WHERE topic = ?`, topic)
		if err != nil {
			return nil, fmt.Errorf("read signs of life: %w", err)
		}
		all = append(all, more...)
	}
	return all, nil
}

// maxNormal is of how many devices one board may say so.
const maxNormal = 1000

// ErrNormalEnough says that a board has said so of as many devices as are remembered.
var ErrNormalEnough = errors.New("the board has said enough of what is normal")

// SetNormal notes that the silence of a device is normal, or that it is not.
func (s *Store) SetNormal(ctx context.Context, board, entity string, normal bool) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `INSERT INTO normal (board, entity, normal) SELECT ?1, ?2, ?3
			WHERE (SELECT count(*) FROM normal WHERE board = ?1 AND entity <> ?2) < ?4
			ON CONFLICT DO UPDATE SET normal = excluded.normal`, board, entity, normal, maxNormal)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return cmp.Or(err, ErrNormalEnough)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note what is normal: %w", err)
	}
	return nil
}

// Normal gives what was said of devices on these boards; what is said on a later one goes before.
func (s *Store) Normal(ctx context.Context, boards ...string) (map[string]bool, error) {
	all := map[string]bool{}
	for _, board := range boards {
		rows, err := s.read.QueryContext(ctx, `SELECT entity, normal FROM normal WHERE board = ?`, board)
		if err != nil {
			return nil, fmt.Errorf("read what is normal: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			var entity string
			var normal bool
			if err := rows.Scan(&entity, &normal); err != nil {
				return nil, fmt.Errorf("read what is normal: %w", err)
			}
			all[entity] = normal
		}
		if err := rows.Err(); err != nil {
			return nil, fmt.Errorf("read what is normal: %w", err)
		}
	}
	return all, nil
}
