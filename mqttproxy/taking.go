package mqttproxy

import (
	"context"
	"slices"
	"time"
)

// beginUpload counts a request that brings bytes; false means that too many do.
func (p *pipe) beginUpload() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.uploads >= maxUploads {
		return false
	}
	p.uploads++
	p.heard = p.pipes.clock()
	return true
}

func (p *pipe) endUpload() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.uploads--
	p.heard = p.pipes.clock()
}

// tooFast counts bytes that came up, the known ones too, and says whether they were too many.
func (p *pipe) tooFast(n int) bool {
	c := &p.pipes.config
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.pace.take(p.pipes.clock(), n, c.UpPerSecond, c.UpAtOnce) == 0 {
		return false
	}
	p.pipes.limited.note(&refusedFast)
	return true
}

// upload takes the part of body that is not known yet, as much as there is room for, and waits for room when there is
// none. ok is false if bytes before pos are missing. The same upload may come any number of times.
func (p *pipe) upload(ctx context.Context, pos int64, body []byte) (ok bool) {
	var timeout <-chan time.Time
	for {
		room, taken, ok := p.bring(pos, body)
		if room == nil || taken > 0 {
			return ok
		}
		if timeout == nil {
			timer := time.NewTimer(p.pipes.config.RoomIn)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-room:
		case <-timeout:
			return true
		case <-ctx.Done():
			return true
		}
	}
}

// uploadWhole is upload for a carrier that keeps order by itself: it waits until there is room for all of body.
func (p *pipe) uploadWhole(pos int64, body []byte) (ok bool) {
	for {
		room, _, ok := p.bring(pos, body)
		if room == nil {
			return ok
		}
		<-room
	}
}

// bring takes what is new of body and fits. If that was not all, room rings when there may be more.
func (p *pipe) bring(pos int64, body []byte) (room <-chan struct{}, taken int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken, ok = p.accept(pos, body)
	if ok && !p.over && pos+int64(len(body)) > p.received {
		room = p.room.wait()
	}
	return room, taken, ok
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
	p.came.ring()
	return len(body), true
}

// acknowledge lets go of what the page has; a position that was never sent is no acknowledgement.
func (p *pipe) acknowledge(have int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.release(have)
}

func (p *pipe) release(have int64) bool {
	if have > p.down.end {
		return false
	}
	if n := p.down.release(have); n > 0 {
		p.pipes.buffered.Add(int64(-n))
		p.room.ring()
	}
	return true
}

// attach makes a request the one that takes bytes down, from have on; whoever did so before is taken over from. It fails
// for a position that is no longer, or not yet, there: a request that was under way for too long.
func (p *pipe) attach(have int64) (turn uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if have < p.down.base || !p.release(have) {
		return 0, false
	}
	p.takeOver()
	return p.turn, true
}

// takeOver ends the turn of whoever takes bytes down, and begins the next one; p.mu is held.
func (p *pipe) takeOver() {
	if p.line != nil {
		p.line.moved = true
		p.line.finish()
		p.line = nil
	}
	p.turn++
	p.takers++
	p.dropped = false
	p.more.ring()
	p.heard = p.pipes.clock()
	p.lookAnew()
}

// untake says that one of those who take bytes down has left; p.mu is held.
func (p *pipe) untake() {
	p.takers--
	p.left = p.pipes.clock()
	p.lookAnew()
}

func (p *pipe) detach() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.untake()
}

// step is what a request that takes bytes down is to do next.
type step struct {
	pos     int64
	chunk   []byte          // to be written
	end     bool            // nothing comes any more, for this reason
	reason  Reason          // Moved for a request that was taken over from; Lost for one that is to break off
	changed <-chan struct{} // otherwise: closed when there may be more
}

// next gives what comes after from, at most so many bytes. The bytes stay kept until they are acknowledged.
func (p *pipe) next(turn uint64, from int64, most int) step {
	p.mu.Lock()
	defer p.mu.Unlock()
	from = max(from, p.down.base)
	switch {
	case turn != p.turn && p.dropped:
		return step{pos: from, end: true, reason: Lost}
	case turn != p.turn:
		return step{pos: from, end: true, reason: Moved}
	case from < p.down.end:
		return step{pos: from, chunk: p.down.appendTo(nil, from, most)}
	case p.over:
		return step{pos: from, end: true, reason: p.reason}
	}
	return step{pos: from, changed: p.more.wait()}
}

// admit makes l one of the lines; false means that there are too many.
func (p *pipe) admit(l *line) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.lines) >= maxLines {
		return false
	}
	p.lines = append(p.lines, l)
	return true
}

// give makes l the one that takes bytes down, from have on. What l says of positions is younger than what is known from
// elsewhere, so that a have from before the last acknowledgement only means that the page has more than it said here.
func (p *pipe) give(l *line, have int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.release(have) {
		return false
	}
	if p.line == l || l.moved {
		return true
	}
	p.takeOver()
	l.from = max(have, p.down.base)
	p.line, p.way = l, waySocket
	return true
}

// leave takes l off the pipe. Nobody begins to write to it any more.
func (p *pipe) leave(l *line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.gone = true
	p.lines = slices.DeleteFunc(p.lines, func(other *line) bool { return other == l })
	if p.line == l || l.moved {
		p.untake()
	}
	if p.line == l {
		p.line = nil
	}
}
