// Package history keeps what was said, and the little state that must outlive a restart, in one SQLite file.
//
// Several processes may have the file open: the server, and the command line beside it. It never interprets a payload
// beyond its readings. Start at [Open], then [Store.Append] and [Store.Values].
package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"trellis/message"
)

// Config says how a Store behaves. The zero value works.
type Config struct {
	Sync         time.Duration // how long what was recorded may be unsafe against a power cut; 0 means not at all
	Keep         time.Duration // how long messages are kept, and what was drawn of them; 0 means for ever
	KeepMessages int           // how many messages are kept; 0 means any number
	KeepBytes    int64         // how much the file may hold before messages go; 0 means 2 GiB
	Log          *slog.Logger  // nil discards
}

const (
	fileName     = "trellis.db"
	busyFor      = 10 * time.Second // how long one process waits for another that is writing
	readers      = 4
	defaultBytes = 2 << 30
)

// Store is the open file. All its methods may be called at once.
type Store struct {
	keep      int
	keepFor   time.Duration
	topics    int
	pressed   pressLimits
	settings  int
	keepBytes int64
	sync      time.Duration
	log       *slog.Logger
	clock     func() time.Time
	reader    func(*message.Message) (time.Time, []message.Reading)

	appended   atomic.Int64  // bytes recorded since the last sweep
	swollen    chan struct{} // asks for a sweep before its time
	drawnUntil int64         // sweep's own: what is drawn was swept up to this moment
	counts     counts

	write *writer // one connection: SQLite has one writer, and waiting in Go is fair
	read  *sql.DB

	mu       sync.Mutex
	watch    *sql.Conn // its own, always the same: data_version is told per connection
	keysSeen follower
	heldSeen follower
}

// Open opens the file in the folder dir, makes both if they are not there, and brings an older file up to date.
func Open(ctx context.Context, dir string, cfg Config) (*Store, error) {
	s := &Store{keep: cfg.KeepMessages, keepFor: cfg.Keep, topics: keptTopics, pressed: pressLimits{maxPresses, maxInADay}, settings: maxSettings, keepBytes: cfg.KeepBytes, sync: cfg.Sync, log: cfg.Log, clock: time.Now,
		reader: (*message.Message).Heard, swollen: make(chan struct{}, 1)}
	if s.keepBytes <= 0 {
		s.keepBytes = defaultBytes
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	if err := prepareFolder(dir); err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	if err := s.open(ctx, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("open history %s: %w", filepath.Join(dir, fileName), err), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, dir string) error {
	file := filepath.Join(dir, fileName)
	level := "FULL"
	if s.sync > 0 {
		level = "NORMAL"
	}
	// A transaction that began as a reader and became a writer could not wait for its turn, so the writer's begin as such.
	db, err := connect(file, 1, "immediate", "synchronous("+level+")")
	if err != nil {
		return err
	}
	s.write = &writer{db: db, log: s.log}
	if err := migrate(ctx, db, dir); err != nil {
		return err
	}
	if s.read, err = connect(file, readers+1, "deferred", "query_only(1)"); err != nil {
		return err
	}
	if s.watch, err = s.read.Conn(ctx); err != nil {
		return err
	}
	s.keysSeen, s.heldSeen = follower{-1, -1}, follower{-1, -1}
	if _, err = s.Changed(ctx); err == nil {
		_, err = s.HeldChanged(ctx)
	}
	return err
}

// Close waits for what is under way and closes the file.
func (s *Store) Close() error {
	var errs []error
	if s.watch != nil {
		errs = append(errs, s.watch.Close())
	}
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.write != nil {
		errs = append(errs, s.write.db.Close()) // last, so that the write-ahead log is folded in
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close history: %w", err)
	}
	return nil
}

// inTx runs do in one transaction of the writer.
func (s *Store) inTx(ctx context.Context, do func(*sql.Tx) error) error { return s.write.inTx(ctx, do) }

// stamp is how a time is stored.
func stamp(t time.Time) int64 { return t.UnixMicro() }

// stampOrNull is how a time that may be missing is stored.
func stampOrNull(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()}
}

func fromStamp(at int64) time.Time { return time.UnixMicro(at).UTC() }

func fromNull(at sql.NullInt64) time.Time {
	if !at.Valid {
		return time.Time{}
	}
	return fromStamp(at.Int64)
}
