package access

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// told collects the ids that OnEnd tells.
type told struct {
	mu  sync.Mutex
	ids []string
}

func (l *told) end(jti string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids = append(l.ids, jti)
}

func (l *told) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := l.ids
	l.ids = nil
	slices.Sort(ids)
	return ids
}

// watched runs do, on a clock of its own, while the keys of a server are watched.
func watched(t *testing.T, do func(t *testing.T, server, beside *Keys, store *memory, ended *told)) {
	t.Helper()
	signer := openSigner(t)
	synctest.Test(t, func(t *testing.T) {
		server, store := openKeys(t, signer)
		beside, err := OpenKeys(t.Context(), store, signer, nil)
		if err != nil {
			t.Fatal(err)
		}
		var ended told
		server.OnEnd(ended.end)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- server.Watch(ctx) }()
		do(t, server, beside, store, &ended)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// pass lets time go by and everything happen that is due then.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestWatchSeesWhatAnotherProcessDoes(t *testing.T) {
	watched(t, func(t *testing.T, server, beside *Keys, _ *memory, ended *told) {
		made := mustAdd(t, beside, shed, noEnd)
		pass(watchEvery)
		if _, err := server.Verify(made.Key); err != nil {
			t.Errorf("a new key: %v", err)
		}
		if ids := ended.take(); ids != nil {
			t.Errorf("told of %v", ids)
		}
		mustRevoke(t, beside, "shed")
		pass(watchEvery)
		if _, err := server.Verify(made.Key); err != ErrKeyRevoked {
			t.Errorf("a revoked key: %v", err)
		}
		if ids := ended.take(); !slices.Equal(ids, []string{made.JTI}) {
			t.Errorf("told of %v", ids)
		}
		pass(time.Minute)
		if ids := ended.take(); ids != nil {
			t.Errorf("told again of %v", ids)
		}
	})
}

func TestWatchSeesKeysExpire(t *testing.T) {
	watched(t, func(t *testing.T, server, _ *Keys, _ *memory, ended *told) {
		at := time.Now().Truncate(time.Second)
		first, second := mustAdd(t, server, shed, at.Add(10*time.Second)), mustAdd(t, server, shed, at.Add(20*time.Second))
		mustAdd(t, server, shed, noEnd)
		for _, step := range []struct {
			until time.Duration
			want  []string
		}{
			{9900 * time.Millisecond, nil},
			{10200 * time.Millisecond, []string{first.JTI}},
			{19900 * time.Millisecond, nil},
			{20200 * time.Millisecond, []string{second.JTI}},
			{time.Hour, nil},
		} {
			pass(time.Until(at.Add(step.until)))
			if ids := ended.take(); !slices.Equal(ids, step.want) {
				t.Errorf("after %v told of %v, want %v", step.until, ids, step.want)
			}
		}
	})
}

func TestAKeyPastItsEndStaysSoWhenTheClockIsSetBack(t *testing.T) {
	watched(t, func(t *testing.T, server, _ *Keys, store *memory, _ *told) {
		began := time.Now()
		made := mustAdd(t, server, shed, began.Add(10*time.Second).Truncate(time.Second))
		store.fail(errors.New("disk is full")) // it is noted when that is possible again
		pass(time.Minute)
		store.fail(nil)
		pass(2 * watchEvery)
		restarted, err := OpenKeys(t.Context(), store, server.signer, nil)
		if err != nil {
			t.Fatal(err)
		}
		restarted.latest.Store(0)
		restarted.clock = func() time.Time { return began }
		if _, err := restarted.Verify(made.Key); err != ErrKeyExpired {
			t.Errorf("verified: %v", err)
		}
		if _, err := restarted.Grant(made.JTI); err != ErrKeyExpired {
			t.Errorf("granted: %v", err)
		}
		if all := restarted.Addressees(shed.Account, shed.Entity); len(all) > 0 {
			t.Errorf("addressed: %v", all)
		}
	})
}

func TestRevokingTellsAtOnceAndOnce(t *testing.T) {
	watched(t, func(t *testing.T, server, _ *Keys, _ *memory, ended *told) {
		made := mustAdd(t, server, shed, noEnd)
		mustRevoke(t, server, made.JTI)
		if ids := ended.take(); !slices.Equal(ids, []string{made.JTI}) {
			t.Errorf("told of %v", ids)
		}
		mustRevoke(t, server, made.JTI)
		pass(time.Second)
		if ids := ended.take(); ids != nil {
			t.Errorf("told again of %v", ids)
		}
	})
}

func TestWatchOutlivesTroubleWithTheStore(t *testing.T) {
	watched(t, func(t *testing.T, server, beside *Keys, store *memory, ended *told) {
		made := mustAdd(t, server, shed, noEnd)
		mustRevoke(t, beside, made.JTI)
		store.fail(errors.New("disk is gone"))
		pass(time.Second)
		if _, err := server.Verify(made.Key); err != nil {
			t.Errorf("without a disk: %v", err)
		}
		store.fail(nil)
		pass(watchEvery)
		if ids := ended.take(); !slices.Equal(ids, []string{made.JTI}) {
			t.Errorf("told of %v", ids)
		}
	})
}

// A store tells of a change once. If the keys cannot be read just then, they are read later.
func TestWatchForgetsNoChange(t *testing.T) {
	signer := openSigner(t)
	synctest.Test(t, func(t *testing.T) {
		inner := &memory{}
		store := &halfBroken{memory: inner}
		server, err := OpenKeys(t.Context(), store, signer, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- server.Watch(ctx) }()
		beside, err := OpenKeys(t.Context(), &memory{}, signer, nil)
		if err != nil {
			t.Fatal(err)
		}
		made := mustAdd(t, beside, shed, noEnd)
		infos, err := beside.List(ctx)
		if err != nil {
			t.Fatal(err)
		}
		store.breakReading(true)
		if err := inner.AddKey(ctx, infos[0]); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		store.breakReading(false)
		pass(watchEvery)
		if _, err := server.Verify(made.Key); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// halfBroken tells of changes and cannot read them.
type halfBroken struct {
	*memory
	mu     sync.Mutex
	broken bool
}

func (h *halfBroken) breakReading(broken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken = broken
}

func (h *halfBroken) Keys(ctx context.Context) ([]KeyInfo, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken {
		return nil, errors.New("page is damaged")
	}
	return h.memory.Keys(ctx)
}

func TestKeysAreAskedWhileTheyChange(t *testing.T) {
	keys, _ := openKeys(t, openSigner(t))
	var ended told
	keys.OnEnd(ended.end)
	good := mustAdd(t, keys, shed, noEnd)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				made := mustAddQuietly(keys)
				_, _ = keys.Revoke(context.Background(), made.JTI)
			}
		})
		all.Go(func() {
			for range 20 {
				if _, err := keys.Verify(good.Key); err != nil {
					t.Error(err)
				}
				if !keys.Known("acme", "shed") || len(keys.Addressees("acme", "acme:local:shed")) == 0 {
					t.Error("the entity is not known")
				}
			}
		})
	}
	all.Wait()
	if ids := ended.take(); len(ids) != 40 {
		t.Errorf("told of %d keys, want each of 40 once", len(ids))
	}
}

// mustAddQuietly is for goroutines, which must not end the test.
func mustAddQuietly(k *Keys) NewKey {
	made, err := k.Add(context.Background(), shed, noEnd)
	if err != nil {
		panic(err)
	}
	return made
}
