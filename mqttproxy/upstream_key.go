package mqttproxy

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"trellis/access"
)

// keyErrand is a link for one key of a service whose broker knows it.
type keyErrand struct {
	up      *Uplinks
	subject access.Subject
	keyID   string
	heard   string // topic that brings messages to the key
	own     string // topic that the key publishes on
	lent    string // client id of a page's own session that this link goes on with; may be empty; the link's own once it runs

	mu    sync.Mutex
	noOwn bool // asking for our own publish topic ended the connection: not asked again
}

func newKeyErrand(u *Uplinks, g access.Grant) *keyErrand {
	return &keyErrand{up: u, subject: g.Subject, keyID: g.KeyID, heard: g.Subject.MessagesTopic(g.KeyID), own: g.Subject.PublishTopic(g.KeyID)}
}

func (k *keyErrand) who() slog.Attr { return slog.String("key", k.keyID) }

// begun also finds the page's session with which the last link of the key went on and which it has not ended: that link was in a server
// that was stopped, or could not reach the broker to say goodbye.
func (k *keyErrand) begun(l *uplink) {
	k.up.Linked(k.keyID, true)
	before := k.up.Client(k.keyID)
	if k.lent == "" {
		k.lent = before
		return
	}
	k.up.SetClient(k.keyID, k.lent)
	if before != "" && before != k.lent {
		k.up.erase(l, before)
	}
}

func (k *keyErrand) word(w Why) Why { return w }

func (k *keyErrand) arrived(a *Arrival) { a.Subject, a.KeyID = k.subject, k.keyID }

func (k *keyErrand) hears(topic string) (asked, echo bool) {
	return topic == k.heard || topic == k.own, topic == k.own
}

// login is by an id of our own, beside which a device can stay; as the entity itself only when the person has agreed to that. The
// entity itself can be only one connection of all its keys.
func (k *keyErrand) login() (as login, release func(), err error) {
	secret, ok := k.up.Secret(k.keyID)
	if !ok {
		return as, nil, fmt.Errorf("%w: its key is not held here", errLogin)
	}
	as = login{k.ownID(), k.keyID, secret}
	if !k.up.Agreed(k.subject) {
		return as, func() {}, nil
	}
	release, ok = k.up.hold(k.subject, k.keyID)
	if !ok {
		return as, nil, errHeldByOther
	}
	as.id = k.subject.String()
	return as, release, nil
}

// ownID differs for each key: two keys of one entity have a link each, and the broker ends one of two that log in alike.
func (k *keyErrand) ownID() string {
	if k.lent != "" {
		return k.lent
	}
	sum := sha256.Sum256([]byte(k.keyID))
	return fmt.Sprintf("%s#%s-%x", k.subject, k.up.Program, sum[:4])
}

// listen asks for the key's topics.
func (k *keyErrand) listen(ctx context.Context, l *uplink, c *upstreamConn) error {
	granted, err := c.subscribe(ctx, k.heard)
	switch {
	case err != nil:
		return err
	case !granted:
		return errNotListen
	}
	k.mu.Lock()
	ask := !k.noOwn
	k.mu.Unlock()
	own := false
	if ask {
		// Some brokers hang up on whoever asks for what he may not have.
		if own, err = c.subscribe(ctx, k.own); err != nil && ctx.Err() == nil {
			k.mu.Lock()
			k.noOwn = true
			k.mu.Unlock()
			return err
		}
	}
	l.echoes.grant(own)
	return ctx.Err()
}

// refused finds out what a refusal means, by asking whose key it is. A broker that goes on refusing is asked ever less often.
func (k *keyErrand) refused(ctx context.Context, err error, wait time.Duration, failures int) (Why, time.Duration) {
	rarely := k.up.FightPause << min(failures, 3)
	asked := k.up.Check(ctx, k.keyID)
	switch {
	case errors.Is(asked, access.ErrKeyUnknown):
		k.up.Ended(k.keyID)
		return WhyRefused, rarely
	case asked != nil: // nobody can say
		return WhyRefused, wait
	case !errors.Is(err, errLogin) && !k.up.Agreed(k.subject):
		return WhyConsent, rarely
	}
	return WhyRefused, rarely
}

// left has the broker forget the session of a link that nobody needs any more, else it would keep messages for it. A session under
// the entity's own name may be the device's: it is left alone.
func (k *keyErrand) left(ctx context.Context, l *uplink) {
	k.up.Linked(k.keyID, false)
	if k.up.Agreed(k.subject) {
		return
	}
	as, release, err := k.login()
	if err != nil {
		return
	}
	defer release()
	c, err := l.connect(ctx, as, true)
	if err != nil {
		return // a page's session stays noted: the next link goes on with it
	}
	c.close()
	if k.lent != "" {
		k.up.SetClient(k.keyID, "")
	}
}
