package mqttproxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// cutter is an answer that breaks off after so many bytes of its body.
type cutter struct {
	header http.Header
	left   int
	cut    context.CancelFunc
	got    bytes.Buffer
}

var errCut = errors.New("cut")

func (c *cutter) Header() http.Header { return c.header }
func (c *cutter) WriteHeader(int)     {}
func (c *cutter) Flush()              {}
func (c *cutter) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.got.Write(p[:n])
	c.left -= n
	if c.left == 0 {
		c.cut()
		return n, errCut
	}
	return n, nil
}

// event is one event of a stream or a poll.
type event struct {
	kind string
	pos  int64
	data []byte // bytes of the session
	told answer
}

// readEvents reads all whole events.
func readEvents(t testing.TB, text string) (events []event) {
	t.Helper()
	for {
		one, rest, whole := strings.Cut(text, "\n\n")
		if !whole {
			return events
		}
		text = rest
		var e event
		for line := range strings.SplitSeq(one, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			var err error
			switch {
			case name == "event":
				e.kind = value
			case name == "id":
				e.pos, err = strconv.ParseInt(value, 10, 64)
			case e.kind == "":
				e.data, err = base64.StdEncoding.DecodeString(value)
			default:
				err = json.Unmarshal([]byte(value), &e.told)
			}
			if err != nil {
				t.Fatalf("event %q: %v", one, err)
			}
		}
		events = append(events, e)
	}
}

// client is a page that speaks to Pipes without a network in between.
type client struct {
	t       testing.TB
	pipes   *Pipes
	visitor Visitor
	id      string
	got     []byte // of the session, in order
}

// request makes one with the pipe's headers.
func (c *client) request(path string, body io.Reader, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, body)
	r.Header.Set(headerSession, c.id)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func told(t testing.TB, w *httptest.ResponseRecorder) (a answer) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("answer %d %q: %v", w.Code, w.Body, err)
	}
	return a
}

func (c *client) open() (int, answer) {
	w := httptest.NewRecorder()
	c.pipes.Open(w, c.request("/live/open", nil), c.visitor)
	a := told(c.t, w)
	c.id = a.ID
	return w.Code, a
}

func (c *client) up(pos int, body io.Reader) (int, answer) {
	w := httptest.NewRecorder()
	c.pipes.Up(w, c.request("/live/up", body, headerPos, strconv.Itoa(pos), headerAck, strconv.Itoa(len(c.got))), c.visitor)
	return w.Code, told(c.t, w)
}

// down makes one request for bytes, cut after so many bytes of its answer or when enough have come; it says what came besides data.
func (c *client) down(mode string, cut int, enough int) []event {
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	w := &cutter{header: http.Header{}, left: cut, cut: cancel}
	stop := time.AfterFunc(time.Minute, cancel)
	defer stop.Stop()
	if enough >= 0 {
		w.cut = func() {}
		go func() { // leaves when all has come that is to come
			ticker := time.NewTicker(time.Millisecond)
			defer ticker.Stop()
			for {
				select {
				case <-ticker.C:
				case <-ctx.Done():
					return
				}
				p, _ := c.pipes.find(c.id, c.visitor)
				if _, sent := p.positions(); sent >= int64(enough) {
					time.Sleep(time.Millisecond)
					cancel()
					return
				}
			}
		}()
	}
	r := c.request("/live/down", nil, headerPos, strconv.Itoa(len(c.got)), headerMode, mode).WithContext(ctx)
	c.pipes.Down(w, r, c.visitor)
	var others []event
	for _, e := range readEvents(c.t, w.got.String()) {
		if e.kind != "" {
			others = append(others, e)
		} else if known := int64(len(c.got)) - e.pos; known >= 0 && known < int64(len(e.data)) {
			c.got = append(c.got, e.data[known:]...)
		} else if known < 0 {
			c.t.Fatalf("bytes from %d on came, %d are known", e.pos, len(c.got))
		}
	}
	return others
}

func TestAStreamBeatsTwiceAtItsStartAndThenSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := testPipes(PipesConfig{})
		c := &client{t: t, pipes: pipes}
		c.open()
		ctx, cancel := context.WithTimeout(t.Context(), 31*time.Second)
		defer cancel()
		w := &cutter{header: http.Header{}, left: 1 << 20}
		began := time.Now().UnixMilli()
		pipes.Down(w, c.request("/", nil, headerPos, "0", headerMode, "stream").WithContext(ctx), c.visitor)
		var at []int64
		for _, e := range readEvents(t, w.got.String()) {
			at = append(at, e.told.T-began)
		}
		if want := []int64{0, 300, 15_300, 30_300}; !slices.Equal(at, want) {
			t.Errorf("beats at %v, want %v", at, want)
		}
		if got := w.header.Get("Cache-Control"); got != "no-store, no-transform" || w.header.Get("X-Accel-Buffering") != "no" {
			t.Errorf("headers %v", w.header)
		}
		pipes.Close()
	})
}

// alive has the page say something now and then, until it is stopped.
func alive(c *client) (stop func()) {
	over, stopped := make(chan struct{}), make(chan struct{})
	voice := &client{t: c.t, pipes: c.pipes, visitor: c.visitor, id: c.id}
	go func() {
		defer close(stopped)
		for {
			select {
			case <-over:
				return
			case <-time.After(15 * time.Second):
				voice.up(0, http.NoBody)
			}
		}
	}()
	return func() { close(over); <-stopped }
}

func TestAStreamAndAPollAreOverInTime(t *testing.T) {
	for mode, want := range map[string]time.Duration{"stream": 5 * time.Minute, "poll": 20 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			pipes := testPipes(PipesConfig{})
			c := &client{t: t, pipes: pipes}
			c.open()
			w := httptest.NewRecorder()
			began := time.Now()
			defer alive(c)()
			pipes.Down(w, c.request("/", nil, headerPos, "0", headerMode, mode), c.visitor)
			if lasted := time.Since(began); lasted != want {
				t.Errorf("%s lasted %v, want %v", mode, lasted, want)
			}
			if length := w.Header().Get("Content-Length"); (length == strconv.Itoa(w.Body.Len())) != (mode == "poll") {
				t.Errorf("%s has the length %q", mode, length)
			}
			pipes.Close()
		})
	}
}

func TestANewRequestTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := testPipes(PipesConfig{})
		c := &client{t: t, pipes: pipes}
		c.open()
		first := make(chan []event)
		go func() { first <- c.down("stream", 1<<20, -1) }()
		synctest.Wait()
		second := make(chan struct{})
		go func() {
			other := &client{t: t, pipes: pipes, id: c.id}
			other.down("poll", 1<<20, -1)
			close(second)
		}()
		events := <-first
		if last := events[len(events)-1]; last.kind != "end" || last.told.Code != Moved.Code() {
			t.Errorf("the first was told %+v", last)
		}
		<-second
		pipes.Close()
	})
}

func TestAnEndIsToldAfterWhatWasSentBefore(t *testing.T) {
	for _, mode := range []string{"stream", "poll"} {
		pipes := testPipes(PipesConfig{})
		c := &client{t: t, pipes: pipes}
		c.open()
		p, _ := pipes.find(c.id, c.visitor)
		_ = p.Send([]byte("last words"), time.Now().Add(time.Second))
		p.End(Restart)
		var others []event
		for len(others) == 0 || others[len(others)-1].kind != "end" {
			others = append(others, c.down(mode, 1<<20, -1)...)
		}
		if last := others[len(others)-1].told; string(c.got) != "last words" || last.Code != 4012 || last.Words == "" {
			t.Errorf("%s: got %q and %+v", mode, c.got, last)
		}
		if status, a := c.up(0, strings.NewReader("x")); status != http.StatusGone || a.Code != 4012 {
			t.Errorf("an upload was answered %d %+v", status, a)
		}
		pipes.Close()
	}
}

func TestUploadsThatAreNotTaken(t *testing.T) {
	pipes := testPipes(PipesConfig{})
	defer pipes.Close()
	c := &client{t: t, pipes: pipes}
	c.open()
	c.up(0, strings.NewReader("abc"))
	status, a := c.up(5, strings.NewReader("fg"))
	if status != http.StatusConflict || a.Up != 3 {
		t.Errorf("a gap was answered %d %+v", status, a)
	}
	if status, a := c.up(0, bytes.NewReader(make([]byte, maxUpload+1))); status != http.StatusRequestEntityTooLarge || a.Code != TooBig.Code() {
		t.Errorf("a large one was answered %d %+v", status, a)
	}
	for name, headers := range map[string][]string{
		"no position":      {headerAck, "0"},
		"a wrong position": {headerPos, "-1", headerAck, "0"},
		"an acknowledgement of more than was sent": {headerPos, "3", headerAck, "1"},
	} {
		w := httptest.NewRecorder()
		pipes.Up(w, c.request("/", strings.NewReader("d"), headers...), c.visitor)
		if w.Code != http.StatusBadRequest {
			t.Errorf("%s was answered %d", name, w.Code)
		}
	}
	if up, _ := mustFind(t, pipes, c).positions(); up != 3 {
		t.Errorf("%d bytes were taken", up)
	}
}

func mustFind(t *testing.T, pipes *Pipes, c *client) *pipe {
	t.Helper()
	p, known := pipes.find(c.id, c.visitor)
	if !known {
		t.Fatal("the pipe is not known")
	}
	return p
}

func TestAPipeIsItsVisitorsAlone(t *testing.T) {
	pipes := testPipes(PipesConfig{})
	defer pipes.Close()
	a := &client{t: t, pipes: pipes, visitor: Visitor{Grant: testGrant(), Session: "a's cookie"}}
	a.open()
	other, renewed := testGrant(), testGrant()
	other.KeyID, renewed.Print = "k2", "another"
	for name, thief := range map[string]Visitor{
		"another cookie": {Grant: testGrant(), Session: "b's cookie"},
		"no cookie":      {Grant: testGrant()},
		"another key":    {Grant: other, Session: "a's cookie"},
		"a renewed key":  {Grant: renewed, Session: "a's cookie"},
	} {
		b := &client{t: t, pipes: pipes, visitor: thief, id: a.id}
		if status, said := b.up(0, strings.NewReader("x")); status != http.StatusNotFound || said.Code != 4004 || said.Up != 0 {
			t.Errorf("%s: an upload was answered %d %+v", name, status, said)
		}
		w := httptest.NewRecorder()
		pipes.Down(w, b.request("/", nil, headerPos, "0", headerMode, "poll"), thief)
		if w.Code != http.StatusNotFound || told(t, w).Code != 4004 {
			t.Errorf("%s: down was answered %d %s", name, w.Code, w.Body)
		}
	}
	made := &client{t: t, pipes: pipes, visitor: a.visitor, id: "a.00000000000000000000000000000000"}
	if status, _ := made.up(0, strings.NewReader("x")); status != http.StatusNotFound {
		t.Errorf("an id of the page's own was answered %d", status)
	}
	if up, _ := mustFind(t, pipes, a).positions(); up != 0 {
		t.Errorf("a stranger's bytes were taken: %d", up)
	}
}

func TestPipesOverARealServer(t *testing.T) {
	h, source := newTestHub(t, Config{})
	pipes, _ := served(h, PipesConfig{BeatEvery: 500 * time.Millisecond})
	defer pipes.Close()
	v := Visitor{Grant: testGrant()}
	mux := http.NewServeMux()
	mux.HandleFunc("/live/up", func(w http.ResponseWriter, r *http.Request) { pipes.Up(w, r, v) })
	mux.HandleFunc("/live/down", func(w http.ResponseWriter, r *http.Request) { pipes.Down(w, r, v) })
	web := httptest.NewUnstartedServer(mux)
	web.Config.ReadTimeout, web.Config.WriteTimeout = time.Second, time.Second
	web.Start()
	defer web.Close()
	c := &client{t: t, pipes: pipes, visitor: v}
	c.open()
	request := c.request(web.URL+"/live/down", nil, headerPos, "0", headerMode, "stream")
	request.RequestURI = ""
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stream, err := web.Client().Do(request.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	c.up(0, bytes.NewReader(slices.Concat(connectPacket(0), subscribePacket(1, 0, "acme/local/+/publish"))))
	var text strings.Builder
	lines := bufio.NewScanner(stream.Body)
	beats, delivered := 0, false
	for lines.Scan() { // several times as long as the server lets short answers take
		text.WriteString(lines.Text() + "\n")
		if lines.Text() == "event: beat" {
			beats++
		}
		if beats == 6 && !delivered {
			delivered = true
			source.deliver(Message{Topic: "acme/local/x/publish", Payload: []byte("late")})
		}
		var got []byte
		for _, e := range readEvents(t, text.String()) {
			got = append(got, e.data...)
		}
		if bytes.Contains(got, []byte("late")) {
			return
		}
	}
	t.Fatalf("the stream ended: %v\n%s", lines.Err(), text.String())
}
