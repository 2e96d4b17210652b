package access

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// maxSignerFile bounds what is read before we know that it is a key of ours.
const maxSignerFile = 8 << 10

// Signer makes the tokens that API keys are, and tells its own from all others.
type Signer struct {
	jwk    jose.JSONWebKey // private
	public any
	jwks   []byte
	signer jose.Signer
	decoy  *jose.JSONWebSignature // checked in place of what could not be read, so that both take the same time
}

// OpenSigner reads the private key in file and makes one if there is none. Two processes that both find none end up with the same.
func OpenSigner(file string) (*Signer, error) {
	jwk, err := readSigner(file)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeSigner(file); err != nil {
			return nil, fmt.Errorf("make signing key: %w", err)
		}
		jwk, err = readSigner(file)
	}
	if err != nil {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	return newSigner(jwk)
}

// JWKS is the public half as a JSON Web Key Set, with which another broker can check our keys.
func (s *Signer) JWKS() []byte { return slices.Clone(s.jwks) }

func newSigner(jwk jose.JSONWebKey) (*Signer, error) {
	public := jwk.Public()
	jwks, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}})
	if err != nil {
		return nil, fmt.Errorf("write public key: %w", err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jwk}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, fmt.Errorf("use signing key: %w", err)
	}
	s := &Signer{jwk: jwk, public: public.Key, jwks: jwks, signer: signer}
	s.decoy, err = signer.Sign([]byte(`{}`))
	if err != nil {
		return nil, fmt.Errorf("try signing key: %w", err)
	}
	return s, nil
}

// readSigner reads a private key and refuses one that others on this machine could have read.
func readSigner(file string) (jose.JSONWebKey, error) {
	info, err := os.Stat(file)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSignerFile {
		return jose.JSONWebKey{}, fmt.Errorf("%s is not a signing key", file)
	}
	// Windows keeps no such bits; its files inherit who may read them from the folder.
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return jose.JSONWebKey{}, fmt.Errorf("%s can be read by others (mode %04o): make it 0600, or remove it and issue new keys", file, mode)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	var jwk jose.JSONWebKey
	if err := json.Unmarshal(text, &jwk); err != nil {
		return jose.JSONWebKey{}, fmt.Errorf("%s: %w", file, err)
	}
	private, ok := jwk.Key.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() || jwk.Algorithm != string(jose.ES256) || jwk.KeyID == "" || !jwk.Valid() {
		return jose.JSONWebKey{}, fmt.Errorf("%s holds no private ES256 key", file)
	}
	return jwk, nil
}

// makeSigner puts a new key in file unless there is one by then.
func makeSigner(file string) error {
	text, err := newSignerText()
	if err != nil {
		return err
	}
	return placeOnce(file, text)
}

// placeOnce writes a file unless there is one by then: it is linked whole or not at all, and only the first link succeeds.
func placeOnce(file string, text []byte) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	draft, err := os.CreateTemp(dir, "."+filepath.Base(file)+"-*") // made with 0600
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(text)
	if err = errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := os.Link(draft.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(dir)
}

// newSignerText is a fresh private key as JSON, named by its thumbprint.
func newSignerText() ([]byte, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	jwk := jose.JSONWebKey{Key: private, Algorithm: string(jose.ES256), Use: "sig"}
	if jwk.KeyID, err = thumbprint(jwk); err != nil {
		return nil, err
	}
	return json.Marshal(jwk)
}

// syncFolder makes the new name survive a power cut: keys signed with a key that is gone would all be worthless.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be opened for this there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
