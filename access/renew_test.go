package access

import (
	"errors"
	"testing"
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
