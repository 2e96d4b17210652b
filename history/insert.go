package history

import (
	"context"
	"database/sql"
	"strings"

	"trellis/message"
)

// insertTogether is how many messages one statement inserts. What a statement costs beside its rows is then no matter.
const insertTogether = 32

var (
	insertOne  = `INSERT INTO messages (received, topic, source, about, payload) VALUES (?, ?, ?, ?, ?)`
	insertMany = insertOne + strings.Repeat(`, (?, ?, ?, ?, ?)`, insertTogether-1)
	// Asking first, where ON CONFLICT would use up an id: retention counts on ids without gaps.
	insertNew = `INSERT INTO messages (received, topic, source, about, payload, uid)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (SELECT 1 FROM messages WHERE uid = ?6)`
)

// insert inserts messages in their order and gives the ids of their rows; 0 for one that was recorded before.
func insert(ctx context.Context, ready *prepared, batch []message.Message) ([]int64, error) {
	ids := make([]int64, 0, len(batch))
	for len(ids) < len(batch) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		left := batch[len(ids):]
		query, n := insertOne, 1
		switch {
		case left[0].ID != "":
			query = insertNew
		case len(left) >= insertTogether && unnamed(left[:insertTogether]):
			query, n = insertMany, insertTogether
		}
		last, err := inserted(ready.exec(query, columns(left[:n])...))
		if err != nil {
			return nil, err
		}
		for i := range n {
			ids = append(ids, last-int64(n-1-i)) // ids follow each other: there is one writer
		}
	}
	return ids, nil
}

// unnamed says whether none of these has an ID, so that each is new.
func unnamed(all []message.Message) bool {
	for i := range all {
		if all[i].ID != "" {
			return false
		}
	}
	return true
}

// columns are what is inserted of messages; the ID only of one that has one.
func columns(all []message.Message) []any {
	values := make([]any, 0, 6*len(all))
	for i := range all {
		m := &all[i]
		values = append(values, stamp(m.Received), m.Topic, m.Source, m.About, orEmpty(m.Payload))
		if m.ID != "" {
			values = append(values, m.ID)
		}
	}
	return values
}

// inserted gives the id of the last row that was inserted; 0 means that none was.
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
