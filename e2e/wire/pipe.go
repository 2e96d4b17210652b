package wire

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// The ways that bytes of a pipe may go.
const (
	BySocket = "socket"
	ByStream = "stream"
	ByPoll   = "poll"
)

// Door is where a page's pipe goes, and what the page sends with everything.
type Door struct {
	HTTP   *http.Client
	Base   string      // http://host:port/live
	Header http.Header // Cookie, Origin, and Host if it is another than the one dialled
	// Dial opens the connection of a WebSocket; nil goes straight to the Base's host.
	Dial func(ctx context.Context, host string) (net.Conn, error)
}

// Pipe is a page's end of a pipe, usable as a byte stream. Both directions count bytes: what is not known to have arrived is
// sent again, and what comes twice is dropped. How they go is the ladder's part, which moves from one way to another in
// mid-session; see ladder.go.
type Pipe struct {
	net.Conn // none: only what is below is there

	door    Door
	ctx     context.Context // ends whatever runs; the pipe is no request's
	cancel  context.CancelFunc
	running sync.WaitGroup
	ladder  ladder

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced when something below changes
	id       string
	out      []byte // written, and not known to have arrived
	outAt    int64  // position of its first byte
	sentAt   int64  // up to where it was given to the present carrier
	up       upward // takes bytes up; nil while nobody does
	upBefore upward
	in       []byte // came, and was not yet read
	got      int64
	acked    int64 // of it, what the server knows that we have
	ackDue   bool
	longest  int // upload; halved by a network that takes no longer ones
	err      error
	deadline time.Time
	went     []string // the ways that bytes came down, one after the other
	serving  string   // the way that carries the session; empty while none does
	broken   int      // how often what carried bytes down broke
}

// upward takes bytes up. An error means that they may or may not have arrived.
type upward interface {
	bring(p *Pipe, pos int64, chunk []byte) error
	waits() bool // for an answer to one upload before the next
}

const (
	maxUpload = 64 << 10
	ackAfter  = 32 << 10 // bytes down
)

// DialPipe makes a pipe that may go these ways, the best first; none means all. It begins at once and shows by itself how
// it went: like a page it knows only from what comes.
func DialPipe(door Door, plan ...string) *Pipe {
	if len(plan) == 0 {
		plan = []string{BySocket, ByStream, ByPoll}
	}
	p := &Pipe{door: door, changed: make(chan struct{}), longest: maxUpload}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.ladder = ladder{pipe: p, plan: plan, do: make(chan func())}
	p.running.Go(p.ladder.run)
	p.running.Go(p.ascend)
	return p
}

// ID is the pipe's id, once it is known.
func (p *Pipe) ID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.id
}

// Went gives the ways by which bytes came down, one after the other.
func (p *Pipe) Went() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.went)
}

// On waits until the pipe goes this way.
func (p *Pipe) On(way string, within time.Duration) bool {
	return p.waits(within, func() bool { return p.serving == way })
}

// Broken waits until what carries bytes down has broken once more.
func (p *Pipe) Broken(within time.Duration) bool {
	p.mu.Lock()
	before := p.broken
	p.mu.Unlock()
	return p.waits(within, func() bool { return p.broken > before })
}

// waits waits until is, asked under the lock whenever something changes, is true.
func (p *Pipe) waits(within time.Duration, is func() bool) bool {
	late := time.After(within)
	for {
		p.mu.Lock()
		yes, over, changed := is(), p.err != nil, p.changed
		p.mu.Unlock()
		if yes || over {
			return yes && !over
		}
		select {
		case <-changed:
		case <-late:
			return false
		}
	}
}

// change wakes everybody who waits; p.mu is held.
func (p *Pipe) change() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Write keeps b to be sent. It waits while a lot is not known to have arrived.
func (p *Pipe) Write(b []byte) (int, error) {
	for {
		p.mu.Lock()
		if p.err != nil {
			defer p.mu.Unlock()
			return 0, p.err
		}
		if len(p.out) < 4*maxUpload {
			p.out = append(p.out, b...)
			p.change()
			p.mu.Unlock()
			return len(b), nil
		}
		changed := p.changed
		p.mu.Unlock()
		<-changed
	}
}

// Read gives what comes next. When the pipe is over that is a [CloseError] with the server's code.
func (p *Pipe) Read(into []byte) (int, error) {
	for {
		p.mu.Lock()
		if len(p.in) > 0 {
			n := copy(into, p.in)
			p.in = p.in[n:]
			p.mu.Unlock()
			return n, nil
		}
		err, changed, deadline := p.err, p.changed, p.deadline
		p.mu.Unlock()
		if err != nil {
			return 0, err
		}
		var late <-chan time.Time
		if !deadline.IsZero() {
			late = time.After(time.Until(deadline))
		}
		select {
		case <-changed:
		case <-late:
			return 0, timeout{}
		}
	}
}

// take takes bytes that came down some way.
func (p *Pipe) take(way string, pos int64, data []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.got - pos
	if known < 0 {
		return fmt.Errorf("bytes from %d on, %d are known: %w", pos, p.got, ErrEvent)
	}
	if known >= int64(len(data)) {
		return nil
	}
	p.in = append(p.in, data[known:]...)
	p.got = pos + int64(len(data))
	p.ackDue = p.ackDue || p.got-p.acked >= ackAfter
	if len(p.went) == 0 || p.went[len(p.went)-1] != way {
		p.went = append(p.went, way)
	}
	p.change()
	return nil
}

// arrived lets go of what the server has.
func (p *Pipe) arrived(up int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := up - p.outAt
	switch {
	case n > int64(len(p.out)):
		p.over(fmt.Errorf("the server has %d bytes, %d were sent: %w", up, p.outAt+int64(len(p.out)), ErrEvent))
	case n > 0:
		p.out, p.outAt = p.out[n:], up
		p.sentAt = max(p.sentAt, up)
		p.change()
	}
}

// have is how far we have come; whoever asks tells the server.
func (p *Pipe) have() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acked, p.ackDue = p.got, false
	return p.got
}

// sign has the server hear of us, where only requests do that.
func (p *Pipe) sign() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, requests := p.up.(*posts); requests {
		p.ackDue = true
		p.change()
	}
}

// lift has bytes go up another way, beginning with those that are not known to have arrived.
func (p *Pipe) lift(up upward) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up = up
	p.change()
}

// next waits until there is something to bring up and somebody to do it.
func (p *Pipe) next() (up upward, pos int64, chunk []byte) {
	for {
		p.mu.Lock()
		if p.up != p.upBefore {
			p.upBefore, p.sentAt = p.up, p.outAt
		}
		if p.up != nil && p.err == nil {
			pos = p.sentAt
			chunk = slices.Clone(p.out[pos-p.outAt:])
			chunk = chunk[:min(len(chunk), p.longest)]
			if len(chunk) > 0 || p.ackDue {
				up = p.up
				if !up.waits() {
					p.sentAt += int64(len(chunk))
				}
				p.mu.Unlock()
				return up, pos, chunk
			}
		}
		over, changed := p.err != nil, p.changed
		p.mu.Unlock()
		if over {
			return nil, 0, nil
		}
		<-changed
	}
}

// ascend brings bytes up, one upload at a time.
func (p *Pipe) ascend() {
	failed := 0
	for {
		up, pos, chunk := p.next()
		if up == nil {
			return
		}
		if up.bring(p, pos, chunk) == nil {
			failed = 0
			continue
		}
		failed++
		p.rest(failed)
	}
}

func (p *Pipe) broke() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken++
	p.change()
}

// rest waits before the next try, the longer the more have failed.
func (p *Pipe) rest(failed int) {
	select {
	case <-time.After(min(time.Second, time.Duration(failed)*50*time.Millisecond)):
	case <-p.ctx.Done():
	}
}

// fail ends the pipe.
func (p *Pipe) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over(err)
}

func (p *Pipe) over(err error) {
	if p.err == nil {
		p.err = err
		p.change()
		p.cancel()
	}
}

// Close lets everything go; the server finds out by itself.
func (p *Pipe) Close() error {
	p.fail(net.ErrClosed)
	p.running.Wait()
	return nil
}

// SetReadDeadline bounds the reads to come.
func (p *Pipe) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	return nil
}

// SetWriteDeadline is there for net.Conn: an upload has a patience of its own.
func (p *Pipe) SetWriteDeadline(time.Time) error { return nil }

type timeout struct{}

func (timeout) Error() string   { return "nothing came in time" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }
