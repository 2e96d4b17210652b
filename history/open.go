package history

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // it is also the driver named "sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// sqliteFull is what SQLite calls a full disk; its further distinctions are in higher bits.
const sqliteFull = 13

// IsFull says whether an error of this package means that the disk is full.
func IsFull(err error) bool {
	said, is := errors.AsType[*sqlite.Error](err)
	return is && said.Code()&0xff == sqliteFull
}

// lockName is an empty database of its own: whoever holds it exclusively may migrate. The lock ends with its process.
const lockName = "migrate.lock"

// prepareFolder makes the folder and the files before SQLite does, so that nobody else can read them, and finds out early
// and plainly when that is not possible. SQLite gives its side files the permissions of the main one.
func prepareFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data folder %s cannot be made: %w", dir, cause(err))
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return fmt.Errorf("data folder %s cannot be written: %w", dir, cause(err))
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return fmt.Errorf("data folder %s cannot be written: %w", dir, cause(err))
	}
	for _, name := range []string{lockName, fileName} {
		if err := touch(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("data file %s cannot be made: %w", filepath.Join(dir, name), cause(err))
		}
	}
	return syncFolder(dir)
}

// touch makes an empty file. One that is there is not even opened: closing it would drop the locks that another Store of
// this process holds on it.
func touch(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// syncFolder makes new names survive a power cut. access has the same for its own file: neither package knows the other, and
// one that both would share for these few lines would be a place for whatever fits nowhere.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be opened for this there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// cause drops the path that the os package repeats.
func cause(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// connect opens a pool of at most size connections, which stay open.
func connect(file string, size int, txlock string, pragmas ...string) (*sql.DB, error) {
	query := url.Values{"_txlock": {txlock}}
	query.Add("_pragma", "busy_timeout("+strconv.FormatInt(busyFor.Milliseconds(), 10)+")")
	for _, p := range pragmas {
		query.Add("_pragma", p)
	}
	path := filepath.ToSlash(file)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/… on Windows
	}
	name := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db, nil
}

// migrate brings the file up to date while no other process does.
func migrate(ctx context.Context, db *sql.DB, dir string) (err error) {
	unlock, err := lockMigration(ctx, dir)
	if err != nil {
		return fmt.Errorf("wait for another migration: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	all, err := provider(db)
	if err != nil {
		return err
	}
	backup, err := backUp(ctx, db, all, dir)
	if err != nil {
		return fmt.Errorf("back up before migrating: %w", err)
	}
	if _, err := all.Up(ctx); err != nil {
		return fmt.Errorf("migrate (a copy from before is %s): %w", backup, err)
	}
	if err := keepCopy(dir, backup); err != nil {
		return fmt.Errorf("keep the copy from before migrating: %w", err)
	}
	return nil
}

// provider knows all migrations.
func provider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true), goose.WithGoMigrations(steps()...))
}

const (
	copyName = fileName + ".before-"
	underWay = ".under-way" // ends the name of a copy until all migrations are done
)

// backUp copies the file before it becomes a newer version's, since there is no way back, and gives the copy's name: empty where
// there is nothing to lose. Where a process ended between two migrations, its copy is the only one from before: it stays, and no other is
// made of what is half done.
func backUp(ctx context.Context, db *sql.DB, all *goose.Provider, dir string) (string, error) {
	version, err := all.GetDBVersion(ctx)
	if err != nil || version == 0 {
		return "", err
	}
	copied := filepath.Join(dir, fmt.Sprintf("%s%05d%s", copyName, version+1, underWay))
	begun, err := filepath.Glob(filepath.Join(dir, copyName+"*"+underWay)) // oldest first
	if err != nil {
		return "", err
	}
	if len(begun) > 0 && begun[0] < copied {
		return begun[0], nil
	}
	pending, err := all.HasPending(ctx)
	if err != nil || !pending {
		return "", err
	}
	if err := os.Remove(copied); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", cause(err)
	}
	if err := touch(copied); err != nil { // before SQLite does, so that nobody else can read it meanwhile
		return "", cause(err)
	}
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, copied); err != nil {
		return "", err
	}
	return copied, syncFolder(dir)
}

// keepCopy gives the copy its lasting name when all is migrated. Copies of other versions go.
func keepCopy(dir, backup string) error {
	if backup == "" {
		return nil
	}
	lasting := strings.TrimSuffix(backup, underWay)
	if err := os.Rename(backup, lasting); err != nil {
		return err
	}
	all, err := filepath.Glob(filepath.Join(dir, copyName+"*"))
	if err != nil {
		return err
	}
	for _, name := range all {
		if name != lasting {
			err = errors.Join(err, os.Remove(name))
		}
	}
	return errors.Join(err, syncFolder(dir))
}

func lockMigration(ctx context.Context, dir string) (unlock func() error, err error) {
	db, err := connect(filepath.Join(dir, lockName), 1, "exclusive")
	if err != nil {
		return nil, err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return func() error { return errors.Join(tx.Rollback(), db.Close()) }, nil
}
