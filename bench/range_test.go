package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"time"

	"trellis/history"
	"trellis/message"
)

// rowsOf reads a table in a fixed order.
func rowsOf(t *testing.T, dir, query string) (all [][]any) {
	t.Helper()
	db, err := openSQL(filepath.Join(dir, "trellis.db"), "query_only(1)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, _ := rows.Columns()
	for rows.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		all = append(all, row)
	}
	return all
}

// TestASeedIsWhatAppendingWouldHaveMade: else what is measured on it would say nothing.
func TestASeedIsWhatAppendingWouldHaveMade(t *testing.T) {
	const n = 20_000
	seeded, appended := t.TempDir(), t.TempDir()
	if err := seed(seeded, n); err != nil {
		t.Fatal(err)
	}
	store, err := history.Open(context.Background(), appended, history.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var batch []message.Message
	for i := range int64(n) {
		if batch = append(batch, saying(i, n).message()); len(batch) == recordBatch || i == n-1 {
			if err := store.Append(context.Background(), batch); err != nil {
				t.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		`SELECT id, received, topic, source, about, CAST(payload AS TEXT) FROM messages ORDER BY id`,
		`SELECT topic, about, reading, at, n, low, high, total FROM minutes JOIN series ON series.id = series ORDER BY topic, at`,
		`SELECT topic, about, reading, at, n, low, high, total FROM hours JOIN series ON series.id = series ORDER BY topic, at`,
		`SELECT topic, about, reading, message, size, value, at, by_hand FROM latest ORDER BY topic`,
		`SELECT count(*) FROM changes`,
		`SELECT sql FROM sqlite_schema WHERE name LIKE 'messages%' ORDER BY name`,
	} {
		same(t, query, rowsOf(t, appended, query), rowsOf(t, seeded, query))
	}
}

func same(t *testing.T, query string, want, got [][]any) {
	t.Helper()
	if len(want) == 0 || len(want) != len(got) {
		t.Errorf("%s\ngives %d rows, want %d", query, len(got), len(want))
		return
	}
	for i := range want {
		for j := range want[i] {
			w, wf := want[i][j].(float64)
			g, gf := got[i][j].(float64)
			if wf && gf && math.Abs(w-g) < 1e-6 { // sums of floats in another order
				continue
			}
			if fmt.Sprint(want[i][j]) != fmt.Sprint(got[i][j]) {
				t.Errorf("%s\nrow %d, column %d is %v, want %v", query, i, j, got[i][j], want[i][j])
				return
			}
		}
	}
}

func TestEveryWayRecords(t *testing.T) {
	for _, way := range []string{byAppend, bySQL} {
		f, err := recordFor(options{load: 20 * time.Millisecond}, way)
		if err != nil || f[delivered] <= 0 {
			t.Errorf("%s: %v, %v", way, f, err)
		}
	}
}
