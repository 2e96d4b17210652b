package mqttproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

// PipeSubprotocol is the WebSocket subprotocol of a pipe's frames.
const PipeSubprotocol = "trellis.pipe"

const (
	maxLines  = 4        // WebSockets of one pipe at once: one that carries, one on trial, and what a page has given up
	tellEvery = 16 << 10 // bytes up after which the page is told without asking
	frameCost = 256      // what a frame costs of the bytes that a page may send, besides those in it
)

// line is a WebSocket that carries a pipe. One goroutine reads it. Whoever has something for the page writes it: one at a
// time, and who finds somebody writing leaves it to him.
type line struct {
	pipes  *Pipes
	socket messenger
	pipe   *pipe // set by join
	gap    int64 // owned by the reader: one more than the position of the gap that was told last

	writers sync.WaitGroup // those that were started here

	// Guarded by the pipe's mu.
	busy  bool   // somebody writes
	tell  bool   // positions are to be told, before any bytes
	named bool   // the pipe's id with them
	moved bool   // took bytes down and was taken over from
	gone  bool   // the reader has left
	from  int64  // position of the byte to be written next
	sent  *piece // what the writer has in its hands
	told  int64  // bytes up that the page knows we have
}

// messenger carries whole messages; *Socket is one.
type messenger interface {
	SetReadDeadline(by time.Time) error
	await() error                            // waits for a message to begin
	whole(to []byte) ([]byte, error)         // appends the rest of it
	Send(message []byte, by time.Time) error // one goroutine at a time, as is reading
	hurry() time.Time                        // lets Send take a moment from now, and no longer
	End(Reason)
}

var _ messenger = (*Socket)(nil)

// Accept answers a WebSocket handshake of our own pages, for Carry; other subprotocols may be for somebody else. On an
// error the answer has been written.
func (s *Pipes) Accept(w http.ResponseWriter, r *http.Request, others ...string) (*Socket, error) {
	if !s.offers(w, waySocket) {
		return nil, fmt.Errorf("accept WebSocket: %w", ErrWayOff)
	}
	return Accept(w, r, Options{Subprotocols: append([]string{PipeSubprotocol}, others...), Origins: s.config.Origins})
}

// ErrWayOff says that the plan of this server leaves a way out.
var ErrWayOff = errors.New("pages may not go this way")

// Carry has a WebSocket carry one of the visitor's pipes, or a new one, until either is over. The pipe outlives it.
func (s *Pipes) Carry(ctx context.Context, socket *Socket, v Visitor) {
	l := &line{pipes: s, socket: socket}
	defer l.survive(ctx)
	if !s.seat(v.Address) {
		socket.End(TooManyOfAddress)
		return
	}
	defer s.unseat(v.Address)
	joined := make(chan bool)
	go func() { // whose stack goes with it; an idle page keeps ours
		defer close(joined)
		defer l.survive(ctx)
		joined <- l.join(ctx, &v)
	}()
	switch {
	case <-joined:
		defer l.end()
		l.listen()
	case l.pipe != nil: // a mistake of ours on the way
		l.end()
	}
}

// end lets go of the pipe and then of the socket, which may have been closed with more than that.
func (l *line) end() {
	l.pipe.leave(l)
	l.writers.Wait()
	l.socket.End(Lost)
}

// survive keeps a mistake of ours from taking other pages down.
func (l *line) survive(ctx context.Context) {
	if panicked := recover(); panicked != nil {
		l.pipes.panics.Add(1)
		l.pipes.config.Log.ErrorContext(ctx, "line panicked", "panic", panicked, "stack", string(debug.Stack()))
		l.socket.End(Fault)
	}
}

// join waits for the first frame and does what it says: finds the pipe, or opens one, and tells the page how far it is.
func (l *line) join(ctx context.Context, v *Visitor) bool {
	j, err := l.firstFrame(ctx)
	if err != nil {
		l.socket.End(endOf(err))
		return false
	}
	p, refused := l.pipes.findOrOpen(j.ID, *v)
	if refused != nil {
		l.pipes.config.Log.DebugContext(ctx, "WebSocket of a pipe refused", "reason", refused.reason)
		l.socket.End(refused.code)
		return false
	}
	if !p.admit(l) {
		l.socket.End(Moved)
		return false
	}
	l.pipe, l.named = p, j.ID == ""
	first := frame{kind: framePing, have: j.Have}
	if j.Take {
		first.kind = frameTake
	}
	if err := l.handle(first); err != nil {
		p.End(endOf(err))
	}
	return true
}

func (l *line) firstFrame(ctx context.Context) (j joinFrame, err error) {
	l.within(l.pipes.config.JoinIn)
	defer context.AfterFunc(ctx, func() { _ = l.socket.SetReadDeadline(time.Unix(1, 0)) })()
	message, err := l.next()
	defer giveBack(message)
	if ctx.Err() != nil {
		return j, Restart
	}
	if err != nil {
		return j, err
	}
	return readJoin(*message)
}

// messages are lent while one is read or written, so that an idle line holds none.
var messages = sync.Pool{New: func() any { return new([]byte) }}

func giveBack(message *[]byte) {
	if message != nil && cap(*message) <= 2*maxUpload {
		messages.Put(message)
	}
}

// within bounds how long next waits.
func (l *line) within(d time.Duration) { _ = l.socket.SetReadDeadline(time.Now().Add(d)) }

// next waits for a whole message.
func (l *line) next() (*[]byte, error) {
	if err := l.socket.await(); err != nil {
		return nil, err
	}
	lent := messages.Get().(*[]byte)
	var err error
	*lent, err = l.socket.whole((*lent)[:0])
	return lent, err
}

// listen takes frames until the socket ends. A page that sends what it must not has ended its pipe; it is still listened
// to, until it has heard so.
func (l *line) listen() {
	for {
		l.within(l.pipes.config.Silence)
		message, err := l.next()
		if err != nil {
			giveBack(message)
			if reason := endOf(err); reason != Lost {
				l.pipe.End(reason)
			} else if errors.Is(err, io.EOF) {
				l.pipe.goodbye(l)
			}
			return
		}
		f, err := readFrame(*message)
		if err == nil {
			err = l.handle(f)
		}
		giveBack(message)
		if err != nil {
			l.pipe.End(endOf(err))
		}
	}
}

// handle does what a frame asks for. An error is the Reason to end the pipe.
func (l *line) handle(f frame) error {
	if l.pipe.tooFast(frameCost + len(f.data)) {
		return TooFast
	}
	l.pipe.heardNow()
	tell := f.kind == framePing
	switch {
	case f.kind == frameTake:
		tell = true
		if !l.pipe.give(l, f.have) {
			return Protocol
		}
	case !l.pipe.acknowledge(f.have):
		return Protocol
	}
	if f.kind == frameData {
		tell = l.bring(f)
	}
	l.answer(tell)
	return nil
}

// bring takes bytes up. A gap is to be told, but once: the page goes on from there, and what follows was under way.
func (l *line) bring(f frame) (tell bool) {
	ok := l.pipe.uploadWhole(f.pos, f.data)
	l.pipe.begin()
	if ok {
		return false
	}
	up, _ := l.pipe.positions()
	tell = l.gap != up+1
	l.gap = up + 1
	return tell
}

// answer has written what is due by now. The reader does not do so itself: writing takes a larger stack, which it would keep.
func (l *line) answer(tell bool) {
	l.pipe.mu.Lock()
	l.tell = l.tell || tell || l.pipe.received-l.told >= tellEvery
	if l.tell && l.claim() {
		l.writeAside()
	}
	l.pipe.mu.Unlock()
}

// claim says whether the caller is to write; the pipe's mu is held.
func (l *line) claim() bool {
	if l == nil || l.busy || l.gone {
		return false
	}
	l.busy = true
	return true
}

// finish has the last bytes written and goodbye said, within a moment; the pipe's mu is held.
func (l *line) finish() {
	if l.claim() {
		l.writeAside()
		return
	}
	l.socket.hurry()
}

// writeAside has a goroutine of its own write; the caller has claimed that.
func (l *line) writeAside() {
	l.writers.Go(func() {
		defer l.survive(context.Background())
		l.write()
	})
}

// write writes what is due until nothing is. A socket that does not take it in time is dropped; the bytes stay kept.
func (l *line) write() {
	lent := messages.Get().(*[]byte)
	defer giveBack(lent)
	for {
		frame, end := l.due(lent)
		if end != 0 {
			l.socket.End(end)
		}
		if frame == nil {
			return
		}
		if l.socket.Send(frame, time.Now().Add(l.pipes.config.WriteIn)) != nil {
			l.socket.End(Lost) // the reader notices; until it has left, nobody else writes
			return
		}
	}
}

// due gives the next frame, in lent if need be. If there is none, either the line is to end for a reason, or the caller's
// turn at writing is over.
func (l *line) due(lent *[]byte) (frame []byte, end Reason) {
	p := l.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.sent != nil {
		l.sent.letGo()
		l.sent = nil
	}
	from := max(l.from, p.down.base)
	switch {
	case l.moved:
		return nil, Moved
	case l.tell:
		a := answer{Up: p.received, Down: p.down.end, T: l.pipes.now()}
		if l.named {
			a.ID = p.id
		}
		l.tell, l.named, l.told = false, false, p.received
		*lent = appendTold((*lent)[:0], a)
		return *lent, 0
	case p.line == l && from < p.down.end:
		l.told = p.received
		frame, l.sent, l.from = p.down.frameAt(from, p.received, lent)
		return frame, 0
	case p.over:
		return nil, p.reason
	}
	l.busy = false
	return nil, 0
}
