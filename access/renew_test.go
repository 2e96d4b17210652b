package access

import (
	"errors"
	"testing"
	"time"
)

func TestRenewReplacesTheKeyAndKeepsItsName(t *testing.T) {
	keys, _ := openKeys(t, openSigner(t))
	old := mustAdd(t, keys, shed, noEnd)
	before, _ := keys.Grant(old.JTI)
	var ended []string
	keys.OnEnd(func(jti string) { ended = append(ended, jti) })
	fresh, err := keys.Renew(t.Context(), shed.Entity)
	if err != nil {
		t.Fatal(err)
	}
	if fresh.JTI != old.JTI || fresh.Key == old.Key {
		t.Errorf("renewed %s as %s", old.JTI, fresh.JTI)
	}
	if _, err := keys.Verify(old.Key); !errors.Is(err, ErrKeyUnknown) {
		t.Errorf("the old key: %v, want it unknown", err)
	}
	if g, err := keys.Verify(fresh.Key); err != nil || g.KeyID != old.JTI || g.Print == before.Print {
		t.Errorf("the new key: %v, %v", g, err)
	}
	if len(ended) != 1 || ended[0] != old.JTI {
		t.Errorf("sessions of the old key were told of %v, want them cut off once", ended)
	}
	if _, err := keys.Revoke(t.Context(), old.JTI); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Renew(t.Context(), old.JTI); !errors.Is(err, ErrKeyRevoked) {
		t.Errorf("renewing a withdrawn key: %v, want it refused", err)
	}
}

// A key that another process renewed works at once. Whoever goes on with the old one makes us read the store now and then, not each time.
func TestAKeyRenewedByAnotherProcessWorksAtOnce(t *testing.T) {
	keys, store := openKeys(t, openSigner(t))
	old := mustAdd(t, keys, shed, noEnd)
	beside, err := OpenKeys(t.Context(), store, keys.signer, nil)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := beside.Renew(t.Context(), shed.Entity)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Verify(fresh.Key); err != nil {
		t.Errorf("a key renewed a moment ago: %v", err)
	}
	for _, looked := range []struct {
		ago   time.Duration
		reads int
	}{{2 * lookAgain, 1}, {-time.Hour, 0}} {
		keys.looked.Store(time.Now().Add(-looked.ago).UnixNano())
		before := store.reads.Load()
		if _, err := keys.Verify(old.Key); !errors.Is(err, ErrKeyUnknown) {
			t.Errorf("the old key: %v", err)
		}
		if n := store.reads.Load() - before; n != int64(looked.reads) {
			t.Errorf("the store was read %d times, want %d, where the last time was %v ago", n, looked.reads, looked.ago)
		}
	}
}
