package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A watched key's session is held from the start of the server on, whether or not anybody is here, so that the record goes on. Its
// holder asks for that, or the operator, who may do so in another process.

// maxWatched is how many keys are watched at most: each is a connection that stays.
const maxWatched = 1000

// ErrWatchedEnough says that no more keys can be watched here.
var ErrWatchedEnough = errors.New("as many keys are watched as can be")

// ErrSeveralKeys says that a name is that of several keys.
var ErrSeveralKeys = errors.New("that name has several keys here")

// SetWatched has the session of a key held for ever, or only while somebody needs it.
func (k *ForeignKeys) SetWatched(ctx context.Context, jti string, watched bool) error {
	one, there := k.get(jti)
	switch {
	case !there:
		return ErrKeyUnknown
	case one.Watched == watched:
		return nil
	case watched && len(k.Watched()) >= maxWatched:
		return ErrWatchedEnough
	}
	if err := k.mark(ctx, jti, MarkWatched, number(watched), func(m *HeldMarks) { m.Watched = watched }); err != nil {
		return err
	}
	k.tellSeen(one.grant(), watched)
	return nil
}

// IsWatched says whether that is so.
func (k *ForeignKeys) IsWatched(jti string) bool {
	one, _ := k.get(jti)
	return one.Watched
}

// Watched gives the Grants of the keys that are watched.
func (k *ForeignKeys) Watched() []Grant {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []Grant
	for _, one := range k.held {
		if one.Watched {
			all = append(all, one.grant())
		}
	}
	return all
}

// OnWatched adds somebody to be told when a key is to be watched, or not any more, whoever has decided it. That a key has ended is told
// by [ForeignKeys.OnEnd].
func (k *ForeignKeys) OnWatched(do func(g Grant, watched bool)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.onSee = append(k.onSee, do)
}

func (k *ForeignKeys) tellSeen(g Grant, watched bool) {
	k.log.Info("a key is watched, or not any more", "jti", g.KeyID, "watched", watched)
	k.mu.Lock()
	all := slices.Clone(k.onSee)
	k.mu.Unlock()
	for _, do := range all {
		do(g, watched)
	}
}

// HeldInfo is what may be told of a held key.
type HeldInfo struct {
	Subject Subject
	ID      string
	Watched bool
	Used    time.Time
}

// List gives all held keys, by entity.
func (k *ForeignKeys) List() []HeldInfo {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]HeldInfo, 0, len(k.held))
	for _, one := range k.held {
		all = append(all, HeldInfo{one.subject, one.ID, one.Watched, one.Used})
	}
	slices.SortFunc(all, func(a, b HeldInfo) int {
		return cmp.Or(cmp.Compare(a.Subject.String(), b.Subject.String()), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// Find gives the held key with this id, or the only one of the entity with this name.
func (k *ForeignKeys) Find(name string) (HeldInfo, error) {
	var found []HeldInfo
	for _, one := range k.List() {
		if one.ID == name {
			return one, nil
		}
		if one.Subject.isNamed(name) {
			found = append(found, one)
		}
	}
	switch len(found) {
	case 0:
		return HeldInfo{}, fmt.Errorf("%q: %w", name, ErrKeyUnknown)
	case 1:
		return found[0], nil
	}
	return HeldInfo{}, fmt.Errorf("%q: %w", name, ErrSeveralKeys)
}

// Held is the Grant of a key that is held here, without asking the service: for when it does not answer, and the key was good when it
// last did.
func (k *ForeignKeys) Held(token string) (Grant, error) {
	if jti, there := k.holds(token); there {
		return k.Grant(jti)
	}
	return Grant{}, ErrKeyUnknown
}

func (k *ForeignKeys) holds(token string) (jti string, there bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, one := range k.held {
		if one.is(token) {
			return id, true
		}
	}
	return "", false
}

// follow reads the keys again whenever another process has changed them, until ctx ends.
func (k *ForeignKeys) follow(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	behind, failing := false, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed, err := k.store.HeldChanged(ctx)
		behind = behind || changed // the store tells of a change once
		if behind && err == nil {
			err = k.reload(ctx)
			behind = err != nil
		}
		if err != nil && !failing && ctx.Err() == nil {
			k.log.ErrorContext(ctx, "held keys cannot be read, so what the command line does to them is not seen", "err", err)
		}
		failing = err != nil
	}
}

// reload takes over what stands in the store, and tells what has become of the keys.
func (k *ForeignKeys) reload(ctx context.Context) error {
	changes, err := k.takeOver(ctx)
	if err != nil {
		return fmt.Errorf("read held keys again: %w", err)
	}
	for _, c := range changes {
		if c.ended {
			k.tell(c.jti)
		}
		if one, there := k.get(c.jti); there && c.seen {
			k.tellSeen(one.grant(), one.Watched)
		}
	}
	return nil
}

// heldChange is what somebody else has done to a key.
type heldChange struct {
	jti   string
	ended bool // it is gone, or another one stands in its place
	seen  bool // it is to be watched, or not any more
}

func (k *ForeignKeys) takeOver(ctx context.Context) (changes []heldChange, err error) {
	k.writing.Lock() // what is stored is what is known, but for what others have written
	defer k.writing.Unlock()
	rows, err := k.store.HeldKeys(ctx)
	if err != nil {
		return nil, err
	}
	stored := make(map[string]bool, len(rows))
	for _, row := range rows {
		stored[row.ID] = true
		was, there := k.get(row.ID)
		same := there && was.Print == row.Print && was.Sub == row.Sub
		if same && was.Watched == row.Watched {
			continue
		}
		now, err := k.unseal(row)
		if err != nil {
			k.cannotUse(ctx, row, err)
			continue
		}
		k.mu.Lock()
		k.held[row.ID] = now
		k.mu.Unlock()
		changes = append(changes, heldChange{row.ID, there && !same, was.Watched != row.Watched || (there && !same && row.Watched)})
	}
	for _, jti := range k.ids() {
		if !stored[jti] {
			k.mu.Lock()
			delete(k.held, jti)
			k.mu.Unlock()
			changes = append(changes, heldChange{jti: jti, ended: true})
		}
	}
	return changes, nil
}
