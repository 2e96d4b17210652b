package access

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestWhatIsSealedIsOpenedForItsPurposeOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data", "sealing-key.json")
	v, err := OpenVault(file)
	if err != nil {
		t.Fatal(err)
	}
	one, _ := v.Seal("k1", []byte("secret"))
	two, _ := v.Seal("k1", []byte("secret"))
	if bytes.Contains(one, []byte("secret")) || bytes.Equal(one, two) {
		t.Errorf("sealed as %q and %q", one, two)
	}
	again, err := OpenVault(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Open("k1", one); string(got) != "secret" || err != nil {
		t.Errorf("opened %q, %v", got, err)
	}
	if again.Name() != v.Name() {
		t.Error("the installation has another name after a restart")
	}
	other, _ := OpenVault(filepath.Join(t.TempDir(), "sealing-key.json"))
	for name, open := range map[string]func() ([]byte, error){
		"for another purpose":  func() ([]byte, error) { return v.Open("k2", one) },
		"with another key":     func() ([]byte, error) { return other.Open("k1", one) },
		"changed":              func() ([]byte, error) { return v.Open("k1", append(one[:len(one)-1:len(one)-1], one[len(one)-1]^1)) },
		"shorter than a nonce": func() ([]byte, error) { return v.Open("k1", one[:10]) },
	} {
		if got, err := open(); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if other.Name() == v.Name() {
		t.Error("two installations have one name")
	}
}

func TestSealingKeyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sealing-key.json")
	var all sync.WaitGroup
	names := make([]string, 8)
	for n := range names {
		all.Go(func() {
			if v, err := OpenVault(file); err == nil {
				names[n] = v.Name()
			}
		})
	}
	all.Wait()
	for _, name := range names {
		if name == "" || name != names[0] {
			t.Fatalf("at once they made %v", names)
		}
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	_ = os.Chmod(file, 0o644)
	if _, err := OpenVault(file); err == nil {
		t.Error("a key that others can read was taken")
	}
	for _, text := range []string{"", "{}", `{"use":"trellis seal","k":"AAAA"}`, `{"use":"other","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`} {
		_ = os.Remove(file)
		_ = os.WriteFile(file, []byte(text), 0o600)
		if _, err := OpenVault(file); err == nil {
			t.Errorf("%q was taken as a key", text)
		}
	}
}
