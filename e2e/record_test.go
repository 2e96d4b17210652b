package e2e

import (
	"bytes"
	"context"
	"testing"
	"time"

	"trellis/history"
)

// recorded reads the newest records of a topic out of the folder of a server, which may be running.
func recorded(t testing.TB, dir, topic string, limit int) []history.Record {
	t.Helper()
	read, done := openRecord(t, dir)
	defer done()
	return read(topic, limit)
}

// openRecord opens the record once for many looks: under the race detector opening is what takes long.
func openRecord(t testing.TB, dir string) (read func(topic string, limit int) []history.Record, done func()) {
	t.Helper()
	store, err := history.Open(context.Background(), dir, history.Config{})
	if err != nil {
		t.Fatalf("open the record: %v", err)
	}
	return func(topic string, limit int) []history.Record {
		t.Helper()
		records, err := store.Recent(context.Background(), func(it string) bool { return it == topic }, limit)
		if err != nil {
			t.Fatalf("read the record: %v", err)
		}
		return records
	}, func() { must(t, store.Close()) }
}

// lastRecorded waits until this payload, to the letter, is the newest of a key on record; a publish is recorded a moment
// before or after it is delivered. It returns what is there instead if that does not come.
func (s *server) lastRecorded(k key, payload []byte) (instead []history.Record) {
	s.t.Helper()
	read, done := openRecord(s.t, s.data)
	defer done()
	for until := time.Now().Add(prompt); time.Now().Before(until); {
		instead = read(k.topic("publish"), 1)
		if len(instead) == 1 && bytes.Equal(instead[0].Payload, payload) {
			return nil
		}
	}
	return instead
}
