package main

import (
	"context"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"trellis/history"
	"trellis/mqttproxy"
)

func TestReasonsOfGaps(t *testing.T) {
	for want, tt := range map[string]struct {
		state  mqttproxy.State
		linked bool
	}{
		history.GapUnheard:  {mqttproxy.State{}, false},
		history.GapUpstream: {mqttproxy.State{Down: true}, true},
		"":                  {mqttproxy.State{}, true},
	} {
		if got := reasonOf(tt.state, tt.linked); got != want {
			t.Errorf("%+v, linked %v: %q, want %q", tt.state, tt.linked, got, want)
		}
	}
}

func TestWhatNobodyHearsIsAGapOnce(t *testing.T) {
	store, err := history.Open(t.Context(), t.TempDir(), history.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	nowhere := &url.URL{Scheme: "mqtt", Host: "127.0.0.1:1"}
	links, err := mqttproxy.NewUplinks(mqttproxy.UplinksConfig{
		Addresses: []*url.URL{nowhere}, Take: func(context.Context, []mqttproxy.Arrival) error { return nil }, House: &mqttproxy.House{ClientID: "x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = links.Close(context.Background()) })
	f := &feed{links: links, store: store, log: slog.New(slog.DiscardHandler)}
	n := gapNotes{feed: f, whose: func() []string { return []string{"k1"} }, now: map[string]string{}}
	began := time.Now()
	for range 3 {
		n.look(t.Context())
	}
	found, err := store.Gaps(t.Context(), "k1", began.Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil || len(found) != 1 || found[0].Reason != history.GapUnheard || !found[0].Ended.IsZero() {
		t.Fatalf("gaps %+v, %v", found, err)
	}
	// The link that was missing is there: what is written down ends.
	later := time.Now().Add(2 * time.Minute)
	if err := store.EndGap(t.Context(), "k1", history.GapUnheard, later); err != nil {
		t.Fatal(err)
	}
	if found, err = store.Gaps(t.Context(), "k1", began.Add(-time.Hour), later.Add(time.Hour)); err != nil || len(found) != 1 || found[0].Ended.IsZero() {
		t.Errorf("gaps %+v, %v", found, err)
	}
	if others, err := store.Gaps(t.Context(), "k2", began, later); err != nil || len(others) != 0 {
		t.Errorf("another key's gaps are %+v, %v", others, err)
	}
}
