package history

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"
)

// leave leaves one message of a key; a name makes it one that is left once.
func leave(t *testing.T, s *Store, key, id, name string, size int) (Letter, error) {
	t.Helper()
	now := s.clock()
	l := Letter{ID: id, KeyID: key, Topic: "t/" + key, Payload: make([]byte, size), Made: now, Until: now.Add(time.Hour)}
	asked := Leaving{Digest: sha256.Sum256(l.Payload)}
	if name != "" {
		sum := sha256.Sum256([]byte(name))
		asked.Once = &sum
	}
	return s.LeaveLetter(t.Context(), l, asked)
}

func waiting(t *testing.T, s *Store, key string) (ids []string) {
	t.Helper()
	for {
		l, _, there, err := s.NextLetter(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if !there {
			return ids
		}
		ids = append(ids, l.ID)
		if err := s.EndLetter(t.Context(), l.ID, LetterSent); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLettersWaitInOrderAndOutliveAStart(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range [][2]string{{"k1", "a"}, {"k2", "x"}, {"k1", "b"}, {"k1", "c"}} {
		if _, err := leave(t, s, l[0], l[1], "", 10); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, Config{})
	if keys, err := s.LetterKeys(t.Context()); fmt.Sprint(keys) != "[k1 k2]" || err != nil {
		t.Errorf("something waits of %v, %v", keys, err)
	}
	if got := fmt.Sprint(waiting(t, s, "k1")); got != "[a b c]" {
		t.Errorf("in order %s", got)
	}
	if l, there, err := s.FindLetter(t.Context(), "k1", "a"); !there || err != nil || l.State != LetterSent || l.Done.IsZero() || len(l.Payload) != 0 {
		t.Errorf("what became of it: %+v, %v, %v", l, there, err)
	}
	if _, there, _ := s.FindLetter(t.Context(), "k2", "a"); there {
		t.Error("it is told to another key")
	}
	if err := s.EndLetter(t.Context(), "a", LetterRefused); err != nil {
		t.Fatal(err)
	}
	if l, _, _ := s.FindLetter(t.Context(), "k1", "a"); l.State != LetterSent {
		t.Errorf("what is done became %v", l.State)
	}
}

func TestLettersExpireToTheMoment(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s.clock = func() time.Time { return now }
	for _, id := range []string{"a", "b"} {
		if _, err := leave(t, s, "k1", id, "", 1); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
	}
	_, first, _, _ := s.NextLetter(t.Context(), "k1")
	for _, step := range []struct {
		at   time.Time
		want int
	}{{first.Add(-time.Microsecond), 0}, {first, 1}, {first, 0}, {first.Add(time.Hour), 1}} {
		now = step.at
		if n, err := s.ExpireLetters(t.Context(), "k1"); n != step.want || err != nil {
			t.Errorf("at %v: %d expired, %v, want %d", step.at, n, err, step.want)
		}
	}
	if l, _, _ := s.FindLetter(t.Context(), "k1", "a"); l.State != LetterExpired || !l.Done.Equal(first) {
		t.Errorf("it is %+v", l)
	}
}

func TestANameIsOneLetter(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	one, err := leave(t, s, "k1", "a", "name", 10)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := leave(t, s, "k1", "b", "name", 10); err != nil || again.ID != one.ID || !again.Until.Equal(one.Until.Truncate(time.Microsecond)) {
		t.Errorf("again: %+v, %v", again, err)
	}
	if _, err := leave(t, s, "k1", "c", "name", 11); !errors.Is(err, ErrLetterDiffers) {
		t.Errorf("another message: %v", err)
	}
	if other, err := leave(t, s, "k2", "d", "name", 10); err != nil || other.ID != "d" {
		t.Errorf("another key: %+v, %v", other, err)
	}
	if got := fmt.Sprint(waiting(t, s, "k1")); got != "[a]" {
		t.Errorf("waiting are %s", got)
	}
	if again, err := leave(t, s, "k1", "e", "name", 10); err != nil || again.ID != "a" || again.State != LetterSent {
		t.Errorf("when it was sent: %+v, %v", again, err)
	}
}

func TestWhatWaitsIsBoundedByNumberAndBytes(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{Sync: time.Hour}) // what is measured is not the disk
	for n := range 8 {
		if _, err := leave(t, s, "big", fmt.Sprint("big", n), "", 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := leave(t, s, "big", "more", "", 1); !errors.Is(err, ErrOutboxFull) {
		t.Errorf("a byte too much of one key: %v", err)
	}
	for key := 0; ; key++ {
		var err error
		for n := 0; n < 8 && err == nil; n++ {
			_, err = leave(t, s, fmt.Sprint("k", key), fmt.Sprint(key, "-", n), "", 1<<20)
		}
		if errors.Is(err, ErrOutboxCrowded) {
			if key != 15 {
				t.Errorf("crowded after %d keys of 8 MiB", key)
			}
			break
		}
		if err != nil || key > 20 {
			t.Fatalf("key %d: %v", key, err)
		}
	}
	if got := waiting(t, s, "big"); len(got) != 8 {
		t.Errorf("%d of 8 are kept", len(got))
	}
	if _, err := leave(t, s, "big", "later", "", 1); err != nil {
		t.Errorf("when there is room: %v", err)
	}
}

func TestWhatBecameOfLettersIsForgotten(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{Sync: time.Hour})
	now := time.Now()
	s.clock = func() time.Time { return now }
	if _, err := leave(t, s, "k1", "old", "name", 1); err != nil {
		t.Fatal(err)
	}
	_ = waiting(t, s, "k1")
	now = now.Add(doneKept - time.Minute)
	if _, err := leave(t, s, "k1", "waits", "", 1); err != nil {
		t.Fatal(err)
	}
	_, err := s.write.ExecContext(t.Context(), `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO outbox (id, key, topic, digest, payload, size, made, until, state, done) SELECT 'many' || i, 'busy', 't', x'', x'', 0, 0, 0, 1, ? FROM n`,
		maxDoneOfKey+50, stamp(now))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ old, first, last bool }{{true, false, true}, {false, false, true}} {
		if err := s.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]bool{"old": step.old, "waits": true} {
			if _, there, _ := s.FindLetter(t.Context(), "k1", id); there != want {
				t.Errorf("%s is known: %v", id, there)
			}
		}
		for id, want := range map[string]bool{"many50": step.first, fmt.Sprint("many", maxDoneOfKey+50): step.last, "many51": true} {
			if _, there, _ := s.FindLetter(t.Context(), "busy", id); there != want {
				t.Errorf("%s is known: %v", id, there)
			}
		}
		now = now.Add(time.Minute)
	}
	if l, err := leave(t, s, "k1", "new", "name", 2); err != nil || l.ID != "new" {
		t.Errorf("its name is free again: %+v, %v", l, err)
	}
}
