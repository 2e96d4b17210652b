package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"modernc.org/sqlite"
)

// ErrUnsynced says that the disk has failed to keep what was written, so that nothing more is. See [Store.Unsynced].
var ErrUnsynced = errors.New("the disk failed to keep what was written; nothing more is written until a new start")

// What SQLite calls a failed sync of a file and of a folder.
const (
	sqliteFsync    = 1034
	sqliteDirFsync = 1290
)

// writer is the one connection that writes. After a failed sync it writes no more: the system has then forgotten what it could not write
// and would call the next sync a success, so trying again proves nothing. A new start begins with what is there.
type writer struct {
	db     *sql.DB
	log    *slog.Logger
	failed atomic.Bool
}

func (w *writer) may() error {
	if w.failed.Load() {
		return ErrUnsynced
	}
	return nil
}

// judge looks at how writing ended.
func (w *writer) judge(err error) error {
	said, is := errors.AsType[*sqlite.Error](err)
	if !is || (said.Code() != sqliteFsync && said.Code() != sqliteDirFsync) {
		return err
	}
	if !w.failed.Swap(true) {
		w.log.Error("the record could not be synced: nothing more is written until a new start", "err", err)
	}
	return fmt.Errorf("%w: %w", ErrUnsynced, err)
}

// ExecContext runs one statement that is a transaction of its own.
func (w *writer) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := w.may(); err != nil {
		return nil, err
	}
	done, err := w.db.ExecContext(ctx, query, args...)
	return done, w.judge(err)
}

// inTx runs do in one transaction.
func (w *writer) inTx(ctx context.Context, do func(*sql.Tx) error) error {
	if err := w.may(); err != nil {
		return err
	}
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback() // the first error is the one to tell
		return w.judge(err)
	}
	return w.judge(tx.Commit())
}

// fold syncs the write-ahead log and folds it into the file, without waiting for readers.
func (w *writer) fold(ctx context.Context) error {
	if err := w.may(); err != nil {
		return err
	}
	var busy, pages, folded int
	return w.judge(w.db.QueryRowContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`).Scan(&busy, &pages, &folded))
}

// Unsynced gives ErrUnsynced once a sync has failed: then nothing more is recorded or changed, until a new start.
func (s *Store) Unsynced() error { return s.write.may() }
