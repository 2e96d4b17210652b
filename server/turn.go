package server

import (
	"context"
	"sync"
	"time"

	"trellis/access"
)

// A question about the past may take a fifth of a second of a processor, and hold one of the few connections that read. Pages and devices go
// on meanwhile: no more than two are answered at once, and of one key no more than one.
const (
	turnsAtOnce = 2
	turnsWaited = 32 // of one key, one behind the other
)

// turns let those who ask wait for each other.
type turns struct {
	all chan struct{}

	mu sync.Mutex
	of map[string]*turn
}

// turn is that of one key.
type turn struct {
	waiting int
	one     chan struct{}
}

func newTurns() *turns {
	return &turns{all: make(chan struct{}, turnsAtOnce), of: map[string]*turn{}}
}

// take waits for the turn of a Grant and has it answered. Write the answer afterwards: whoever reads it slowly keeps nobody waiting.
func (t *turns) take(ctx context.Context, g access.Grant, answer func() error) error {
	mine, err := t.join(g.KeyID)
	if err != nil {
		return err
	}
	defer t.leave(g.KeyID)
	for _, line := range []chan struct{}{mine.one, t.all} {
		select {
		case line <- struct{}{}:
			defer func() { <-line }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return answer()
}

func (t *turns) join(key string) (*turn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	mine := t.of[key]
	if mine == nil {
		mine = &turn{one: make(chan struct{}, 1)}
		t.of[key] = mine
	}
	if mine.waiting >= turnsWaited {
		return nil, tooMany{after: time.Second}
	}
	mine.waiting++
	return mine, nil
}

func (t *turns) leave(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[key].waiting--; t.of[key].waiting == 0 {
		delete(t.of, key)
	}
}
