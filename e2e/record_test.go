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
	store, err := history.Open(context.Background(), dir, history.Config{})
	if err != nil {
		t.Fatalf("open the record: %v", err)
	}
	defer func() { must(t, store.Close()) }()
	records, err := store.Recent(context.Background(), func(it string) bool { return it == topic }, limit)
	if err != nil {
		t.Fatalf("read the record: %v", err)
	}
	return records
}

// lastRecorded waits until this payload, to the letter, is the newest of a key on record; a publish is recorded a moment
// before or after it is delivered. It returns what is there instead if that does not come.
func (s *server) lastRecorded(k key, payload []byte) (instead []history.Record) {
	s.t.Helper()
	for until := time.Now().Add(prompt); time.Now().Before(until); {
		instead = recorded(s.t, s.data, k.topic("publish"), 1)
		if len(instead) == 1 && bytes.Equal(instead[0].Payload, payload) {
			return nil
		}
	}
	return instead
}
