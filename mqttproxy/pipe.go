package mqttproxy

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"trellis/access"
)

// pipe is one reliable byte stream in both directions, carried by requests that may break, come twice or late. Both
// directions count bytes from 0; what the page has not yet acknowledged is kept and sent again.
//
// Towards the hub it is a Carrier. The requests come and go on the other side: accept takes what was uploaded,
// attach and next give what is to be sent.
type pipe struct {
	id      string
	visitor Visitor
	pipes   *Pipes
	away    atomic.Bool   // no request takes bytes down, so the page cannot be heard
	writes  chan struct{} // holds one token: uploads are taken one after the other

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced when something below changes
	up       []byte        // came and was not yet received by the hub
	received int64         // bytes of the page in order
	down     []byte        // sent by the hub and not yet acknowledged
	base     int64         // the position of down[0]
	turn     uint64        // of the request that takes bytes down; an older one has been taken over from
	takers   int           // requests that take bytes down, those included that are being taken over from
	uploads  int           // requests that bring bytes up
	begun    bool          // the hub serves it
	over     bool
	reason   Reason
	idle     *time.Timer // ends it when nobody comes, and forgets it some time after its end
}

var _ Carrier = (*pipe)(nil)

func newPipe(id string, v Visitor, pipes *Pipes) *pipe {
	p := &pipe{id: id, visitor: v, pipes: pipes, changed: make(chan struct{}), writes: make(chan struct{}, 1)}
	p.away.Store(true)
	p.idle = time.AfterFunc(pipes.config.Idle, p.expire)
	return p
}

// change wakes everybody who waits; p.mu is held.
func (p *pipe) change() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Away says that no request is there to take bytes down. The pipe itself ends a page that stays away.
func (p *pipe) Away() bool { return p.away.Load() }

// Receive waits for bytes that the page uploaded.
func (p *pipe) Receive(into []byte) (int, error) {
	for {
		p.mu.Lock()
		if p.over {
			defer p.mu.Unlock()
			return 0, p.reason
		}
		if len(p.up) > 0 {
			n := copy(into, p.up)
			p.up = rest(p.up, n)
			p.pipes.buffered.Add(int64(-n))
			p.change()
			p.mu.Unlock()
			return n, nil
		}
		changed := p.changed
		p.mu.Unlock()
		<-changed
	}
}

// Send keeps b for the page. While too much is not acknowledged it waits, until by.
func (p *pipe) Send(b []byte, by time.Time) error {
	timer := time.NewTimer(time.Until(by))
	defer timer.Stop()
	for {
		p.mu.Lock()
		if p.over {
			defer p.mu.Unlock()
			return p.reason
		}
		n := min(len(b), p.pipes.config.Replay-len(p.down))
		if n > 0 {
			if p.pipes.buffered.Add(int64(n)) > p.pipes.config.Buffered {
				p.pipes.buffered.Add(int64(-n))
				p.mu.Unlock()
				return Limit
			}
			p.down = append(p.down, b[:n]...)
			b = b[n:]
			p.change()
		}
		changed := p.changed
		p.mu.Unlock()
		if len(b) == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-timer.C:
			return os.ErrDeadlineExceeded
		}
	}
}

// End ends the pipe once. The page is told by the requests that are there or that still come.
func (p *pipe) End(reason Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.over, p.reason = true, reason
	p.pipes.buffered.Add(int64(-len(p.up)))
	p.up = nil
	p.change()
	p.idle.Reset(p.pipes.config.Remember)
}

// expire ends a pipe for which nobody came, and forgets one that has ended.
func (p *pipe) expire() {
	p.mu.Lock()
	over := p.over
	expired := over || p.takers+p.uploads == 0
	p.mu.Unlock()
	switch {
	case over:
		p.pipes.forget(p)
	case expired:
		p.End(Lost)
	default:
		p.idle.Reset(p.pipes.config.Idle)
	}
}

// positions are how far both directions are: bytes received in order, and bytes sent so far.
func (p *pipe) positions() (up, down int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.received, p.base + int64(len(p.down))
}

// ended says whether the pipe is over, and why.
func (p *pipe) ended() (Reason, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reason, p.over
}

// beginUpload counts a request that brings bytes; false means that too many do.
func (p *pipe) beginUpload() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.uploads >= maxUploads {
		return false
	}
	p.uploads++
	return true
}

func (p *pipe) endUpload() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.uploads--
	p.stay()
}

// stay begins anew to wait for the next request; p.mu is held.
func (p *pipe) stay() {
	if !p.over && p.takers+p.uploads == 0 {
		p.idle.Reset(p.pipes.config.Idle)
	}
}

// upload takes the part of body that is not known yet, as much as there is room for, and waits for room when there is
// none. ok is false if bytes before pos are missing. The same upload may come any number of times.
func (p *pipe) upload(ctx context.Context, pos int64, body []byte) (ok bool) {
	select {
	case p.writes <- struct{}{}:
		defer func() { <-p.writes }()
	case <-ctx.Done():
		return true
	}
	timer := time.NewTimer(p.pipes.config.RoomIn)
	defer timer.Stop()
	for {
		p.mu.Lock()
		taken, ok := p.accept(pos, body)
		changed, over := p.changed, p.over
		full := !over && taken == 0 && pos+int64(len(body)) > p.received
		p.mu.Unlock()
		if !ok || !full {
			return ok
		}
		select {
		case <-changed:
		case <-timer.C:
			return true
		case <-ctx.Done():
			return true
		}
	}
}

// accept takes what is new of body and fits; p.mu is held.
func (p *pipe) accept(pos int64, body []byte) (taken int, ok bool) {
	if pos > p.received {
		return 0, false
	}
	known := p.received - pos
	if p.over || known >= int64(len(body)) {
		return 0, true
	}
	body = body[known:]
	body = body[:min(len(body), maxUp-len(p.up))]
	if len(body) == 0 {
		return 0, true
	}
	p.up = append(p.up, body...)
	p.received += int64(len(body))
	p.pipes.buffered.Add(int64(len(body)))
	p.change()
	return len(body), true
}

// acknowledge lets go of what the page has; a position that was never sent is no acknowledgement.
func (p *pipe) acknowledge(have int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.release(have)
}

func (p *pipe) release(have int64) bool {
	if have > p.base+int64(len(p.down)) {
		return false
	}
	if n := int(have - p.base); n > 0 {
		p.down = rest(p.down, n)
		p.base = have
		p.pipes.buffered.Add(int64(-n))
		p.change()
	}
	return true
}

// attach makes a request the one that takes bytes down, from have on; whoever did so before is taken over from. It fails
// for a position that is no longer, or not yet, there: a request that was under way for too long.
func (p *pipe) attach(have int64) (turn uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if have < p.base || !p.release(have) {
		return 0, false
	}
	p.turn++
	p.takers++
	p.away.Store(false)
	p.change()
	return p.turn, true
}

func (p *pipe) detach() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.takers--
	p.away.Store(p.takers == 0)
	p.stay()
}

// step is what a request that takes bytes down is to do next.
type step struct {
	pos     int64
	chunk   []byte        // to be written
	end     bool          // nothing comes any more, for this reason
	reason  Reason        // Moved for a request that was taken over from
	changed chan struct{} // otherwise: closed when there may be more
}

// next gives what comes after from, at most so many bytes. The bytes stay kept until they are acknowledged.
func (p *pipe) next(turn uint64, from int64, most int) step {
	p.mu.Lock()
	defer p.mu.Unlock()
	from = max(from, p.base)
	waiting := p.down[min(from-p.base, int64(len(p.down))):]
	switch {
	case turn != p.turn:
		return step{pos: from, end: true, reason: Moved}
	case len(waiting) > 0:
		return step{pos: from, chunk: append([]byte(nil), waiting[:min(most, len(waiting))]...)}
	case p.over:
		return step{pos: from, end: true, reason: p.reason}
	}
	return step{pos: from, changed: p.changed}
}

// begin is true once, for whoever is to have the hub serve this pipe.
func (p *pipe) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := !p.begun && len(p.up) > 0
	p.begun = p.begun || first
	return first
}

// rest is b without its first n bytes; it gives the memory back when nothing is left.
func rest(b []byte, n int) []byte {
	if n == len(b) {
		return nil
	}
	return b[:copy(b, b[n:])]
}

// owned says whether a request's sender is who opened this pipe.
func (v Visitor) owns(other Visitor) bool {
	return sameSecret(v.Session, other.Session) && holder(v.Grant) == holder(other.Grant)
}

// holder names whoever holds a Grant, one key apart from the next of the same id.
func holder(g access.Grant) string {
	return g.Subject.String() + "\x00" + g.Holder + "\x00" + g.KeyID + "\x00" + g.Print
}
