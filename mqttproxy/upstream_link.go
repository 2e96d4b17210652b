package mqttproxy

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"trellis/access"
)

// uplink is the one session with the upstream broker that everybody shares who holds the same key.
type uplink struct {
	up      *Uplinks
	subject access.Subject
	keyID   string
	heard   string // topic that brings messages to the key
	own     string // topic that the key publishes on
	lent    string // client id of a page's own session that this link goes on with; may be empty
	inbox   *inbox
	echoes  *echoes
	before  <-chan struct{} // closed when the link that had the same key is over; nil if there was none
	over    chan struct{}
	cancel  context.CancelFunc
	nudge   chan struct{} // try now

	needs   int            // guarded by Uplinks.mu, as the three below
	who     map[string]int // the same by sign-in
	linger  *time.Timer    // runs while nobody needs it
	retired bool           // nobody has needed it for so long

	mu      sync.Mutex
	conn    *upstreamConn // nil while there is none
	since   time.Time     // since when there is one, or none
	why     Why
	failed  bool        // a connection failed or was lost; until then a link that is not up yet is no trouble
	noOwn   bool        // asking for our own publish topic ended the connection: not asked again
	strays  uint64      // messages of topics that we have not asked for
	dropped []time.Time // when connections were lost soon after they were made
}

// run holds the session until ctx ends.
func (l *uplink) run(ctx context.Context) {
	defer close(l.over)
	if l.before != nil {
		<-l.before // it uses the same client id
	}
	l.up.Linked(l.keyID, true)
	var consumer sync.WaitGroup
	consumer.Go(func() { l.consume(ctx) })
	for failures := 0; ctx.Err() == nil; {
		lasted, err := l.live(ctx)
		if ctx.Err() != nil {
			break
		}
		if lasted > l.up.Soon {
			failures = 0
		}
		wait := l.judge(ctx, lasted, err, failures)
		failures++
		l.up.Log.InfoContext(ctx, "link to the upstream broker is down", "key", l.keyID, "why", string(l.state().Why), "lasted", lasted, "again_in", wait, "err", err)
		l.rest(ctx, wait)
	}
	consumer.Wait()
	l.farewell(context.WithoutCancel(ctx))
}

// live makes one connection and holds it until it is over. It says how long there was one.
func (l *uplink) live(ctx context.Context) (lasted time.Duration, err error) {
	id, release, err := l.clientID()
	if err != nil {
		return 0, err
	}
	defer release()
	c, err := l.connect(ctx, id, false)
	if err != nil {
		return 0, err
	}
	defer c.close()
	began := time.Now()
	if err := l.listen(ctx, c); err != nil {
		if errors.Is(err, errNotListen) {
			return 0, err
		}
		return time.Since(began), err
	}
	l.set(c, began)
	l.up.Log.InfoContext(ctx, "link to the upstream broker is up", "key", l.keyID)
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case <-c.gone:
		err = c.cause
	}
	l.set(nil, time.Now())
	return time.Since(began), err
}

// listen asks for the key's topics.
func (l *uplink) listen(ctx context.Context, c *upstreamConn) error {
	granted, err := c.subscribe(ctx, l.heard)
	switch {
	case err != nil:
		return err
	case !granted:
		return errNotListen
	}
	l.mu.Lock()
	ask := !l.noOwn
	l.mu.Unlock()
	own := false
	if ask {
		// Some brokers hang up on whoever asks for what he may not have.
		if own, err = c.subscribe(ctx, l.own); err != nil && ctx.Err() == nil {
			l.mu.Lock()
			l.noOwn = true
			l.mu.Unlock()
			return err
		}
	}
	l.echoes.grant(own)
	return ctx.Err()
}

func (l *uplink) set(c *upstreamConn, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c != nil && l.why != WhyTaken {
		l.why = WhyAway
	}
	l.conn, l.since, l.failed = c, at, l.failed || c == nil
}

// clientID says as whom to log in: by an id of our own, beside which a device can stay; as the entity itself only when the
// person has agreed to that. The entity itself can be only one connection of all its keys.
func (l *uplink) clientID() (id string, release func(), err error) {
	if !l.up.Agreed(l.subject) {
		return l.ownID(), func() {}, nil
	}
	release, ok := l.up.hold(l.subject, l.keyID)
	if !ok {
		return "", nil, errHeldByOther
	}
	return l.subject.String(), release, nil
}

// ownID differs for each key: two keys of one entity have a link each, and the broker ends one of two that log in alike.
func (l *uplink) ownID() string {
	if l.lent != "" {
		return l.lent
	}
	sum := sha256.Sum256([]byte(l.keyID))
	return fmt.Sprintf("%s#%s-%x", l.subject, l.up.Program, sum[:4])
}

// judge says what the end of a connection means, and how long to wait before the next.
func (l *uplink) judge(ctx context.Context, lasted time.Duration, err error, failures int) time.Duration {
	why, wait := WhyAway, jitter(l.up.RetryFirst, l.up.RetryMost, failures)
	switch {
	case errors.Is(err, errHeldByOther):
		why, wait = WhyOtherKey, l.up.FightPause+rand.N(l.up.FightPause/8+1)
	case l.fought(lasted, err):
		why, wait = WhyTaken, l.up.FightPause+rand.N(l.up.FightPause/8+1)
	case errors.Is(err, errIDRefused), errors.Is(err, errLogin), errors.Is(err, errNotListen):
		why, wait = l.refused(ctx, err, wait, failures)
	case access.CertificateFault(err):
		why = WhyCertificate
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.failed {
		l.since = time.Now()
	}
	l.why, l.failed = why, true
	return wait
}

// refused finds out what a refusal means, by asking whose key it is. A broker that goes on refusing is asked ever less often.
func (l *uplink) refused(ctx context.Context, err error, wait time.Duration, failures int) (Why, time.Duration) {
	rarely := l.up.FightPause << min(failures, 3)
	asked := l.up.Check(ctx, l.keyID)
	switch {
	case errors.Is(asked, access.ErrKeyUnknown):
		l.up.Ended(l.keyID)
		return WhyRefused, rarely
	case asked != nil: // nobody can say
		return WhyRefused, wait
	case !errors.Is(err, errLogin) && !l.up.Agreed(l.subject):
		return WhyConsent, rarely
	}
	return WhyRefused, rarely
}

// Fights: three connections lost soon after they were made, within a minute, are somebody else with the same client id.
const (
	fightRounds = 3
	fightWithin = time.Minute
)

// fought says whether somebody else uses the client id.
func (l *uplink) fought(lasted time.Duration, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lasted == 0 || lasted > l.up.Soon || !errors.Is(err, errDropped) {
		if lasted > l.up.Soon {
			l.dropped = nil
		}
		return false
	}
	now := time.Now()
	l.dropped = append(l.dropped, now)
	if len(l.dropped) > fightRounds {
		l.dropped = l.dropped[1:]
	}
	return l.why == WhyTaken || (len(l.dropped) == fightRounds && now.Sub(l.dropped[0]) < fightWithin)
}

// jitter is a time between nothing and twice as long as after the failure before: many that lost the same broker must not
// come back as one.
func jitter(first, most time.Duration, failures int) time.Duration {
	return rand.N(min(most, first<<min(failures, 16)) + 1)
}

// rest waits, unless something has changed that makes it worth trying now.
func (l *uplink) rest(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.nudge:
	case <-ctx.Done():
	}
}

// state tells a page how its link is.
func (l *uplink) state() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	why := l.why
	if why == WhyTaken && l.conn != nil && time.Since(l.since) > l.up.Soon {
		why = WhyAway // it has held: whoever it was has gone
		l.why = why
	}
	switch {
	case why == WhyTaken: // said through the short spells in which we have the connection
		return State{Down: true, Since: l.since, Why: why}
	case l.conn != nil || !l.failed:
		return State{}
	case why == WhyAway && time.Since(l.since) < l.up.Blink:
		return State{}
	}
	return State{Down: true, Since: l.since, Why: why}
}

// current is the connection, if there is one.
func (l *uplink) current() *upstreamConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn
}

// wanted says whether a message is to be handed on: one of the key's own topics, and not shown already. Whatever else a broker sends
// was not asked for, and is nobody's.
func (l *uplink) wanted(a Arrival) bool {
	switch a.Topic {
	case l.heard:
		return true
	case l.own:
		return l.echoes.came(a.Topic, a.Payload)
	}
	l.mu.Lock()
	l.strays++
	first := l.strays == 1
	l.mu.Unlock()
	if first {
		l.up.Log.Warn("the upstream broker sends what was not asked for, it is dropped", "key", l.keyID, "topic", a.Topic[:min(len(a.Topic), 200)])
	}
	return false
}

func (l *uplink) strayed() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.strays
}

// atOnce is how many messages are handed on, and made safe, together.
const atOnce = 256

// consume hands on what came, in order, and acknowledges it when it is safe.
func (l *uplink) consume(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		batch := l.inbox.take(atOnce)
		show, next := l.echoes.overdue(time.Now())
		batch = append(batch, show...)
		if len(batch) > 0 {
			if !l.settle(ctx, batch) {
				return
			}
			continue
		}
		wait := time.Hour
		if !next.IsZero() {
			wait = time.Until(next)
		}
		timer.Reset(wait)
		select {
		case <-l.inbox.full:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// settle tries until the messages are safe, and only then acknowledges them: what is not acknowledged, the broker keeps.
func (l *uplink) settle(ctx context.Context, batch []Arrival) bool {
	toShow := make([]Arrival, 0, len(batch))
	for _, a := range batch {
		if a.Topic != "" {
			toShow = append(toShow, a)
		}
	}
	for failures := 0; len(toShow) > 0; failures++ {
		err := l.up.Take(ctx, toShow)
		if err == nil {
			break
		}
		l.up.Log.ErrorContext(ctx, "messages from upstream wait, this will be tried again", "key", l.keyID, "messages", len(toShow), "err", err)
		select {
		case <-time.After(jitter(l.up.RetryFirst, l.up.RetryMost, failures)): // not rest: a nudge is for the connection
		case <-ctx.Done():
			return false
		}
	}
	for _, a := range batch {
		if a.ack != nil {
			a.ack()
		}
	}
	return true
}

// farewell has the broker forget the session of a link that nobody needs any more, else it would keep messages for it.
// A session under the entity's own name may be the device's: it is left alone.
func (l *uplink) farewell(ctx context.Context) {
	l.up.mu.Lock()
	retired := l.retired
	l.up.mu.Unlock()
	if retired {
		l.up.Linked(l.keyID, false)
	}
	if !retired || l.up.Agreed(l.subject) {
		return
	}
	if c, err := l.connect(ctx, l.ownID(), true); err == nil {
		c.close()
	}
}
