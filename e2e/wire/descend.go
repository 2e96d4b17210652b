package wire

import (
	"context"
	"errors"
	"time"
)

// descend takes bytes down by requests, instead of by whatever request does so now.
func (l *ladder) descend(way string) {
	if l.down != nil {
		l.down.cancel()
	}
	ctx, cancel := context.WithCancel(l.pipe.ctx)
	d := &descent{pipe: l.pipe, way: way, cancel: cancel, began: time.Now()}
	d.beat = func() {
		at := time.Now()
		l.then(func() { l.beat(d, at) })
	}
	l.down, l.beats = d, 0
	if way == ByStream {
		l.due(d, 0, max(leastWait, 2*l.rtt))
	}
	l.pipe.running.Go(func() {
		err := d.run(ctx)
		cancel()
		l.then(func() { l.descended(d, err) })
	})
}

// due gives up on a stream of which no further beat comes in time.
func (l *ladder) due(d *descent, beats int, within time.Duration) {
	l.after(within, func() {
		if l.down == d && l.beats == beats {
			l.hold()
		}
	})
}

func (l *ladder) beat(d *descent, at time.Time) {
	if l.down != d {
		return
	}
	l.beats++
	l.failed, l.worked = 0, time.Now()
	switch {
	case d.way == ByPoll:
		l.took(ByPoll)
	case l.beats == 1:
		l.beaten = at
		l.due(d, 1, beatAgain+max(leastWait, 2*l.rtt))
	case l.beats == 2 && at.Sub(l.beaten) < closeBeats:
		l.hold()
	case l.beats == 2:
		l.held = false
		l.took(ByStream)
	}
}

// took says that a lower way works; a socket on trial may still take over.
func (l *ladder) took(way string) {
	if l.serving == "" || l.serving == ByStream || l.serving == ByPoll {
		l.serves(way)
	}
}

// hold falls from a stream that is held back on the way to polls, where that is allowed.
func (l *ladder) hold() {
	if l.down == nil || l.down.way != ByStream || !l.may(ByPoll) {
		return
	}
	l.held = true
	l.descend(ByPoll)
}

// expect notices a stream that holds bytes back: an upload has been answered, so the server is there and near, and what it
// has sent does not come.
func (l *ladder) expect(sent int64) {
	l.worked = time.Now()
	d, at := l.down, l.got()
	if d == nil || d.way != ByStream || (sent <= at && l.beats > 0) {
		return
	}
	beats := l.beats
	l.after(max(leastMissing, 4*l.rtt), func() {
		if l.down == d && l.got() == at && l.beats == beats {
			l.hold()
		}
	})
}

func (l *ladder) got() int64 {
	l.pipe.mu.Lock()
	defer l.pipe.mu.Unlock()
	return l.pipe.got
}

// descended goes on after an answer has ended, however it did.
func (l *ladder) descended(d *descent, err error) {
	var ended *CloseError
	isEnd := errors.As(err, &ended)
	switch {
	case isEnd && ended.Code != errMoved.Code, errors.Is(err, ErrEvent) && l.down == d:
		l.pipe.fail(err)
		return
	case l.down != d:
		return
	}
	if d.way == ByStream && time.Since(d.began) < soon {
		l.short++
	} else {
		l.short = 0
	}
	if l.short >= 3 && l.may(ByPoll) {
		l.held = true
	}
	way := d.way
	if l.held {
		way = ByPoll
	}
	if err == nil {
		l.descend(way)
		return
	}
	l.failed++
	l.pipe.broke()
	if time.Since(l.worked) > giveUp {
		l.pipe.fail(err)
		return
	}
	if l.failed%4 == 0 {
		l.check()
	}
	l.after(min(time.Second, time.Duration(l.failed)*50*time.Millisecond), func() {
		if l.down == d {
			l.descend(way)
		}
	})
}

// check finds out whether the server is there, while what takes bytes down fails.
func (l *ladder) check() {
	l.pipe.running.Go(func() {
		if _, _, err := l.pipe.Ask("/hello", nil, nil); err == nil {
			l.then(func() { l.worked = time.Now() })
		}
	})
}

// Probe tries what is better than what serves, which goes on serving meanwhile: what a page does when it is told that the
// network has changed.
func (p *Pipe) Probe() {
	p.ladder.then(func() {
		l := &p.ladder
		if l.serving == BySocket || l.serving == "" {
			return
		}
		l.strikes = 0
		if l.may(BySocket) {
			l.drop() // it had its time
			l.dial()
		}
		if l.serving == ByPoll && l.may(ByStream) {
			l.held, l.short = false, 0
			l.descend(ByStream)
		}
	})
}

// drop lets a socket go that is on trial.
func (l *ladder) drop() {
	if l.line != nil {
		_ = l.line.socket.Close()
		l.line = nil
	}
}

// Move has the bytes go this way from now on, whatever the ladder thinks of it.
func (p *Pipe) Move(way string) {
	p.ladder.then(func() {
		l := &p.ladder
		switch {
		case way == l.serving:
		case way == BySocket:
			l.drop()
			l.dial()
		default:
			l.line = nil // it is told that it was taken over from, and ends
			l.serves(way)
			l.descend(way)
			p.lift(&posts{l})
		}
	})
}

// Cut breaks what carries bytes now, wherever it is.
func (p *Pipe) Cut() {
	p.ladder.then(func() {
		l := &p.ladder
		if l.line != nil {
			_ = l.line.socket.Close()
		}
		if l.down != nil {
			l.down.cancel()
		}
	})
}
