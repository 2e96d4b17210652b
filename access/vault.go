package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"golang.org/x/crypto/chacha20poly1305"
)

// ErrSealed says that something sealed was not sealed by this vault, or for something else.
var ErrSealed = errors.New("what was sealed cannot be opened with this key")

// Vault seals secrets that must be kept and used again, such as keys of another service. Its own key lies in a file beside what it
// seals: who has a copy of the database alone has nothing.
type Vault struct {
	key [chacha20poly1305.KeySize]byte
}

// vaultFile is the form of the key file.
type vaultFile struct {
	Use string `json:"use"`
	Key string `json:"k"` // base64
}

const vaultUse = "trellis seal"

// OpenVault reads the key in file and makes one if there is none.
func OpenVault(file string) (*Vault, error) {
	v, err := readVault(file)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeVault(file); err == nil {
			v, err = readVault(file)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open sealing key: %w", err)
	}
	return v, nil
}

func readVault(file string) (*Vault, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%s can be read by others (mode %04o): make it 0600", file, mode)
	}
	if !info.Mode().IsRegular() || info.Size() > maxSignerFile {
		return nil, fmt.Errorf("%s is not a sealing key", file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var said vaultFile
	var v Vault
	if err := json.Unmarshal(text, &said); err != nil || said.Use != vaultUse {
		return nil, fmt.Errorf("%s is not a sealing key", file)
	}
	key, err := base64.StdEncoding.DecodeString(said.Key)
	if err != nil || copy(v.key[:], key) != len(v.key) || len(key) != len(v.key) {
		return nil, fmt.Errorf("%s is not a sealing key", file)
	}
	return &v, nil
}

func makeVault(file string) error {
	key := make([]byte, chacha20poly1305.KeySize)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	text, err := json.Marshal(vaultFile{Use: vaultUse, Key: base64.StdEncoding.EncodeToString(key)})
	if err != nil {
		return err
	}
	return placeOnce(file, text)
}

// Seal encrypts a secret for one purpose; it can be opened for no other.
func (v *Vault) Seal(purpose string, secret []byte) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(v.key[:])
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(secret)+aead.Overhead())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return aead.Seal(nonce, nonce, secret, []byte(purpose)), nil
}

// Open gives the secret back.
func (v *Vault) Open(purpose string, sealed []byte) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(v.key[:])
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, ErrSealed
	}
	secret, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(purpose))
	if err != nil {
		return nil, ErrSealed
	}
	return secret, nil
}

// Name is a name for this installation: the same at every start, another one elsewhere, and no secret.
func (v *Vault) Name() string {
	mac := hmac.New(sha256.New, v.key[:])
	mac.Write([]byte("name"))
	return hex.EncodeToString(mac.Sum(nil)[:6])
}
