package mqttproxy

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"trellis/access"
)

// Letter is a message that a program has left to be sent, by now or later.
type Letter struct {
	ID, KeyID, Topic string
	Payload          []byte
	Until            time.Time // it is not sent after that
}

// LetterEnd says what became of a Letter.
type LetterEnd int

// The ends of a letter.
const (
	LetterSent LetterEnd = iota
	LetterRefused
)

// Letters keep letters across restarts, each key's in order.
type Letters interface {
	// Keys are those of which something waits.
	Keys(ctx context.Context) ([]string, error)
	// Next gives the oldest letter of a key, and when the first of those that wait expires.
	Next(ctx context.Context, keyID string) (l Letter, first time.Time, there bool, err error)
	End(ctx context.Context, id string, how LetterEnd) error
	// Expire gives up those of a key whose time is over; Refuse all of them. Both say how many.
	Expire(ctx context.Context, keyID string) (int, error)
	Refuse(ctx context.Context, keyID string) (int, error)
}

// Reachable is a Source that is reached over links that come and go.
type Reachable interface {
	Links
	// Ready returns nil when there is a connection for this Grant, or an error when ctx is over.
	Ready(ctx context.Context, g access.Grant) error
}

// OutboxConfig says how an Outbox behaves. The first three are required.
type OutboxConfig struct {
	Letters Letters
	Source  Source                                   // where they go; if it is Reachable, links are needed while something waits
	Grant   func(keyID string) (access.Grant, error) // whether the key is still good

	RetryFirst time.Duration // longest wait after the first failure, twice that after the next; 0 means 500 ms
	RetryMost  time.Duration // longest wait of all; 0 means 15 s
	AnswerIn   time.Duration // longest wait for the Source; more than it takes to give up a connection on which nothing is acknowledged; 0 means 30 s
	FinishIn   time.Duration // how long Close waits for what is on its way; 0 means 2 s
	Log        *slog.Logger  // nil discards
}

// Outbox sends what programs have left, in order for each key, one after the other: the next when the one before is acknowledged. One
// whose acknowledgement did not come, or came and was not noted because this process was killed, is sent again and may arrive twice.
//
// What people press never comes here: it is sent at once or not at all.
type Outbox struct {
	OutboxConfig
	all      context.Context // ends every courier; not a request's
	stop     context.CancelFunc
	couriers sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	running map[string]*courier // by key
	waiting map[string][]chan struct{}

	sent, expired, refused, panics atomic.Uint64
}

// NewOutbox makes an Outbox; it sends nothing before Start.
func NewOutbox(c OutboxConfig) *Outbox {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.RetryFirst, 500 * time.Millisecond}, {&c.RetryMost, 15 * time.Second}, {&c.AnswerIn, 30 * time.Second}, {&c.FinishIn, 2 * time.Second}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	o := &Outbox{OutboxConfig: c, running: map[string]*courier{}, waiting: map[string][]chan struct{}{}}
	o.all, o.stop = context.WithCancel(context.Background())
	return o
}

// Start takes up what waited when the last run ended.
func (o *Outbox) Start(ctx context.Context) error {
	keys, err := o.Letters.Keys(ctx)
	for _, key := range keys {
		o.Wake(key)
	}
	return err
}

// Wake says that something of this key waits, or that the key has ended.
func (o *Outbox) Wake(keyID string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	if c := o.running[keyID]; c != nil {
		c.again = true
		c.look()
		return
	}
	c := &courier{box: o, keyID: keyID, look: func() {}}
	o.running[keyID] = c
	o.couriers.Go(func() { c.run(o.all) })
}

// Follow gives a channel that is closed when this letter is sent or refused. leave must be called.
func (o *Outbox) Follow(id string) (done <-chan struct{}, leave func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	ch := make(chan struct{})
	o.waiting[id] = append(o.waiting[id], ch)
	return ch, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		left := o.waiting[id][:0:0]
		for _, other := range o.waiting[id] {
			if other != ch {
				left = append(left, other)
			}
		}
		if o.waiting[id] = left; len(left) == 0 {
			delete(o.waiting, id)
		}
	}
}

func (o *Outbox) tell(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, ch := range o.waiting[id] {
		close(ch)
	}
	delete(o.waiting, id)
}

// OutboxStats count letters since the start.
type OutboxStats struct {
	Sent, Expired, Refused uint64
	Panics                 uint64 // mistakes of ours, each of which cost one letter at most
}

// Stats gives the numbers as they are now.
func (o *Outbox) Stats() OutboxStats {
	return OutboxStats{o.sent.Load(), o.expired.Load(), o.refused.Load(), o.panics.Load()}
}

// Close lets what is on its way arrive, if that takes no longer than FinishIn, and sends nothing more. The rest is there at the next start.
func (o *Outbox) Close(ctx context.Context) error {
	o.mu.Lock()
	o.closed = true
	for _, c := range o.running {
		c.look()
	}
	o.mu.Unlock()
	late := time.AfterFunc(o.FinishIn, o.stop)
	defer late.Stop()
	defer o.stop()
	over := make(chan struct{})
	go func() { // ends with the last courier
		o.couriers.Wait()
		close(over)
	}()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (o *Outbox) closing() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed
}

// courier sends the letters of one key, and goes when there are none.
type courier struct {
	box   *Outbox
	keyID string

	look  func() // has it look again at what there is to do; guarded by Outbox.mu, as is again
	again bool

	release  func() // lets go of the link; nil while it is not needed
	failures int
	head     string // the letter that was tried last, and how often the connection broke over it
	broke    int
	faulty   string // the letter over which we made a mistake
}

func (c *courier) run(ctx context.Context) {
	defer func() {
		if c.release != nil {
			c.release()
		}
	}()
	for c.step(ctx) {
	}
}

// step does what there is to do next, and says whether there may be more. A mistake of ours costs the letter that it was about: it is on
// the disk, and would else end this process again after each start.
func (c *courier) step(ctx context.Context) (more bool) {
	wait, cancel, ok := c.begin(ctx)
	if !ok {
		return false
	}
	defer cancel()
	var l Letter
	defer func() {
		if caught := recover(); caught != nil {
			c.box.panics.Add(1)
			c.box.Log.ErrorContext(ctx, "a message of a program hit a fault", "key", c.keyID, "message", l.ID, "fault", caught, "stack", string(debug.Stack()))
			c.faulty, more = l.ID, true
			c.pause(wait)
		}
	}()
	g, l, first, err := c.next(ctx)
	switch {
	case err != nil:
		c.box.Log.ErrorContext(ctx, "messages of a program wait, this will be tried again", "key", c.keyID, "err", err)
		c.pause(wait)
	case l.ID == "":
		return !c.finish()
	case l.ID == c.faulty:
		c.end(ctx, l, LetterRefused)
	default:
		if links, is := c.box.Source.(Reachable); is && c.release == nil {
			c.release = links.Need(g)
		}
		c.deliver(ctx, wait, g, l, first)
	}
	return true
}

// begin makes the context for waiting, which ends as soon as there may be something else to do. It is false when all is over.
func (c *courier) begin(ctx context.Context) (wait context.Context, cancel context.CancelFunc, ok bool) {
	wait, cancel = context.WithCancel(ctx)
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	if c.box.closed || ctx.Err() != nil {
		cancel()
		delete(c.box.running, c.keyID)
		return nil, nil, false
	}
	c.look, c.again = cancel, false
	return wait, cancel, true
}

// finish says whether the courier may go: nothing has come since it looked.
func (c *courier) finish() bool {
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	if c.again {
		return false
	}
	delete(c.box.running, c.keyID)
	return true
}

// next gives up what may not be sent any more and finds what is to be sent.
func (c *courier) next(ctx context.Context) (g access.Grant, l Letter, first time.Time, err error) {
	n, err := c.box.Letters.Expire(ctx, c.keyID)
	if err != nil {
		return g, l, first, err
	}
	if n > 0 {
		c.box.expired.Add(uint64(n))
		c.box.Log.WarnContext(ctx, "messages of a program were not sent in time and will not be", "key", c.keyID, "messages", n)
	}
	if g, err = c.box.Grant(c.keyID); err != nil {
		n, err := c.box.Letters.Refuse(ctx, c.keyID)
		if n > 0 {
			c.box.refused.Add(uint64(n))
			c.box.Log.WarnContext(ctx, "messages of a program will not be sent: their key is good no more", "key", c.keyID, "messages", n)
		}
		return g, l, first, err
	}
	l, first, _, err = c.box.Letters.Next(ctx, c.keyID)
	return g, l, first, err
}

// deliver sends one letter when there is a connection, and never after its time.
func (c *courier) deliver(ctx, wait context.Context, g access.Grant, l Letter, first time.Time) {
	soonest, cancel := context.WithDeadline(wait, first)
	defer cancel()
	if links, is := c.box.Source.(Reachable); is {
		if err := links.Ready(soonest, g); err != nil {
			if soonest.Err() == nil {
				c.pause(soonest) // there is no link at all
			}
			return
		}
	}
	// wait may be over by now. That another letter has come is no reason to keep this one: a program that goes on leaving some would stop all.
	g, err := c.box.Grant(c.keyID)
	switch {
	case err != nil || c.box.closing() || !time.Now().Before(first):
		return
	case !g.MayPublish(l.Topic): // its key is another entity's now
		c.end(ctx, l, LetterRefused)
		return
	}
	began := time.Now()
	// The Source notices sooner that its connection is dead: a second try on one that lives would be a second message.
	within, done := context.WithTimeout(ctx, c.box.AnswerIn)
	err = c.box.Source.Publish(within, l.Topic, l.Payload, 1)
	done()
	switch {
	case err == nil:
		c.end(ctx, l, LetterSent)
	case errors.Is(err, errLinkDown):
		c.pause(soonest)
	case isFinal(err):
		c.box.Log.WarnContext(ctx, "a message of a program is given up: it can be sent to nobody", "key", c.keyID, "message", l.ID, "err", err)
		c.end(ctx, l, LetterRefused)
	case c.poisoned(l, err, time.Since(began)):
		c.box.Log.WarnContext(ctx, "a message of a program is given up: the broker hangs up whenever it is sent", "key", c.keyID, "message", l.ID, "err", err)
		c.end(ctx, l, LetterRefused)
	default:
		c.box.Log.InfoContext(ctx, "a message of a program was not acknowledged, it will be sent again", "key", c.keyID, "message", l.ID, "err", err)
		c.pause(soonest)
	}
}

// isFinal says whether the Source will never take this message.
func isFinal(err error) bool {
	var final interface{ Final() bool }
	return errors.As(err, &final) && final.Final()
}

// MQTT 3.1.1 has no answer for a message that a broker does not want: it hangs up, and would do so over the same one for ever.
const (
	mostBroken = 5
	brokenSoon = 2 * time.Second
)

// poisoned says whether the broker has hung up at once, again and again, over this very letter.
func (c *courier) poisoned(l Letter, err error, lasted time.Duration) bool {
	if c.head != l.ID {
		c.head, c.broke = l.ID, 0
	}
	if errors.Is(err, errDropped) && lasted < brokenSoon {
		c.broke++
	}
	return c.broke >= mostBroken
}

// end notes what became of a letter. It is tried until it is noted: a letter that was sent would be sent again.
func (c *courier) end(ctx context.Context, l Letter, how LetterEnd) {
	c.failures = 0
	for ctx := context.WithoutCancel(ctx); ; {
		err := c.box.Letters.End(ctx, l.ID, how)
		if err == nil {
			break
		}
		c.box.Log.ErrorContext(ctx, "what became of a message of a program cannot be noted", "key", c.keyID, "message", l.ID, "err", err)
		if c.box.all.Err() != nil {
			return
		}
		c.pause(c.box.all)
	}
	if how == LetterSent {
		c.box.sent.Add(1)
	} else {
		c.box.refused.Add(1)
	}
	c.box.tell(l.ID)
}

// pause waits a while, longer each time until something succeeds.
func (c *courier) pause(ctx context.Context) {
	timer := time.NewTimer(jitter(c.box.RetryFirst, c.box.RetryMost, c.failures))
	defer timer.Stop()
	c.failures++
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
