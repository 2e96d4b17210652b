package history

import (
	"database/sql"
	"fmt"
	"slices"
	"testing"

	"trellis/message"
)

// Messages with and without an ID, of which many are inserted at once, stand in the order in which they came, and each reading knows its message.
func TestManyAreInsertedAtOnceInTheirOrder(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	mustAppend(t, s, publish("again", shed, `{"again":0}`))
	var batch []message.Message
	want := []string{`{"data":{"again":0}}`}
	for i := range 3*insertTogether + 7 {
		id := ""
		switch i {
		case insertTogether + 3, 2*insertTogether + 5:
			id = fmt.Sprint("named ", i)
		case insertTogether + 4, 3 * insertTogether:
			id = "again" // recorded before
		}
		m := publish(id, shed, fmt.Sprintf(`{"r%d":%d}`, i, i))
		batch = append(batch, m)
		if id != "again" {
			want = append(want, string(m.Payload))
		}
	}
	mustAppend(t, s, batch...)
	mustAppend(t, s, batch[insertTogether+3]) // now that was, too
	got, err := column[string](t.Context(), begun(t, s), `SELECT CAST(payload AS TEXT) FROM messages ORDER BY id`)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\n%q\nare recorded, want\n%q", err, got, want)
	}
	ids, err := column[int64](t.Context(), begun(t, s), `SELECT id FROM messages ORDER BY id`)
	if err != nil || ids[len(ids)-1] != int64(len(ids)) {
		t.Errorf("%v, the ids have gaps: %v", err, ids)
	}
	found, err := s.Latest(t.Context())
	if err != nil || len(found) != len(want) {
		t.Fatalf("%d messages are the newest of a reading, %v, want %d", len(found), err, len(want))
	}
	for i, r := range found {
		_, readings := message.Delivered(r.Payload)
		if string(r.Payload) != want[i] || len(r.Readings) != 1 || r.Readings[0] != readings[0].Name {
			t.Errorf("%s is the newest of %v", r.Payload, r.Readings)
		}
	}
}

// However a record is cut into batches, what is drawn of it is the same.
func TestBatchesOfAnySizeAreDrawnAlike(t *testing.T) {
	var drawn []string
	for _, size := range []int{4, 33, 320} {
		s := openStore(t, t.TempDir(), Config{})
		for some := range slices.Chunk(flooding(0, 320, flooded), size) {
			mustAppend(t, s, some...)
		}
		all := ""
		for _, table := range []string{"minutes", "hours"} {
			rows, err := column[string](t.Context(), begun(t, s), `SELECT concat_ws(' ', topic, about, reading, at, n, low, high, round(total, 6))
				FROM `+table+` JOIN series ON id = series ORDER BY topic, about, reading, at`)
			if err != nil || len(rows) == 0 {
				t.Fatal(rows, err)
			}
			all += fmt.Sprintln(rows)
		}
		rows, err := column[string](t.Context(), begun(t, s), `SELECT concat_ws(' ', topic, about, reading, message, size, value, at) FROM latest ORDER BY topic, about, reading`)
		if err != nil {
			t.Fatal(err)
		}
		drawn = append(drawn, all+fmt.Sprintln(rows))
	}
	if drawn[0] != drawn[1] || drawn[0] != drawn[2] {
		t.Errorf("by four: %s\nby 33: %s\nall at once: %s", drawn[0], drawn[1], drawn[2])
	}
}

// begun begins to read.
func begun(t *testing.T, s *Store) *sql.Tx {
	t.Helper()
	tx, err := s.read.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	return tx
}
