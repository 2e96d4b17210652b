package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"trellis/access"
	"trellis/broker"
	"trellis/history"
	"trellis/message"
	"trellis/mqttproxy"
)

const (
	keepingLooks = 250 * time.Millisecond
	failingCalm  = 3 * time.Second // what passes by itself is no trouble yet; a full disk is at once
)

// keeping knows whether what comes is recorded, says so to pages, and writes down when it was not.
type keeping struct {
	store *history.Store
	room  *room
	log   *slog.Logger
	tally *tally
	took  atomic.Bool // it has started: what a start records may use what is kept free

	mu     sync.Mutex
	reason string    // as pages are told it; empty: it is recorded
	since  time.Time // that it is so

	// owned by watch
	doubted time.Time // when it began to fail
	noted   string    // the gap that was begun in the record
}

func newKeeping(dir string, store *history.Store, log *slog.Logger) *keeping {
	return &keeping{store: store, room: newRoom(dir), log: log, tally: newTally()}
}

// fit gives nil, or why nothing more may be stored: broker.ErrUnsynced or broker.ErrFull.
func (k *keeping) fit() error {
	if err := k.store.Unsynced(); err != nil {
		return fmt.Errorf("%w: %w", broker.ErrUnsynced, err)
	}
	return k.room.check()
}

// record is the store's Append, as long as the disk has room.
func (k *keeping) record(ctx context.Context, batch []message.Message) error {
	if k.took.Load() {
		if err := k.room.check(); err != nil {
			return err
		}
	}
	return k.store.Append(ctx, batch)
}

// healthy adds the disk to what others say: it may be full while nothing comes.
func (k *keeping) healthy(others func() error) func() error {
	return func() error { return errors.Join(k.fit(), others()) }
}

// Recording tells a page whether what it sees is recorded, and what was not of what it may hear.
func (k *keeping) Recording(g access.Grant) mqttproxy.Recording {
	k.mu.Lock()
	now := mqttproxy.Recording{Why: k.reason}
	if k.reason != "" {
		now.Since = k.since
	}
	k.mu.Unlock()
	now.Lost, now.From, now.To = k.tally.of(g)
	return now
}

// watch looks again and again until ctx ends.
func (k *keeping) watch(ctx context.Context, healthy func() error) error {
	k.took.Store(true)
	if err := k.tally.remember(ctx, k.store); err != nil {
		k.log.WarnContext(ctx, "what was not recorded before this start is not known", "err", err)
	}
	tick := time.NewTicker(keepingLooks)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			k.tally.hurry() // a broker that ends says what it could not get rid of
			k.writeDown(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
		}
		k.look(time.Now().UTC(), healthy())
		k.writeDown(ctx)
	}
}

// writeDown has little patience: a record that stands still must not keep pages from being told so.
func (k *keeping) writeDown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	k.write(ctx)
	k.tally.flush(ctx, k.store)
}

// look decides what is true.
func (k *keeping) look(now time.Time, unwell error) {
	reason := ""
	switch {
	case unwell == nil, errors.Is(unwell, broker.ErrClosed):
		k.doubted = time.Time{}
	case errors.Is(unwell, broker.ErrUnsynced): // first: no room would help
		reason = mqttproxy.NotSynced
	case errors.Is(unwell, broker.ErrFull):
		reason = history.GapFull
	case k.doubted.IsZero():
		k.doubted = now
	case now.Sub(k.doubted) >= failingCalm:
		reason, now = history.GapFailing, k.doubted
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if reason == k.reason || (reason == "" && !k.doubted.IsZero()) {
		return // while it is not sure what is true, what was said stands
	}
	k.reason, k.since = reason, now.Truncate(time.Millisecond)
	switch reason {
	case "":
		k.log.Info("what comes is recorded again")
	default:
		k.log.Error("what comes is not recorded", "reason", reason, "err", unwell)
	}
}

// write notes in the record what has changed. What cannot be written is tried again: the disk is full.
func (k *keeping) write(ctx context.Context) {
	k.mu.Lock()
	reason, since := k.reason, k.since
	k.mu.Unlock()
	if reason == mqttproxy.NotSynced {
		reason = history.GapFailing
	}
	if reason == k.noted {
		return
	}
	if k.noted != "" {
		if k.store.EndGap(ctx, "", k.noted, since) != nil {
			return
		}
		k.noted = ""
	}
	if reason != "" && k.store.BeginGap(ctx, "", reason, since) == nil {
		k.noted = reason
	}
}
