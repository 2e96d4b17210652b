package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// asOther names the folder in which this test binary, started again, plays the other process.
const asOther = "HISTORY_TEST_OTHER_PROCESS"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asOther); dir != "" {
		if err := playOther(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// playOther does what the command line and a server do: open, write, close.
func playOther(dir string) error {
	ctx, id := context.Background(), fmt.Sprint(os.Getpid())
	s, err := Open(ctx, dir, Config{})
	if err != nil {
		return err
	}
	err = s.AddKey(ctx, Key{ID: id, Subject: "a:b:c", Created: time.Now()})
	for i := range 10 {
		err = errors.Join(err, s.Append(ctx, batchOf(fmt.Sprint(id, "-", i), 10)))
	}
	return errors.Join(err, s.Close())
}

func TestProcessesShareAFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	const many = 4
	var all sync.WaitGroup
	for range many {
		all.Go(func() {
			other := exec.Command(os.Args[0])
			other.Env = append(os.Environ(), asOther+"="+dir)
			if out, err := other.CombinedOutput(); err != nil {
				t.Errorf("other process: %v: %s", err, out)
			}
		})
	}
	all.Wait()
	s := openStore(t, dir, Config{})
	if keys, err := s.Keys(context.Background()); err != nil || len(keys) != many {
		t.Errorf("%d keys, %v, want %d", len(keys), err, many)
	}
	if n := count(t, s, "messages"); n != many*100 {
		t.Errorf("%d messages, want %d", n, many*100)
	}
}

// SQLite says the same when its file reaches a limit of its own as when the disk does.
func TestFullDiskIsOneLineAndPasses(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	limit := func(pages int) {
		t.Helper()
		var got int
		if err := s.write.db.QueryRow(fmt.Sprint("PRAGMA max_page_count = ", pages)).Scan(&got); err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // no less than it has
	err := s.Append(context.Background(), batchOf("A", 1000))
	if !IsFull(err) || IsFull(nil) || IsFull(errors.New("full")) {
		t.Errorf("%v is not told to be a full disk", err)
	}
	if err == nil || !strings.Contains(err.Error(), "record messages: database or disk is full") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
	if n := count(t, s, "messages"); n != 0 {
		t.Errorf("%d messages of a batch that failed", n)
	}
	limit(1 << 20)
	mustAppend(t, s, batchOf("A", 1000)...)
	if n := count(t, s, "messages"); n != 1000 {
		t.Errorf("%d messages, want 1000", n)
	}
}

// What a sync that fails comes to is tested from outside, where one can fail.
func TestAfterAFailedSyncNothingIsWritten(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	mustAppend(t, s, batchOf("A", 1)...)
	if err := s.Unsynced(); err != nil {
		t.Error(err)
	}
	s.write.failed.Store(true)
	for what, err := range map[string]error{
		"Append": s.Append(t.Context(), batchOf("A", 1)), "Delete": s.Delete("a session"), "makeSafe": s.makeSafe(t.Context()), "Unsynced": s.Unsynced(),
	} {
		if !errors.Is(err, ErrUnsynced) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := count(t, s, "messages"); n != 1 {
		t.Errorf("%d messages can be read", n)
	}
}

// openStore opens a Store that the test closes.
func openStore(t testing.TB, dir string, cfg Config) *Store {
	t.Helper()
	s, err := Open(context.Background(), dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "data with ? # % in it")
	s := openStore(t, dir, Config{})
	mustAppend(t, s, publish("1", "a/b/c/publish", `{"t":1}`))
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v, want 0700", info.Mode(), err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 3 {
		t.Errorf("found %d files, want the database, its log and the lock at least", len(files))
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want 0600", f.Name(), info.Mode(), err)
		}
	}
}

func TestOpenSaysInOneLineWhatIsWrong(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, dir string) string
		want    string
	}{
		"folder below a file": {func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, "file"), "")
			return filepath.Join(dir, "file", "data")
		}, "not a directory"},
		"folder that may not be written": {func(t *testing.T, dir string) string {
			if os.Geteuid() == 0 {
				t.Skip("root may write everywhere")
			}
			if err := os.Chmod(dir, 0o500); err != nil {
				t.Fatal(err)
			}
			return dir
		}, "cannot be written: permission denied"},
		"file of another kind": {func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, fileName), strings.Repeat("not a database ", 100))
			return dir
		}, "not a database"},
		"folder in place of the file": {func(t *testing.T, dir string) string {
			if err := os.Mkdir(filepath.Join(dir, fileName), 0o700); err != nil {
				t.Fatal(err)
			}
			return dir
		}, "unable to open database file"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(context.Background(), tt.prepare(t, t.TempDir()), Config{})
			if err == nil {
				_ = s.Close()
				t.Fatal("it opened")
			}
			if text := err.Error(); !strings.Contains(text, tt.want) || strings.Contains(text, "\n") {
				t.Errorf("error %q, want one line with %q", text, tt.want)
			}
		})
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if s, err := Open(ctx, t.TempDir(), Config{}); err == nil {
		_ = s.Close()
		t.Fatal("it opened")
	}
}

func TestManyOpenANewFolderAtOnce(t *testing.T) {
	dir := t.TempDir()
	const many = 8
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			s, err := Open(context.Background(), dir, Config{})
			if err != nil {
				t.Error(err)
				return
			}
			id := fmt.Sprint(i)
			if err := s.AddKey(context.Background(), Key{ID: id, Subject: "a:b:c", Created: time.Now()}); err != nil {
				t.Error(err)
			}
			if err := s.Append(context.Background(), batchOf(id, 50)); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s := openStore(t, dir, Config{})
	if keys, err := s.Keys(context.Background()); err != nil || len(keys) != many {
		t.Errorf("%d keys, %v, want %d", len(keys), err, many)
	}
	if n := count(t, s, "messages"); n != many*50 {
		t.Errorf("%d messages, want %d", n, many*50)
	}
	if n := count(t, s, "goose_db_version WHERE version_id > 0"); n != len(allMigrations(t)) {
		t.Errorf("%d migrations ran, want %d, each once", n, len(allMigrations(t)))
	}
}

func TestSyncLevelFollowsConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		sync time.Duration
		want int
	}{
		"safe at once": {0, 2},
		"safe later":   {time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, t.TempDir(), Config{Sync: tt.sync, Log: slog.New(slog.DiscardHandler)})
			var got int
			if err := s.write.db.QueryRow("PRAGMA synchronous").Scan(&got); err != nil || got != tt.want {
				t.Errorf("synchronous = %d, %v, want %d", got, err, tt.want)
			}
			var mode string
			if err := s.read.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
				t.Errorf("journal_mode = %s, %v, want wal", mode, err)
			}
		})
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// count counts the rows of a table.
func count(t testing.TB, s *Store, table string) (n int) {
	t.Helper()
	if err := s.read.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// allMigrations are their names: files, and steps that are more than SQL.
func allMigrations(t *testing.T) []string {
	t.Helper()
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(files)+len(steps()))
	for _, f := range files {
		names = append(names, f.Name())
	}
	for _, step := range steps() {
		names = append(names, fmt.Sprintf("%05d", step.Version))
	}
	return names
}
