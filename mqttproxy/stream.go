package mqttproxy

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

const maxAsked = 1 << 10 // bytes in the body of a request for bytes, which says nothing

// Down hands bytes to the page: with the mode "stream" for as long as it stays, with "poll" once, when there are some.
// Both speak the same events, so that a page that falls from one to the other reads on in the same way.
func (s *Pipes) Down(w http.ResponseWriter, r *http.Request, v Visitor) {
	p, refused := s.lookup(r.Header.Get(headerSession), v)
	if refused != nil {
		s.refuse(w, nil, *refused)
		return
	}
	have, ok := parsePos(r.Header.Get(headerPos))
	if !ok {
		s.refuse(w, p, refusedPos)
		return
	}
	mode := r.Header.Get(headerMode)
	if mode != wayStream && mode != wayPoll {
		s.refuse(w, p, refusedMode)
		return
	}
	if !s.offers(w, mode) {
		return
	}
	// Before the limit on reading is lifted: net/http reads what a request still owes before it writes the answer.
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxAsked)); err != nil {
		s.refuse(w, p, refusedBroken)
		return
	}
	turn, ok := p.attach(have)
	if !ok {
		s.refuse(w, p, refusedGap)
		return
	}
	defer p.detach()
	p.takenBy(mode)
	control := http.NewResponseController(w)
	// The server's own limits are for short answers; here each write has one. A read limit that runs out would look as if
	// the page had gone.
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Time{})
	d := &descent{pipes: s, pipe: p, turn: turn, from: have, w: w, control: control, gone: r.Context().Done()}
	plainHeaders(w.Header())
	w.Header().Set("Content-Type", "text/event-stream")
	if mode == wayStream {
		d.stream()
	} else {
		d.poll()
	}
}

// descent is one request that takes bytes down.
type descent struct {
	pipes   *Pipes
	pipe    *pipe
	turn    uint64
	from    int64
	w       http.ResponseWriter
	control *http.ResponseController
	gone    <-chan struct{}
}

// stream writes events until the pipe ends, somebody takes over, the page goes, or its time is up. Two signs of life at
// the start, a moment apart, tell the page whether they come one by one or are held back on the way.
func (d *descent) stream() {
	config := d.pipes.config
	over := time.Now().Add(config.StreamFor)
	beat := time.Now().Add(beatAgain)
	if !d.write(d.beat(nil)) {
		return
	}
	timer := time.NewTimer(beatAgain)
	defer timer.Stop()
	for {
		if now := time.Now(); !now.Before(over) {
			d.write(d.beat(nil))
			return
		} else if !now.Before(beat) {
			beat = now.Add(config.BeatEvery)
			if !d.write(d.beat(nil)) {
				return
			}
		}
		next := d.pipe.next(d.turn, d.from, maxEvent)
		switch {
		case next.end && next.reason == Lost:
			return // the page may come again
		case next.end:
			d.write(endEvent(nil, next.reason))
			return
		case next.chunk != nil:
			if !d.write(dataEvent(nil, next.pos, next.chunk)) {
				return
			}
			d.from = next.pos + int64(len(next.chunk))
			continue
		}
		timer.Reset(until(beat, over))
		select {
		case <-next.changed:
		case <-d.gone:
			return
		case <-timer.C:
		}
	}
}

// poll waits until there is something, and answers with a body of known length.
func (d *descent) poll() {
	timer := time.NewTimer(d.pipes.config.PollFor)
	defer timer.Stop()
	body := []byte(nil)
	for waiting := true; waiting; {
		next := d.pipe.next(d.turn, d.from, maxUpload)
		switch {
		case next.end && next.reason == Lost:
			waiting = false
		case next.end:
			body, waiting = endEvent(body, next.reason), false
		case next.chunk != nil:
			body, waiting = dataEvent(body, next.pos, next.chunk), false
		default:
			select {
			case <-next.changed:
			case <-timer.C:
				waiting = false
			case <-d.gone:
				return
			}
		}
	}
	body = append(d.beat(nil), body...)
	d.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	d.write(body)
}

// write writes and flushes, within a limit; false means that nobody takes it.
func (d *descent) write(event []byte) bool {
	_ = d.control.SetWriteDeadline(time.Now().Add(d.pipes.config.WriteIn))
	if _, err := d.w.Write(event); err != nil {
		return false
	}
	return d.control.Flush() == nil
}

// beat is a sign of life: how far both directions are, and our clock.
func (d *descent) beat(to []byte) []byte {
	up, down := d.pipe.positions()
	body, _ := json.Marshal(answer{Up: up, Down: down, T: d.pipes.now()}) // numbers only
	return append(append(append(to, "event: beat\ndata: "...), body...), "\n\n"...)
}

// dataEvent lays out bytes of the page's session and the position of the first of them.
func dataEvent(to []byte, pos int64, chunk []byte) []byte {
	to = strconv.AppendInt(append(to, "id: "...), pos, 10)
	to = base64.StdEncoding.AppendEncode(append(to, "\ndata: "...), chunk)
	return append(to, "\n\n"...)
}

// endEvent tells the page that nothing comes any more, and why.
func endEvent(to []byte, why Reason) []byte {
	body, _ := json.Marshal(answer{Code: why.Code(), Reason: why.String(), Words: why.Words()}) // a number and words
	return append(append(append(to, "event: end\ndata: "...), body...), "\n\n"...)
}
