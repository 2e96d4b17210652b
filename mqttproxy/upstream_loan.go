package mqttproxy

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"trellis/access"
)

// loan is a session with the broker that a page holds by itself, under a client id that we gave it. The broker keeps the session when the
// page loses its connection; our link takes it over when the page comes to us instead, so that nothing is missed between the two.
type loan struct {
	id    string
	grant access.Grant
	timer *time.Timer // ends it when the page says nothing more
}

// Why no page may go to the broker itself.
var (
	ErrShared   = errors.New("others need this server's link of the entity")
	ErrInsisted = errors.New("the broker lets keys of the entity in only as the entity itself")
)

// mostLoans is how many sessions of one key pages may hold by themselves at once: each that they leave behind is a connection that we make.
const mostLoans = 8

// loans are named by key and sign-in: all tabs of a browser share one connection.
type loanOf struct{ keyID, signIn string }

// Lend gives a page the client id under which it may log in to the broker by itself. It stays the same until our own link has used it, so
// that the page finds its session again. The page has to say from time to time that it is there ([Uplinks.Renew]).
func (u *Uplinks) Lend(g access.Grant) (id string, err error) {
	if u.Agreed(g.Subject) {
		return "", ErrInsisted
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.closed:
		return "", context.Canceled
	case u.neededByOthers(g):
		return "", ErrShared
	}
	at := loanOf{g.KeyID, g.SignIn}
	if l := u.loans[at]; l != nil {
		l.timer.Reset(u.LentFor)
		return l.id, nil
	}
	if u.lentOf(g.KeyID) >= mostLoans {
		return "", ErrShared
	}
	return u.lend(at, g, g.Subject.String()+"#"+rand.Text()).id, nil
}

// Renew says that a page is there that holds the session of this id. A server that has just started hears of it like this. It gives
// [ErrInsisted] where a person has agreed meanwhile that we log in as the entity: then the page has to come to us.
func (u *Uplinks) Renew(g access.Grant, id string) error {
	if u.Agreed(g.Subject) {
		return ErrInsisted
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	name, ours := strings.CutPrefix(id, g.Subject.String()+"#")
	if u.closed || !ours || len(name) != len(rand.Text()) || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return nil
	}
	at := loanOf{g.KeyID, g.SignIn}
	switch l := u.loans[at]; {
	case l == nil && u.lentOf(g.KeyID) < mostLoans:
		u.lend(at, g, id)
	case l != nil && l.id == id:
		l.timer.Reset(u.LentFor)
	}
	return nil
}

// lentOf is how many sessions of a key pages hold; u.mu is held.
func (u *Uplinks) lentOf(keyID string) (n int) {
	for at := range u.loans {
		if at.keyID == keyID {
			n++
		}
	}
	return n
}

// lend notes a loan; u.mu is held.
func (u *Uplinks) lend(at loanOf, g access.Grant, id string) *loan {
	l := &loan{id: id, grant: g}
	l.timer = time.AfterFunc(u.LentFor, func() { u.expire(at, l) })
	u.loans[at] = l
	return l
}

// neededByOthers says whether somebody else than this sign-in needs a link of this Grant's entity; u.mu is held.
func (u *Uplinks) neededByOthers(g access.Grant) bool {
	for _, l := range u.links {
		if k, is := l.errand.(*keyErrand); !is || k.subject != g.Subject {
			continue
		}
		for signIn, n := range l.bySignIn {
			if n > 0 && (signIn == "" || signIn != g.SignIn) {
				return true
			}
		}
	}
	return false
}

// inherit ends the loan of somebody who comes to us now, and gives its client id; u.mu is held.
func (u *Uplinks) inherit(g access.Grant) (id string) {
	at := loanOf{g.KeyID, g.SignIn}
	l := u.loans[at]
	if l == nil {
		return ""
	}
	l.timer.Stop()
	delete(u.loans, at)
	return l.id
}

// expire is called for a page that has said nothing for long. Our link takes its session over: what waits there is recorded, and the link
// says goodbye for it a little later.
func (u *Uplinks) expire(at loanOf, l *loan) {
	u.mu.Lock()
	current := u.loans[at] == l && !u.closed
	u.mu.Unlock()
	if current {
		u.Need(l.grant)()
	}
}

// erase has the broker forget a session that nobody uses any more, while l or u.mu keeps [Uplinks.Close] from being over.
func (u *Uplinks) erase(l *uplink, id string) {
	u.running.Go(func() {
		err := errLogin
		if secret, held := u.Secret(l.id); held {
			var c *upstreamConn
			if c, err = l.connect(u.all, login{id, l.id, secret}, true); err == nil {
				c.close()
				return
			}
		}
		u.Log.Info("a session with the upstream broker could not be ended", l.who(), "err", err)
	})
}
