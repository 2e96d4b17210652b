package history

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"trellis/message"
)

// maxLatest bounds how many readings of one topic are remembered beyond their message; the longest silent ones go first.
const maxLatest = 256

// Record is one message as it was delivered.
type Record struct {
	Topic    string
	Payload  []byte
	Received time.Time
	About    string   // the entity whose readings these are
	Readings []string // from Latest: those of which this is the newest; from Recent: nil
}

// reading names a value across messages. One topic may carry the readings of several entities.
type reading struct{ topic, about, name string }

// Append records messages, all or none; they are safe when it returns (see [Config]). A message whose ID was recorded before
// is ignored, wholly.
func (s *Store) Append(ctx context.Context, batch []message.Message) error {
	if len(batch) == 0 {
		return nil
	}
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		newest, err := insertAll(ctx, tx, batch)
		if err != nil {
			return err
		}
		return remember(ctx, tx, newest)
	})
	if err != nil {
		return fmt.Errorf("record messages: %w", err)
	}
	return nil
}

// insertAll inserts what is new and says which message is now the newest of each reading.
func insertAll(ctx context.Context, tx *sql.Tx, batch []message.Message) (map[reading]int64, error) {
	// Asking first, where ON CONFLICT would use up an id: retention counts on ids without gaps.
	insert, err := tx.PrepareContext(ctx, `INSERT INTO messages (uid, received, topic, source, about, payload)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (SELECT 1 FROM messages WHERE uid = ?1)`)
	if err != nil {
		return nil, err
	}
	defer insert.Close()
	newest := make(map[reading]int64)
	quick := context.WithoutCancel(ctx) // the driver starts a goroutine per statement to watch for an end; tx watches already
	for i := range batch {
		m := &batch[i]
		if i%256 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		id, err := inserted(insert.ExecContext(quick, sql.NullString{String: m.ID, Valid: m.ID != ""}, stamp(m.Received),
			m.Topic, m.Source, m.About, orEmpty(m.Payload)))
		if err != nil {
			return nil, err
		}
		if id == 0 {
			continue // recorded before
		}
		for _, name := range readingNames(m) {
			newest[reading{m.Topic, m.About, name}] = id
		}
	}
	return newest, nil
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

func readingNames(m *message.Message) []string {
	if m.About == "" {
		return nil
	}
	found := message.Readings(m.Data)
	names := make([]string, 0, min(len(found), message.MaxReadings))
	for _, r := range found[:min(len(found), message.MaxReadings)] {
		names = append(names, r.Name)
	}
	return names
}

// remember notes the newest message of each reading, and forgets the oldest beyond maxLatest of a topic.
func remember(ctx context.Context, tx *sql.Tx, newest map[reading]int64) error {
	if len(newest) == 0 {
		return nil
	}
	note, err := tx.PrepareContext(ctx, `INSERT INTO latest (topic, about, reading, message) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET message = excluded.message`)
	if err != nil {
		return err
	}
	defer note.Close()
	quick := context.WithoutCancel(ctx)
	topics := make(map[string]struct{})
	for r, id := range newest {
		if _, err := note.ExecContext(quick, r.topic, r.about, r.name, id); err != nil {
			return err
		}
		topics[r.topic] = struct{}{}
	}
	for topic := range topics {
		if err := forget(quick, tx, topic); err != nil {
			return err
		}
	}
	return nil
}

func forget(ctx context.Context, tx *sql.Tx, topic string) error {
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM latest WHERE topic = ?`, topic).Scan(&n); err != nil || n <= maxLatest {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM latest WHERE topic = ?1 AND (about, reading) IN (
		SELECT about, reading FROM latest WHERE topic = ?1 ORDER BY message, about, reading LIMIT ?2)`, topic, n-maxLatest)
	return err
}

// Latest gives, for every reading, the newest message that holds it: each message once, oldest first.
func (s *Store) Latest(ctx context.Context) ([]Record, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT m.topic, m.payload, m.received, m.about, l.names
		FROM (SELECT message, json_group_array(reading) AS names FROM latest GROUP BY message) AS l
		JOIN messages AS m ON m.id = l.message ORDER BY m.id`)
	if err != nil {
		return nil, fmt.Errorf("read latest messages: %w", err)
	}
	defer rows.Close()
	var found []Record
	for rows.Next() {
		var r Record
		var at int64
		var names string
		if err := rows.Scan(&r.Topic, &r.Payload, &at, &r.About, &names); err != nil {
			return nil, fmt.Errorf("read latest messages: %w", err)
		}
		if err := json.Unmarshal([]byte(names), &r.Readings); err != nil {
			return nil, fmt.Errorf("read latest messages: %w", err)
		}
		slices.Sort(r.Readings)
		r.Received = fromStamp(at)
		found = append(found, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read latest messages: %w", err)
	}
	return found, nil
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
		var r Record
		var at int64
		err := tx.QueryRowContext(ctx, `SELECT topic, payload, received, about FROM messages WHERE id = ?`, id).
			Scan(&r.Topic, &r.Payload, &at, &r.About)
		if err != nil {
			return nil, fmt.Errorf("read recent messages: %w", err)
		}
		r.Received = fromStamp(at)
		found = append(found, r)
	}
	return found, nil
}

// recentIDs finds the newest messages by topic: there are few topics, and a reader of one of them must not cost a walk
// through everybody's messages.
func recentIDs(ctx context.Context, tx *sql.Tx, wanted func(string) bool, limit int) ([]int64, error) {
	topics, err := allTopics(ctx, tx)
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

// allTopics jumps from one topic to the next in the index.
func allTopics(ctx context.Context, tx *sql.Tx) ([]string, error) {
	return column[string](ctx, tx, `WITH RECURSIVE t (topic) AS (
			SELECT min(topic) FROM messages
			UNION ALL
			SELECT (SELECT min(topic) FROM messages WHERE topic > t.topic) FROM t WHERE t.topic IS NOT NULL)
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
