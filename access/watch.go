package access

import (
	"context"
	"errors"
	"slices"
	"time"
)

// watchEvery is how long a key revoked by another process, or past its end, can go unnoticed.
const watchEvery = 200 * time.Millisecond

// OnEnd asks to be told of each key that is revoked, renewed or expires from now on, once. Register before [Keys.Watch]. end is called by
// whoever notices, which may be [Keys.Revoke], and holds up what comes after it.
//
// By the time end is called the key is refused; a session that was let in just before must be looked for after it was registered.
func (k *Keys) OnEnd(end func(jti string)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.onEnd = append(k.onEnd, end)
}

// Watch follows what other processes do to the keys, and the clock, until ctx ends. Trouble with the store is logged, not
// returned: keys known so far go on working.
func (k *Keys) Watch(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	behind, failing := false, false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		changed, err := k.store.Changed(ctx)
		behind = behind || changed // the store tells of a change once: remember it until the keys have been read
		if behind && err == nil {
			err = k.reload(ctx)
			behind = err != nil
		}
		k.tellEnded(false)
		err = errors.Join(err, k.noteEnds(ctx))
		if err != nil && !failing && ctx.Err() == nil {
			k.log.ErrorContext(ctx, "keys cannot be read or written, so revocations are not seen", "err", err)
		}
		failing = err != nil
	}
}

// tellEnded finds the keys that were good when last looked at and are not now. Unless the keys were read anew it looks only
// when one is due to expire.
func (k *Keys) tellEnded(anew bool) {
	ended, tell := k.takeEnded(anew)
	for _, jti := range ended {
		k.log.Info("sessions of a key end: it was revoked, renewed or has expired", "jti", jti)
		for _, end := range tell {
			end(jti)
		}
	}
}

// noteEnds writes down which keys have come past their end; what cannot be written is tried again with the next tick.
func (k *Keys) noteEnds(ctx context.Context) error {
	k.mu.Lock()
	past := k.past
	k.mu.Unlock()
	for _, jti := range past {
		if err := k.store.EndKey(ctx, jti, k.now()); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keys) takeEnded(anew bool) (ended []string, tell []func(jti string)) {
	at := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	if due := !k.nextEnd.IsZero() && !at.Before(k.nextEnd); !anew && !due {
		return nil, nil
	}
	was := k.live
	k.live, k.past, k.nextEnd = k.dir.Load().live(at)
	for jti, hash := range was {
		if now, still := k.live[jti]; !still || now != hash {
			ended = append(ended, jti)
		}
	}
	return ended, slices.Clone(k.onEnd)
}

// live gives the keys that are good, those past their end of which that is not noted yet, and when the next one expires.
func (d *directory) live(at time.Time) (hashes map[string][32]byte, past []string, next time.Time) {
	hashes = make(map[string][32]byte, len(d.byID))
	for id, info := range d.byID {
		if why := info.ended(at); why != nil {
			if why == ErrKeyExpired && info.Ended.IsZero() {
				past = append(past, id)
			}
			continue
		}
		hashes[id] = info.Hash
		if !info.Expires.IsZero() && (next.IsZero() || info.Expires.Before(next)) {
			next = info.Expires
		}
	}
	return hashes, past, next
}
