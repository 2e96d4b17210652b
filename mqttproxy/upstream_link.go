package mqttproxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"trellis/access"
)

// uplink is one session with the upstream broker: that of a key, which all share who hold it, or the one for everybody.
type uplink struct {
	errand
	up     *Uplinks
	id     string // of the key; empty for everybody's
	inbox  *inbox
	echoes *echoes
	before <-chan struct{} // closed when the link that had the same key is over; nil if there was none
	over   chan struct{}
	cancel context.CancelFunc
	nudge  chan struct{} // try now

	needs    int            // guarded by Uplinks.mu, as the three below
	bySignIn map[string]int // the same by sign-in
	linger   *time.Timer    // runs while nobody needs it
	retired  bool           // nobody has needed it for so long

	mu      sync.Mutex
	conn    *upstreamConn // nil while there is none
	news    chan struct{} // closed, and made anew, when there is one
	since   time.Time     // since when there is one, or none
	why     Why
	failed  bool        // a connection failed or was lost; until then a link that is not up yet is no trouble
	strayed bool        // a message came of a topic that we have not asked for
	dropped []time.Time // when connections were lost soon after they were made
}

// errand is what a link is there for: as whom it logs in, what it asks for, and what a refusal of that means.
type errand interface {
	// who names the link in the log.
	who() slog.Attr
	// begun and left are told when the session begins and when nobody needs it any more.
	begun(l *uplink)
	left(ctx context.Context, l *uplink)
	// login says as whom to log in, until release is called.
	login() (as login, release func(), err error)
	// listen asks for all topics on a new connection.
	listen(ctx context.Context, l *uplink, c *upstreamConn) error
	// refused says what it means that the broker lets us not in, or not listen.
	refused(ctx context.Context, err error, wait time.Duration, failures int) (Why, time.Duration)
	// word is the reason as people with this kind of link are told it.
	word(Why) Why
	// hears says whether a topic was asked for, and whether what comes there may be what was sent from here.
	hears(topic string) (asked, echo bool)
	// arrived fills in what the link knows of a message.
	arrived(*Arrival)
}

// login is what a CONNECT says of us.
type login struct{ id, user, secret string }

// run holds the session until ctx ends.
func (l *uplink) run(ctx context.Context) {
	defer close(l.over)
	if l.before != nil {
		<-l.before // it uses the same client id
	}
	l.begun(l)
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
		l.up.Log.InfoContext(ctx, "link to the upstream broker is down", l.who(), "why", string(l.state().Why), "lasted", lasted, "again_in", wait, "err", err)
		l.rest(ctx, wait)
	}
	consumer.Wait()
	l.up.mu.Lock()
	retired := l.retired
	l.up.mu.Unlock()
	if retired {
		l.left(context.WithoutCancel(ctx), l)
	}
}

// live makes one connection and holds it until it is over. It says how long there was one.
func (l *uplink) live(ctx context.Context) (lasted time.Duration, err error) {
	as, release, err := l.login()
	if err != nil {
		return 0, err
	}
	defer release()
	c, err := l.connect(ctx, as, false)
	if err != nil {
		return 0, err
	}
	defer c.close()
	began := time.Now()
	if err := l.listen(ctx, l, c); err != nil {
		if errors.Is(err, errNotListen) || errors.Is(err, errHangsUp) {
			return 0, err
		}
		return time.Since(began), err
	}
	l.set(c, began)
	l.up.counts.connected.Add(1)
	l.up.Log.InfoContext(ctx, "link to the upstream broker is up", l.who())
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case <-c.gone:
		if err = c.cause; c.sent.any(time.Now().Add(-saidSoon)) {
			err = fmt.Errorf("%w, and %w", err, errMidSend)
		}
		l.up.counts.lost.Add(1)
	}
	l.set(nil, time.Now())
	return time.Since(began), err
}

func (l *uplink) set(c *upstreamConn, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c != nil && l.why != WhyTaken {
		l.why = WhyAway
	}
	l.conn, l.since, l.failed = c, at, l.failed || c == nil
	if c != nil {
		close(l.news)
		l.news = make(chan struct{})
	}
}

// judge says what the end of a connection means, and how long to wait before the next.
func (l *uplink) judge(ctx context.Context, lasted time.Duration, err error, failures int) time.Duration {
	why, wait := WhyAway, jitter(l.up.RetryFirst, l.up.RetryMost, failures)
	switch {
	case errors.Is(err, errHeldByOther):
		why, wait = WhyOtherKey, l.up.FightPause+rand.N(l.up.FightPause/8+1)
	case l.fought(lasted, err):
		why, wait = WhyTaken, l.up.FightPause+rand.N(l.up.FightPause/8+1)
	case errors.Is(err, errIDRefused), errors.Is(err, errLogin), errors.Is(err, errNotListen), errors.Is(err, errHangsUp):
		why, wait = l.refused(ctx, err, wait, failures)
	case access.CertificateFault(err):
		why = WhyCertificate
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.failed {
		l.since = time.Now()
	}
	if why == WhyTaken && l.why != WhyTaken {
		l.up.counts.fights.Add(1)
	}
	l.why, l.failed = why, true
	return wait
}

// Fights: three connections lost soon after they were made, within a minute, are somebody else with the same client id. One that was lost
// just after we had sent something says nothing: a broker has no other answer for what it does not want.
const (
	fightRounds = 3
	fightWithin = time.Minute
	saidSoon    = 2 * time.Second // a broker that hangs up over a message does so sooner
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
	if errors.Is(err, errMidSend) {
		return l.why == WhyTaken
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
		return State{Down: true, Since: l.since, Why: l.word(why)}
	case l.conn != nil || !l.failed:
		return State{}
	case why == WhyAway && time.Since(l.since) < l.up.Blink:
		return State{}
	}
	return State{Down: true, Since: l.since, Why: l.word(why)}
}

// current is the connection, if there is one.
func (l *uplink) current() *upstreamConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn
}

// watched is current, and a channel that is closed when there is another one.
func (l *uplink) watched() (*upstreamConn, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn, l.news
}

// wanted says whether a message is to be handed on, and as what: one that was asked for, and not shown already. Whatever else a broker
// sends is nobody's.
func (l *uplink) wanted(a Arrival) (Arrival, bool) {
	asked, echo := l.hears(a.Topic)
	if asked {
		l.up.counts.received.Add(1)
	}
	switch {
	case asked && echo:
		return l.echoes.came(a)
	case asked:
		return a, true
	}
	l.up.counts.strays.Add(1)
	l.mu.Lock()
	first := !l.strayed
	l.strayed = true
	l.mu.Unlock()
	if first {
		l.up.Log.Warn("the upstream broker sends what was not asked for, it is dropped", l.who(), "topic", a.Topic[:min(len(a.Topic), 200)])
	}
	return a, false
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
		if echo, news := l.echoes.lesson(); news {
			l.up.SetEcho(l.id, echo)
		}
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

// settleIn bounds one try of making messages safe. A link that ends lets it finish: what is not recorded when it says goodbye, the broker
// would forget.
const settleIn = 5 * time.Second

func (l *uplink) take(ctx context.Context, messages []Arrival) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleIn)
	defer cancel()
	return l.up.Take(ctx, messages)
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
		err := l.take(ctx, toShow)
		if err == nil {
			break
		}
		l.up.Log.ErrorContext(ctx, "messages from upstream wait, this will be tried again", l.who(), "messages", len(toShow), "err", err)
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
