package history

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHeldKeysAreKeptReplacedAndForgotten(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir, Config{})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	one := HeldKey{Subject: "acme:eu:shed", ID: "k1", Print: "aa", Sealed: []byte{1, 2}, Used: at}
	two := HeldKey{Subject: "acme:eu:barn", ID: "k2", Print: "bb", Sealed: []byte{3}, Until: at.Add(time.Hour), Used: at, Agreed: true, Linked: true, Watched: true, Echo: 2, Client: "acme:eu:barn#X"}
	for _, k := range []HeldKey{two, {Subject: "x:y:z", ID: "k1", Sealed: []byte{9}, Used: at}, one, {ID: "k3", Sealed: []byte{}, Used: at}} {
		if err := s.PutHeldKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // twice is no error
		if err := s.DropHeldKey(t.Context(), "k3"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(t.Context(), dir, Config{}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := s.HeldKeys(t.Context())
	if diff := cmp.Diff([]HeldKey{one, two}, got); diff != "" || err != nil {
		t.Errorf("after another start (%v):\n%s", err, diff)
	}
}

func TestMarksOfAHeldKeyAreSetOneByOne(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	k := HeldKey{Subject: "acme:eu:shed", ID: "k1", Print: "aa", Sealed: []byte{1}, Used: time.Unix(1000, 0).UTC()}
	if err := s.PutHeldKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	for mark, value := range map[HeldMark]any{HeldAgreed: 1, HeldLinked: 1, HeldWatched: 1, HeldEcho: 2, HeldClient: "acme:eu:shed#X"} {
		if there, err := s.MarkHeldKey(t.Context(), "k1", mark, value); !there || err != nil {
			t.Errorf("%s: %v, %v", mark, there, err)
		}
	}
	if there, err := s.MarkHeldKey(t.Context(), "k9", HeldWatched, 1); there || err != nil {
		t.Errorf("a key that is not there: %v, %v", there, err)
	}
	if _, err := s.MarkHeldKey(t.Context(), "k1", "subject", 1); err == nil {
		t.Error("a column that is no mark was set")
	}
	k.Print = "bb" // a sign-in that knows nothing of the marks does not take them off
	want := k
	want.Agreed, want.Linked, want.Watched, want.Echo, want.Client = true, true, true, 2, "acme:eu:shed#X"
	for range 2 {
		if err := s.PutHeldKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		got, err := s.HeldKeys(t.Context())
		if diff := cmp.Diff([]HeldKey{want}, got); diff != "" || err != nil {
			t.Errorf("kept is (%v):\n%s", err, diff)
		}
		k.Subject = "acme:eu:barn" // another entity's key under the same id has agreed to nothing
		want = k
	}
}

func TestWhatHappensToHeldKeysIsSeenElsewhere(t *testing.T) {
	dir := t.TempDir()
	var stores [2]*Store
	for i := range stores {
		s, err := Open(t.Context(), dir, Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		stores[i] = s
	}
	server, command := stores[0], stores[1]
	k := HeldKey{Subject: "acme:eu:shed", ID: "k1", Print: "aa", Sealed: []byte{1}, Used: time.Unix(1000, 0)}
	mark := func(m HeldMark) func() error {
		return func() error {
			_, err := command.MarkHeldKey(t.Context(), "k1", m, 1)
			return err
		}
	}
	for _, step := range []struct {
		name string
		do   func() error
		want bool
	}{
		{"nothing", func() error { return nil }, false},
		{"a key comes", func() error { return command.PutHeldKey(t.Context(), k) }, true},
		{"it is used", func() error { return command.PutHeldKey(t.Context(), k) }, false},
		{"its session begins", mark(HeldLinked), false},
		{"it is watched", mark(HeldWatched), true},
		{"it is watched already", mark(HeldWatched), false},
		{"it goes", func() error { return command.DropHeldKey(t.Context(), "k1") }, true},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got, err := server.HeldChanged(t.Context()); got != step.want || err != nil {
			t.Errorf("%s: changed %v, %v", step.name, got, err)
		}
		if got, err := server.Changed(t.Context()); got || err != nil {
			t.Errorf("%s: our own keys changed: %v, %v", step.name, got, err)
		}
	}
}
