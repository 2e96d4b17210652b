package history

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
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
		ready := preparedIn(tx)
		defer ready.close()
		newest, series, alive, err := s.insertAll(ctx, ready, batch)
		if err != nil {
			return err
		}
		if err := alive.write(ready); err != nil {
			return err
		}
		if err := remember(ready, newest); err != nil {
			return err
		}
		return series.write(ready)
	})
	s.counts.note(len(batch), time.Since(began), err)
	if err != nil {
		return fmt.Errorf("record messages: %w", err)
	}
	s.grown(batch)
	return nil
}

// insertAll inserts what is new and says which message is now the newest of each reading, what it adds to what is drawn over time, and who is
// alive.
func (s *Store) insertAll(ctx context.Context, ready *prepared, batch []message.Message) (map[reading]noted, *drawn, signs, error) {
	newest, series, alive := make(map[reading]noted), newDrawn(), signs{}
	ids, err := insert(ctx, ready, batch)
	if err != nil {
		return nil, nil, nil, err
	}
	for i, id := range ids {
		m := &batch[i]
		if id == 0 {
			continue // recorded before
		}
		if m.About == "" {
			continue // no readings of anybody
		}
		at, found := s.readings(m)
		hand := message.ByHand(m.Source, m.Payload)
		alive.note(m, hand)
		for _, r := range found {
			of := reading{m.Topic, m.About, r.Name}
			if !hand {
				series.add(of, r.Value, at)
			}
			newest[of] = noted{message: id, size: len(m.Payload), value: r.Value, at: at, byHand: hand}
		}
	}
	return newest, series, alive, nil
}

// readings are those of a message, and of when they are. A message whose reading fails has none.
func (s *Store) readings(m *message.Message) (time.Time, []message.Reading) {
	at, found, broke := carefully(func() (time.Time, []message.Reading) { return s.reader(m) })
	if broke == nil {
		return at, found
	}
	if s.counts.unread.Add(1) == 1 { // whoever can send one can send many
		s.log.Error("reading a message failed, which is a mistake in the program: it is recorded without readings, and further ones are only counted",
			"about", m.About, "err", broke)
	}
	return m.Received, nil
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

// Recent gives at most limit messages on the topics that wanted accepts, newest first. A nil wanted accepts all.
func (s *Store) Recent(ctx context.Context, wanted func(topic string) bool, limit int) ([]Record, error) {
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
		r, err := recordOf(ctx, tx, id)
		if err != nil {
			return nil, fmt.Errorf("read recent messages: %w", err)
		}
		found = append(found, r)
	}
	return found, nil
}

// recordOf reads one message.
func recordOf(ctx context.Context, tx *sql.Tx, id int64) (r Record, err error) {
	var at int64
	var source string
	err = tx.QueryRowContext(ctx, `SELECT topic, payload, received, about, source FROM messages WHERE id = ?`, id).
		Scan(&r.Topic, &r.Payload, &at, &r.About, &source)
	r.Received, r.ByHand = fromStamp(at), message.ByHand(source, r.Payload)
	return r, err
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
