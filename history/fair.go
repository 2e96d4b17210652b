package history

import (
	"context"
	"database/sql"
	"math"
	"slices"

	"trellis/message"
)

// Whoever sends most loses most. Simply removing the oldest would let one key that floods us push out everybody's record.

// grown notes what was recorded, and asks for a sweep when that is much: a flood would not wait for a minute to pass.
func (s *Store) grown(batch []message.Message) {
	n := 0
	for i := range batch {
		n += len(batch[i].Payload)
	}
	if s.appended.Add(int64(n)) < sweepAfter {
		return
	}
	select {
	case s.swollen <- struct{}{}:
	default: // asked already
	}
}

// amount is how many messages there are, and how many bytes of payload.
type amount struct{ messages, bytes int64 }

// holdings is what each topic holds, and how much of it may not go, being the newest of a reading.
type holdings struct{ all, fixed map[string]amount }

// held reads what each topic holds. Payloads themselves are not read: SQLite knows their lengths without.
func (s *Store) held(ctx context.Context, withBytes bool) (h holdings, err error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return h, err
	}
	defer func() { _ = tx.Rollback() }()
	measure := "0" // counting alone needs nothing but the index
	if withBytes {
		measure = "sum(length(payload))"
	}
	if h.all, err = amounts(ctx, tx, `SELECT topic, count(*), `+measure+` FROM messages GROUP BY topic`); err != nil {
		return h, err
	}
	h.fixed, err = amounts(ctx, tx, `SELECT topic, count(*), sum(size) FROM (SELECT DISTINCT topic, message, size FROM latest) GROUP BY topic`)
	return h, err
}

func amounts(ctx context.Context, tx *sql.Tx, query string) (map[string]amount, error) {
	type row struct {
		topic string
		amount
	}
	rows, err := scanAll(ctx, tx, func(scan func(...any) error) (r row, err error) {
		return r, scan(&r.topic, &r.messages, &r.bytes)
	}, query)
	if err != nil {
		return nil, err
	}
	found := make(map[string]amount, len(rows))
	for _, r := range rows {
		found[r.topic] = r.amount
	}
	return found, nil
}

// excess says how much each topic has to give so that all of them together hold no more than goal.
func (h holdings) excess(goal int64, measure func(amount) int64) map[string]int64 {
	free := make(map[string]int64, len(h.all))
	sizes := make([]int64, 0, len(h.all))
	for topic, all := range h.all {
		fixed := measure(h.fixed[topic])
		free[topic] = max(0, measure(all)-fixed)
		sizes = append(sizes, free[topic])
		goal -= fixed
	}
	most := level(sizes, goal)
	for topic, n := range free {
		if free[topic] = n - most; n <= most {
			delete(free, topic)
		}
	}
	return free
}

// level is how much each may keep so that all together keep no more than goal; those that have less leave their share to the
// others.
func level(sizes []int64, goal int64) int64 {
	slices.Sort(sizes)
	goal = max(0, goal)
	for i, size := range sizes {
		share := goal / int64(len(sizes)-i)
		if size > share {
			return share
		}
		goal -= size
	}
	return math.MaxInt64
}

// sweepNumber removes messages beyond the number to keep.
func (s *Store) sweepNumber(ctx context.Context) error {
	if s.keep <= 0 {
		return nil
	}
	var span sql.NullInt64
	err := s.read.QueryRowContext(ctx, `SELECT (SELECT max(id) FROM messages) - (SELECT min(id) FROM messages)`).Scan(&span)
	if err != nil || span.Int64 < int64(s.keep) {
		return err // few enough even if nothing in between was removed
	}
	h, err := s.held(ctx, false)
	if err != nil {
		return err
	}
	return s.removeOldest(ctx, h.excess(int64(s.keep), messagesOf), messagesOf, removed{})
}

// sweepSize removes messages when the file holds more than it may, and says so: it is more than anybody planned.
func (s *Store) sweepSize(ctx context.Context) error {
	gone := removed{}
	for first := true; ; first = false {
		used, err := s.used(ctx)
		if err != nil {
			return err
		}
		if used <= s.keepBytes {
			break
		}
		if first {
			if err := s.sweepDrawn(ctx); err != nil {
				return err
			}
			continue
		}
		was := gone.total()
		if err := s.shrink(ctx, used, gone); err != nil {
			return err
		}
		if gone.total() != was {
			continue
		}
		if more, err := s.thin(ctx); err != nil || !more {
			return err // what is left may not go
		}
	}
	if total := gone.total(); total.messages > 0 {
		most := gone.most()
		s.log.WarnContext(ctx, "removed messages to keep the record small", "messages", total.messages, "bytes", total.bytes,
			"topics", len(gone), "most_from", most, "most_bytes", gone[most].bytes)
	}
	return nil
}

// shrink removes about as much as is too much.
func (s *Store) shrink(ctx context.Context, used int64, gone removed) error {
	h, err := s.held(ctx, true)
	if err != nil {
		return err
	}
	var total int64
	for _, all := range h.all {
		total += all.bytes
	}
	// Pages hold more than payloads: what has to go of the one is reckoned from the other.
	goal := int64(float64(total) * float64(s.keepBytes-s.keepBytes/sweepMargin) / float64(used))
	return s.removeOldest(ctx, h.excess(goal, bytesOf), bytesOf, gone)
}

func messagesOf(a amount) int64 { return a.messages }

func bytesOf(a amount) int64 { return a.bytes }

// used is how much of the file holds something. Pages of removed messages are used again, the file itself does not shrink.
func (s *Store) used(ctx context.Context) (int64, error) {
	var pages, free, size int64
	err := s.read.QueryRowContext(ctx, `SELECT page_count, freelist_count, page_size
		FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()`).Scan(&pages, &free, &size)
	return (pages - free) * size, err
}
