package history

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"trellis/message"
)

// WalkOf asks for the messages of an entity, oldest first, a piece at a time.
type WalkOf struct {
	About    string    // whose readings they hold
	Reading  string    // only on topics on which this was ever heard; empty: on any
	From, To time.Time // when they were received; zero: any time
	After    int64     // what the piece before gave as its Next; 0: from the beginning
}

// Piece is some messages, oldest first.
type Piece struct {
	Messages []Record
	Next     int64 // for the piece behind this one; 0 where there is none
}

// What one piece may hold and look at. Who writes a piece to somebody slow holds this much, and no transaction.
const (
	pieceRows  = 2000
	pieceBytes = 1 << 20
	pieceLook  = 20_000
)

// Walk gives the next piece, of the topics that wanted accepts. A piece may be empty and have a next.
func (s *Store) Walk(ctx context.Context, wanted func(topic string) bool, of WalkOf) (Piece, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Piece{}, fmt.Errorf("walk through messages: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	piece, err := walkOn(ctx, tx, wanted, of)
	if err != nil {
		return Piece{}, fmt.Errorf("walk through messages: %w", err)
	}
	return piece, nil
}

func walkOn(ctx context.Context, tx *sql.Tx, wanted func(string) bool, of WalkOf) (piece Piece, err error) {
	first, last, err := between(ctx, tx, PageOf{From: of.From, To: of.To})
	if err != nil {
		return piece, err
	}
	topics, err := topicsAbout(ctx, tx, wanted, of)
	if err != nil {
		return piece, err
	}
	var ids []int64
	reached := last // what is newer was not looked at on some topic
	look := max(16, pieceLook/max(1, len(topics)))
	for _, topic := range topics {
		found, to, err := idsAfter(ctx, tx, topic, of, max(first, of.After+1), reached, look)
		if err != nil {
			return piece, err
		}
		ids, reached = append(ids, found...), min(reached, to)
	}
	slices.Sort(ids)
	ids = slices.DeleteFunc(ids, func(id int64) bool { return id > reached })
	if reached < last {
		piece.Next = reached
	}
	if len(ids) > pieceRows {
		ids, piece.Next = ids[:pieceRows], ids[pieceRows-1]
	}
	return piece, piece.read(ctx, tx, ids)
}

// topicsAbout are the topics on which an entity was heard.
func topicsAbout(ctx context.Context, tx *sql.Tx, wanted func(string) bool, of WalkOf) ([]string, error) {
	seen := map[string]bool{}
	reading, tables := ` AND reading = ?3`, []string{"series", "latest"}
	if of.Reading == "" {
		reading, tables = ` AND ?3 = ''`, append(tables, "signs") // it may never have said a value
	}
	for _, table := range tables {
		topics, err := topicsOf(ctx, tx, table)
		if err != nil {
			return nil, err
		}
		for _, topic := range topics {
			if seen[topic] || (wanted != nil && !wanted(topic)) {
				continue
			}
			var there bool
			err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM `+table+` WHERE topic = ?1 AND about = ?2`+reading+`)`,
				topic, of.About, of.Reading).Scan(&there)
			if err != nil {
				return nil, err
			}
			if there {
				seen[topic] = true
			}
		}
	}
	topics := make([]string, 0, len(seen))
	for topic := range seen {
		topics = append(topics, topic)
	}
	slices.SortFunc(topics, cmp.Compare)
	return topics, nil
}

// idsAfter looks at one topic and says how far it came.
func idsAfter(ctx context.Context, tx *sql.Tx, topic string, of WalkOf, first, last int64, look int) (ids []int64, reached int64, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, received, about FROM messages WHERE topic = ? AND id BETWEEN ? AND ? ORDER BY id LIMIT ?`, topic, first, last, look)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	looked, within := 0, PageOf{From: of.From, To: of.To}
	for len(ids) <= pieceRows && rows.Next() {
		var at int64
		var whose string
		if err := rows.Scan(&reached, &at, &whose); err != nil {
			return nil, 0, err
		}
		if looked++; whose == of.About && within.within(fromStamp(at)) {
			ids = append(ids, reached)
		}
	}
	if len(ids) <= pieceRows && looked < look {
		reached = last
	}
	return ids, reached, rows.Err()
}

// read fills a piece with these messages, or with as many of them as are not too much.
func (p *Piece) read(ctx context.Context, tx *sql.Tx, ids []int64) error {
	one, err := tx.PrepareContext(ctx, `SELECT topic, payload, received, about, source FROM messages WHERE id = ?`)
	if err != nil {
		return err
	}
	defer one.Close()
	quick, size := context.WithoutCancel(ctx), 0 // the driver starts a goroutine per query to watch for an end; tx watches already
	for i, id := range ids {
		var r Record
		var at int64
		var source string
		if err := one.QueryRowContext(quick, id).Scan(&r.Topic, &r.Payload, &at, &r.About, &source); err != nil {
			return err
		}
		r.Received, r.ByHand = fromStamp(at), message.ByHand(source, r.Payload)
		p.Messages = append(p.Messages, r)
		if size += len(r.Payload); size >= pieceBytes && i < len(ids)-1 {
			p.Next = id
			return nil
		}
	}
	return nil
}
