package access

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// heldMemory keeps held keys as a database would.
type heldMemory struct {
	mu      sync.Mutex
	rows    map[string]HeldKey
	changed bool // by somebody else
}

func (m *heldMemory) HeldChanged(context.Context) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.changed
	m.changed = false
	return was, nil
}

func (m *heldMemory) MarkHeldKey(_ context.Context, id string, mark Mark, value any) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, there := m.rows[id]
	switch mark {
	case MarkAgreed:
		k.Agreed = value == 1
	case MarkLinked:
		k.Linked = value == 1
	case MarkWatched:
		k.Watched = value == 1
	case MarkEcho:
		k.Echo = Echo(value.(int))
	case MarkClient:
		k.Client = value.(string)
	}
	if there {
		m.rows[id] = k
	}
	return there, nil
}

// other is what another process does to the rows.
func (m *heldMemory) other(do func(rows map[string]HeldKey)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	do(m.rows)
	m.changed = true
}

func (m *heldMemory) HeldKeys(context.Context) ([]HeldKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.rows)), nil
}

func (m *heldMemory) PutHeldKey(_ context.Context, k HeldKey) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows[k.ID] = k
	return nil
}

func (m *heldMemory) DropHeldKey(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.rows, id)
	return nil
}

// foreign is a service that knows the keys shed-1, shed-2 and barn-1, the first two under one id if same is set.
type foreign struct {
	*ForeignKeys
	rows   *heldMemory
	vault  *Vault
	away   atomic.Bool
	refuse atomic.Bool
}

func newForeign(t *testing.T) *foreign {
	t.Helper()
	f := &foreign{rows: &heldMemory{rows: map[string]HeldKey{}}}
	service, _ := asked(t, func(w http.ResponseWriter, r *http.Request) {
		entity, _, known := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "-")
		switch {
		case f.away.Load():
			w.WriteHeader(500)
		case !known || f.refuse.Load():
			w.WriteHeader(401)
		default:
			_, _ = fmt.Fprintf(w, `{"sub":"acme:eu:%s","jti":"of-%s"}`, entity, entity)
		}
	})
	var err error
	if f.vault, err = OpenVault(filepath.Join(t.TempDir(), "k.json")); err != nil {
		t.Fatal(err)
	}
	f.open(t, service)
	return f
}

func (f *foreign) open(t *testing.T, service *Service) {
	t.Helper()
	var err error
	if f.ForeignKeys, err = OpenForeignKeys(t.Context(), f.rows, service, f.vault, nil); err != nil {
		t.Fatal(err)
	}
}

func TestForeignKeysAreHeldSealed(t *testing.T) {
	f := newForeign(t)
	g, err := f.Verify("shed-1")
	if err != nil || g.Holder != "shed" || g.KeyID != "of-shed" || !g.MayPublish("acme/eu/of-shed/publish") || g.Print == "" {
		t.Fatalf("grant %+v, %v", g, err)
	}
	if row := f.rows.rows["of-shed"]; strings.Contains(fmt.Sprintf("%s %+v", row.Sealed, row), "shed-1") {
		t.Errorf("the key lies open: %+v", row)
	}
	f.away.Store(true)
	f.open(t, f.service) // another start, and the service is away
	again, err := f.Grant("of-shed")
	if err != nil || again.Print != g.Print || again.Holder != "shed" {
		t.Errorf("after a restart %+v, %v", again, err)
	}
	if secret, ok := f.Secret("of-shed"); !ok || secret != "shed-1" {
		t.Errorf("the key itself is %q, %v", secret, ok)
	}
	if !f.Known("acme", "shed") || !f.Known("acme", "acme:eu:shed") || f.Known("acme", "barn") || f.Known("other", "shed") {
		t.Error("whose keys are held is not what was told")
	}
	for jti, want := range map[string]error{"": ErrKeyMissing, "of-barn": ErrKeyRevoked} {
		if _, err := f.Grant(jti); !errors.Is(err, want) {
			t.Errorf("grant of %q: %v", jti, err)
		}
	}
}

func TestForeignKeyThatIsRefusedEnds(t *testing.T) {
	f := newForeign(t)
	var ended []string
	f.OnEnd(func(jti string) { ended = append(ended, jti) })
	for _, key := range []string{"shed-1", "barn-1"} {
		if _, err := f.Verify(key); err != nil {
			t.Fatal(err)
		}
	}
	f.away.Store(true)
	f.checkAll(t.Context())
	if err := f.Check(t.Context(), "of-shed"); !errors.Is(err, ErrServiceAway) || len(ended) != 0 {
		t.Errorf("while nobody can say: %v, ended %v", err, ended)
	}
	f.away.Store(false)
	f.checkAll(t.Context())
	if len(ended) != 0 {
		t.Errorf("good keys ended: %v", ended)
	}
	f.refuse.Store(true)
	f.checkAll(t.Context())
	if !slices.Equal(ended, []string{"of-barn", "of-shed"}) || len(f.rows.rows) != 0 {
		t.Errorf("ended %v, kept %v", ended, f.rows.rows)
	}
	if _, err := f.Grant("of-shed"); !errors.Is(err, ErrKeyRevoked) {
		t.Errorf("a page of it: %v", err)
	}
	if err := f.Check(t.Context(), "of-shed"); !errors.Is(err, ErrKeyUnknown) {
		t.Errorf("asked about it: %v", err)
	}
}

func TestAnotherKeyUnderTheSameIDEndsTheOldOnesSessions(t *testing.T) {
	f := newForeign(t)
	var ended []string
	f.OnEnd(func(jti string) { ended = append(ended, jti) })
	one, _ := f.Verify("shed-1")
	same, _ := f.Verify("shed-1")
	two, _ := f.Verify("shed-2")
	if one.Print != same.Print || one.Print == two.Print || !slices.Equal(ended, []string{"of-shed"}) {
		t.Errorf("prints %s %s %s, ended %v", one.Print, same.Print, two.Print, ended)
	}
	if secret, _ := f.Secret("of-shed"); secret != "shed-2" {
		t.Errorf("held is %q", secret)
	}
}

func TestWhatHoldersAgreedToAndWhoWasNeededOutliveARestart(t *testing.T) {
	f := newForeign(t)
	g, err := f.Verify("shed-1")
	if err != nil {
		t.Fatal(err)
	}
	if f.Agreed(g.Subject) || len(f.Linked()) != 0 {
		t.Error("agreed and needed before anybody said so")
	}
	err = errors.Join(f.Agree(t.Context(), g.KeyID), f.SetLinked(t.Context(), g.KeyID, true), f.SetLinked(t.Context(), "nobody", true),
		f.SetClient(t.Context(), g.KeyID, "acme:eu:shed#PAGE"), f.SetClient(t.Context(), "nobody", "acme:eu:shed#PAGE"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Agree(t.Context(), "nobody"); !errors.Is(err, ErrKeyUnknown) {
		t.Errorf("nobody agrees: %v", err)
	}
	f.open(t, f.service)
	if all := f.Linked(); !f.Agreed(g.Subject) || len(all) != 1 || all[0].KeyID != g.KeyID {
		t.Errorf("after a restart agreed %v, needed %v", f.Agreed(g.Subject), all)
	}
	if _, err := f.Verify("shed-1"); err != nil || !f.Agreed(g.Subject) || f.Client(g.KeyID) != "acme:eu:shed#PAGE" {
		t.Errorf("signing in again forgot it: %v", err)
	}
	if err := f.SetClient(t.Context(), g.KeyID, ""); err != nil || f.Client(g.KeyID) != "" || f.Client("nobody") != "" {
		t.Errorf("a session that has ended is still noted: %v", err)
	}
}

func TestHeldKeysOfNoMoreUseAreForgotten(t *testing.T) {
	f := newForeign(t)
	if _, err := f.Verify("shed-1"); err != nil {
		t.Fatal(err)
	}
	good := f.rows.rows["of-shed"]
	old, ended, broken, needed := good, good, good, good
	old.ID, old.Used = "old", time.Now().Add(-heldLife-time.Hour)
	old.Sealed, _ = f.vault.Seal("old", []byte("shed-1"))
	ended.ID, ended.Until = "ended", time.Now().Add(-time.Hour)
	ended.Sealed, _ = f.vault.Seal("ended", []byte("shed-1"))
	broken.ID = "broken" // sealed for another id
	needed = old
	needed.ID, needed.Linked = "needed", true
	needed.Sealed, _ = f.vault.Seal("needed", []byte("shed-1"))
	for _, k := range []HeldKey{old, ended, broken, needed} {
		_ = f.rows.PutHeldKey(t.Context(), k)
	}
	f.open(t, f.service)
	if got := f.ids(); !slices.Equal(got, []string{"of-shed"}) {
		t.Errorf("held are %v", got) // that a session was needed once is no use of its key
	}
}

func TestHeldKeysAreForgottenWhileTheServerRuns(t *testing.T) {
	f := newForeign(t)
	var ended []string
	f.OnEnd(func(jti string) { ended = append(ended, jti) })
	for _, key := range []string{"shed-1", "barn-1"} {
		if _, err := f.Verify(key); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.SetLinked(t.Context(), "of-shed", true); err != nil {
		t.Fatal(err)
	}
	f.away.Store(true) // the service is not needed for that
	began := time.Now()
	f.clock = func() time.Time { return began.Add(heldLife / 2) }
	f.checkAll(t.Context())
	if len(ended) != 0 {
		t.Fatalf("ended before their time: %v", ended)
	}
	f.held["of-barn"] = heldKey{HeldKey{Sub: "acme:eu:barn", ID: "of-barn", Used: f.clock()}, f.held["of-barn"].subject, "barn-1"}
	f.clock = func() time.Time { return began.Add(heldLife + time.Hour) }
	f.checkAll(t.Context())
	if _, kept := f.rows.rows["of-shed"]; kept || !slices.Equal(ended, []string{"of-shed"}) {
		t.Errorf("ended %v, the row is kept: %v", ended, kept)
	}
	barn := f.held["of-barn"]
	barn.Until = f.clock()
	f.held["of-barn"] = barn
	f.checkAll(t.Context())
	if !slices.Equal(ended, []string{"of-shed", "of-barn"}) {
		t.Errorf("ended %v", ended)
	}
}
