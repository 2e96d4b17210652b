package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
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
	HeldMarks
}

// HeldStore keeps such keys across restarts. The server and the command line write to it at once: each sets what it means to set.
type HeldStore interface {
	HeldKeys(ctx context.Context) ([]HeldKey, error)
	PutHeldKey(ctx context.Context, key HeldKey) error // marks of a key that is there stay, if it is the same entity's
	MarkHeldKey(ctx context.Context, id string, mark Mark, value any) (there bool, err error)
	DropHeldKey(ctx context.Context, id string) error
	HeldChanged(ctx context.Context) (bool, error) // since it was last asked
}

const (
	heldLife   = 30 * 24 * time.Hour // a key that nobody has used for so long is forgotten: as long as a sign-in lasts
	askAgain   = 10 * time.Minute    // how often the service is asked whether the keys are still good
	askBetween = 200 * time.Millisecond
	maxHeld    = 10_000
	useNoted   = time.Hour // a use is not written down again for so long: programs show their key with every request
)

// ForeignKeys are the keys of another service that people have signed in with here. The service knows them; we hold them, sealed,
// because its broker wants the key itself whenever we connect for them.
type ForeignKeys struct {
	service *Service
	store   HeldStore
	vault   *Vault
	log     *slog.Logger
	clock   func() time.Time

	writing sync.Mutex      // one change at a time, so that what is stored is what is known
	useless map[string]bool // prints of keys that cannot be opened, which was said; guarded by writing

	mu    sync.Mutex
	held  map[string]heldKey
	onEnd []func(jti string)
	onSee []func(g Grant, watched bool)
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
	k := &ForeignKeys{service: service, store: store, vault: vault, log: log, clock: time.Now, held: map[string]heldKey{}, useless: map[string]bool{}}
	all, err := store.HeldKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("open held keys: %w", err)
	}
	for _, one := range all {
		switch opened, err := k.unseal(one); {
		case err != nil:
			k.cannotUse(ctx, one, err)
		case one.over(k.clock()):
			if err := store.DropHeldKey(ctx, one.ID); err != nil {
				return nil, fmt.Errorf("open held keys: %w", err)
			}
		default:
			k.held[one.ID] = opened
		}
	}
	return k, nil
}

// cannotUse says so once.
func (k *ForeignKeys) cannotUse(ctx context.Context, one HeldKey, err error) {
	if k.useless[one.Print] {
		return
	}
	k.useless[one.Print] = true
	k.log.WarnContext(ctx, "a held key cannot be used: its holder has to sign in again", "jti", one.ID, "err", err)
}

func (k *ForeignKeys) unseal(one HeldKey) (heldKey, error) {
	sub, err := parseForeign(one.Sub)
	secret, sealed := k.vault.Open(one.ID, one.Sealed)
	return heldKey{one, sub, string(secret)}, errors.Join(err, sealed)
}

// over says whether a key is to be forgotten: it has ended, or every sign-in with it has and nobody wants it watched. That its session
// was needed when this was last written down is no use of it.
func (h HeldKey) over(at time.Time) bool {
	return (!h.Watched && at.Sub(h.Used) > heldLife) || (!h.Until.IsZero() && !at.Before(h.Until))
}

// Verify asks the service about a key, and holds it if it is good.
func (k *ForeignKeys) Verify(token string) (Grant, error) {
	ctx := context.Background() // the service bounds how long it takes
	c, err := k.service.Claims(ctx, token)
	if err != nil {
		return Grant{}, err
	}
	if one, there := k.get(c.KeyID); there && one.noted(c, token, k.clock()) {
		return one.grant(), nil
	}
	sealed, err := k.vault.Seal(c.KeyID, []byte(token))
	if err != nil {
		return Grant{}, fmt.Errorf("seal key: %w", err)
	}
	sum := sha256.Sum256([]byte(token))
	one := heldKey{HeldKey{Sub: c.Subject.String(), ID: c.KeyID, Print: hex.EncodeToString(sum[:8]), Sealed: sealed, Until: c.Until, Used: k.clock()}, c.Subject, token}
	before, err := k.put(ctx, &one)
	if err != nil {
		return Grant{}, err
	}
	if before.Print != "" && before.Print != one.Print {
		k.tell(c.KeyID) // another key under the same id: sessions of the old one end
		if one.Watched {
			k.tellSeen(one.grant(), true)
		}
	}
	return one.grant(), nil
}

// noted says whether all that a sign-in would write down stands there already.
func (h heldKey) noted(c Claims, token string, at time.Time) bool {
	return h.subject == c.Subject && h.Until.Equal(c.Until) && at.Sub(h.Used) < useNoted && h.is(token)
}

// is compares without telling, by the time it takes, how much of the key was right.
func (h heldKey) is(token string) bool {
	return subtle.ConstantTimeCompare([]byte(h.secret), []byte(token)) == 1
}

// put keeps a key, in the store and here, and what was remembered about the one before if that was the same entity's.
func (k *ForeignKeys) put(ctx context.Context, now *heldKey) (before heldKey, err error) {
	k.writing.Lock()
	defer k.writing.Unlock()
	was, there := k.get(now.ID)
	if there && was.subject == now.subject {
		now.HeldMarks = was.HeldMarks
	}
	if !there && k.count() >= maxHeld {
		return was, fmt.Errorf("hold key: %w", LimitedError{})
	}
	if err := k.store.PutHeldKey(ctx, now.HeldKey); err != nil {
		return was, fmt.Errorf("hold key: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held[now.ID] = *now
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

// Ended is not known of the keys of another service: only that service says, when it is asked.
func (k *ForeignKeys) Ended(string) (at time.Time, why error) { return time.Time{}, nil }

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

// Watch asks the service from time to time whether the keys are still good, and follows what other processes do to them, until ctx
// ends.
func (k *ForeignKeys) Watch(ctx context.Context) error {
	var following sync.WaitGroup
	defer following.Wait()
	following.Go(func() { k.follow(ctx) })
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
