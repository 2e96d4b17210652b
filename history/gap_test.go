package history

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func gapsOf(t *testing.T, s *Store, whose string) []Gap {
	t.Helper()
	found, err := s.Gaps(context.Background(), whose, noon.Add(-48*time.Hour), noon.Add(48*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestGapsSayWhyAndWhose(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	minute := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }
	for _, step := range []error{
		s.BeginGap(context.Background(), "A", GapUpstream, minute(0)),
		s.BeginGap(context.Background(), "A", GapUpstream, minute(1)), // it lasts already
		s.EndGap(context.Background(), "A", GapUpstream, minute(5)),
		s.BeginGap(context.Background(), "A", GapUpstream, minute(10)),
		s.EndGap(context.Background(), "A", GapUpstream, minute(10).Add(29*time.Second)), // too short to matter
		s.BeginGap(context.Background(), "A", GapUpstream, minute(12)),
		s.EndGap(context.Background(), "A", GapUpstream, minute(12).Add(35*time.Second)),
		s.BeginGap(context.Background(), "", GapStopped, minute(20)),
		s.BeginGap(context.Background(), "B", GapUpstream, minute(30)),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	want := []Gap{{"A", GapUpstream, minute(0), minute(5)}, {"A", GapUpstream, minute(12), minute(12).Add(35 * time.Second)}, {"", GapStopped, minute(20), time.Time{}}}
	if diff := cmp.Diff(want, gapsOf(t, s, "A")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	found, err := s.Gaps(context.Background(), "A", minute(6), minute(12))
	if err != nil || len(found) != 0 {
		t.Errorf("gaps %v, %v where there are none", found, err)
	}
}

func TestTheTimeWithoutAServerIsAGap(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	now := noon
	s.clock = func() time.Time { return now }
	resume := func(after time.Duration) {
		t.Helper()
		now = now.Add(after)
		if err := s.Resume(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	resume(0)
	now = now.Add(time.Hour)
	if err := s.stayAlive(context.Background(), now); err != nil {
		t.Fatal(err)
	}
	if err := s.BeginGap(context.Background(), "A", GapUpstream, now.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	resume(25 * time.Second) // a restart
	resume(time.Hour)        // a crash
	resume(35 * time.Second)
	off := noon.Add(time.Hour + 25*time.Second)
	want := []Gap{{"A", GapUpstream, noon.Add(59 * time.Minute), noon.Add(time.Hour)},
		{"", GapStopped, off, off.Add(time.Hour)}, {"", GapStopped, off.Add(time.Hour), off.Add(time.Hour + 35*time.Second)}}
	if diff := cmp.Diff(want, gapsOf(t, s, "A")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A machine that slept, and one whose clock is set when it finds the network, did not record meanwhile.
func TestATimeSleptThroughIsAGap(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(context.Background(), dir, Config{})
		if err != nil {
			t.Fatal(err)
		}
		var jump atomic.Int64
		begin := time.Now()
		s.clock = func() time.Time { return time.Now().Add(time.Duration(jump.Load())) }
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- s.Sweep(ctx) }()
		for _, by := range []time.Duration{0, 3 * time.Hour, time.Hour} { // set back at last: no time was lost
			jump.Store(int64(by))
			time.Sleep(10*aliveEvery + time.Second)
			synctest.Wait()
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		found, err := s.Gaps(context.Background(), "A", begin, begin.Add(24*time.Hour))
		if err != nil || len(found) != 1 || found[0].Reason != GapStopped {
			t.Fatalf("gaps %+v, %v, want one", found, err)
		}
		if long := found[0].Ended.Sub(found[0].Began); long < 3*time.Hour || long > 3*time.Hour+aliveEvery {
			t.Errorf("the gap is %+v", found[0])
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// What was noted every 20 s alone would make half a minute of a restart.
func TestAnEndIsNotedWhenItIs(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(context.Background(), dir, Config{})
		if err != nil {
			t.Fatal(err)
		}
		s.clock = time.Now
		if err := s.Resume(context.Background()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*aliveEvery-time.Second)
		defer cancel()
		if err := s.Sweep(ctx); err != nil {
			t.Error(err)
		}
		end := time.Now()
		time.Sleep(leastGap - time.Second)
		if err := s.Resume(context.Background()); err != nil {
			t.Fatal(err)
		}
		if found, err := s.Gaps(context.Background(), "", end.Add(-time.Hour), end.Add(time.Hour)); err != nil || len(found) != 0 {
			t.Errorf("a restart is a gap: %+v, %v", found, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A link that comes and goes has more gaps than an answer holds: it says the last of them, and that one lasts.
func TestGapsThatAreManySayTheLast(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	begin := noon.Add(-40 * time.Hour)
	err := s.inTx(context.Background(), func(tx *sql.Tx) error {
		for n := range MaxGaps + 10 {
			at := begin.Add(time.Duration(n) * 2 * time.Minute)
			if _, err := tx.Exec(`INSERT INTO gaps (whose, reason, began, ended) VALUES ('A', ?, ?, ?)`, GapUpstream, stamp(at), stamp(at.Add(time.Minute))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.BeginGap(context.Background(), "A", GapUnheard, noon); err != nil {
		t.Fatal(err)
	}
	found := gapsOf(t, s, "A")
	if n := len(found); n != MaxGaps || !found[n-1].Ended.IsZero() || !found[0].Began.Before(found[1].Began) {
		t.Errorf("%d gaps, the last %+v", n, found[n-1])
	}
}

func TestAnOlderFileIsCopiedAndDrawn(t *testing.T) {
	dir := t.TempDir()
	firstVersion(t, dir, at("1", noon, `{"t":20}`), at("2", noon, `{"t":22}`))
	s := openStore(t, dir, Config{})
	got := mustRange(t, s, Span{About: "shed", Reading: "t", From: noon, To: noon.Add(time.Hour), Points: 60})
	if diff := cmp.Diff([]Point{{noon, 20, 22, 21, 2}}, got.Points); diff != "" {
		t.Errorf("what was recorded before is not drawn (-want +got):\n%s", diff)
	}
	copies, err := filepath.Glob(filepath.Join(dir, fileName+".before-*"))
	if err != nil || len(copies) != 1 || !strings.HasSuffix(copies[0], ".before-00002") {
		t.Fatalf("copies %v, %v", copies, err)
	}
	info, err := os.Stat(copies[0])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy is %v, %v", info.Mode(), err)
	}
	old := openStore(t, copyOf(t, copies[0]), Config{})
	if n := count(t, old, "messages"); n != 2 {
		t.Errorf("%d messages in the copy, want 2", n)
	}
	fresh := t.TempDir()
	openStore(t, fresh, Config{})
	if copies, _ := filepath.Glob(filepath.Join(fresh, fileName+".before-*")); len(copies) != 0 {
		t.Errorf("a new file was copied: %v", copies)
	}
}

// A process that ends between two migrations leaves a file that no program knows. The next one must not put that in the place of the copy
// from before.
func TestACopyFromBeforeOutlivesAnEndBetweenTwoMigrations(t *testing.T) {
	dir := t.TempDir()
	firstVersion(t, dir, at("1", noon, `{"t":20}`))
	halfMigrated(t, dir)
	openStore(t, dir, Config{})
	copies, err := filepath.Glob(filepath.Join(dir, fileName+".before-*"))
	if err != nil || len(copies) != 1 || !strings.HasSuffix(copies[0], ".before-00002") {
		t.Fatalf("copies %v, %v", copies, err)
	}
	db, err := sql.Open("sqlite", copies[0])
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all, err := provider(db)
	if err != nil {
		t.Fatal(err)
	}
	if version, err := all.GetDBVersion(t.Context()); err != nil || version != 1 {
		t.Errorf("the copy is of version %d, %v", version, err)
	}
}

// halfMigrated ends after the first of the migrations of a file.
func halfMigrated(t *testing.T, dir string) {
	t.Helper()
	db, err := connect(filepath.Join(dir, fileName), 1, "immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all, err := provider(db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backUp(t.Context(), db, all, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := all.UpByOne(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// copyOf is a folder with this file as its database.
func copyOf(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileName), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
