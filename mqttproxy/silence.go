package mqttproxy

import "time"

// A page that takes bytes down says something now and then. If it does not, whatever takes them is dropped, and the page
// is away. If it stays away, the pipe ends. One timer for each pipe looks at this; it is seldom set anew, since hearing
// something only makes it look again.

// heardNow notes that something of the page came.
func (p *pipe) heardNow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = p.pipes.clock()
}

// afterGoodbye is how long a pipe waits whose page has closed its WebSocket: it was left or reloaded, or a proxy went away.
const afterGoodbye = 5 * time.Second

// goodbye notes that the page closed the WebSocket that took bytes down.
func (p *pipe) goodbye(l *line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.line == l {
		p.parted = p.pipes.clock()
	}
}

// patience is how long the page may still say nothing before something happens; p.mu is held.
func (p *pipe) patience(now time.Duration) time.Duration {
	c := &p.pipes.config
	away := c.Away
	if p.parted > 0 && p.parted >= p.heard {
		away = min(away, afterGoodbye)
	}
	until := max(p.heard, p.left) + away
	switch {
	case p.takers > 0:
		until = p.heard + c.Silence
	case p.uploads > 0:
		until = now + c.Away
	}
	if c.Life > 0 {
		until = min(until, p.opened+c.Life)
	}
	return until - now
}

// lookAnew sets the timer after something came or left; p.mu is held.
func (p *pipe) lookAnew() {
	if !p.over {
		p.watch.Reset(p.patience(p.pipes.clock()))
	}
}

// look does what is due: forget the pipe, end it, or drop whoever takes bytes down for a page that says nothing.
func (p *pipe) look() {
	p.mu.Lock()
	now := p.pipes.clock()
	left, over := p.patience(now), p.over
	old := p.pipes.config.Life > 0 && now-p.opened >= p.pipes.config.Life
	silent := !over && !old && left <= 0 && p.takers > 0
	if silent {
		p.drop()
		left = p.pipes.config.Away
	}
	if !over && left > 0 {
		p.watch.Reset(left)
	}
	p.mu.Unlock()
	switch {
	case over:
		p.pipes.forget(p)
	case old:
		p.End(Done)
	case left <= 0:
		p.End(Idle)
	}
}

// drop lets go of a request that takes bytes down. A line needs none of this: it has a deadline of its own; p.mu is held.
func (p *pipe) drop() {
	if p.line == nil {
		p.turn++
		p.dropped = true
		p.more.ring()
	}
}
