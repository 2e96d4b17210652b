package history

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
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
	first.Revoked = noon.Add(time.Minute)
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

func TestSweepKeepsTheNewestAndTheLatest(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{KeepMessages: 100})
	mustAppend(t, s, publish("door", "acme/local/DOOR/publish", `{"open":true}`))
	mustAppend(t, s, batchOf("A", 3*sweepRows)...)
	mustAppend(t, s, publish("pond", "acme/local/POND/publish", `{"level":1}`))
	mustAppend(t, s, batchOf("B", 150)...)
	before := latest(t, s)
	for range 2 {
		if err := s.sweep(context.Background()); err != nil {
			t.Fatal(err)
		}
		// 100 of B, and the newest of the door, of A and of the pond.
		if n := count(t, s, "messages"); n != 103 {
			t.Errorf("%d messages after the sweep, want 103", n)
		}
	}
	if diff := cmp.Diff(before, latest(t, s)); diff != "" || len(before) != 4 {
		t.Errorf("%d latest: %s", len(before), diff)
	}
	found, err := s.Recent(context.Background(), nil, 1000)
	if err != nil || len(found) != 103 || string(found[0].Payload) != `{"data":{"t":149}}` {
		t.Errorf("%d recent messages, %v", len(found), err)
	}
	mustAppend(t, s, publish("door2", "acme/local/DOOR/publish", `{"open":false}`))
	if err := s.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, "messages WHERE uid = 'door'"); n != 0 {
		t.Error("a message that is nobody's latest any more was kept")
	}
}

func TestSweepKeepsTheFileSmall(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{KeepBytes: 1 << 20})
	mustAppend(t, s, publish("door", "acme/local/DOOR/publish", `{"open":true}`))
	wide := `{"t":1,"text":"` + strings.Repeat("x", 4000) + `"}`
	for i := range 1000 {
		mustAppend(t, s, publish(fmt.Sprint("wide", i), "acme/local/A/publish", wide))
	}
	if used, err := s.used(context.Background()); err != nil || used < 4<<20 {
		t.Fatalf("%d bytes, %v: too little to be swept", used, err)
	}
	if err := s.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	used, err := s.used(context.Background())
	if err != nil || used > 1<<20 {
		t.Errorf("%d bytes are left, %v", used, err)
	}
	if n := count(t, s, "messages WHERE uid = 'door' OR uid = 'wide999'"); n != 2 {
		t.Error("the newest message of a reading was removed")
	}
	// What may not be removed must not make the sweep go round for ever.
	s.keepBytes = 1
	if err := s.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestSweepRunsUntilItsContextEnds(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(context.Background(), dir, Config{KeepMessages: 1, Sync: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- s.Sweep(ctx) }()
		mustAppend(t, s, batchOf("A", 10)...)
		time.Sleep(sweepEvery + time.Second) // of the test's own clock
		synctest.Wait()
		if n := count(t, s, "messages"); n != 1 {
			t.Errorf("%d messages, want 1", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
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
