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
	two := HeldKey{Subject: "acme:eu:barn", ID: "k2", Print: "bb", Sealed: []byte{3}, Until: at.Add(time.Hour), Used: at, Agreed: true, Linked: true}
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
