package history

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
		s.EndGap(context.Background(), "A", GapUpstream, minute(10).Add(30*time.Second)), // too short to matter
		s.BeginGap(context.Background(), "", GapStopped, minute(20)),
		s.BeginGap(context.Background(), "B", GapUpstream, minute(30)),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	want := []Gap{{"A", GapUpstream, minute(0), minute(5)}, {"", GapStopped, minute(20), time.Time{}}}
	if diff := cmp.Diff(want, gapsOf(t, s, "A")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	found, err := s.Gaps(context.Background(), "A", minute(6), minute(19))
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
	if err := s.stayAlive(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.BeginGap(context.Background(), "A", GapUpstream, now.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	resume(30 * time.Second) // a restart
	resume(time.Hour)        // a crash
	want := []Gap{{"A", GapUpstream, noon.Add(59 * time.Minute), noon.Add(time.Hour)},
		{"", GapStopped, noon.Add(time.Hour + 30*time.Second), noon.Add(2*time.Hour + 30*time.Second)}}
	if diff := cmp.Diff(want, gapsOf(t, s, "A")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
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
