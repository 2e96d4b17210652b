package history

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestKeysAreKept(t *testing.T) {
	ctx := context.Background()
	s := openStore(t, t.TempDir(), Config{})
	first := Key{Subject: "acme:local:shed", ID: "A", Created: noon, Hash: sha256.Sum256([]byte("a"))}
	second := Key{Subject: "acme:local:shed:door", ID: "B", Created: noon.Add(time.Second), Expires: noon.Add(time.Hour), Hash: sha256.Sum256([]byte("b"))}
	for _, k := range []Key{second, first} {
		if err := s.AddKey(ctx, k); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddKey(ctx, first); err == nil {
		t.Error("the same id was stored twice")
	}
	for i := range 2 { // the first time counts
		if err := s.RevokeKey(ctx, "A", noon.Add(time.Duration(i+1)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.RevokeKey(ctx, "nobody", noon); err != nil {
		t.Error(err)
	}
	for i := range 2 {
		if err := s.EndKey(ctx, "B", noon.Add(time.Duration(i+1)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	first.Revoked, second.Ended = noon.Add(time.Minute), noon.Add(time.Hour)
	got, err := s.Keys(ctx)
	if diff := cmp.Diff([]Key{first, second}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestChangedSeesKeysOfEveryProcess(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	server, beside := openStore(t, dir, Config{}), openStore(t, dir, Config{})
	expect := func(want bool, when string) {
		t.Helper()
		if got, err := server.Changed(ctx); err != nil || got != want {
			t.Errorf("changed = %v, %v after %s, want %v", got, err, when, want)
		}
	}
	expect(false, "opening")
	add := func(s *Store, id string) {
		t.Helper()
		if err := s.AddKey(ctx, Key{Subject: "a:b:c", ID: id, Created: noon}); err != nil {
			t.Fatal(err)
		}
	}
	add(beside, "A")
	expect(true, "a key of another process")
	expect(false, "asking")
	add(server, "B")
	expect(true, "a key of this one")
	mustAppend(t, server, publish("1", shed, `{"t":1}`))
	mustAppend(t, beside, publish("2", shed, `{"t":1}`))
	expect(false, "messages only")
	if err := beside.RevokeKey(ctx, "B", noon); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, server, publish("3", shed, `{"t":1}`))
	expect(true, "a revocation among messages")
}

func TestSessionsEnd(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	now := noon
	s.clock = func() time.Time { return now }
	find := func(token, want string) {
		t.Helper()
		data, found, err := s.Find(token)
		if err != nil || string(data) != want || found != (want != "") {
			t.Errorf("Find(%s) = %q, %v, %v, want %q", token, data, found, err, want)
		}
	}
	commit := func(token, data string, lasts time.Duration) {
		t.Helper()
		if err := s.Commit(token, []byte(data), noon.Add(lasts)); err != nil {
			t.Fatal(err)
		}
	}
	commit("short", "one", time.Minute)
	commit("long", "two", time.Minute)
	commit("long", "three", time.Hour)
	commit("left", "four", time.Hour)
	find("short", "one")
	find("long", "three")
	find("other", "")
	if err := s.Delete("left"); err != nil {
		t.Fatal(err)
	}
	find("left", "")
	now = noon.Add(time.Minute)
	find("short", "")
	find("long", "three")
	if err := s.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, "sessions"); n != 1 {
		t.Errorf("%d sessions after the sweep, want 1", n)
	}
	if n := count(t, s, "sessions WHERE hex(token) LIKE '%' || hex('long') || '%'"); n != 0 {
		t.Error("the token itself is stored")
	}
}

func TestCodeIsTakenOnce(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	stores := []*Store{openStore(t, dir, Config{}), openStore(t, dir, Config{})}
	code := sha256.Sum256([]byte("code"))
	if err := stores[0].PutCode(ctx, code, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	var taken atomic.Int32
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			ok, err := stores[i%2].TakeCode(ctx, code)
			if err != nil {
				t.Error(err)
			}
			if ok {
				taken.Add(1)
			}
		})
	}
	all.Wait()
	if n := taken.Load(); n != 1 {
		t.Errorf("taken %d times", n)
	}
}

func TestSignInsAreBounded(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	s.clock = func() time.Time { return noon }
	commit := func(token string, lasts time.Duration) {
		t.Helper()
		if err := s.Commit(token, nil, noon.Add(lasts)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.write.db.Exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO sessions (token, data, expires) SELECT randomblob(32), x'', ? FROM n`, maxSessions-2, stamp(noon.Add(2*time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	commit("many 0", time.Hour)
	commit("many 1", time.Hour+time.Second)
	commit("brief", time.Minute) // it ends soonest, but somebody has just signed in with it
	for token, want := range map[string]bool{"many 0": false, "many 1": true, "brief": true} {
		if _, found, err := s.Find(token); err != nil || found != want {
			t.Errorf("%q: found %v, %v, want %v", token, found, err, want)
		}
	}
	commit("last", time.Hour)
	if _, found, _ := s.Find("brief"); found {
		t.Error("what ends soonest stayed")
	}
	if n := count(t, s, "sessions"); n != maxSessions {
		t.Errorf("%d sessions, want %d", n, maxSessions)
	}
}

// Whoever has one key can sign in with it for as long as he likes, and pushes out nobody else.
func TestAKeyPushesOutNoSignInButItsOwn(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	signIn := func(token, holder string, lasts time.Duration) {
		t.Helper()
		if err := errors.Join(s.Commit(token, nil, time.Now().Add(lasts)), s.Hold(t.Context(), token, holder)); err != nil {
			t.Fatal(err)
		}
	}
	signIn("other", "barn", time.Minute)
	for i := range maxOfHolder + 3 {
		signIn(fmt.Sprint(i), "shed", time.Hour+time.Duration(i)*time.Second)
	}
	for token, want := range map[string]bool{"other": true, "0": false, "2": false, "3": true, fmt.Sprint(maxOfHolder + 2): true} {
		if _, found, err := s.Find(token); err != nil || found != want {
			t.Errorf("%q: found %v, %v, want %v", token, found, err, want)
		}
	}
	if n := count(t, s, "sessions"); n != maxOfHolder+1 {
		t.Errorf("%d sessions, want %d", n, maxOfHolder+1)
	}
}

func TestCodesAreBounded(t *testing.T) {
	ctx := context.Background()
	s := openStore(t, t.TempDir(), Config{})
	code := func(i int) [32]byte { return sha256.Sum256(fmt.Append(nil, i)) }
	for i := range maxCodes + 5 {
		if err := s.PutCode(ctx, code(i), time.Now().Add(time.Hour+time.Duration(i)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, s, "codes"); n != maxCodes {
		t.Errorf("%d codes, want %d", n, maxCodes)
	}
	for i, want := range map[int]bool{4: false, 5: true, maxCodes + 4: true} {
		if taken, err := s.TakeCode(ctx, code(i)); err != nil || taken != want {
			t.Errorf("code %d: taken %v, %v, want %v", i, taken, err, want)
		}
	}
}

func TestCodeEnds(t *testing.T) {
	ctx := context.Background()
	s := openStore(t, t.TempDir(), Config{})
	s.clock = func() time.Time { return noon }
	code := sha256.Sum256([]byte("code"))
	if err := s.PutCode(ctx, code, noon); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.TakeCode(ctx, code); ok || err != nil {
		t.Errorf("an ended code was taken: %v, %v", ok, err)
	}
	if err := s.sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, "codes"); n != 0 {
		t.Errorf("%d codes after the sweep", n)
	}
}

func TestReadersSeeWholeBatches(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{})
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if found, err := s.Latest(context.Background()); err != nil || len(found)%5 != 0 {
				t.Errorf("%d latest, %v", len(found), err)
				return
			}
		}
	})
	for i := range 20 {
		batch := batchOf("x", 5)
		for j := range batch {
			batch[j].Topic, batch[j].ID = fmt.Sprint("a/b/", j, "/publish"), fmt.Sprint(i, "-", j)
		}
		mustAppend(t, s, batch...)
	}
	close(stop)
	reader.Wait()
}
