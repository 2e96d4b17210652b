package history

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"time"
)

// PageOf asks for messages, newest first. The zero value asks for the newest of all.
type PageOf struct {
	About    string    // whose readings they hold; empty: anybody's, and messages that hold none
	From, To time.Time // when they were received; zero: any time
	Before   int64     // only those recorded before this one; 0: all. It is what the page before gave as its Next
	Limit    int       // at most so many; 0 means 100
}

// Page is some messages, newest first.
type Page struct {
	Messages []Record
	Next     int64 // for the page behind this one; 0 where there is none
}

const (
	usualPage = 100
	longPage  = 1000
	maxPage   = 4 << 20 // bytes of payload; what comes behind is on the next page
	maxWalk   = 20_000  // messages that one page looks at: who asks for what is rare gets a short page, and asks again
	leastWalk = 16      // of each topic, however many there are
)

// Page gives messages of the topics that wanted accepts; nil accepts all.
func (s *Store) Page(ctx context.Context, wanted func(topic string) bool, of PageOf) (Page, error) {
	page, err := s.page(ctx, wanted, of)
	if err != nil {
		return Page{}, fmt.Errorf("read messages: %w", err)
	}
	return page, nil
}

func (s *Store) page(ctx context.Context, wanted func(string) bool, of PageOf) (page Page, err error) {
	limit := min(cmp.Or(max(of.Limit, 0), usualPage), longPage)
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return page, err
	}
	defer func() { _ = tx.Rollback() }()
	first, last, err := between(ctx, tx, of)
	if err != nil {
		return page, err
	}
	topics, err := topicsOf(ctx, tx, "messages")
	if err != nil {
		return page, err
	}
	if wanted != nil {
		topics = slices.DeleteFunc(topics, func(topic string) bool { return !wanted(topic) })
	}
	w := walker{tx: tx, of: of, last: last, most: limit + 1, look: max(leastWalk, maxWalk/max(1, len(topics)))}
	reached := first // what is older was not looked at on some topic
	for _, topic := range topics {
		to, err := w.walk(ctx, topic, max(first, w.floor))
		if err != nil {
			return page, err
		}
		reached = max(reached, to)
	}
	ids := slices.DeleteFunc(w.ids, func(id int64) bool { return id < reached })
	if len(ids) > limit {
		ids, page.Next = ids[:limit], ids[limit-1]
	} else if reached > first {
		page.Next = reached
	}
	return page, page.read(ctx, tx, ids)
}

// read fills a page with these messages, or with as many of them as are not too much.
func (p *Page) read(ctx context.Context, tx *sql.Tx, ids []int64) error {
	size := 0
	for _, id := range ids {
		r, err := recordOf(ctx, tx, id)
		if err != nil {
			return err
		}
		p.Messages = append(p.Messages, r)
		if size += len(r.Payload); size >= maxPage && id != ids[len(ids)-1] {
			p.Next = id
			return nil
		}
	}
	return nil
}

// jumped is how many messages around the edge of a time are looked at: after a clock was set back, what is recorded last is not what was received
// last, and messages from before and after lie among each other by time.
const jumped = 200

// between says which ids are in question. Messages are recorded in the order in which they are received, but for those that come in
// the same moment, and where the clock was set back: within asks once more.
func between(ctx context.Context, tx *sql.Tx, of PageOf) (first, last int64, err error) {
	last = math.MaxInt64
	if of.Before > 0 {
		last = of.Before - 1
	}
	edge := func(query string, args ...any) (id sql.NullInt64, err error) {
		return id, tx.QueryRowContext(ctx, query, args...).Scan(&id)
	}
	if !of.From.IsZero() {
		oldest, err := edge(`SELECT min(id) FROM (SELECT id FROM messages WHERE received >= ? ORDER BY received, id LIMIT ?)`, stamp(of.From), jumped)
		if err != nil {
			return 0, 0, err
		}
		if first = oldest.Int64; !oldest.Valid {
			first = math.MaxInt64
		}
	}
	if !of.To.IsZero() {
		newest, err := edge(`SELECT max(id) FROM (SELECT id FROM messages WHERE received < ? ORDER BY received DESC, id DESC LIMIT ?)`, stamp(of.To), jumped)
		if err != nil {
			return 0, 0, err
		}
		// Until the clock has caught up, the newest of all may be further back than that.
		end, err := edge(`SELECT max(id) FROM messages WHERE id = (SELECT max(id) FROM messages) AND received < ?`, stamp(of.To))
		if err != nil {
			return 0, 0, err
		}
		last = min(last, max(newest.Int64, end.Int64))
	}
	return first, last, nil
}

// walker finds the newest messages of one topic after the other. It reads no payload: who asks for what is not there must not cost one.
type walker struct {
	tx         *sql.Tx
	of         PageOf
	last       int64
	most, look int

	ids   []int64 // newest first
	floor int64   // no older message can be among the most newest any more
}

// walk looks at one topic and says how far it came: everything from there on is in ids, or is not wanted.
func (w *walker) walk(ctx context.Context, topic string, first int64) (reached int64, err error) {
	rows, err := w.tx.QueryContext(ctx, `SELECT id, received, about FROM messages WHERE topic = ? AND id BETWEEN ? AND ? ORDER BY id DESC LIMIT ?`,
		topic, first, w.last, w.look)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	walked, taken, id := 0, 0, int64(0)
	for taken < w.most && rows.Next() {
		var at int64
		var about string
		if err := rows.Scan(&id, &at, &about); err != nil {
			return 0, err
		}
		walked++
		if (w.of.About == "" || about == w.of.About) && w.of.within(fromStamp(at)) {
			taken++
			w.ids = append(w.ids, id)
		}
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	slices.SortFunc(w.ids, func(a, b int64) int { return cmp.Compare(b, a) })
	if len(w.ids) >= w.most {
		w.ids = w.ids[:w.most]
		w.floor = w.ids[w.most-1]
	}
	if taken == w.most || walked == w.look {
		return id, nil
	}
	return 0, nil
}

// within asks once more: when the clock was set back, ids and times do not go the same way.
func (of PageOf) within(at time.Time) bool {
	return (of.From.IsZero() || !at.Before(of.From)) && (of.To.IsZero() || at.Before(of.To))
}
