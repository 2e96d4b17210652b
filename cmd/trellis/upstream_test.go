package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trellis/access"
	"trellis/history"
)

func TestEverythingAboutAHeldKeyIsStored(t *testing.T) {
	store, err := history.Open(t.Context(), t.TempDir(), history.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	rows, at := heldRows{store}, time.Unix(1000, 0).UTC()
	all := access.HeldMarks{Agreed: true, Linked: true, Watched: true, Echo: access.EchoNever, Client: "acme:eu:shed#PAGE"}
	want := []access.HeldKey{
		{Sub: "acme:eu:shed", ID: "k1", Print: "aa", Sealed: []byte{1}, Until: at.Add(time.Hour), Used: at, HeldMarks: all},
		{Sub: "acme:eu:barn", ID: "k2", Print: "bb", Sealed: []byte{2}, Used: at, HeldMarks: access.HeldMarks{Client: "acme:eu:barn#PAGE"}},
	}
	for _, k := range want {
		if k.ID == "k2" { // its mark comes later
			k.Client = ""
		}
		if err := rows.PutHeldKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	if there, err := rows.MarkHeldKey(t.Context(), "k2", access.MarkClient, "acme:eu:barn#PAGE"); !there || err != nil {
		t.Fatal(there, err)
	}
	got, err := rows.HeldKeys(t.Context())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("kept is (%v):\n%s", err, diff)
	}
}
