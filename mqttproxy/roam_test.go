package mqttproxy

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"trellis/access"
)

// roamer is a page on one pipe that goes from carrier to carrier. It leaves none before the next one has taken over, unless
// it was cut off.
type roamer struct {
	*arrivals
	pipes   *Pipes
	visitor Visitor
	id      string
	out     []byte   // all that it has to send so far
	leave   []func() // leaves what was taken over from
}

const uncut = 1 << 30

// carry goes on by another carrier, which breaks after so many bytes in either direction, and waits until nothing happens
// any more.
func (r *roamer) carry(way string, cut int) {
	if way == waySocket {
		r.leave = append(r.leave, r.byLine(cut))
	} else {
		r.post(cut)
		r.leave = append(r.leave, r.byRequests(way, cut))
	}
	synctest.Wait()
	for len(r.leave) > 1 {
		r.leave[0]()
		r.leave = r.leave[1:]
	}
}

func (r *roamer) stop() {
	for _, leave := range r.leave {
		leave()
	}
}

// cutConn breaks after so many bytes, in the middle of a write or a read if need be.
type cutConn struct {
	net.Conn
	all         *arrivals
	read, write int // bytes left; each is owned by one goroutine
}

func (c *cutConn) Read(p []byte) (int, error) { return c.pass(p, &c.read, c.Conn.Read) }

func (c *cutConn) Write(p []byte) (int, error) { return c.pass(p, &c.write, c.Conn.Write) }

func (c *cutConn) pass(p []byte, left *int, pass func([]byte) (int, error)) (n int, err error) {
	if *left > 0 {
		n, err = pass(p[:min(len(p), *left)])
		*left -= n
	}
	if *left == 0 {
		c.all.noteCut()
		_ = c.Close()
		return n, errCut
	}
	return n, err
}

func (r *roamer) byLine(cut int) (leave func()) {
	ours, theirs := net.Pipe()
	w := dialOn(r.t, r.pipes, r.visitor, &cutConn{ours, r.arrivals, cut, cut}, theirs, r.arrivals)
	up, have := r.known(), int64(len(r.got()))
	w.join(r.id, int(have), true)
	w.sayBytes(frameData, r.out[up:], up, have)
	return w.close
}

// post uploads what the server is not known to have.
func (r *roamer) post(cut int) {
	c := &client{t: r.t, pipes: r.pipes, visitor: r.visitor, id: r.id, got: []byte(r.got())}
	up := int(r.known())
	body := r.out[up:]
	if cut < len(body) {
		r.noteCut()
		c.up(up, io.MultiReader(bytes.NewReader(body[:cut]), failing{})) // the answer is lost too
		return
	}
	if status, said := c.up(up, bytes.NewReader(body)); status == http.StatusOK {
		r.noteTold(said)
	} else {
		r.t.Errorf("upload of %d from %d: %d %+v", len(body), up, status, said)
	}
}

// byRequests takes bytes down by a stream, or by polls.
func (r *roamer) byRequests(mode string, cut int) (leave func()) {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	answer := &eventWriter{arrivals: r.arrivals, header: http.Header{}, left: cut, cut: cancel}
	go func() {
		defer close(over)
		for ctx.Err() == nil && !answer.ended {
			c := &client{t: r.t, id: r.id}
			request := c.request("/live/down", nil, headerPos, strconv.Itoa(len(r.got())), headerMode, mode).WithContext(ctx)
			answer.text = ""
			r.pipes.Down(answer, request, r.visitor)
			if mode == wayStream {
				return
			}
		}
	}()
	return func() { cancel(); <-over }
}

// eventWriter notes events as they come, and breaks off after so many bytes.
type eventWriter struct {
	*arrivals
	header http.Header
	text   string
	left   int
	cut    func()
	ended  bool
}

func (w *eventWriter) Header() http.Header { return w.header }
func (w *eventWriter) WriteHeader(int)     {}
func (w *eventWriter) Flush()              {}

func (w *eventWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	whole := strings.LastIndex(w.text+string(p[:n]), "\n\n") + 2
	text := w.text + string(p[:n])
	if whole >= 2 {
		for _, e := range readEvents(w.t, text[:whole]) {
			switch e.kind {
			case "":
				w.note(e.pos, e.data)
			case "beat":
				w.noteTold(e.told)
			default:
				w.ended = true
			}
		}
		text = text[whole:]
	}
	w.text = text
	if w.left == 0 {
		w.noteCut()
		w.cut()
		return n, errCut
	}
	return n, nil
}

// talkAcross holds the conversation while it goes from one carrier to the other and back, each of which is cut once in
// each half, and gives what came down.
func talkAcross(t *testing.T, r *roamer, source *fakeSource, from, to string, cut int) {
	up, want := conversation()
	head := len(up) - 6 // the acknowledgement may only go when its message is on the way
	r.out = up[:head]
	r.carry(from, cut)
	r.carry(to, cut)
	r.carry(from, uncut)
	source.deliver(Message{Topic: "acme/local/k1/messages", Payload: []byte("down at 1")})
	synctest.Wait()
	r.out = up
	r.carry(to, cut)
	r.carry(from, cut)
	r.carry(to, uncut)
	if n := len(r.got()); n != want {
		t.Errorf("%s to %s, cut at %d: %d bytes came, want %d", from, to, cut, n, want)
	}
}

// A conversation that is cut anywhere, in either direction, on any carrier and while it moves to any other, is the same
// conversation: the same bytes, in one MQTT session.
func TestCutAtEveryByteOfEveryMove(t *testing.T) {
	for _, from := range Ways {
		for _, to := range Ways {
			t.Run(from+" to "+to, func(t *testing.T) {
				t.Parallel()
				cut, cuts := 0, 1
				for ; cuts > 0 && !t.Failed(); cut++ { // until it is said before the cut would come
					synctest.Test(t, func(t *testing.T) { cuts = cutOnce(t, from, to, cut) })
				}
				if up, _ := conversation(); cut < len(up) {
					t.Errorf("nothing was cut beyond %d bytes", cut)
				}
			})
		}
	}
}

func cutOnce(t *testing.T, from, to string, cut int) (cuts int) {
	source := &fakeSource{}
	h := NewHub(Config{Source: source})
	h.Seed([]Message{{Topic: "acme/local/x/publish", Payload: []byte("kept"), Parts: []string{"x"}}})
	h.Start()
	sessions := 0
	pipes, hub := served(h, PipesConfig{})
	serve := pipes.config.Serve
	pipes.config.Serve = func(c Carrier, g access.Grant) bool { sessions++; return serve(c, g) }
	r := &roamer{arrivals: &arrivals{t: t}, pipes: pipes, visitor: Visitor{Grant: testGrant()}}
	c := &client{t: t, pipes: pipes, visitor: r.visitor}
	c.open()
	r.id = c.id
	talkAcross(t, r, source, from, to, cut)
	if got := r.got(); got != string(hub.sent) {
		t.Errorf("cut at %d: got % x, want % x", cut, got, hub.sent)
	}
	if len(source.taken) != 2 || sessions != 1 {
		t.Errorf("cut at %d: the source took %d messages of %d sessions, want 2 of 1", cut, len(source.taken), sessions)
	}
	r.stop()
	_ = h.Close(context.Background())
	pipes.Close()
	synctest.Wait()
	return r.cuts
}
