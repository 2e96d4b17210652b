package mqttproxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// held is a WebSocket whose messages wait until a test delivers them.
type held struct {
	waiting [][]byte
	broken  bool
	reason  Reason // why it was ended; 0 while it is not
}

func (h *held) Send(message []byte, _ time.Time) error {
	if h.broken {
		return errCut
	}
	h.waiting = append(h.waiting, bytes.Clone(message))
	return nil
}

func (h *held) End(reason Reason) {
	if h.reason == 0 {
		h.broken, h.reason = true, reason
	}
}

func (h *held) hurry() time.Time                { return time.Now() }
func (h *held) SetReadDeadline(time.Time) error { return nil }
func (h *held) await() error                    { panic("nobody listens") }
func (h *held) whole([]byte) ([]byte, error)    { panic("nobody listens") }

// farLine is a page's end of a line. What the page says is handled at once, what it is told comes when it comes.
type farLine struct {
	*line
	held *held
	came int // messages delivered
}

// far is one page's end of a pipe without a network: what it has sent and what came.
type far struct {
	t     *rapid.T
	p     *pipe
	sent  []byte // all that the page wants to send
	acks  int64  // how far the server said it is
	got   []byte
	turn  uint64 // of the request that takes bytes; 0 for none
	from  int64  // how far that has written
	lines []*farLine
	truth *hubEnd
}

// hubEnd is the hub's end of the same pipe: what it sent, and what it received.
type hubEnd struct {
	p        *pipe
	sent     []byte
	received []byte
}

func (h *hubEnd) receive(t *rapid.T) {
	h.p.mu.Lock()
	some := len(h.p.up) > 0
	h.p.mu.Unlock()
	if !some {
		return
	}
	into := make([]byte, 5)
	n, err := h.p.Receive(into)
	if err != nil {
		t.Fatal(err)
	}
	h.received = append(h.received, into[:n]...)
}

func (h *hubEnd) send(t *rapid.T, b []byte) {
	h.p.mu.Lock()
	b = b[:min(len(b), 64-h.p.down.len())]
	h.p.mu.Unlock()
	h.sent = append(h.sent, b...)
	if err := h.p.Send(b, time.Now()); err != nil {
		t.Fatal(err)
	}
}

// take notes bytes that came. They must be what was sent there, and not begin behind a gap.
func (f *far) take(pos int64, b []byte) {
	known := int64(len(f.got)) - pos
	end := pos + int64(len(b))
	if known < 0 || end > int64(len(f.truth.sent)) || !bytes.Equal(b, f.truth.sent[pos:end]) {
		f.t.Fatalf("%v came at %d; %d are known, %v was sent", b, pos, len(f.got), f.truth.sent)
	}
	if known < int64(len(b)) {
		f.got = append(f.got, b[known:]...)
	}
}

// read lets the request that takes bytes write once; lost bytes of it never arrive.
func (f *far) read(most int, lose func(n int) int) bool {
	if f.turn == 0 {
		return false
	}
	next := f.p.next(f.turn, f.from, most)
	if next.chunk == nil {
		return false
	}
	f.from = next.pos + int64(len(next.chunk))
	// What comes after a loss is not looked at: a request that loses bytes has broken.
	if kept := next.chunk[:len(next.chunk)-lose(len(next.chunk))]; next.pos <= int64(len(f.got)) {
		f.take(next.pos, kept)
	}
	return true
}

func (f *far) reattach() bool {
	turn, ok := f.p.attach(int64(len(f.got)))
	if ok {
		if f.turn != 0 {
			f.p.detach()
		}
		f.turn, f.from = turn, int64(len(f.got))
	}
	return ok
}

// upload sends so many bytes from pos on, and wants a gap to be noticed.
func (f *far) upload(pos, n int64) {
	ok := f.p.upload(context.Background(), pos, f.sent[pos:min(pos+n, int64(len(f.sent)))])
	up, _ := f.p.positions()
	if ok != (pos <= up) {
		f.t.Fatalf("upload at %d of %d: %v", pos, up, ok)
	}
}

// open joins by another WebSocket. It may have been under way for a while: what it says of positions may be old.
func (f *far) open(take bool, have int64) {
	h := &held{}
	l := &farLine{line: &line{pipes: f.p.pipes, socket: h, pipe: f.p}, held: h}
	if !f.p.admit(l.line) {
		return
	}
	f.lines = append(f.lines, l)
	kind := byte(framePing)
	if take {
		kind = frameTake
	}
	f.say(l, frame{kind: kind, have: have})
}

// say has the server handle a frame, as it would come on that line.
func (f *far) say(l *farLine, said frame) {
	b := binary.BigEndian.AppendUint64(nil, uint64(said.have))
	if said.kind == frameData {
		b = append(binary.BigEndian.AppendUint64(nil, uint64(said.pos)), append(b, said.data...)...)
	}
	read, err := readFrame(append([]byte{said.kind}, b...))
	if err == nil {
		err = l.handle(read)
	}
	if err != nil {
		f.t.Fatalf("%+v was answered %v", said, err)
	}
}

// deliver hands over the next messages of a line, in their order, as many as there are up to n.
func (f *far) deliver(l *farLine, n int) {
	for ; n > 0 && l.came < len(l.held.waiting); n-- {
		f.hear(l.held.waiting[l.came])
		l.came++
	}
}

func (f *far) hear(message []byte) {
	if message[0] == frameBytes {
		f.take(int64(binary.BigEndian.Uint64(message[1:])), message[dataHead:])
		f.told(int64(binary.BigEndian.Uint64(message[9:])))
		return
	}
	var a answer
	if err := json.Unmarshal(message[1:], &a); err != nil {
		f.t.Fatal(err)
	}
	f.told(a.Up)
}

func (f *far) told(up int64) {
	if real, _ := f.p.positions(); up > real {
		f.t.Fatalf("told of %d, have %d", up, real)
	}
	f.acks = max(f.acks, up)
}

// cut ends a line as a network does: what has not been delivered is lost.
func (f *far) cut(i int) {
	l := f.lines[i]
	l.held.broken = true
	f.p.leave(l.line)
	f.lines = append(f.lines[:i:i], f.lines[i+1:]...)
}

// finish takes all that is left, by any way.
func (f *far) finish(way string) {
	switch way {
	case waySocket:
		for len(f.lines) > 0 {
			f.cut(0)
		}
		f.open(true, int64(len(f.got)))
		f.lines[0].writers.Wait()
		for len(f.got) < len(f.truth.sent) {
			f.deliver(f.lines[0], 1)
		}
		f.say(f.lines[0], frame{kind: frameData, pos: f.acks, data: f.sent[f.acks:], have: int64(len(f.got))})
	default:
		if !f.reattach() {
			f.t.Fatal("cannot attach any more")
		}
		for f.read(7, func(int) int { return 0 }) {
		}
		f.upload(f.acks, int64(len(f.sent)))
	}
	for len(f.truth.received) < len(f.sent) {
		f.truth.receive(f.t)
	}
}

// step does one of all the things that can happen.
func (f *far) step(t *rapid.T, fresh func(n int) []byte) {
	n := rapid.IntRange(0, 20).Draw(t, "n")
	old := func(name string, most int) int64 { return rapid.Int64Range(0, int64(most)).Draw(t, name) }
	step := rapid.IntRange(0, 16).Draw(t, "step")
	if step > 10 && len(f.lines) == 0 {
		step -= 11
	}
	line := 0
	if step > 10 {
		line = rapid.IntRange(0, len(f.lines)-1).Draw(t, "line")
	}
	switch step {
	case 0:
		f.truth.send(t, fresh(n))
	case 1:
		f.sent = append(f.sent, fresh(n)...)
	case 2: // from anywhere: an old upload again, or one that overtook the one before it
		f.upload(old("pos", len(f.sent)), int64(n))
	case 3:
		f.upload(f.acks, int64(n))
		if n%3 != 0 { // otherwise the answer was lost
			f.acks, _ = f.p.positions()
		}
	case 4:
		f.reattach()
	case 5:
		f.read(n+1, func(m int) int { return min(m, n%4) })
	case 6: // an acknowledgement, perhaps of long ago
		f.p.acknowledge(old("ack", len(f.got)))
	case 7:
		f.truth.receive(t)
	case 8: // a page that says nothing for long
		f.p.mu.Lock()
		f.p.drop()
		f.p.mu.Unlock()
	case 9, 10:
		f.open(step == 9, old("have", len(f.got)))
	case 11:
		f.say(f.lines[line], frame{kind: frameTake, have: old("have", len(f.got))})
	case 12:
		pos := old("pos", len(f.sent))
		f.say(f.lines[line], frame{kind: frameData, pos: pos, have: old("ack", len(f.got)), data: f.sent[pos:min(int(pos)+n, len(f.sent))]})
	case 13:
		f.say(f.lines[line], frame{kind: framePing, have: old("ack", len(f.got))})
	case 14:
		f.deliver(f.lines[line], n)
	case 15: // what came long ago comes again
		if came := f.lines[line].came; came > 0 {
			f.hear(f.lines[line].held.waiting[old("again", came-1)])
		}
	case 16:
		f.cut(line)
	}
	for _, l := range f.lines {
		l.writers.Wait()
	}
}

// Whatever is cut, doubled or re-ordered, and wherever it moves, what one side sends is what the other receives.
func TestPipeLosesAndDoublesNothing(t *testing.T) {
	runs(t, 10_000)
	rapid.Check(t, func(t *rapid.T) {
		pipes := testPipes(PipesConfig{Replay: 64})
		defer pipes.Close()
		p, _ := pipes.open(Visitor{})
		f := &far{t: t, p: p, truth: &hubEnd{p: p}}
		count := byte(0)
		fresh := func(n int) []byte {
			b := make([]byte, n)
			for i := range b {
				count++
				b[i] = count
			}
			return b
		}
		for range rapid.IntRange(30, 100).Draw(t, "steps") {
			f.step(t, fresh)
		}
		f.finish(rapid.SampledFrom(Ways).Draw(t, "last way"))
		if !bytes.Equal(f.got, f.truth.sent) || !bytes.Equal(f.truth.received, f.sent) {
			t.Fatalf("down %v, want %v; up %v, want %v", f.got, f.truth.sent, f.truth.received, f.sent)
		}
		for _, l := range f.lines {
			f.p.leave(l.line)
		}
		if f.turn != 0 {
			f.p.detach()
		}
		if f.p.takers != 0 || len(f.p.lines) != 0 {
			t.Fatalf("%d still take bytes, %d lines are left", f.p.takers, len(f.p.lines))
		}
	})
}
