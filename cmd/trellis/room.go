package main

import (
	"log/slog"
	"sync"
	"time"

	"trellis/broker"
)

// What is kept free of the disk: the broker inside and the database write a little whatever happens, and can be read and swept as
// long as they can. A broker that meets the end of the disk has to begin anew.
const (
	reserve     = 32 << 20
	reservePart = 8                     // of a small disk: one part in so many
	roomLooks   = 10 * time.Millisecond // so long what was found is true; somebody else may fill the disk meanwhile
)

// room says whether the disk has room for more.
type room struct {
	dir     string
	measure func(dir string) (free, size uint64, err error)

	mu     sync.Mutex
	looked time.Time
	full   bool
}

func newRoom(dir string) *room { return &room{dir: dir, measure: diskOf} }

// check gives nil, or broker.ErrFull. A disk that cannot be measured has room: writing to it says what is wrong.
func (r *room) check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.looked) >= roomLooks {
		r.looked = now
		if free, size, err := r.measure(r.dir); err == nil {
			r.full = free < r.needed(size)
		}
	}
	if r.full {
		return broker.ErrFull
	}
	return nil
}

// needed is how much has to be free. To be called roomy again it takes a quarter more, so that this does not change with every message.
func (r *room) needed(size uint64) uint64 {
	needed := min(reserve, size/reservePart)
	if r.full {
		needed += needed / 4
	}
	return needed
}

// warn says when the record may become larger than the disk.
func (r *room) warn(log *slog.Logger, keep int64) {
	if _, size, err := r.measure(r.dir); err == nil && uint64(keep) > size/10*9 {
		log.Warn("the record may outgrow its disk before the oldest goes; give a smaller --keep-size, of half the disk at most", "keep_size", keep, "disk", size)
	}
}
