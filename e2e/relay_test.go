package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"trellis/e2e/hostile"
	"trellis/e2e/wire"
)

// pipe opens a page's MQTT session over plain requests, through a network or straight.
func (b *browser) pipe(base, mode string) (*wire.Client, *wire.Pipe) {
	b.t.Helper()
	pipe, err := wire.DialPipe(b.http, base+"/live", mode, b.liveHeader())
	must(b.t, err)
	client, err := wire.OpenOn(pipe, wire.Login{ClientID: "page", KeepAlive: 60})
	if err != nil {
		b.t.Fatalf("log in on a %s: %v", mode, err)
	}
	b.t.Cleanup(func() { _ = client.Close() })
	return client, pipe
}

// bad are the networks that a pipe must cross; what they do to a WebSocket is the browser's half.
var bad = map[string]hostile.Bad{
	"a good network":                   {},
	"answers held back":                {Hold: -1},
	"answers held back up to 4 KB":     {Hold: 4 << 10},
	"every fifth upload's answer lost": {Drop: 5},
	"uploads doubled":                  {Double: true},
	"headers stripped":                 {Strip: true},
	"all at once":                      {Drop: 5, Double: true, Strip: true},
}

func TestPipeCrossesHostileNetworks(t *testing.T) {
	s := start(t)
	for name, network := range bad {
		for _, mode := range []string{"stream", "poll"} {
			if mode == "stream" && network.Hold != 0 {
				continue // the page finds out and polls: see browser/relay.test.mjs
			}
			t.Run(name+", "+mode, func(t *testing.T) {
				part := s.in(t)
				k := part.addKey(fmt.Sprintf("shed-%d", time.Now().UnixNano()))
				page := part.browser()
				page.signIn(k)
				between, err := hostile.Start(s.listen, network, nil)
				must(t, err)
				t.Cleanup(between.Close)
				began := time.Now()
				client, _ := page.pipe(between.URL, mode)
				must(t, client.Subscribe(1, k.topic("publish"), k.topic("messages")))
				t.Logf("MQTT is up after %v", time.Since(began).Round(time.Millisecond))
				if took := time.Since(began); took > 4*time.Second {
					t.Errorf("MQTT was up after %v", took)
				}
				converse(t, part.device(k, "#device"), client, k)
			})
		}
	}
}

// converse sends messages both ways and wants each of them exactly once.
func converse(t *testing.T, device, page *wire.Client, k key) {
	t.Helper()
	must(t, device.Subscribe(1, k.topic("publish")))
	const each = 12
	for i := range each {
		must(t, page.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: fmt.Appendf(nil, `{"data":{"up":%d}}`, i)}))
		must(t, device.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: fmt.Appendf(nil, `{"data":{"down":%d}}`, i)}))
	}
	for who, reader := range map[string]*wire.Client{"page": page, "device": device} {
		counts := map[string]int{}
		for range 2 * each {
			m, err := reader.Receive(prompt)
			if err != nil {
				t.Fatalf("%s got %d of %d: %v", who, len(counts), 2*each, err)
			}
			counts[string(opened(t, m.Payload).Data)]++
		}
		if len(counts) != 2*each {
			t.Errorf("%s got %v", who, counts)
		}
	}
}

func TestPipeThatIsCutLosesNothing(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	page := s.browser()
	page.signIn(k)
	client, pipe := page.pipe(s.url, "stream")
	must(t, client.Subscribe(1, k.topic("publish")))
	device := s.device(k, "#device")
	for i := range 30 {
		payload := fmt.Appendf(nil, `{"data":{"n":%d}}`, i)
		must(t, device.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: payload}))
		if i%3 == 0 {
			pipe.Cut()
			pipe.Mode = []string{"poll", "stream"}[i%2]
		}
		m, err := client.Receive(prompt)
		must(t, err)
		if got := opened(t, m.Payload).Data; !bytes.Contains(got, fmt.Appendf(nil, `"n":%d}`, i)) {
			t.Fatalf("message %d is %s", i, got)
		}
	}
}

func TestPipeIsNoUseToAnotherSignIn(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	a, b := s.browser(), s.browser()
	a.signIn(k)
	b.signIn(k)
	client, pipe := a.pipe(s.url, "poll")
	own := []string{"Origin", s.url, "X-Trellis-Session", pipe.ID, "X-Pos", "0", "X-Ack", "0", "X-Mode", "poll", "Accept", "application/json"}
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
			client, _ := page.pipe(s.url, "poll")
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
	client, pipe := page.pipe(s.url, "stream")
	must(t, client.Ping()) // its answer came on the stream, which is still there
	if code := s.stop(); code != 0 {
		t.Errorf("the server ended with %d", code)
	}
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
