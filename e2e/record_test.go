package e2e

import (
	"context"
	"testing"

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
