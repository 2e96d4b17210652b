package main

import (
	"context"
	"log/slog"
	"testing"

	"trellis/history"
	"trellis/message"
	"trellis/mqttproxy"
)

// A link that ends in the middle of recording says nothing of the record: nobody should restart the server for it.
func TestALinkThatEndsIsNoFailureOfTheRecord(t *testing.T) {
	store, err := history.Open(t.Context(), t.TempDir(), history.Config{})
	if err != nil {
		t.Fatal(err)
	}
	f := &feed{store: store, log: slog.New(slog.DiscardHandler)}
	take := f.taking(func(a mqttproxy.Arrival) []message.Message {
		return message.Normalise(a.Payload, message.Origin{Topic: a.Topic}, func(string) bool { return false })
	}, nil)
	came := []mqttproxy.Arrival{{Topic: "a", Payload: []byte(`{"data":1}`)}}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := take(over, came); err == nil || f.healthy() != nil {
		t.Errorf("a link that ended: %v, healthy: %v", err, f.healthy())
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := take(t.Context(), came); err == nil || f.healthy() == nil {
		t.Errorf("a record that is closed: %v, healthy: %v", err, f.healthy())
	}
}
