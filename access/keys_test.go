package access

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noEnd time.Time

// memory is a KeyStore for tests.
type memory struct {
	mu      sync.Mutex
	keys    []KeyInfo
	changed bool
	err     error
	reads   atomic.Int64
}

func (m *memory) Keys(context.Context) ([]KeyInfo, error) {
	m.reads.Add(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.keys), m.err
}

func (m *memory) AddKey(_ context.Context, k KeyInfo) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys, m.changed = append(m.keys, k), true
	return m.err
}

func (m *memory) EndKey(_ context.Context, id string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.keys {
		if m.keys[i].ID == id && m.keys[i].Ended.IsZero() {
			m.keys[i].Ended, m.changed = at, true
		}
	}
	return m.err
}

func (m *memory) RevokeKey(_ context.Context, id string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.keys {
		if m.keys[i].ID == id && m.keys[i].Revoked.IsZero() {
			m.keys[i].Revoked, m.changed = at, true
		}
	}
	return m.err
}

func (m *memory) RenewKey(_ context.Context, id string, hash [32]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.keys {
		if m.keys[i].ID == id {
			m.keys[i].Hash, m.changed = hash, true
		}
	}
	return m.err
}

func (m *memory) Changed(context.Context) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return false, m.err
	}
	was := m.changed
	m.changed = false
	return was, nil
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func openKeys(t testing.TB, signer *Signer) (*Keys, *memory) {
	t.Helper()
	store := &memory{}
	keys, err := OpenKeys(context.Background(), store, signer, nil)
	if err != nil {
		t.Fatal(err)
	}
	return keys, store
}

func mustAdd(t testing.TB, k *Keys, sub Subject, until time.Time) NewKey {
	t.Helper()
	made, err := k.Add(context.Background(), sub, until)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func mustRevoke(t testing.TB, k *Keys, name string) {
	t.Helper()
	if _, err := k.Revoke(context.Background(), name); err != nil {
		t.Fatal(err)
	}
}

func TestAKeyOpensItsGrant(t *testing.T) {
	keys, store := openKeys(t, openSigner(t))
	until := time.Now().Add(time.Hour)
	made := mustAdd(t, keys, shed, until)
	if made.Entity != "shed" || made.Sub != "acme:local:shed" || !PlainName(made.JTI) || made.Key == "" {
		t.Errorf("made %+v", made)
	}
	want := KeyGrant(shed, made.JTI, until.Truncate(time.Second))
	want.Print = keys.dir.Load().byID[made.JTI].grant(nil).Print
	got, err := keys.Verify(made.Key)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	got, err = keys.Grant(made.JTI)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if len(store.keys) != 1 || strings.Contains(string(store.keys[0].Hash[:]), made.Key) {
		t.Error("more than a hash is stored")
	}
	again, err := OpenKeys(context.Background(), store, keys.signer, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Verify(made.Key); err != nil {
		t.Errorf("after opening again: %v", err)
	}
}

func TestAKeyMadeByAnotherProcessWorksAtOnce(t *testing.T) {
	keys, store := openKeys(t, openSigner(t))
	beside, err := OpenKeys(context.Background(), store, keys.signer, nil)
	if err != nil {
		t.Fatal(err)
	}
	made := mustAdd(t, beside, shed, time.Time{})
	if _, err := keys.Verify(made.Key); err != nil {
		t.Errorf("a key made a moment ago: %v", err)
	}
}

func TestAddRefuses(t *testing.T) {
	keys, store := openKeys(t, openSigner(t))
	for name, tt := range map[string]struct {
		sub   Subject
		until time.Time
	}{
		"the operator's name":     {Subject{"acme", "local", OperatorName}, noEnd},
		"no entity":               {Subject{"acme", "local", ""}, noEnd},
		"a colon in the account":  {Subject{"acme:x", "local", "shed"}, noEnd},
		"a wildcard":              {Subject{"acme", "+", "shed"}, noEnd},
		"an end that has passed":  {shed, time.Now().Add(-time.Second)},
		"an end within no second": {shed, time.Now()},
	} {
		t.Run(name, func(t *testing.T) {
			if made, err := keys.Add(context.Background(), tt.sub, tt.until); err == nil {
				t.Errorf("issued %+v", made)
			}
		})
	}
	if len(store.keys) != 0 {
		t.Errorf("%d keys were stored", len(store.keys))
	}
	store.fail(errors.New("disk is full"))
	if _, err := keys.Add(context.Background(), shed, noEnd); err == nil || !strings.Contains(err.Error(), "add key: disk is full") {
		t.Errorf("error %v", err)
	}
}

func TestKeysEnd(t *testing.T) {
	keys, _ := openKeys(t, openSigner(t))
	at := time.Now()
	keys.clock = func() time.Time { return at }
	good, revoked, short := mustAdd(t, keys, shed, noEnd), mustAdd(t, keys, shed, noEnd), mustAdd(t, keys, shed, at.Add(time.Hour))
	mustRevoke(t, keys, revoked.JTI)
	both := mustAdd(t, keys, shed, at.Add(time.Hour))
	mustRevoke(t, keys, both.JTI)
	expect := func(when string, key NewKey, want error) {
		t.Helper()
		if _, err := keys.Verify(key.Key); !errors.Is(err, want) {
			t.Errorf("%s: Verify says %v, want %v", when, err, want)
		}
		if _, err := keys.Grant(key.JTI); !errors.Is(err, want) {
			t.Errorf("%s: Grant says %v, want %v", when, err, want)
		}
	}
	expect("at once", good, nil)
	expect("at once", revoked, ErrKeyRevoked)
	expect("at once", short, nil)
	expect("at once", NewKey{}, ErrKeyMissing)
	expect("at once", NewKey{JTI: "nobody", Key: "nobody"}, ErrKeyUnknown)
	at = at.Add(time.Hour)
	expect("an hour later", good, nil)
	expect("an hour later", short, ErrKeyExpired)
	expect("an hour later", both, ErrKeyRevoked)
	at = at.Add(-2 * time.Hour)
	expect("with the clock set back", short, ErrKeyExpired)
	if keys.Known("acme", "nobody") || !keys.Known("acme", "shed") || len(keys.Addressees("acme", "shed")) != 1 {
		t.Error("with the clock set back, an expired key is addressed")
	}
}

func TestNamesMeanEntitiesOfTheAccount(t *testing.T) {
	keys, _ := openKeys(t, openSigner(t))
	at := time.Now()
	keys.clock = func() time.Time { return at }
	names := map[string]string{}
	add := func(as string, sub Subject, until time.Time) {
		names[mustAdd(t, keys, sub, until).JTI] = as
	}
	add("shed 1", shed, noEnd)
	add("shed 2", shed, at.Add(time.Hour))
	add("shed far", Subject{"acme", "far", "shed"}, noEnd)
	add("foreign shed", Subject{"other", "local", "shed"}, noEnd)
	add("door", Subject{"acme", "local", "shed:door"}, noEnd)
	add("lookalike", Subject{"acme", "local", "acme:local:shed"}, noEnd)
	gone := mustAdd(t, keys, shed, noEnd)
	mustRevoke(t, keys, gone.JTI)
	table := map[string]struct {
		account, name string
		want          []string
	}{
		"entity":                     {"acme", "shed", []string{"shed 1", "shed 2", "shed far"}},
		"whole path":                 {"acme", "acme:local:shed", []string{"lookalike", "shed 1", "shed 2"}},
		"path in another region":     {"acme", "acme:far:shed", []string{"shed far"}},
		"entity with a colon":        {"acme", "shed:door", []string{"door"}},
		"another account":            {"other", "shed", []string{"foreign shed"}},
		"path of another account":    {"acme", "other:local:shed", nil},
		"path without the account":   {"acme", "local:shed", nil},
		"nobody":                     {"acme", "pond", nil},
		"nothing":                    {"acme", "", nil},
		"an account that is not one": {"", "shed", nil},
		"other case":                 {"acme", "Shed", nil},
		"a key's id is no name":      {"acme", gone.JTI, nil},
	}
	check := func(t *testing.T, account, name string, want []string) {
		t.Helper()
		var got []string
		for _, g := range keys.Addressees(account, name) {
			got = append(got, names[g.KeyID])
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if known := keys.Known(account, name); known != (len(want) > 0) {
			t.Errorf("Known = %v", known)
		}
	}
	for name, tt := range table {
		t.Run(name, func(t *testing.T) { check(t, tt.account, tt.name, tt.want) })
	}
	at = at.Add(2 * time.Hour)
	t.Run("expired keys are not addressed", func(t *testing.T) { check(t, "acme", "shed", []string{"shed 1", "shed far"}) })
	t.Run("what the first asker was given is whole", func(t *testing.T) { check(t, "acme", "shed", []string{"shed 1", "shed far"}) })
	t.Run("subjects", func(t *testing.T) {
		if sub, ok := keys.Subject("acme", gone.JTI); !ok || sub != shed {
			t.Error("what a revoked key sent is nobody's")
		}
		if _, ok := keys.Subject("other", gone.JTI); ok {
			t.Error("a key was found in another account")
		}
		if _, ok := keys.Subject("acme", "nobody"); ok {
			t.Error("an unknown key has a subject")
		}
	})
}

func TestRevokeNeverGuesses(t *testing.T) {
	ctx := context.Background()
	keys, store := openKeys(t, openSigner(t))
	one, two := mustAdd(t, keys, shed, noEnd), mustAdd(t, keys, shed, noEnd)
	if _, err := keys.Revoke(ctx, "shed"); err == nil || !strings.Contains(err.Error(), one.JTI) || !strings.Contains(err.Error(), two.JTI) {
		t.Errorf("with two keys: %v, want both ids", err)
	}
	if _, err := keys.Revoke(ctx, "pond"); !errors.Is(err, ErrKeyUnknown) || !strings.Contains(err.Error(), "pond") {
		t.Errorf("nobody's name: %v", err)
	}
	gone, err := keys.Revoke(ctx, one.JTI)
	if err != nil || len(gone) != 1 || gone[0].ID != one.JTI || gone[0].Revoked.IsZero() {
		t.Errorf("by id: %+v, %v", gone, err)
	}
	again, err := keys.Revoke(ctx, one.JTI)
	if err != nil || !again[0].Revoked.Equal(gone[0].Revoked) {
		t.Errorf("once more: %+v, %v, want the first time", again, err)
	}
	if gone, err = keys.Revoke(ctx, "acme:local:shed"); err != nil || gone[0].ID != two.JTI {
		t.Errorf("by path, one being left: %+v, %v", gone, err)
	}
	if _, err := keys.Revoke(ctx, "shed"); !errors.Is(err, ErrKeyUnknown) {
		t.Errorf("with none left: %v", err)
	}
	infos, err := keys.List(ctx)
	if err != nil || len(infos) != 2 {
		t.Errorf("list: %d, %v", len(infos), err)
	}
	store.fail(errors.New("disk is gone"))
	if _, err := keys.List(ctx); err == nil {
		t.Error("list without a disk")
	}
	if _, err := keys.Revoke(ctx, "shed"); err == nil || !strings.Contains(err.Error(), "disk is gone") {
		t.Errorf("revoke without a disk: %v", err)
	}
}

func TestStoredNamesThatWouldNotBeIssuedAreIgnored(t *testing.T) {
	store := &memory{}
	for _, id := range []string{"#", "+", "a/b", "..", "", "$x", "\u202e", strings.Repeat("x", 65), OperatorName} {
		store.keys = append(store.keys, KeyInfo{Subject: shed, ID: id})
	}
	store.keys = append(store.keys, KeyInfo{Subject: Subject{"acme", "local", "+"}, ID: "A"}, KeyInfo{Subject: shed, ID: "B"})
	keys, err := OpenKeys(context.Background(), store, openSigner(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := keys.Addressees("acme", "shed"); len(got) != 1 || got[0].KeyID != "B" {
		t.Errorf("addressed: %+v", got)
	}
	if keys.Known("acme", "+") {
		t.Error("a wildcard is known")
	}
}

func TestOpenKeysNeedsItsStore(t *testing.T) {
	if _, err := OpenKeys(context.Background(), &memory{err: errors.New("no disk")}, openSigner(t), nil); err == nil {
		t.Error("no error")
	}
}

func BenchmarkVerify(b *testing.B) {
	signer := openSigner(b)
	keys, _ := openKeys(b, signer)
	good := mustAdd(b, keys, shed, noEnd)
	unknown, err := signer.sign(shed, "NOBODYNOBODYNOBODYNOBODYNO", time.Now(), noEnd)
	if err != nil {
		b.Fatal(err)
	}
	other, _ := openKeys(b, openSigner(b))
	dot := strings.LastIndexByte(good.Key, '.')
	foreign := mustAdd(b, other, shed, noEnd).Key
	for name, token := range map[string]string{
		"good":         good.Key,
		"unknown":      unknown,
		"wrong":        good.Key[:dot] + foreign[strings.LastIndexByte(foreign, '.'):],
		"no token":     strings.Repeat("x", len(good.Key)),
		"short":        "x",
		"another host": foreign,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, _ = keys.Verify(token)
			}
		})
	}
}

func TestKeysForOtherTopicsThanTheirOwn(t *testing.T) {
	keys, err := OpenKeysFor(t.Context(), &memory{}, openSigner(t), func(sub Subject, keyID string) (subscribe, publish []string) {
		return []string{"home/" + sub.Entity + "/state"}, []string{"send/" + keyID}
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	made, err := keys.Add(t.Context(), Subject{Account: "home", Region: "local", Entity: "shed"}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func() (Grant, error){
		"who shows the key":           func() (Grant, error) { return keys.Verify(made.Key) },
		"who showed the key earlier":  func() (Grant, error) { return keys.Grant(made.JTI) },
		"who is addressed as the key": func() (Grant, error) { return keys.Addressees("home", "shed")[0], nil },
	} {
		g, err := ask()
		if err != nil {
			t.Fatal(err)
		}
		if !g.MaySubscribe("home/shed/state") || !g.MayPublish("send/"+made.JTI) || g.MaySubscribe(g.Subject.MessagesTopic(made.JTI)) || g.MaySubscribe("home/+/state") {
			t.Errorf("%s may hear %q and send to %q", name, g.Subscribe, g.Publish)
		}
	}
}
