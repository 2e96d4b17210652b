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
	maxWalk   = 20_000 // messages that one page looks at: who asks for what is rare gets a short page, and asks again
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
	found := map[int64]Record{}
	reached := first // what is older was not looked at on some topic
	for _, topic := range topics {
		if wanted != nil && !wanted(topic) {
			continue
		}
		to, err := walk(ctx, tx, topic, of.About, first, last, limit+1, found)
		if err != nil {
			return page, err
		}
		reached = max(reached, to)
	}
	ids := make([]int64, 0, len(found))
	for id := range found {
		if id >= reached {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b int64) int { return cmp.Compare(b, a) })
	if len(ids) > limit {
		ids, page.Next = ids[:limit], ids[limit-1]
	} else if reached > first {
		page.Next = reached
	}
	for _, id := range ids {
		page.Messages = append(page.Messages, found[id])
	}
	return page, nil
}

// between says which ids are in question. Messages are recorded in the order in which they are received, but for those that come in
// the same moment.
func between(ctx context.Context, tx *sql.Tx, of PageOf) (first, last int64, err error) {
	last = math.MaxInt64
	if of.Before > 0 {
		last = of.Before - 1
	}
	at := func(query string, when time.Time, none int64) (id int64, err error) {
		err = tx.QueryRowContext(ctx, query, stamp(when)).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return none, nil
		}
		return id, err
	}
	if !of.From.IsZero() {
		if first, err = at(`SELECT id FROM messages WHERE received >= ? ORDER BY received, id LIMIT 1`, of.From, math.MaxInt64); err != nil {
			return 0, 0, err
		}
	}
	if !of.To.IsZero() {
		newest, err := at(`SELECT id FROM messages WHERE received < ? ORDER BY received DESC, id DESC LIMIT 1`, of.To, 0)
		if err != nil {
			return 0, 0, err
		}
		last = min(last, newest)
	}
	return first, last, nil
}

// walk looks at one topic, newest first, and says how far it came: everything from there on is in found, or is not wanted.
func walk(ctx context.Context, tx *sql.Tx, topic, about string, first, last int64, most int, found map[int64]Record) (reached int64, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, payload, received, about, source FROM messages
		WHERE topic = ? AND id BETWEEN ? AND ? ORDER BY id DESC LIMIT ?`, topic, first, last, maxWalk)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	walked, taken, id := 0, 0, int64(0)
	for taken < most && rows.Next() {
		r := Record{Topic: topic}
		var at int64
		var source string
		if err := rows.Scan(&id, &r.Payload, &at, &r.About, &source); err != nil {
			return 0, err
		}
		walked++
		if about != "" && r.About != about {
			continue
		}
		taken++
		r.Received, r.ByHand = fromStamp(at), byHand(source, r.Payload)
		found[id] = r
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	if taken == most || walked == maxWalk {
		return id, nil
	}
	return first, nil
}
