package mqttproxy

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPipeThatIsNotReadFallsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := testPipes(PipesConfig{})
		p, _ := pipes.open(Visitor{})
		if err := p.Send(make([]byte, 256<<10), time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		err := p.Send([]byte{1}, time.Now().Add(time.Second))
		if !errors.Is(err, os.ErrDeadlineExceeded) || reasonOf(err) != Behind {
			t.Errorf("got %v, want what means Behind", err)
		}
		pipes.Close()
	})
}

func TestPipeBytesAreBoundedInAll(t *testing.T) {
	pipes := testPipes(PipesConfig{Buffered: 100})
	defer pipes.Close()
	a, _ := pipes.open(Visitor{})
	b, _ := pipes.open(Visitor{})
	if err := a.Send(make([]byte, 60), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := b.Send(make([]byte, 60), time.Now().Add(time.Second)); !errors.Is(err, TooManyBytes) {
		t.Errorf("got %v, want TooManyBytes", err)
	}
	a.acknowledge(60)
	if err := b.Send(make([]byte, 60), time.Now().Add(time.Second)); err != nil {
		t.Errorf("after room was made: %v", err)
	}
	a.End(Done)
	b.End(Done)
	pipes.forget(a)
	pipes.forget(b)
	if n := pipes.buffered.Load(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}

func TestPipesAreLimited(t *testing.T) {
	key2 := testGrant()
	key2.KeyID = "k2"
	for name, tt := range map[string]struct {
		config PipesConfig
		second Visitor
		status int
		reason string
		code   Reason
	}{
		"of one address": {PipesConfig{PerAddress: 1}, Visitor{Grant: key2, Address: "x"}, 429, "too_many_of_address", TooManyOfAddress},
		"of one key":     {PipesConfig{PerGrant: 1}, Visitor{Grant: testGrant(), Address: "y"}, 429, "too_many_of_key", TooManyOfKey},
		"in all":         {PipesConfig{Max: 1}, Visitor{Grant: key2, Address: "y"}, 503, "too_many", TooMany},
	} {
		t.Run(name, func(t *testing.T) {
			pipes := testPipes(tt.config)
			defer pipes.Close()
			first := &client{t: t, pipes: pipes, visitor: Visitor{Grant: testGrant(), Address: "x"}}
			first.open()
			second := &client{t: t, pipes: pipes, visitor: tt.second}
			status, a := second.open()
			if status != tt.status || a.Code != tt.code.Code() || a.Reason != tt.reason || a.Words == "" {
				t.Errorf("answered %d %+v", status, a)
			}
			p := mustFind(t, pipes, first)
			p.End(Done)
			pipes.forget(p)
			if status, _ := second.open(); status != 200 {
				t.Errorf("after the first was gone: %d", status)
			}
		})
	}
}

func TestWebSocketsOfAnAddressAreLimited(t *testing.T) {
	inLine(t, PipesConfig{PerAddress: 1}, func(t *testing.T, pipes *Pipes) {
		var all []*wired
		for range 3 {
			all = append(all, dialLine(t, pipes, Visitor{Address: "x"}))
			synctest.Wait()
		}
		<-all[2].served
		<-all[2].over
		if all[0].code != 0 || all[1].code != 0 || all[2].code != TooManyOfAddress.Code() {
			t.Errorf("closed with %d, %d and %d", all[0].code, all[1].code, all[2].code)
		}
		all[0].join("", 0, true)
		synctest.Wait()
		all[1].join("", 0, true)
		synctest.Wait()
		if _, n := all[0].lastTold(); n != 1 || all[1].code != TooManyOfAddress.Code() || all[1].words == "" {
			t.Errorf("one was told %d times, the other closed with %d", n, all[1].code)
		}
		all[0].close()
		<-all[1].served
		if len(pipes.lines) != 0 {
			t.Errorf("still counted: %v", pipes.lines)
		}
	})
}

func TestAPageThatSendsTooMuchIsTold(t *testing.T) {
	config := PipesConfig{UpPerSecond: 1000 + frameCost, UpAtOnce: 3000 + 4*frameCost}
	config.Serve = taking
	inLine(t, config, func(t *testing.T, pipes *Pipes) {
		w, p := opened(t, pipes)
		for i := range 5 { // more than it may at once, but over two seconds
			w.sayBytes(frameData, make([]byte, 1000), int64(i*1000), 0)
			time.Sleep(time.Second / 2)
		}
		if w.code != 0 {
			t.Fatalf("closed with %d within its rate", w.code)
		}
		w.sayBytes(frameData, make([]byte, 1000), 5000, 0)
		<-w.served
		<-w.over
		if reason, _ := p.ended(); reason != TooFast || w.code != 4024 || w.words == "" {
			t.Errorf("ended with %v, closed with %d", reason, w.code)
		}
		chatty, _ := opened(t, pipes)
		for range 20 {
			chatty.say(framePing, 0)
		}
		<-chatty.over
		if chatty.code != 4024 {
			t.Errorf("a page that says nothing, and often, was closed with %d", chatty.code)
		}
		c := &client{t: t, pipes: pipes}
		c.open()
		status, a := c.up(0, bytes.NewReader(make([]byte, 5000)))
		if status != http.StatusTooManyRequests || a.Code != 4024 || a.Reason != "too_fast" || a.Words == "" {
			t.Errorf("an upload was answered %d %+v", status, a)
		}
		if status, a := c.up(0, strings.NewReader("x")); status != http.StatusGone || a.Code != 4024 {
			t.Errorf("the next one was answered %d %+v", status, a)
		}
	})
}

func TestAPipeOfAnotherNodeIsElsewhere(t *testing.T) {
	inLine(t, PipesConfig{Node: "b"}, func(t *testing.T, pipes *Pipes) {
		c := &client{t: t, pipes: pipes}
		c.open()
		if !strings.HasPrefix(c.id, "b.") {
			t.Errorf("the id %q does not name its node", c.id)
		}
		c.id = "a" + c.id[1:]
		if status, a := c.up(0, strings.NewReader("x")); status != http.StatusMisdirectedRequest || a.Code != 4004 || a.Reason != "elsewhere" {
			t.Errorf("an upload was answered %d %+v", status, a)
		}
		w := httptest.NewRecorder()
		pipes.Down(w, c.request("/", nil, headerPos, "0", headerMode, "poll"), c.visitor)
		if w.Code != http.StatusMisdirectedRequest {
			t.Errorf("down was answered %d", w.Code)
		}
		line := dialLine(t, pipes, Visitor{})
		line.join(c.id, 0, true)
		<-line.served
		<-line.over
		if line.code != 4004 {
			t.Errorf("a WebSocket was closed with %d", line.code)
		}
	})
}

func TestThePlanIsToldAndKept(t *testing.T) {
	pipes := testPipes(PipesConfig{Ways: []string{"poll", "stream"}})
	defer pipes.Close()
	c := &client{t: t, pipes: pipes}
	w := httptest.NewRecorder()
	pipes.Hello(w, c.request("/", nil, headerNonce, "n1"))
	_, opened := c.open()
	if hello := told(t, w); !slices.Equal(hello.Ways, []string{"poll", "stream"}) || !slices.Equal(opened.Ways, hello.Ways) || hello.Nonce != "n1" {
		t.Errorf("hello says %+v, open %+v", hello, opened)
	}
	w = httptest.NewRecorder()
	if _, err := pipes.Accept(w, c.request("/live", nil)); !errors.Is(err, ErrWayOff) || w.Code != http.StatusForbidden || told(t, w).Reason != "way_off" {
		t.Errorf("a WebSocket was answered %d %s", w.Code, w.Body)
	}
	pipes = testPipes(PipesConfig{Ways: []string{"socket"}})
	defer pipes.Close()
	c.pipes = pipes
	c.open()
	for _, mode := range []string{"stream", "poll"} {
		w := httptest.NewRecorder()
		pipes.Down(w, c.request("/", nil, headerPos, "0", headerMode, mode), c.visitor)
		if a := told(t, w); w.Code != http.StatusForbidden || a.Reason != "way_off" || a.Code != 0 || a.Words == "" {
			t.Errorf("%s was answered %d %+v", mode, w.Code, a)
		}
	}
}

func TestOpenIsAControlToo(t *testing.T) {
	pipes := testPipes(PipesConfig{})
	defer pipes.Close()
	c := &client{t: t, pipes: pipes}
	w := httptest.NewRecorder()
	pipes.Open(w, c.request("/", nil, headerNonce, "n2"), c.visitor)
	if a := told(t, w); a.Nonce != "n2" || a.ID == "" || !slices.Equal(a.Ways, Ways) {
		t.Errorf("answered %+v", a)
	}
}
