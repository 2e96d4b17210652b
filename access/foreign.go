package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// HeldKey is a key of another service as it is kept.
type HeldKey struct {
	Sub    string // its `sub`
	ID     string // its `jti`
	Print  string // tells one key from the next of the same id; no secret
	Sealed []byte // the key itself; see [Vault]
	Until  time.Time
	Used   time.Time // when somebody last signed in with it
	Agreed bool      // its holder has agreed that we log in as the entity itself
	Linked bool      // somebody needed its session when it was last written down
}

// HeldStore keeps such keys across restarts.
type HeldStore interface {
	HeldKeys(ctx context.Context) ([]HeldKey, error)
	PutHeldKey(ctx context.Context, key HeldKey) error
	DropHeldKey(ctx context.Context, id string) error
}

const (
	heldLife   = 30 * 24 * time.Hour // a key that nobody has used for so long is forgotten: as long as a sign-in lasts
	askAgain   = 10 * time.Minute    // how often the service is asked whether the keys are still good
	askBetween = 200 * time.Millisecond
	maxHeld    = 10_000
)

// ForeignKeys are the keys of another service that people have signed in with here. The service knows them; we hold them, sealed,
// because its broker wants the key itself whenever we connect for them.
type ForeignKeys struct {
	service *Service
	store   HeldStore
	vault   *Vault
	log     *slog.Logger
	clock   func() time.Time

	writing sync.Mutex // one change at a time, so that what is stored is what is known

	mu    sync.Mutex
	held  map[string]heldKey
	onEnd []func(jti string)
}

type heldKey struct {
	HeldKey
	subject Subject
	secret  string
}

// OpenForeignKeys reads the keys that are held. Those that cannot be opened any more are left out, and said.
func OpenForeignKeys(ctx context.Context, store HeldStore, service *Service, vault *Vault, log *slog.Logger) (*ForeignKeys, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	k := &ForeignKeys{service: service, store: store, vault: vault, log: log, clock: time.Now, held: map[string]heldKey{}}
	all, err := store.HeldKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("open held keys: %w", err)
	}
	for _, one := range all {
		sub, err := parseForeign(one.Sub)
		secret, sealed := vault.Open(one.ID, one.Sealed)
		switch {
		case errors.Join(err, sealed) != nil:
			log.WarnContext(ctx, "a held key cannot be used: its holder has to sign in again", "jti", one.ID, "err", errors.Join(err, sealed))
		case one.over(k.clock()):
			if err := store.DropHeldKey(ctx, one.ID); err != nil {
				return nil, fmt.Errorf("open held keys: %w", err)
			}
		default:
			k.held[one.ID] = heldKey{one, sub, string(secret)}
		}
	}
	return k, nil
}

// over says whether a key is to be forgotten: it has ended, or every sign-in with it has. That its session was needed when this was
// last written down is no use of it.
func (h HeldKey) over(at time.Time) bool {
	return at.Sub(h.Used) > heldLife || (!h.Until.IsZero() && !at.Before(h.Until))
}

// Verify asks the service about a key, and holds it if it is good.
func (k *ForeignKeys) Verify(token string) (Grant, error) {
	ctx := context.Background() // the service bounds how long it takes
	c, err := k.service.Claims(ctx, token)
	if err != nil {
		return Grant{}, err
	}
	sealed, err := k.vault.Seal(c.KeyID, []byte(token))
	if err != nil {
		return Grant{}, fmt.Errorf("seal key: %w", err)
	}
	sum := sha256.Sum256([]byte(token))
	one := heldKey{HeldKey{Sub: c.Subject.String(), ID: c.KeyID, Print: hex.EncodeToString(sum[:8]), Sealed: sealed, Until: c.Until, Used: k.clock()}, c.Subject, token}
	before, err := k.change(ctx, c.KeyID, func(was heldKey, there bool) (heldKey, error) {
		if there && was.subject == one.subject {
			one.Agreed, one.Linked = was.Agreed, was.Linked
		}
		return one, nil
	})
	if err != nil {
		return Grant{}, err
	}
	if before.Print != "" && before.Print != one.Print {
		k.tell(c.KeyID) // another key under the same id: sessions of the old one end
	}
	return one.grant(), nil
}

// change replaces one key, in the store and here.
func (k *ForeignKeys) change(ctx context.Context, jti string, to func(was heldKey, there bool) (heldKey, error)) (before heldKey, err error) {
	k.writing.Lock()
	defer k.writing.Unlock()
	was, there := k.get(jti)
	now, err := to(was, there)
	if err != nil {
		return was, err
	}
	if !there && k.count() >= maxHeld {
		return was, fmt.Errorf("hold key: %w", LimitedError{})
	}
	if err := k.store.PutHeldKey(ctx, now.HeldKey); err != nil {
		return was, fmt.Errorf("hold key: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held[jti] = now
	return was, nil
}

func (k *ForeignKeys) get(jti string) (heldKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	one, there := k.held[jti]
	return one, there
}

func (k *ForeignKeys) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.held)
}

// Grant makes anew the Grant of somebody who showed the key earlier. It is answered from memory.
func (k *ForeignKeys) Grant(jti string) (Grant, error) {
	if jti == "" {
		return Grant{}, ErrKeyMissing
	}
	one, there := k.get(jti)
	switch {
	case !there: // it was good when the session began
		return Grant{}, ErrKeyRevoked
	case !one.Until.IsZero() && !k.clock().Before(one.Until):
		return Grant{}, ErrKeyExpired
	}
	return one.grant(), nil
}

func (h heldKey) grant() Grant {
	g := KeyGrant(h.subject, h.ID, h.Until)
	g.Print = h.Print
	return g
}

// Secret is the key itself, for the service's own broker and nobody else.
func (k *ForeignKeys) Secret(jti string) (string, bool) {
	one, there := k.get(jti)
	return one.secret, there
}

// Check asks the service whether a key is still good: ErrKeyUnknown if not, another error if nobody can say.
func (k *ForeignKeys) Check(ctx context.Context, jti string) error {
	one, there := k.get(jti)
	if !there {
		return ErrKeyUnknown
	}
	_, err := k.service.Again(ctx, one.secret)
	return err
}

// Agree notes that the key's holder agrees that we log in as the entity itself.
func (k *ForeignKeys) Agree(ctx context.Context, jti string) error {
	_, err := k.change(ctx, jti, func(was heldKey, there bool) (heldKey, error) {
		if !there {
			return was, ErrKeyUnknown
		}
		was.Agreed = true
		return was, nil
	})
	return err
}

// Agreed says whether the holder of a key of this entity has agreed to that.
func (k *ForeignKeys) Agreed(sub Subject) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, one := range k.held {
		if one.Agreed && one.subject == sub {
			return true
		}
	}
	return false
}

// SetLinked writes down whether somebody needs the key's session, so that a restart can take it up again.
func (k *ForeignKeys) SetLinked(ctx context.Context, jti string, linked bool) error {
	if one, there := k.get(jti); !there || one.Linked == linked {
		return nil
	}
	_, err := k.change(ctx, jti, func(was heldKey, there bool) (heldKey, error) {
		if !there {
			return was, ErrKeyUnknown
		}
		was.Linked = linked
		return was, nil
	})
	return err
}

// Linked gives the Grants of those keys whose session was needed when this was last written down.
func (k *ForeignKeys) Linked() []Grant {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []Grant
	for _, one := range k.held {
		if one.Linked {
			all = append(all, one.grant())
		}
	}
	return all
}

// Known says whether a key of this entity of the account is held here.
func (k *ForeignKeys) Known(account, name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, one := range k.held {
		if one.subject.Account == account && one.subject.isNamed(name) {
			return true
		}
	}
	return false
}

// OnEnd adds somebody to be told of a key that is good no more.
func (k *ForeignKeys) OnEnd(do func(jti string)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.onEnd = append(k.onEnd, do)
}

// End forgets a key that the service refuses, and tells.
func (k *ForeignKeys) End(jti string) {
	k.endIf(jti, "the service it belongs to refuses it", func(heldKey) bool { return true })
}

// endIf forgets a key and tells, if it is still so: somebody may be signing in with it.
func (k *ForeignKeys) endIf(jti, why string, so func(heldKey) bool) {
	k.writing.Lock()
	k.mu.Lock()
	one, there := k.held[jti]
	if there = there && so(one); there {
		delete(k.held, jti)
	}
	k.mu.Unlock()
	var err error
	if there {
		err = k.store.DropHeldKey(context.Background(), jti)
	}
	k.writing.Unlock()
	if there {
		k.log.Info("sessions of a key end: "+why, "jti", jti, "err", err)
		k.tell(jti)
	}
}

func (k *ForeignKeys) tell(jti string) {
	k.mu.Lock()
	all := slices.Clone(k.onEnd)
	k.mu.Unlock()
	for _, do := range all {
		do(jti)
	}
}

// Watch asks the service from time to time whether the keys are still good, until ctx ends.
func (k *ForeignKeys) Watch(ctx context.Context) error {
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		k.checkAll(ctx)
	}
}

// checkAll forgets the keys whose time is over, and asks about the others one after the other, slowly. A service that is away, or wants
// to be left alone, is asked next time.
func (k *ForeignKeys) checkAll(ctx context.Context) {
	for _, jti := range k.ids() {
		k.endIf(jti, "it has ended, or nobody has signed in with it for too long", func(h heldKey) bool { return h.over(k.clock()) })
	}
	for _, jti := range k.ids() {
		err := k.Check(ctx, jti)
		switch {
		case errors.Is(err, ErrKeyUnknown):
			k.End(jti)
		case err != nil:
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(askBetween):
		}
	}
}

func (k *ForeignKeys) ids() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]string, 0, len(k.held))
	for id := range k.held {
		all = append(all, id)
	}
	slices.Sort(all)
	return all
}
