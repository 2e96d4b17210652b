package access

import (
	"context"
	"time"
)

// directory is all keys at one moment, ready to be asked. It is never changed once made.
type directory struct {
	byID   map[string]*KeyInfo
	byName map[address][]Grant // of keys not revoked, nor seen past their end; who asks looks at the end
}

// address is a name as somebody of the account would write it.
type address struct{ account, name string }

func newDirectory(infos []KeyInfo, topics Topics) *directory {
	d := &directory{byID: make(map[string]*KeyInfo, len(infos)), byName: make(map[address][]Grant, 2*len(infos))}
	for i := range infos {
		info := &infos[i]
		d.byID[info.ID] = info
		if !info.Revoked.IsZero() || !info.Ended.IsZero() {
			continue
		}
		sub, g := info.Subject, info.grant(topics)
		for _, name := range []string{sub.Entity, sub.String()} {
			at := address{sub.Account, name}
			d.byName[at] = append(d.byName[at], g)
		}
	}
	return d
}

// reload reads all keys anew and tells of those that have ended.
func (k *Keys) reload(ctx context.Context) error {
	if err := k.readKeys(ctx); err != nil {
		return err
	}
	k.tellEnded(true)
	return nil
}

func (k *Keys) readKeys(ctx context.Context) error {
	k.reading.Lock()
	defer k.reading.Unlock()
	all, err := k.store.Keys(ctx)
	if err != nil {
		return err
	}
	infos := make([]KeyInfo, 0, len(all))
	for _, info := range all {
		// The names become topics: what we would not issue must not be obeyed either, wherever it came from.
		if err := info.Subject.check(); err != nil || !PlainName(info.ID) || info.ID == OperatorName {
			k.log.WarnContext(ctx, "stored key is ignored", "jti", info.ID, "sub", info.Subject.String())
			continue
		}
		infos = append(infos, info)
	}
	k.dir.Store(newDirectory(infos, k.topics))
	return nil
}

// isNamed says whether name means this subject: the entity alone or the whole path.
func (s Subject) isNamed(name string) bool { return s.Entity == name || s.String() == name }

// Known says whether somebody in the account holds a live key of the entity that name means: its name, or its whole path.
func (k *Keys) Known(account, name string) bool {
	at := k.now()
	for _, g := range k.dir.Load().byName[address{account, name}] {
		if !g.Ended(at) {
			return true
		}
	}
	return false
}

// Addressees gives the live keys of the entity that name means, within the account. What it gives is shared: read it only.
func (k *Keys) Addressees(account, name string) []Grant {
	all, at := k.dir.Load().byName[address{account, name}], k.now()
	for i, g := range all {
		if g.Ended(at) {
			return append(all[:i:i], liveOnly(all[i:], at)...) // the cap makes append copy
		}
	}
	return all
}

func liveOnly(all []Grant, at time.Time) []Grant {
	var live []Grant
	for _, g := range all {
		if !g.Ended(at) {
			live = append(live, g)
		}
	}
	return live
}

// Ended says since when a key does not let its holder in any more, and why: [ErrKeyRevoked] or [ErrKeyExpired]. It is zero and nil for one that still does, and
// for one that is not known.
func (k *Keys) Ended(jti string) (at time.Time, why error) {
	info, known := k.dir.Load().byID[jti]
	if !known {
		return time.Time{}, nil
	}
	switch why = info.ended(k.now()); why {
	case ErrKeyRevoked:
		at = info.Revoked
	case ErrKeyExpired:
		at = info.Expires
	}
	return at, why
}

// Subject says whose key an id is, within the account. Keys that have ended are named too: what they sent before is still theirs.
func (k *Keys) Subject(account, jti string) (Subject, bool) {
	info, known := k.dir.Load().byID[jti]
	if !known || info.Subject.Account != account {
		return Subject{}, false
	}
	return info.Subject, true
}
