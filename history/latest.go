package history

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"trellis/message"
)

// What one topic may have us remember beyond its messages' time, and read whenever it is asked for. The longest silent
// readings go first.
const (
	maxLatest      = 256
	maxLatestBytes = 256 << 10 // payload of the messages that hold them
)

// Value is the newest value of a reading, as the page prints it.
type Value struct {
	Topic   string
	About   string // the entity whose reading it is
	Reading string
	Value   any       // float64, string or bool
	At      time.Time // of when it is, see [message.Delivered]
	ByHand  bool      // a person sent it, not a device

	message int64
}

// reading names a value across messages. One topic may carry the readings of several entities.
type reading struct{ topic, about, name string }

// noted is what is remembered of a reading.
type noted struct {
	message int64
	size    int // of the message's payload
	value   any
	at      time.Time
	byHand  bool
}

// delivered is [message.Delivered]; the arrival stands in where the payload does not say of when it is.
func delivered(payload []byte, received time.Time) (time.Time, []message.Reading) {
	at, found := message.Delivered(payload)
	if at.IsZero() {
		at = received
	}
	return at, found
}

// carefully reads what strangers have sent: what a mistake in the program makes of one message must not keep all others out of the record,
// or the server from starting.
func carefully(read func() (time.Time, []message.Reading)) (at time.Time, found []message.Reading, broke error) {
	defer func() {
		if said := recover(); said != nil {
			broke = fmt.Errorf("%v\n%s", said, debug.Stack())
		}
	}()
	at, found = read()
	return at, found, nil
}

// remember notes the newest message of each reading, and forgets what is too much of a topic.
func remember(ready *prepared, newest map[reading]noted) error {
	topics := make(map[string]struct{})
	for r, n := range newest {
		_, truth := n.value.(bool)
		_, err := ready.exec(`INSERT INTO latest (topic, about, reading, message, size, value, truth, at, by_hand)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET message = excluded.message, size = excluded.size, value = excluded.value, truth = excluded.truth,
				at = excluded.at, by_hand = excluded.by_hand`, r.topic, r.about, r.name, n.message, n.size, n.value, truth, stamp(n.at), n.byHand)
		if err != nil {
			return err
		}
		topics[r.topic] = struct{}{}
	}
	for topic := range topics {
		if err := forget(ready, topic); err != nil {
			return err
		}
	}
	return nil
}

// forget drops the longest silent readings of a topic until the rest is within both bounds.
func forget(ready *prepared, topic string) error {
	var n, bytes int64
	// A message counts once for each of its readings here, so this may only be too much, and it needs no sorting.
	err := ready.row(`SELECT count(*), coalesce(sum(size), 0) FROM latest WHERE topic = ?`, []any{topic}, &n, &bytes)
	if err != nil {
		return err
	}
	if n > maxLatest {
		_, err := ready.exec(`DELETE FROM latest WHERE topic = ?1 AND (about, reading) IN (
			SELECT about, reading FROM latest WHERE topic = ?1 ORDER BY message, about, reading LIMIT ?2)`, topic, n-maxLatest)
		if err != nil {
			return err
		}
	}
	if bytes <= maxLatestBytes {
		return nil
	}
	_, err = ready.exec(`DELETE FROM latest WHERE topic = ?1 AND message <= (SELECT max(message) FROM (
			SELECT message, sum(size) OVER (ORDER BY message DESC) AS bytes
			FROM (SELECT DISTINCT message, size FROM latest WHERE topic = ?1))
		WHERE bytes > ?2)`, topic, maxLatestBytes)
	return err
}

// Latest gives, for every reading, the newest message that holds it: each message once, oldest first.
func (s *Store) Latest(ctx context.Context) ([]Record, error) { return s.LatestOf(ctx, nil) }

// LatestOf gives only those on the topics that wanted accepts. A nil wanted accepts all.
func (s *Store) LatestOf(ctx context.Context, wanted func(topic string) bool) ([]Record, error) {
	type row struct {
		Record
		id int64
	}
	rows, err := eachTopic(ctx, s.read, wanted, `SELECT m.id, m.topic, m.payload, m.received, m.about, l.names
		FROM (SELECT message, json_group_array(reading) AS names FROM latest WHERE topic = ? GROUP BY message) AS l
		JOIN messages AS m ON m.id = l.message`,
		func(scan func(...any) error) (r row, err error) {
			var at int64
			var names string
			if err := scan(&r.id, &r.Topic, &r.Payload, &at, &r.About, &names); err != nil {
				return r, err
			}
			r.Received = fromStamp(at)
			err = json.Unmarshal([]byte(names), &r.Readings)
			slices.Sort(r.Readings)
			return r, err
		})
	if err != nil {
		return nil, fmt.Errorf("read latest messages: %w", err)
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.id, b.id) })
	found := make([]Record, len(rows))
	for i, r := range rows {
		found[i] = r.Record
	}
	return found, nil
}

// Values gives the newest value of every reading on the topics that wanted accepts, the longest silent first. A nil wanted
// accepts all. It reads no payload.
func (s *Store) Values(ctx context.Context, wanted func(topic string) bool) ([]Value, error) {
	found, err := eachTopic(ctx, s.read, wanted, `SELECT topic, about, reading, value, truth, at, by_hand, message
		FROM latest WHERE topic = ? AND value IS NOT NULL`,
		func(scan func(...any) error) (v Value, err error) {
			var at int64
			var truth bool
			err = scan(&v.Topic, &v.About, &v.Reading, &v.Value, &truth, &at, &v.ByHand, &v.message)
			if truth {
				v.Value = v.Value != int64(0)
			}
			v.At = fromStamp(at)
			return v, err
		})
	if err != nil {
		return nil, fmt.Errorf("read latest values: %w", err)
	}
	slices.SortFunc(found, func(a, b Value) int {
		return cmp.Or(cmp.Compare(a.message, b.message), cmp.Compare(a.Reading, b.Reading))
	})
	return found, nil
}

// eachTopic runs a query for every topic that is wanted: there are few topics, and a reader of one of them must not cost a walk
// through everybody's readings.
func eachTopic[T any](ctx context.Context, db *sql.DB, wanted func(string) bool, query string, one func(scan func(...any) error) (T, error)) ([]T, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // one moment for all topics
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	topics, err := topicsOf(ctx, tx, "latest")
	if err != nil {
		return nil, err
	}
	var all []T
	for _, topic := range topics {
		if wanted != nil && !wanted(topic) {
			continue
		}
		more, err := scanAll(ctx, tx, one, query, topic)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

func scanAll[T any](ctx context.Context, tx *sql.Tx, one func(scan func(...any) error) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := one(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}
