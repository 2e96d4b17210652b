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
	hopeFor     = 15 * time.Second // so long messages are not taken though the disk has room
	roomNeeded  = 1 << 20
)

// probeSubject is among what the recorder listens to, else nats would not store what is sent there; no device can name it.
const probeSubject = "$probe.0.0.publish"

// health finds out whether messages are taken. It looks only when something failed: a device's publish that nats could
// not store shows only in what nats says.
//
// After a write error nats refuses everything until it is started again, even when the disk has room again. So there is an
// end to hoping: broken then says why.
type health struct {
	log     *slog.Logger
	publish func(context.Context) error // has nats store something
	room    func() error                // writes and syncs something beside it
	broken  chan error
	doubts  chan struct{}

	mu      sync.Mutex
	failing error // what the last look found
	waiting error // why the record takes nothing
}

func newHealth(dir string, log *slog.Logger) *health {
	return &health{
		log: log, broken: make(chan error, 1), doubts: make(chan struct{}, 1),
		room: func() error { return roomIn(dir) },
	}
}

// doubt has the health looked at.
func (h *health) doubt() {
	select {
	case h.doubts <- struct{}{}:
	default:
	}
}

func (h *health) now() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failing != nil {
		return h.failing
	}
	return h.waiting
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
	for {
		err := h.try(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			h.found(nil)
			return
		}
		switch room := h.room(); {
		case room != nil:
			err, since = room, time.Time{}
		case storeFull(err): // starting again would not help; the keeper makes room
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		}
		h.found(err)
		if !since.IsZero() && time.Since(since) >= hopeFor {
			h.giveUp(err)
			return
		}
		if !sleep(ctx, probeEvery) {
			return
		}
	}
}

func (h *health) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	return h.publish(ctx)
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
