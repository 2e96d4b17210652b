package mqttproxy

import (
	"os"
	"sync"
	"time"

	"trellis/access"
)

// pipe is one reliable byte stream in both directions, carried by requests and WebSockets that may break, come twice or
// late. Both directions count bytes from 0; what the page has not yet acknowledged is kept and sent again.
//
// Towards the hub it is a Carrier. What carries it comes and goes on the other side: upload takes what came up, and bytes
// down are taken by requests (attach and next) or written by a line.
type pipe struct {
	id      string
	visitor Visitor
	pipes   *Pipes

	mu       sync.Mutex
	came     bell   // for the hub: bytes came up
	room     bell   // bytes were let go of, in either direction
	more     bell   // for requests that take bytes down: there are some, or somebody else takes them now
	up       []byte // came and was not yet received by the hub
	received int64  // bytes of the page in order
	down     replay // sent by the hub and not yet acknowledged
	turn     uint64 // of who takes bytes down; an older one has been taken over from, or dropped
	dropped  bool   // the older one was
	line     *line  // takes bytes down; nil while a request does, or nobody
	way      string // by which bytes came down last; empty: they never did
	lines    []*line
	takers   int  // those that take bytes down, those included that are being taken over from
	uploads  int  // requests that bring bytes up
	pace     rate // of bytes up
	begun    bool // the hub serves it
	over     bool
	reason   Reason
	heavy    bool // it ended with much to keep, and counts until it is forgotten

	// Times by the clock of pipes.
	opened, heard time.Duration
	left          time.Duration // when the last one that took bytes down did so
	parted        time.Duration // when the page closed its WebSocket
	watch         *time.Timer   // looks whether the page is there, and forgets the pipe some time after its end
}

var _ Carrier = (*pipe)(nil)

func newPipe(id string, v Visitor, pipes *Pipes) *pipe {
	now := pipes.clock()
	p := &pipe{id: id, visitor: v, pipes: pipes, opened: now, heard: now}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watch = time.AfterFunc(p.patience(now), p.look)
	return p
}

// bell wakes everybody who waits. It costs nothing while nobody does. The owner's lock guards it.
type bell struct{ waiting chan struct{} }

func (b *bell) wait() <-chan struct{} {
	if b.waiting == nil {
		b.waiting = make(chan struct{})
	}
	return b.waiting
}

func (b *bell) ring() {
	if b.waiting != nil {
		close(b.waiting)
		b.waiting = nil
	}
}

// JudgesSilence says that the hub need not: a page may be away for a while, and its carriers show when it is.
func (p *pipe) JudgesSilence() {}

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
			p.room.ring()
			p.mu.Unlock()
			return n, nil
		}
		came := p.came.wait()
		p.mu.Unlock()
		<-came
	}
}

// Send keeps b for the page, and writes it if a line takes bytes down, where each frame has a limit of its own. While too
// much is not acknowledged it waits, until by.
func (p *pipe) Send(b []byte, by time.Time) error {
	for {
		n, room, line, err := p.put(b)
		if line != nil {
			line.write()
		}
		b = b[n:]
		if err != nil || len(b) == 0 {
			return err
		}
		if !ringsBy(room, by) {
			return os.ErrDeadlineExceeded
		}
	}
}

// put keeps as much of b as there is room for; line is to be written to. If not all of it: room rings when there is more.
func (p *pipe) put(b []byte) (n int, room <-chan struct{}, line *line, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return 0, nil, nil, p.reason
	}
	n = min(len(b), p.pipes.config.Replay-p.down.len())
	if n > 0 {
		if p.pipes.buffered.Add(int64(n)) > p.pipes.config.Buffered {
			p.pipes.buffered.Add(int64(-n))
			p.pipes.limited.note(&refusedBytes)
			return 0, nil, nil, TooManyBytes
		}
		p.down.keep(b[:n])
		p.more.ring()
		if p.line.claim() {
			line = p.line
		}
	}
	if n < len(b) {
		room = p.room.wait()
	}
	return n, room, line, nil
}

func ringsBy(bell <-chan struct{}, by time.Time) bool {
	timer := time.NewTimer(time.Until(by))
	defer timer.Stop()
	select {
	case <-bell:
		return true
	case <-timer.C:
		return false
	}
}

// End ends the pipe once. The page is told by what carries it, or by the requests that still come.
func (p *pipe) End(reason Reason) {
	ended, heavy := p.end(reason)
	if !ended {
		return
	}
	if !heavy {
		p.pipes.discount(p)
	}
	p.pipes.config.Log.Debug("pipe over", "grant", p.visitor.Grant, "reason", reason, "lasted", p.pipes.clock()-p.opened)
}

// lightly is how many bytes a pipe may keep for its page after its end without taking the place of another one.
const lightly = 4 << 10

func (p *pipe) end(reason Reason) (ended, heavy bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return false, false
	}
	p.heavy = p.down.len() > lightly
	p.over, p.reason = true, reason
	p.pipes.buffered.Add(int64(-len(p.up)))
	p.up = nil
	p.came.ring()
	p.room.ring()
	p.more.ring()
	for _, l := range p.lines {
		l.finish()
	}
	p.watch.Reset(p.pipes.config.Remember)
	return true, p.heavy
}

// positions are how far both directions are: bytes received in order, and bytes sent so far.
func (p *pipe) positions() (up, down int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.received, p.down.end
}

// ended says whether the pipe is over, and why.
func (p *pipe) ended() (Reason, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reason, p.over
}

// begin has the hub serve this pipe as soon as there is something to serve.
func (p *pipe) begin() {
	p.mu.Lock()
	first := !p.begun && len(p.up) > 0
	p.begun = p.begun || first
	p.mu.Unlock()
	if first && !p.pipes.config.Serve(p, p.visitor.Grant) {
		p.End(Restart)
	}
}

// rest is b without its first n bytes; it gives the memory back when nothing is left.
func rest(b []byte, n int) []byte {
	if n == len(b) {
		return nil
	}
	return b[:copy(b, b[n:])]
}

// owns says whether a request's sender is who opened this pipe. Where nobody signs in, only the id and the network tell.
func (v Visitor) owns(other Visitor) bool {
	who := holder(v.Grant)
	near := who != nobody || v.Address == other.Address
	return near && sameSecret(v.Session, other.Session) && who == holder(other.Grant)
}

// holder names whoever holds a Grant, one key apart from the next of the same id.
func holder(g access.Grant) string {
	return g.Subject.String() + "\x00" + g.Holder + "\x00" + g.KeyID + "\x00" + g.Print
}

var nobody = holder(access.Grant{})
