package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What can be wrong with a key. Only who holds the key itself learns that it was withdrawn or has expired.
var (
	ErrKeyMissing = errors.New("no key was given")
	ErrKeyUnknown = errors.New("key is not known")
	ErrKeyRevoked = errors.New("key has been revoked")
	ErrKeyExpired = errors.New("key has expired")
)

// NewKey is a key as it is shown, once, to whoever asked for it.
type NewKey struct {
	Entity string `json:"entity"`
	Sub    string `json:"sub"`
	JTI    string `json:"jti"`
	Key    string `json:"key"`
}

// LogValue leaves the key itself out.
func (k NewKey) LogValue() slog.Value {
	return slog.GroupValue(slog.String("sub", k.Sub), slog.String("jti", k.JTI))
}

// KeyInfo is what is kept of a key: enough to recognise it, not to make it.
type KeyInfo struct {
	Subject Subject
	ID      string // its `jti`
	Created time.Time
	Expires time.Time // zero means never
	Revoked time.Time // zero means not
	Ended   time.Time // when it was first seen past its end, for good: the clock may be set back; zero means not
	Hash    [32]byte  // SHA-256 of the token
}

// KeyStore keeps keys across restarts and between processes.
type KeyStore interface {
	Keys(ctx context.Context) ([]KeyInfo, error)
	AddKey(ctx context.Context, key KeyInfo) error
	RevokeKey(ctx context.Context, id string, at time.Time) error // keeps the time of the first revocation
	EndKey(ctx context.Context, id string, at time.Time) error    // keeps the time at which it was first seen past its end
	RenewKey(ctx context.Context, id string, hash [32]byte) error // puts another token in place of the one before
	Changed(ctx context.Context) (bool, error)                    // whether any process wrote since last asked
}

// Keys knows all API keys, in memory, and follows what other processes do to them while [Keys.Watch] runs.
type Keys struct {
	store  KeyStore
	signer *Signer
	log    *slog.Logger
	clock  func() time.Time
	topics Topics  // nil means a key's own two
	nobody KeyInfo // stands in for a key that is not known, so that comparing takes the same time

	latest atomic.Int64              // newest wall time seen, Unix nanoseconds
	dir    atomic.Pointer[directory] // replaced whole, never changed

	looked  atomic.Int64 // when a renewed key was last looked for, Unix nanoseconds
	reading sync.Mutex   // one reload at a time, or an older reading could replace a newer one

	mu      sync.Mutex
	onEnd   []func(jti string)
	live    map[string][32]byte // keys that were good when last looked at, and their hashes; what leaves it has ended
	past    []string            // keys past their end of which that is to be noted
	nextEnd time.Time           // when the first of them expires; zero means never
}

// OpenKeys reads all keys. A nil log discards.
func OpenKeys(ctx context.Context, store KeyStore, signer *Signer, log *slog.Logger) (*Keys, error) {
	return OpenKeysFor(ctx, store, signer, nil, log)
}

// OpenKeysFor is OpenKeys where the keys are for other topics than their own two.
func OpenKeysFor(ctx context.Context, store KeyStore, signer *Signer, topics Topics, log *slog.Logger) (*Keys, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	k := &Keys{store: store, signer: signer, topics: topics, log: log, clock: time.Now}
	if _, err := rand.Read(k.nobody.Hash[:]); err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	// Ask first and read then: a change between the two is seen again rather than missed.
	if _, err := store.Changed(ctx); err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	if err := k.reload(ctx); err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	return k, nil
}

// Add issues a key for an entity. The key is in the answer and nowhere else. A zero until means no end.
func (k *Keys) Add(ctx context.Context, sub Subject, until time.Time) (NewKey, error) {
	if err := sub.check(); err != nil {
		return NewKey{}, fmt.Errorf("add key: %w", err)
	}
	at := k.now().Truncate(time.Second)
	if !until.IsZero() {
		until = until.Truncate(time.Second)
		if !until.After(at) {
			return NewKey{}, fmt.Errorf("add key: it would end at %s, which has passed", until.Format(time.RFC3339))
		}
	}
	id := rand.Text()
	token, err := k.signer.sign(sub, id, at, until)
	if err != nil {
		return NewKey{}, fmt.Errorf("add key: %w", err)
	}
	info := KeyInfo{Subject: sub, ID: id, Created: at, Expires: until, Hash: sha256.Sum256([]byte(token))}
	if err := k.store.AddKey(ctx, info); err != nil {
		return NewKey{}, fmt.Errorf("add key: %w", err)
	}
	if err := k.reload(ctx); err != nil { // the key is safe, and Watch will find it
		k.log.WarnContext(ctx, "new key is stored but not yet in use", "jti", id, "err", err)
	}
	return NewKey{Entity: sub.Entity, Sub: sub.String(), JTI: id, Key: token}, nil
}

// List gives every key ever issued, oldest first.
func (k *Keys) List(ctx context.Context) ([]KeyInfo, error) {
	infos, err := k.store.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	slices.SortStableFunc(infos, func(a, b KeyInfo) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return infos, nil
}

// Revoke ends a key for good. name is a key's id, or an entity (or its whole path) that has exactly one live key: which of two
// is meant is never guessed. Revoking twice is no error and keeps the first time.
func (k *Keys) Revoke(ctx context.Context, name string) ([]KeyInfo, error) {
	infos, err := k.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("revoke key: %w", err)
	}
	at := k.now()
	found, err := pick(infos, name, at)
	if err != nil {
		return nil, fmt.Errorf("revoke key: %w", err)
	}
	if found.Revoked.IsZero() {
		found.Revoked = at
		if err := k.store.RevokeKey(ctx, found.ID, at); err != nil {
			return nil, fmt.Errorf("revoke key: %w", err)
		}
	}
	if err := k.reload(ctx); err != nil {
		return nil, fmt.Errorf("revoke key: it is revoked, but the keys could not be read again: %w", err)
	}
	return []KeyInfo{found}, nil
}

// Renew puts a new key in place of a live one: the id, the topics and the end stay, whoever holds the old key is cut off.
// name is as for [Keys.Revoke].
func (k *Keys) Renew(ctx context.Context, name string) (NewKey, error) {
	infos, err := k.List(ctx)
	if err != nil {
		return NewKey{}, fmt.Errorf("renew key: %w", err)
	}
	at := k.now()
	found, err := pick(infos, name, at)
	if err == nil {
		err = found.ended(at)
	}
	if err != nil {
		return NewKey{}, fmt.Errorf("renew key: %w", err)
	}
	token, err := k.signer.sign(found.Subject, found.ID, at.Truncate(time.Second), found.Expires)
	if err != nil {
		return NewKey{}, fmt.Errorf("renew key: %w", err)
	}
	if err := k.store.RenewKey(ctx, found.ID, sha256.Sum256([]byte(token))); err != nil {
		return NewKey{}, fmt.Errorf("renew key: %w", err)
	}
	if err := k.reload(ctx); err != nil {
		return NewKey{}, fmt.Errorf("renew key: it is renewed, but the keys could not be read again: %w", err)
	}
	return NewKey{Entity: found.Subject.Entity, Sub: found.Subject.String(), JTI: found.ID, Key: token}, nil
}

// pick finds the one key that name means.
func pick(infos []KeyInfo, name string, at time.Time) (KeyInfo, error) {
	var live []KeyInfo
	for _, info := range infos {
		if info.ID == name {
			return info, nil
		}
		if info.ended(at) == nil && info.Subject.isNamed(name) {
			live = append(live, info)
		}
	}
	switch len(live) {
	case 0:
		return KeyInfo{}, fmt.Errorf("%w: neither a key's id nor an entity with a live key is %q", ErrKeyUnknown, name)
	case 1:
		return live[0], nil
	}
	ids := make([]string, len(live))
	for i, info := range live {
		ids[i] = info.ID + " (" + info.Subject.String() + ")"
	}
	return KeyInfo{}, fmt.Errorf("%q has %d live keys, name one by its id: %s", name, len(live), strings.Join(ids, ", "))
}

// justMade looks for a key that we signed and do not know: another process has made it since Watch last looked, and whoever
// was given it may use it at once. Nobody else can make us read the store, since nobody else can sign.
func (k *Keys) justMade(jti string) (*KeyInfo, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := k.reload(ctx); err != nil {
		k.log.WarnContext(ctx, "a new key could not be looked for", "jti", jti, "err", err)
	}
	info, known := k.dir.Load().byID[jti]
	return info, known
}

// lookAgain is how often whoever holds a key that was renewed, the old one or the new, can make us read the store.
const lookAgain = 100 * time.Millisecond

// mayLook says whether a key that we signed and know by another token may be looked for: it may have been renewed just now.
func (k *Keys) mayLook() bool {
	now, last := time.Now().UnixNano(), k.looked.Load()
	return now-last >= int64(lookAgain) && k.looked.CompareAndSwap(last, now)
}

// Verify makes the Grant of a key, in memory. Unknown and wrong keys cost the same work and give the same error.
func (k *Keys) Verify(token string) (Grant, error) {
	if token == "" {
		return Grant{}, ErrKeyMissing
	}
	if len(token) > maxToken {
		return Grant{}, ErrKeyUnknown
	}
	at := k.now()
	hash := sha256.Sum256([]byte(token))
	said, genuine := k.signer.read(token, at)
	info, known := k.dir.Load().byID[said.ID]
	is := func(info *KeyInfo) bool { return subtle.ConstantTimeCompare(hash[:], info.Hash[:]) == 1 }
	switch {
	case !known && genuine, genuine && !is(info) && k.mayLook():
		info, known = k.justMade(said.ID)
	}
	if !known {
		info = &k.nobody
	}
	same := is(info)
	if !genuine || !known || !same || said.Subject != info.Subject.String() {
		return Grant{}, ErrKeyUnknown
	}
	if err := info.ended(at); err != nil {
		return Grant{}, err
	}
	return info.grant(k.topics), nil
}

// Grant makes anew the Grant of somebody who showed the key earlier, such as the holder of a page's session.
func (k *Keys) Grant(jti string) (Grant, error) {
	if jti == "" {
		return Grant{}, ErrKeyMissing
	}
	info, known := k.dir.Load().byID[jti]
	if !known {
		return Grant{}, ErrKeyUnknown
	}
	if err := info.ended(k.now()); err != nil {
		return Grant{}, err
	}
	return info.grant(k.topics), nil
}

func (i KeyInfo) grant(topics Topics) Grant {
	g := KeyGrant(i.Subject, i.ID, i.Expires)
	if topics != nil {
		g.Subscribe, g.Publish = topics(i.Subject, i.ID)
	}
	g.Print = hex.EncodeToString(i.Hash[:8])
	return g
}

// ended says why a key is no longer good, or nil.
func (i KeyInfo) ended(at time.Time) error {
	switch {
	case !i.Revoked.IsZero():
		return ErrKeyRevoked
	case !i.Ended.IsZero() || (!i.Expires.IsZero() && !at.Before(i.Expires)):
		return ErrKeyExpired
	}
	return nil
}

// now never goes back, so that setting the clock back revives no key.
func (k *Keys) now() time.Time {
	at := k.clock()
	for {
		seen := k.latest.Load()
		if at.UnixNano() <= seen {
			return time.Unix(0, seen)
		}
		if k.latest.CompareAndSwap(seen, at.UnixNano()) {
			return at
		}
	}
}
