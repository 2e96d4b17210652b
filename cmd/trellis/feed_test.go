package main

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"trellis/history"
	"trellis/message"
	"trellis/mqttproxy"
)

func TestAFaultCostsOneMessageAndNotTheProcess(t *testing.T) {
	store, err := history.Open(t.Context(), t.TempDir(), history.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	f := &feed{store: store, log: slog.New(slog.DiscardHandler), kept: newKeeping(t.TempDir(), store, slog.New(slog.DiscardHandler))}
	var shown []string
	f.Subscribe(func(m mqttproxy.Message) {
		if m.Topic == "bad/show" {
			panic("a mistake")
		}
		shown = append(shown, m.Topic)
	})
	take := f.taking(func(a mqttproxy.Arrival) []message.Message {
		if a.Topic == "bad/understand" {
			panic("a mistake")
		}
		return []message.Message{message.Plain(a.Payload, message.Origin{Topic: a.Topic, Received: a.At}, "")}
	}, func(context.Context, []mqttproxy.Arrival, [][]message.Message) error { panic("a mistake") })
	var came []mqttproxy.Arrival
	for _, topic := range []string{"bad/understand", "bad/show", "good"} {
		came = append(came, mqttproxy.Arrival{Topic: topic, Payload: []byte("1"), At: time.Now()})
	}
	if err := take(t.Context(), came); err != nil {
		t.Fatal(err)
	}
	if f.panics.Load() != 3 || !slices.Equal(shown, []string{"good"}) {
		t.Errorf("%d faults, shown %v", f.panics.Load(), shown)
	}
	for topic, want := range map[string]bool{"bad/understand": false, "bad/show": true, "good": true} {
		if payload, err := store.Last(t.Context(), topic); err != nil || (payload != nil) != want {
			t.Errorf("%s is recorded as %s, %v", topic, payload, err)
		}
	}
}

// A link that ends in the middle of recording says nothing of the record: nobody should restart the server for it.
func TestALinkThatEndsIsNoFailureOfTheRecord(t *testing.T) {
	store, err := history.Open(t.Context(), t.TempDir(), history.Config{})
	if err != nil {
		t.Fatal(err)
	}
	f := &feed{store: store, log: slog.New(slog.DiscardHandler), kept: newKeeping(t.TempDir(), store, slog.New(slog.DiscardHandler))}
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
