package history

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"trellis/message"
)

// Record is one message as it was delivered.
type Record struct {
	Topic    string
	Payload  []byte
	Received time.Time
	About    string   // the entity whose readings these are
	Readings []string // from Latest: those of which this is the newest; from Recent: nil
	ByHand   bool     // from Recent: a person sent it, not a device
}

// Append records messages, all or none; they are safe when it returns (see [Config]). A message whose ID was recorded before
// is ignored, wholly.
func (s *Store) Append(ctx context.Context, batch []message.Message) error {
	if len(batch) == 0 {
		return nil
	}
	began := time.Now()
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		newest, series, err := insertAll(ctx, tx, batch)
		if err != nil {
			return err
		}
		if err := remember(ctx, tx, newest); err != nil {
			return err
		}
		return series.write(ctx, tx)
	})
	s.counts.note(len(batch), time.Since(began), err)
	if err != nil {
		return fmt.Errorf("record messages: %w", err)
	}
	s.grown(batch)
	return nil
}

// insertAll inserts what is new and says which message is now the newest of each reading, and what it adds to what is drawn over time.
func insertAll(ctx context.Context, tx *sql.Tx, batch []message.Message) (map[reading]noted, *drawn, error) {
	// Asking first, where ON CONFLICT would use up an id: retention counts on ids without gaps.
	insert, err := tx.PrepareContext(ctx, `INSERT INTO messages (uid, received, topic, source, about, payload)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (SELECT 1 FROM messages WHERE uid = ?1)`)
	if err != nil {
		return nil, nil, err
	}
	defer insert.Close()
	newest, series := make(map[reading]noted), newDrawn()
	quick := context.WithoutCancel(ctx) // the driver starts a goroutine per statement to watch for an end; tx watches already
	for i := range batch {
		m := &batch[i]
		if i%256 == 0 && ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		id, err := inserted(insert.ExecContext(quick, sql.NullString{String: m.ID, Valid: m.ID != ""}, stamp(m.Received),
			m.Topic, m.Source, m.About, orEmpty(m.Payload)))
		if err != nil {
			return nil, nil, err
		}
		if id == 0 {
			continue // recorded before
		}
		if m.About == "" {
			continue // no readings of anybody
		}
		at, found := delivered(m.Payload, m.Received)
		if found == nil {
			found = message.Readings(m.Data) // nothing in the envelope may hide what the data say
		}
		hand := byHand(m.Source, m.Payload)
		for _, r := range found {
			of := reading{m.Topic, m.About, r.Name}
			if !hand {
				series.add(of, r.Value, at)
			}
			newest[of] = noted{message: id, size: len(m.Payload), value: r.Value, at: at, byHand: hand}
		}
	}
	return newest, series, nil
}

// inserted gives the id of the row that was inserted; 0 means that none was.
func inserted(done sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return 0, err
	}
	return done.LastInsertId()
}

// orEmpty makes nil an empty value, which is not NULL.
func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Recent gives at most limit messages on the topics that wanted accepts, newest first. A nil wanted accepts all.
func (s *Store) Recent(ctx context.Context, wanted func(topic string) bool, limit int) ([]Record, error) {
	return s.recent(ctx, wanted, limit, math.MaxInt64)
}

// Last gives the newest message on a topic as it was delivered; nil if there is none.
func (s *Store) Last(ctx context.Context, topic string) ([]byte, error) {
	var payload []byte
	err := s.read.QueryRowContext(ctx, `SELECT payload FROM messages WHERE topic = ? ORDER BY id DESC LIMIT 1`, topic).Scan(&payload)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("read the last message: %w", err)
	}
	return payload, nil
}

// RecentShort leaves out those of the limit newest whose payload is longer than size: what it reads is bounded by the two,
// whatever others send.
func (s *Store) RecentShort(ctx context.Context, wanted func(topic string) bool, limit, size int) ([]Record, error) {
	return s.recent(ctx, wanted, limit, int64(size))
}

func (s *Store) recent(ctx context.Context, wanted func(string) bool, limit int, size int64) ([]Record, error) {
	if limit <= 0 {
		return nil, nil
	}
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // what is swept meanwhile stays in sight
	if err != nil {
		return nil, fmt.Errorf("read recent messages: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	ids, err := recentIDs(ctx, tx, wanted, limit)
	if err != nil {
		return nil, fmt.Errorf("read recent messages: %w", err)
	}
	found := make([]Record, 0, len(ids))
	for _, id := range ids {
		var r Record
		var at int64
		var source string
		// Not a condition of recentIDs: looking for short ones could walk through everything that is kept.
		err := tx.QueryRowContext(ctx, `SELECT topic, payload, received, about, source FROM messages WHERE id = ? AND length(payload) <= ?`, id, size).
			Scan(&r.Topic, &r.Payload, &at, &r.About, &source)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read recent messages: %w", err)
		}
		r.Received, r.ByHand = fromStamp(at), byHand(source, r.Payload)
		found = append(found, r)
	}
	return found, nil
}

// recentIDs finds the newest messages by topic: there are few topics, and a reader of one of them must not cost a walk
// through everybody's messages.
func recentIDs(ctx context.Context, tx *sql.Tx, wanted func(string) bool, limit int) ([]int64, error) {
	topics, err := topicsOf(ctx, tx, "messages")
	if err != nil {
		return nil, err
	}
	var ids []int64
	floor := int64(0) // no older message can be among the newest any more
	for _, topic := range topics {
		if wanted != nil && !wanted(topic) {
			continue
		}
		more, err := column[int64](ctx, tx, `SELECT id FROM messages WHERE topic = ? AND id > ? ORDER BY id DESC LIMIT ?`, topic, floor, limit)
		if err != nil {
			return nil, err
		}
		ids = append(ids, more...)
		slices.SortFunc(ids, func(a, b int64) int { return cmp.Compare(b, a) })
		if len(ids) >= limit {
			ids = ids[:limit]
			floor = ids[limit-1]
		}
	}
	return ids, nil
}

// topicsOf jumps from one topic of a table to the next in its index.
func topicsOf(ctx context.Context, tx *sql.Tx, table string) ([]string, error) {
	return column[string](ctx, tx, `WITH RECURSIVE t (topic) AS (
			SELECT min(topic) FROM `+table+`
			UNION ALL
			SELECT (SELECT min(topic) FROM `+table+` WHERE topic > t.topic) FROM t WHERE t.topic IS NOT NULL)
		SELECT topic FROM t WHERE topic IS NOT NULL`)
}

// column reads a query's only column.
func column[T any](ctx context.Context, tx *sql.Tx, query string, args ...any) ([]T, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		var one T
		if err := rows.Scan(&one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}
