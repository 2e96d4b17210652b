package wire

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"time"
)

// When a way is judged, as on a page.
const (
	leastWait    = 1500 * time.Millisecond // for a sign of life where one is due
	leastMissing = 700 * time.Millisecond  // for bytes that the server says it has sent
	closeBeats   = 100 * time.Millisecond  // two beats, sent 300 ms apart, that come this close together were held back
	beatAgain    = 300 * time.Millisecond
	soon         = 2 * time.Second  // a stream that breaks before this did not work
	probation    = 30 * time.Second // a socket that breaks before this gets a strike; two, and it is tried last
	signEvery    = 10 * time.Second // from a page that only listens to a stream
	giveUp       = 30 * time.Second // nothing has worked for so long
)

// ladder picks the way of a pipe's bytes. It is what a page does, made small: no memory of earlier sessions, and no timers
// for trying a better way again, which happens only when a test says that the network is another one. Everything but then
// is called by run alone.
type ladder struct {
	pipe *Pipe
	plan []string
	do   chan func()

	round   int // of tries: what belongs to an older one comes too late
	began   time.Time
	worked  time.Time // when something last did
	rtt     time.Duration
	control string  // the request beside the socket: "asked", "answered", "failed"
	gone    bool    // the socket has failed in this round
	waiting *Socket // open, and the control is not yet answered

	serving string // the way that carries the session; empty while none does
	since   time.Time
	strikes int
	line    *line    // on trial or serving
	down    *descent // of stream or poll
	beats   int
	beaten  time.Time
	held    bool // streams are held back here
	short   int  // streams in a row that broke at once
	failed  int  // requests in a row
}

func (l *ladder) run() {
	l.worked = time.Now()
	l.start()
	tick := time.NewTicker(signEvery)
	defer tick.Stop()
	for {
		select {
		case f := <-l.do:
			f()
		case <-tick.C:
			l.pipe.sign()
		case <-l.pipe.ctx.Done():
			if l.waiting != nil {
				_ = l.waiting.Close()
			}
			return
		}
	}
}

// then has f run by the ladder, unless the pipe is over by then.
func (l *ladder) then(f func()) bool {
	select {
	case l.do <- f:
		return true
	case <-l.pipe.ctx.Done():
		return false
	}
}

func (l *ladder) after(d time.Duration, f func()) { time.AfterFunc(d, func() { _ = l.then(f) }) }

func (l *ladder) may(way string) bool { return slices.Contains(l.plan, way) }

// start tries everything anew: a plain request and the socket beside it.
func (l *ladder) start() {
	l.round++
	l.began, l.control, l.gone = time.Now(), "failed", true
	l.show("")
	if time.Since(l.worked) > giveUp {
		l.pipe.fail(errors.New("nothing works"))
		return
	}
	if l.may(ByStream) || l.may(ByPoll) {
		l.control = "asked"
		l.ask()
	}
	if l.may(BySocket) && (l.strikes < 2 || l.control == "failed") {
		l.gone = false
		l.dial()
	}
}

// again begins a new round after a rest, if this one has come to nothing.
func (l *ladder) again() {
	if l.serving != "" || l.control == "asked" || !l.gone || l.down != nil {
		return
	}
	round := l.round
	l.failed++
	l.after(min(time.Second, time.Duration(l.failed)*50*time.Millisecond), func() {
		if round == l.round {
			l.start()
		}
	})
}

// ask opens the pipe, or asks for a sign of life if it is open: the control.
func (l *ladder) ask() {
	var random [8]byte
	_, _ = rand.Read(random[:])
	nonce, asked, round, path := hex.EncodeToString(random[:]), time.Now(), l.round, "/hello"
	if l.pipe.ID() == "" {
		path = "/open"
	}
	l.pipe.running.Go(func() {
		told, _, err := l.pipe.Ask(path, map[string]string{"X-Nonce": nonce}, nil)
		if err == nil && told.Nonce != nonce {
			err = errForeign // a login page of a hotel, or an answer that was meant for somebody else
		}
		l.then(func() {
			if round == l.round {
				l.rtt = time.Since(asked)
				l.answered(told, err)
			}
		})
	})
}

func (l *ladder) answered(told Told, err error) {
	var ended *CloseError
	if errors.As(err, &ended) {
		l.pipe.fail(err)
		return
	}
	l.control = "failed"
	if err == nil {
		l.control, l.worked = "answered", time.Now()
		l.name(told.ID)
	}
	switch {
	case l.waiting != nil:
		socket := l.waiting
		l.waiting = nil
		l.join(socket)
	case err != nil:
		l.again()
		return
	}
	if l.gone {
		l.fall()
		return
	}
	round := l.round
	l.after(time.Until(l.began.Add(max(leastWait, 4*l.rtt))), func() {
		if round == l.round {
			l.fall()
		}
	})
}

func (l *ladder) name(id string) {
	l.pipe.mu.Lock()
	defer l.pipe.mu.Unlock()
	if l.pipe.id == "" {
		l.pipe.id = id
	}
}

func (l *ladder) dial() {
	round := l.round
	l.pipe.running.Go(func() {
		ctx, cancel := context.WithTimeout(l.pipe.ctx, Patience)
		defer cancel()
		socket, err := l.pipe.door.DialLine(ctx)
		if !l.then(func() { l.dialled(socket, err, round) }) && err == nil {
			_ = socket.Close()
		}
	})
}

func (l *ladder) dialled(socket *Socket, err error, round int) {
	switch {
	case err != nil && round != l.round:
	case err != nil:
		l.gone = true
		if l.control == "answered" {
			l.fall()
		}
		l.again()
	case round != l.round || (l.serving == BySocket):
		_ = socket.Close()
	case l.pipe.ID() == "" && l.control == "asked":
		l.waiting = socket
	default:
		l.join(socket)
	}
}

// join has a socket carry the pipe: at once where nothing does, or on trial.
func (l *ladder) join(socket *Socket) {
	line := &line{socket: socket, take: l.serving == ""}
	l.line = line
	if line.send(Join(l.pipe.ID(), l.pipe.have(), line.take)) == nil && line.take {
		l.pipe.lift(line)
	}
	l.pipe.running.Go(func() {
		err := line.run(l.pipe, func(t Told) {
			l.pipe.arrived(t.Up)
			l.then(func() { l.told(line, t) })
		})
		_ = socket.Close()
		l.then(func() { l.broke(line, err) })
	})
}

// told is what follows from a socket's answers: two of them, and one on trial takes over.
func (l *ladder) told(line *line, told Told) {
	l.name(told.ID)
	line.tolds++
	switch {
	case line.take && l.serving != BySocket && l.line == line:
		l.serves(BySocket)
		if l.down != nil {
			l.down.cancel()
			l.down = nil
		}
	case !line.take && line.tolds == 1:
		_ = line.send(Numbered(AskFrame, l.pipe.have()))
	case !line.take && l.line == line:
		line.take = true
		_ = line.send(Numbered(TakeFrame, l.pipe.have()))
		l.pipe.lift(line)
	}
}

func (l *ladder) serves(way string) {
	l.since, l.worked, l.failed = time.Now(), time.Now(), 0
	l.show(way)
}

// show sets what serves, for everybody to see.
func (l *ladder) show(way string) {
	l.serving = way
	l.pipe.mu.Lock()
	defer l.pipe.mu.Unlock()
	l.pipe.serving = way
	l.pipe.change()
}

// broke is what follows when a socket has ended.
func (l *ladder) broke(line *line, err error) {
	var ended *CloseError
	switch {
	case errors.As(err, &ended) && ended.Code != errMoved.Code && ended.Code != 1000 && ended.Code != 1001 && ended.Code != 1005,
		errors.Is(err, ErrEvent):
		l.pipe.fail(err)
	case l.line != line:
	case l.serving == BySocket:
		if time.Since(l.since) < probation && ended == nil {
			l.strikes++
		}
		l.line = nil
		l.pipe.broke()
		l.pipe.lift(nil)
		l.start()
	default:
		l.line, l.gone = nil, true
		if l.control == "answered" {
			l.fall()
		}
		l.again()
	}
}

// fall takes a lower way beside a socket that says nothing or has failed, once it is sure that the server is there.
func (l *ladder) fall() {
	if l.serving != "" || l.down != nil {
		return
	}
	way := ByStream
	if l.held || !l.may(ByStream) {
		way = ByPoll
	}
	if l.may(way) {
		l.descend(way)
		l.pipe.lift(&posts{l})
	}
}
