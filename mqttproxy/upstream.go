package mqttproxy

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"trellis/access"
)

// UplinksConfig says how Uplinks behave. Addresses and Take are required, and either House or the four beneath it.
type UplinksConfig struct {
	Addresses []*url.URL                                      // where the broker is, best first; see [UpstreamAddresses]
	Take      func(ctx context.Context, came []Arrival) error // returns when what came is safe
	Lost      func(topic string)                              // is told of each message at QoS 0 that is dropped before it is taken; nil: nobody is. It must not block

	House *House // one login for everybody; nil: every key logs in for itself

	Secret func(keyID string) (string, bool)             // the key itself, which is the password
	Check  func(ctx context.Context, keyID string) error // asks whether the key is still good; access.ErrKeyUnknown if not
	Ended  func(keyID string)                            // the key is good no more
	Agreed func(access.Subject) bool                     // whether the person has agreed to a login as the entity itself

	Linked func(keyID string, linked bool) // is told when a key's session begins and when nobody needs it any more; nil: nobody is

	Echo    func(keyID string) access.Echo       // what is known of the broker: does it bring back to a key what the key sends; nil: nothing
	SetEcho func(keyID string, echo access.Echo) // is told what is known now; nil: nobody is

	Client    func(keyID string) string // client id of a page's session that the key's link went on with and has not ended; nil: none
	SetClient func(keyID, id string)    // is told it, before it is used, and nothing when it has ended; nil: nobody is

	TLS     *tls.Config  // nil means this machine's authorities
	Program string       // what makes our client id another than the device's; empty means something random
	Log     *slog.Logger // nil discards

	Linger     time.Duration // how long a session stays when nobody needs it any more; 0 means 60 s
	ConnectIn  time.Duration // time for a connection, and for each answer on the way to it; 0 means 8 s
	WriteIn    time.Duration // time that one write may take; 0 means 5 s
	PingEvery  time.Duration // silence after which we ask whether the broker is there; 0 means 10 s
	Silence    time.Duration // silence after which it is not; 0 means 20 s
	RetryFirst time.Duration // longest wait after the first failure, twice that after the next; 0 means 500 ms
	RetryMost  time.Duration // longest wait of all; 0 means 15 s
	Soon       time.Duration // a connection that was lost before that was taken from us; 0 means 15 s
	FightPause time.Duration // how long to leave a broker alone that has refused us, or a client that has taken our place; 0 means a minute
	LentFor    time.Duration // how long a session is a page's that has said nothing more; 0 means 3 minutes
	EchoIn     time.Duration // how long to wait for our own message to come back; 0 means 2 s
	Blink      time.Duration // a link that is down for less is not spoken of; 0 means 2 s
	MaxPacket  int           // longest PUBLISH that is taken; 0 means 1 MiB, and 8 MiB for a House
	Waiting    int           // messages of each quality of service that may wait; 0 means 4,096
	WaitBytes  int           // and their bytes; 0 means 16 MiB, and 64 MiB for a House
}

func (c UplinksConfig) withDefaults() UplinksConfig {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.TLS == nil {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.Linked == nil {
		c.Linked = func(string, bool) {}
	}
	if c.Echo == nil {
		c.Echo = func(string) access.Echo { return access.EchoUnknown }
	}
	if c.SetEcho == nil {
		c.SetEcho = func(string, access.Echo) {}
	}
	if c.Client == nil {
		c.Client = func(string) string { return "" }
	}
	if c.SetClient == nil {
		c.SetClient = func(string, string) {}
	}
	if c.Program == "" {
		c.Program = rand.Text()[:12]
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.Linger, time.Minute}, {&c.ConnectIn, 8 * time.Second}, {&c.WriteIn, 5 * time.Second}, {&c.PingEvery, 10 * time.Second},
		{&c.Silence, 20 * time.Second}, {&c.RetryFirst, 500 * time.Millisecond}, {&c.RetryMost, 15 * time.Second}, {&c.Soon, 15 * time.Second},
		{&c.FightPause, time.Minute}, {&c.EchoIn, 2 * time.Second}, {&c.LentFor, 3 * time.Minute}, {&c.Blink, 2 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	packet, wait := 1<<20, 16<<20
	if c.House != nil { // anything may be said there: pictures, lists of all devices
		packet, wait = 8<<20, 64<<20
	}
	for _, n := range []struct {
		field *int
		value int
	}{{&c.MaxPacket, packet}, {&c.Waiting, 4096}, {&c.WaitBytes, wait}} {
		if *n.field == 0 {
			*n.field = n.value
		}
	}
	return c
}

// Uplinks hold sessions with somebody else's broker: one for each key while anybody needs it, however many read.
type Uplinks struct {
	UplinksConfig
	stop context.CancelFunc
	all  context.Context // ends every link; not a request's

	mu      sync.Mutex
	closed  bool
	links   map[string]*uplink       // by key; that of a House by nothing
	ending  map[string]chan struct{} // links that are saying goodbye: the next one of the key waits for that
	holders map[access.Subject]string
	loans   map[loanOf]*loan // sessions that pages hold by themselves
	running sync.WaitGroup

	counts uplinkCounts
}

// NewUplinks makes Uplinks; they connect when somebody needs it.
func NewUplinks(c UplinksConfig) (*Uplinks, error) {
	keys := c.Secret != nil && c.Check != nil && c.Ended != nil && c.Agreed != nil
	if len(c.Addresses) == 0 || c.Take == nil || (c.House == nil && !keys) {
		return nil, errors.New("new uplinks: Addresses and Take must be given, and House or Secret, Check, Ended and Agreed")
	}
	u := &Uplinks{UplinksConfig: c.withDefaults(), links: map[string]*uplink{}, ending: map[string]chan struct{}{}, holders: map[access.Subject]string{}, loans: map[loanOf]*loan{}}
	u.all, u.stop = context.WithCancel(context.Background())
	return u, nil
}

// Need keeps a session for the key of this Grant until release is called, and for a while after.
func (u *Uplinks) Need(g access.Grant) (release func()) {
	if g.KeyID == "" || u.House != nil {
		return func() {} // an operator's: it hears what the keys' links bring; that of a House is there for everybody
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return func() {}
	}
	l, lent := u.links[g.KeyID], u.inherit(g)
	if l != nil && l.needs == 0 && lent != "" {
		u.end(l) // nobody has it but for a while after: the page's own session holds more
		l = nil
	}
	if l == nil {
		l = u.openKey(g, lent)
	} else if lent != "" {
		u.erase(l, lent)
	}
	l.needs++
	l.bySignIn[g.SignIn]++
	if l.linger != nil {
		l.linger.Stop()
		l.linger = nil
	}
	return sync.OnceFunc(func() { u.release(l, g.SignIn) })
}

// openKey starts a key's link, which takes over a page's session if there is one; u.mu is held.
func (u *Uplinks) openKey(g access.Grant, lent string) *uplink {
	e := newKeyErrand(u, g)
	e.lent = lent
	return u.open(g.KeyID, e, &echoes{known: u.Echo(g.KeyID)})
}

// open starts a link; u.mu is held.
func (u *Uplinks) open(id string, e errand, sent *echoes) *uplink {
	ctx, cancel := context.WithCancel(u.all)
	l := &uplink{
		errand: e, up: u, id: id, inbox: newInbox(u.Waiting, u.WaitBytes), echoes: sent, before: u.ending[id], bySignIn: map[string]int{},
		over: make(chan struct{}), cancel: cancel, nudge: make(chan struct{}, 1), since: time.Now(), news: make(chan struct{}),
	}
	l.inbox.lostAll, l.inbox.tellLost = &u.counts.dropped, u.Lost
	sent.within, sent.most, sent.mostBytes, sent.returned = u.EchoIn, u.Waiting, u.WaitBytes, &u.counts.echoes
	sent.wake = func() {
		select {
		case l.inbox.full <- struct{}{}:
		default:
		}
	}
	u.links[id] = l
	u.running.Go(func() {
		defer cancel()
		l.run(ctx)
		u.forget(l)
	})
	return l
}

func (u *Uplinks) release(l *uplink, signIn string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l.bySignIn[signIn]--; l.bySignIn[signIn] == 0 {
		delete(l.bySignIn, signIn)
	}
	if l.needs--; l.needs == 0 && !u.closed {
		l.linger = time.AfterFunc(u.Linger, func() { u.retire(l) })
	}
}

// retire ends a link that nobody has needed for a while.
func (u *Uplinks) retire(l *uplink) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l.needs > 0 || u.closed || u.links[l.id] != l {
		return
	}
	u.end(l)
}

// end has a link say goodbye; u.mu is held.
func (u *Uplinks) end(l *uplink) {
	if l.linger != nil {
		l.linger.Stop()
	}
	l.retired = true
	u.Log.Info("link to the upstream broker is let go: nobody needs it", l.who())
	delete(u.links, l.id)
	u.ending[l.id] = l.over
	l.cancel()
}

func (u *Uplinks) forget(l *uplink) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ending[l.id] == l.over {
		delete(u.ending, l.id)
	}
}

// hold makes a key the one that logs in as its entity itself.
func (u *Uplinks) hold(sub access.Subject, keyID string) (release func(), ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if holder := u.holders[sub]; holder != "" && holder != keyID {
		return nil, false
	}
	u.holders[sub] = keyID
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.holders, sub)
	}, true
}

// Try has the link of a key try at once, because something was changed that kept it from connecting.
func (u *Uplinks) Try(keyID string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if l := u.links[keyID]; l != nil {
		select {
		case l.nudge <- struct{}{}:
		default:
		}
	}
}

// StateOf tells how the link is that this Grant depends on.
func (u *Uplinks) StateOf(g access.Grant) State {
	l := u.linkFor(g)
	if l == nil {
		return State{}
	}
	return l.state()
}

// linkFor is the link that this Grant depends on; nil if there is none.
func (u *Uplinks) linkFor(g access.Grant) *uplink {
	id := g.KeyID
	if u.House != nil {
		id = ""
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.links[id]
}

// Ready returns nil as soon as there is a connection for the key of this Grant, which somebody must need.
func (u *Uplinks) Ready(ctx context.Context, g access.Grant) error {
	_, err := u.connected(ctx, g)
	return err
}

// connected waits for a connection that is not over, for the key of this Grant.
func (u *Uplinks) connected(ctx context.Context, g access.Grant) (*upstreamConn, error) {
	for {
		l := u.linkFor(g)
		if l == nil {
			return nil, fmt.Errorf("wait for the upstream broker: %w", errLinkDown)
		}
		c, news := l.watched()
		if c != nil && !c.over() { // which the link may not have seen yet
			return c, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// What says that a message was not sent at all.
var (
	errLinkDown = errors.New("there is no connection to the upstream broker")
	errCrowded  = errors.New("too many messages wait to be confirmed or recorded")
)

// unsureError says that a message was sent, and nobody knows whether it arrived.
type unsureError struct{ cause error }

func (e unsureError) Unwrap() error { return e.cause }

func (e unsureError) Error() string {
	return fmt.Sprintf("the upstream broker did not acknowledge the message: %v", e.cause)
}

// Sentence is for the person who sent it.
func (unsureError) Sentence() string {
	return "We sent the message, but it was not confirmed. It may or may not have arrived."
}

// Publish sends a page's message by the link of its topic's key. At QoS 1 it returns nil when the upstream broker has
// acknowledged the message. Nothing is kept to be sent later.
func (u *Uplinks) Publish(ctx context.Context, topic string, payload []byte, qos byte) (err error) {
	defer func() { u.counts.published(qos, err) }()
	l := u.linkOf(topic)
	if l == nil {
		return fmt.Errorf("publish upstream: nobody here holds the key of %q", topic)
	}
	return l.send(ctx, topic, payload, qos, Arrival{Topic: topic, Payload: payload})
}

// send publishes, and has what was sent shown once.
func (l *uplink) send(ctx context.Context, topic string, payload []byte, qos byte, show Arrival) error {
	c := l.current()
	if c == nil {
		return fmt.Errorf("publish upstream: %w", errLinkDown)
	}
	show.Sent, show.At = true, time.Now()
	l.arrived(&show)
	sum := sumOf(topic, payload)
	if !soon(ctx, func() bool { return l.inbox.has(len(topic)+len(payload)) && l.echoes.begin(sum, show) }) {
		return fmt.Errorf("publish upstream: %w", errCrowded)
	}
	err := c.publish(ctx, topic, payload, qos)
	if show := l.echoes.end(sum, err == nil); show != nil {
		l.inbox.sent(*show)
	}
	if err != nil {
		return fmt.Errorf("publish upstream: %w", err)
	}
	return nil
}

// soon tries until do has succeeded, or ctx is over.
func soon(ctx context.Context, do func() bool) bool {
	for !do() {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
	return true
}

func (u *Uplinks) linkOf(topic string) *uplink {
	levels := strings.Split(topic, "/")
	if len(levels) != 4 {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	l := u.links[levels[2]]
	if l == nil {
		return nil
	}
	if _, own := l.hears(topic); !own {
		return nil
	}
	return l
}

// Reach says how long a connection to the broker takes, below MQTT, on the first of the ways that leads there.
func (u *Uplinks) Reach(ctx context.Context) (took time.Duration, err error) {
	for _, address := range u.Addresses {
		host, port := address.Hostname(), address.Port()
		if port == "" {
			port = map[string]string{"wss": "443", "ws": "80"}[address.Scheme]
		}
		began := time.Now()
		conn, failed := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
		if failed == nil {
			return time.Since(began), conn.Close()
		}
		err = errors.Join(err, failed)
	}
	return 0, fmt.Errorf("reach the upstream broker: %w", err)
}

// Close ends every session and returns when all are over, or when ctx is. The broker keeps them: what comes at QoS 1 meanwhile
// is there at the next start.
func (u *Uplinks) Close(ctx context.Context) error {
	u.mu.Lock()
	u.closed = true
	for _, l := range u.links {
		if l.linger != nil {
			l.linger.Stop()
		}
	}
	for _, l := range u.loans {
		l.timer.Stop()
	}
	u.mu.Unlock()
	u.stop()
	over := make(chan struct{})
	go func() {
		u.running.Wait()
		close(over)
	}()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
