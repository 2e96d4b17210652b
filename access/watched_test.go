package access

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// told notes what is told of watching.
func (f *foreign) told() *[]string {
	var said []string
	f.OnWatched(func(g Grant, watched bool) { said = append(said, fmt.Sprintf("%s %v", g.KeyID, watched)) })
	f.OnEnd(func(jti string) { said = append(said, jti+" ended") })
	return &said
}

func TestWatchedKeyIsRememberedAndNotForgotten(t *testing.T) {
	f := newForeign(t)
	for _, key := range []string{"shed-1", "barn-1"} {
		if _, err := f.Verify(key); err != nil {
			t.Fatal(err)
		}
	}
	said := f.told()
	for range 2 { // twice is once
		if err := f.SetWatched(t.Context(), "of-shed", true); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.SetWatched(t.Context(), "of-nobody", true); !errors.Is(err, ErrKeyUnknown) {
		t.Errorf("a key that is not held: %v", err)
	}
	if _, err := f.Verify("shed-1"); err != nil || !f.IsWatched("of-shed") || f.IsWatched("of-barn") {
		t.Errorf("signing in changed what is watched: %v", err)
	}
	month := time.Now().Add(heldLife + time.Hour)
	f.clock = func() time.Time { return month }
	f.checkAll(t.Context())
	if !slices.Equal(*said, []string{"of-shed true", "of-barn ended"}) {
		t.Errorf("told %v", *said)
	}
	f.open(t, f.service)
	if all := f.Watched(); len(all) != 1 || all[0].KeyID != "of-shed" {
		t.Errorf("after a restart %v are watched", all)
	}
	said = f.told()
	if err := f.SetWatched(t.Context(), "of-shed", false); err != nil {
		t.Fatal(err)
	}
	f.clock = func() time.Time { return month }
	f.checkAll(t.Context())
	if !slices.Equal(*said, []string{"of-shed false", "of-shed ended"}) {
		t.Errorf("told %v", *said)
	}
}

func TestWatchedKeyGoesWhenTheServiceRefusesIt(t *testing.T) {
	f := newForeign(t)
	if _, err := f.Verify("shed-1"); err != nil {
		t.Fatal(err)
	}
	if err := f.SetWatched(t.Context(), "of-shed", true); err != nil {
		t.Fatal(err)
	}
	said := f.told()
	if _, err := f.Verify("shed-2"); err != nil { // another key under the same id
		t.Fatal(err)
	}
	f.refuse.Store(true)
	f.checkAll(t.Context())
	if !slices.Equal(*said, []string{"of-shed ended", "of-shed true", "of-shed ended"}) || len(f.Watched()) != 0 {
		t.Errorf("told %v", *said)
	}
}

func TestOnlySoManyKeysAreWatched(t *testing.T) {
	f := newForeign(t)
	for n := range maxWatched + 1 {
		id := fmt.Sprint(n)
		f.held[id] = heldKey{HeldKey: HeldKey{ID: id, HeldMarks: HeldMarks{Watched: n < maxWatched}}}
		f.rows.rows[id] = f.held[id].HeldKey
	}
	last := fmt.Sprint(maxWatched)
	if err := f.SetWatched(t.Context(), last, true); !errors.Is(err, ErrWatchedEnough) {
		t.Errorf("one too many: %v", err)
	}
	if err := f.SetWatched(t.Context(), "0", false); err != nil {
		t.Fatal(err)
	}
	if err := f.SetWatched(t.Context(), last, true); err != nil {
		t.Errorf("when there is room: %v", err)
	}
}

func TestWhatAnotherProcessDoesIsTakenOver(t *testing.T) {
	f := newForeign(t)
	for _, key := range []string{"shed-1", "barn-1", "loft-1"} {
		if _, err := f.Verify(key); err != nil {
			t.Fatal(err)
		}
	}
	command := &foreign{rows: f.rows, vault: f.vault}
	command.open(t, f.service)
	if _, err := command.Verify("shed-2"); err != nil { // a newer key of the same id
		t.Fatal(err)
	}
	if _, err := command.Verify("cellar-1"); err != nil {
		t.Fatal(err)
	}
	sealed, err := f.vault.Seal("another id", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	f.rows.other(func(rows map[string]HeldKey) {
		for _, id := range []string{"of-barn", "of-cellar"} {
			k := rows[id]
			k.Watched = true
			rows[id] = k
		}
		delete(rows, "of-loft")
		rows["broken"] = HeldKey{ID: "broken", Sub: "a:b:c", Sealed: sealed, Print: "p"}
	})
	said := f.told()
	synctest.Test(t, func(t *testing.T) {
		go f.follow(t.Context())
		time.Sleep(time.Second)
		synctest.Wait()
	})
	slices.Sort(*said)
	if want := []string{"of-barn true", "of-cellar true", "of-loft ended", "of-shed ended"}; !slices.Equal(*said, want) {
		t.Errorf("told %v, want %v", *said, want)
	}
	if secret, _ := f.Secret("of-shed"); secret != "shed-2" || !f.IsWatched("of-cellar") {
		t.Errorf("the key is %q", secret)
	}
}

func TestHeldKeyIsFoundByIDOrName(t *testing.T) {
	f := newForeign(t)
	for _, key := range []string{"shed-1", "barn-1"} {
		if _, err := f.Verify(key); err != nil {
			t.Fatal(err)
		}
	}
	again := f.held["of-barn"]
	again.ID = "other"
	f.held["other"] = again
	for name, want := range map[string]string{"shed": "of-shed", "of-barn": "of-barn", "other": "other"} {
		if got, err := f.Find(name); got.ID != want || err != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, want := range map[string]error{"barn": ErrSeveralKeys, "nobody": ErrKeyUnknown} {
		if _, err := f.Find(name); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHeldKeyIsKnownWhileTheServiceIsAway(t *testing.T) {
	f := newForeign(t)
	if _, err := f.Verify("shed-1"); err != nil {
		t.Fatal(err)
	}
	f.away.Store(true)
	if g, err := f.Held("shed-1"); err != nil || g.KeyID != "of-shed" {
		t.Errorf("a key that was good: %+v, %v", g, err)
	}
	for _, key := range []string{"", "shed-2", "shed-", "of-shed"} {
		if _, err := f.Held(key); !errors.Is(err, ErrKeyUnknown) {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func TestAUseIsNotWrittenDownAgainAtOnce(t *testing.T) {
	f := newForeign(t)
	now := time.Now()
	f.clock = func() time.Time { return now }
	used := func() time.Time {
		if _, err := f.Verify("shed-1"); err != nil {
			t.Fatal(err)
		}
		return f.rows.rows["of-shed"].Used
	}
	first := used()
	now = now.Add(useNoted / 2)
	if again := used(); !again.Equal(first) {
		t.Errorf("written down again after %v", again.Sub(first))
	}
	now = now.Add(useNoted)
	if later := used(); !later.Equal(now) {
		t.Errorf("not written down after %v", now.Sub(first))
	}
}
