package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	probeEvery  = 3 * time.Second
	probeWithin = 5 * time.Second
	roomEvery   = time.Second      // how often a full disk is looked at
	reviveAfter = 2 * time.Second  // so long messages are not taken though the disk has room, and nats is to begin anew
	hopeFor     = 30 * time.Second // and so long, with that tried again and again, and there is no hope any more
	roomNeeded  = 1 << 20
)

// probeSubject is among what the recorder listens to, else nats would not store what is sent there; no device can name it.
const probeSubject = "$probe.0.0.publish"

// health finds out whether messages are taken. It looks only when something failed: a device's publish that nats could
// not store shows only in what nats says.
//
// After a write error nats refuses everything, even when the disk has room again, until it begins anew. Where that does not help
// there is an end to hoping: broken then says why.
type health struct {
	log     *slog.Logger
	publish func(context.Context) error       // has nats store something
	room    func() error                      // writes and syncs something beside it
	full    func() error                      // nil, or why nothing more may be stored; cheap
	revive  func() error                      // has nats begin anew
	slow    func() (time.Time, time.Duration) // when nats stored something last, and how long that took
	broken  chan error
	doubts  chan struct{}

	mu      sync.Mutex
	failing error // what the last look found
	broke   bool  // a sync has failed: nothing is stored any more, and no look helps
	waiting error // why the record takes nothing
}

func newHealth(dir string, log *slog.Logger) *health {
	return &health{
		log: log, broken: make(chan error, 1), doubts: make(chan struct{}, 1),
		room: func() error { return roomIn(dir) }, revive: func() error { return nil },
		slow: func() (time.Time, time.Duration) { return time.Time{}, 0 },
	}
}

// doubt has the health looked at.
func (h *health) doubt() {
	select {
	case h.doubts <- struct{}{}:
	default:
	}
}

// unsynced ends it all until a new start: after a failed sync the system has forgotten what it could not write, and calls the next one a
// success. So nats must not begin anew on these files, nor be asked whether it takes messages.
func (h *health) unsynced(why string) {
	h.mu.Lock()
	before := h.broke
	h.broke = true
	h.mu.Unlock()
	if !before {
		h.log.Error("what came could not be synced: nothing more is taken until a new start", "error", why)
	}
}

// trusted gives nil, or ErrUnsynced.
func (h *health) trusted() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broke {
		return ErrUnsynced
	}
	return nil
}

func (h *health) now() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.broke:
		return ErrUnsynced
	case h.failing != nil:
		return h.failing
	}
	return h.waiting
}

// takes gives nil, or why nothing is stored now.
func (h *health) takes() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.broke:
		return ErrUnsynced
	case h.failing != nil || h.full == nil:
		return h.failing
	}
	return h.full()
}

// bound has room looked at by whoever knows better how much has to stay free.
func (h *health) bound(full func() error) {
	if full == nil {
		return
	}
	h.full = full
	written := h.room
	h.room = func() error {
		if err := full(); err != nil {
			return err
		}
		return written()
	}
}

func (h *health) found(failing error) {
	h.mu.Lock()
	before := h.failing
	h.failing = failing
	h.mu.Unlock()
	switch {
	case before == nil && failing != nil:
		h.log.Error("messages are not taken", "error", failing)
	case before != nil && failing == nil:
		h.log.Info("messages are taken again", "step", "store")
	}
}

func (h *health) recordWaits(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = why
}

func (h *health) run(ctx context.Context) {
	for {
		select {
		case <-h.doubts:
			h.examine(ctx)
		case <-ctx.Done():
			return
		}
		if !sleep(ctx, time.Second) { // nats may say much in a second
			return
		}
	}
}

// examine looks until messages are taken or there is no hope any more.
func (h *health) examine(ctx context.Context) {
	var since time.Time // the disk has room and messages are not taken all the same
	wasFull := false
	for {
		err := h.try(ctx)
		if ctx.Err() != nil || h.trusted() != nil {
			return
		}
		if err == nil {
			h.found(nil)
			return
		}
		room := h.room()
		switch {
		case room != nil:
			err, since, wasFull = room, time.Time{}, true
		case storeFull(err): // beginning anew would not help; the keeper makes room
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		}
		h.found(err)
		if !since.IsZero() && time.Since(since) >= hopeFor {
			h.giveUp(err)
			return
		}
		if !since.IsZero() && (wasFull || time.Since(since) >= reviveAfter) {
			wasFull = false
			h.log.Warn("the broker's store begins anew", "because", err, "err", h.revive())
			if h.try(ctx) == nil {
				h.found(nil)
				return
			}
		}
		if room != nil && !h.awaitRoom(ctx) || room == nil && !sleep(ctx, probeEvery) {
			return
		}
	}
}

// awaitRoom waits as long as the disk is full: nothing else is worth trying then.
func (h *health) awaitRoom(ctx context.Context) bool {
	for h.room() != nil {
		if !sleep(ctx, roomEvery) {
			return false
		}
	}
	return true
}

// try has something stored. Where that takes too long and other things were stored meanwhile the disk is slow, and nothing is broken.
func (h *health) try(ctx context.Context) error {
	began := time.Now()
	_, took := h.slow()
	ctx, cancel := context.WithTimeout(ctx, min(probeWithin+4*took, storeWithin))
	defer cancel()
	err := h.publish(ctx)
	// In the first moment an answer comes to what was stored before it broke.
	if last, _ := h.slow(); errors.Is(err, context.DeadlineExceeded) && last.Sub(began) > time.Second {
		return nil
	}
	return err
}

func (h *health) giveUp(err error) {
	select {
	case h.broken <- fmt.Errorf("the broker inside takes no messages any more and must be started again: %w", err):
	default: // it was said before
	}
}

// storeFull says whether nats refuses by the limits that we gave it.
func storeFull(err error) bool {
	var said *jetstream.APIError
	if !errors.As(err, &said) {
		return false
	}
	switch said.ErrorCode {
	case 10002, 10023, 10047: // account, server and storage resources exceeded
		return true
	}
	return false
}

func roomIn(dir string) error {
	file, err := os.CreateTemp(dir, "room-*")
	if err != nil {
		return fmt.Errorf("write to %s: %w", dir, err)
	}
	defer os.Remove(file.Name())
	_, err = file.Write(make([]byte, roomNeeded))
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write to %s: %w", filepath.Clean(dir), err)
	}
	return nil
}

// Healthy gives nil, or why messages are not taken or not recorded now.
func (b *Broker) Healthy() error {
	if b.door.isClosed() {
		return ErrClosed
	}
	return b.health.now()
}

// Broken gives an error when messages are not taken any more and only a new start of the program can help. It fires once.
func (b *Broker) Broken() <-chan error { return b.health.broken }
