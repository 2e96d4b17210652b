package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// door is where this page's pipes go, through a network or straight. A browser has six connections to a host and no more.
func (b *browser) door(base string) wire.Door {
	b.t.Helper()
	client := &http.Client{
		Transport:     &http.Transport{MaxConnsPerHost: 6},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	b.t.Cleanup(client.CloseIdleConnections)
	return wire.Door{HTTP: client, Base: base + "/live", Header: b.liveHeader()}
}

// pipe opens a page's MQTT session that may go these ways.
func (b *browser) pipe(base string, plan ...string) (*wire.Client, *wire.Pipe) {
	b.t.Helper()
	pipe := wire.DialPipe(b.door(base), plan...)
	b.t.Cleanup(func() { _ = pipe.Close() })
	client, err := wire.OpenOn(pipe, wire.Login{ClientID: "page", KeepAlive: 60})
	if err != nil {
		b.t.Fatalf("log in by %v: %v", plan, err)
	}
	return client, pipe
}

func TestPipeThatMovesLosesNothing(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	page := s.browser()
	page.signIn(k)
	client, pipe := page.pipe(s.url)
	must(t, client.Subscribe(1, k.topic("publish")))
	device := s.device(k, "#device")
	ways := []string{wire.ByStream, wire.BySocket, wire.ByPoll, wire.ByStream, wire.ByPoll, wire.BySocket}
	for i := range 60 {
		switch {
		case i%10 == 5:
			pipe.Cut()
		case i%10 == 0:
			pipe.Move(ways[i/10])
		}
		payload := fmt.Appendf(nil, `{"data":{"n":%d}}`, i)
		sender := []*wire.Client{device, client}[i%2]
		must(t, sender.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: payload}))
		m, err := client.Receive(prompt)
		must(t, err)
		if got := opened(t, m.Payload).Data; !bytes.Contains(got, fmt.Appendf(nil, `"n":%d}`, i)) {
			t.Fatalf("message %d is %s", i, got)
		}
	}
	t.Logf("bytes came down by %v", pipe.Went())
}

func TestPipeIsNoUseToAnotherSignIn(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	a, b := s.browser(), s.browser()
	a.signIn(k)
	b.signIn(k)
	client, pipe := a.pipe(s.url, wire.ByPoll)
	own := []string{"Origin", s.url, "X-Trellis-Session", pipe.ID(), "X-Pos", "0", "X-Ack", "0", "X-Mode", "poll", "Accept", "application/json"}
	for _, path := range []string{"/live/up", "/live/down"} {
		if r := b.do(http.MethodPost, path, "\xe0\x00", own...); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s was answered %s %s", path, r.Status, r.body)
		}
	}
	must(t, client.Ping()) // unharmed
}

func TestPipeEndsWithItsKeyAndItsSignIn(t *testing.T) {
	s := start(t)
	for name, tt := range map[string]struct {
		end  func(page *browser, k key)
		code int
	}{
		"a withdrawn key": {func(_ *browser, k key) { s.revoke(k.Entity) }, 4003},
		"signing out":     {func(page *browser, _ key) { page.post("/session/end", url.Values{}) }, 4010},
	} {
		t.Run(name, func(t *testing.T) {
			part := s.in(t)
			k := part.addKey(name[:1] + "-key")
			page := part.browser()
			page.signIn(k)
			client, _ := page.pipe(s.url, wire.ByPoll)
			tt.end(page, k)
			reason, err := client.Ended(prompt)
			must(t, err)
			wantEnd(t, reason, tt.code)
		})
	}
}

func TestPipeIsToldOfARestart(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	page := s.browser()
	page.signIn(k)
	client, pipe := page.pipe(s.url, wire.ByStream)
	must(t, client.Ping()) // its answer came on the stream, which is still there
	if code := s.stop(); code != 0 {
		t.Errorf("the server ended with %d", code)
	}
	_ = pipe.SetReadDeadline(time.Now().Add(prompt))
	_, err := pipe.Read(make([]byte, 1))
	wantEnd(t, err, 4012)
}

func wantEnd(t *testing.T, reason error, code int) {
	t.Helper()
	var ended *wire.CloseError
	if !errors.As(reason, &ended) || ended.Code != code {
		t.Errorf("ended with %v, want %d", reason, code)
	}
}
