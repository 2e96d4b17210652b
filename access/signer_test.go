package access

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func openSigner(t testing.TB) *Signer {
	t.Helper()
	s, err := OpenSigner(filepath.Join(t.TempDir(), "signing-key.json"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSignerIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	file := filepath.Join(dir, "signing-key.json")
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]bool{}
	for range 16 {
		all.Go(func() {
			s, err := OpenSigner(file)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			seen[string(s.JWKS())] = true
			mu.Unlock()
		})
	}
	all.Wait()
	if len(seen) != 1 {
		t.Errorf("%d different keys", len(seen))
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

func TestSignerRefusesWhatIsNotItsKey(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := func(key any, alg string) string {
		b, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: "k", Algorithm: alg})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	good := text(p256, "ES256")
	for name, tt := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"as it should be":         {good, 0o600, ""},
		"read-only":               {good, 0o400, ""},
		"readable by the group":   {good, 0o640, "can be read by others (mode 0640)"},
		"readable by all":         {good, 0o644, "can be read by others (mode 0644)"},
		"writable by the group":   {good, 0o620, "can be read by others"},
		"empty":                   {"", 0o600, "signing-key.json"},
		"cut off":                 {good[:len(good)/2], 0o600, "signing-key.json"},
		"too long":                {good + strings.Repeat(" ", maxSignerFile), 0o600, "is not a signing key"},
		"public half only":        {text(&p256.PublicKey, "ES256"), 0o600, "no private ES256 key"},
		"another curve":           {text(p384, "ES384"), 0o600, "no private ES256 key"},
		"another curve disguised": {text(p384, "ES256"), 0o600, "no private ES256 key"},
		"another kind":            {text(big, "RS256"), 0o600, "no private ES256 key"},
		"a shared secret":         {text([]byte("secret"), "HS256"), 0o600, "no private ES256 key"},
		"for no algorithm":        {text(p256, ""), 0o600, "no private ES256 key"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "signing-key.json")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, tt.mode); err != nil {
				t.Fatal(err)
			}
			_, err := OpenSigner(file)
			if (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if after, err := os.ReadFile(file); err != nil || string(after) != tt.text {
				t.Error("the file was changed")
			}
		})
	}
}

func TestSignerNeedsAFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSigner(filepath.Join(file, "signing-key.json")); err == nil {
		t.Error("no error")
	}
	if _, err := OpenSigner(t.TempDir()); err == nil {
		t.Error("a folder was taken for a key")
	}
}

// Another broker has nothing but the JWKS.
func TestPublicHalfVerifiesKeysElsewhere(t *testing.T) {
	signer := openSigner(t)
	keys, _ := openKeys(t, signer)
	made := mustAdd(t, keys, shed, noEnd)
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(signer.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(signer.JWKS()), `"d"`) || len(set.Keys) != 1 || !set.Keys[0].IsPublic() {
		t.Fatalf("JWKS: %s", signer.JWKS())
	}
	jws, err := jose.ParseSigned(made.Key, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	named := set.Key(jws.Signatures[0].Header.KeyID)
	if len(named) != 1 {
		t.Fatalf("the set has %d keys of the name in the header", len(named))
	}
	payload, err := jws.Verify(named[0])
	if err != nil {
		t.Fatal(err)
	}
	var said map[string]any
	if err := json.Unmarshal(payload, &said); err != nil {
		t.Fatal(err)
	}
	if said["iss"] != "trellis" || said["sub"] != "acme:local:shed" || said["jti"] != made.JTI || said["iat"] == nil || len(said) != 4 {
		t.Errorf("claims: %v", said)
	}
}
