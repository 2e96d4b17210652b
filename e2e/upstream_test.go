package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// inFront runs a second trellis in front of this one, which plays the service that keys belong to.
func (s *server) inFront(t testing.TB, args ...string) *server {
	t.Helper()
	f := &server{t: t, data: filepath.Join(t.TempDir(), "front"), listen: "127.0.0.1:0", issued: s.issued}
	f.args = append([]string{"--upstream", "http://" + s.listen}, args...)
	f.startFront()
	t.Cleanup(f.leave)
	return f
}

func (s *server) startFront() {
	s.t.Helper()
	s.program = run(s.t, trellisBin, nil, append([]string{"serve", "--listen", s.listen, "--data", s.data}, s.args...)...)
	open := s.out.wait(`(?m)^Open\s+(http://(\S+))$`, prompt, s.gone)
	link := s.out.wait(`(?m)operator of this server: (\S+)$`, prompt, s.gone)
	if open == nil || link == nil {
		s.t.Fatalf("trellis serve --upstream did not say where it is open.\nstdout: %s\nstderr: %s", s.out, s.errs)
	}
	s.url, s.listen, s.link = open[1], strings.Replace(open[2], "localhost", "127.0.0.1", 1), link[1]
}

// notice is what a page is told about its own session.
type notice struct {
	Refused *struct{ Sentence string }
	Link    *struct {
		Up            bool
		Why, Sentence string
	}
}

// reads gives the next message of a topic that a page reads, and calls told with what it hears about itself meanwhile.
func reads(t testing.TB, page *wire.Client, within time.Duration, told func(notice)) (wire.Message, bool) {
	t.Helper()
	for until := time.Now().Add(within); ; {
		m, err := page.Receive(time.Until(until))
		if err != nil {
			return wire.Message{}, false
		}
		if m.Topic != "$trellis/session" {
			return m, true
		}
		var n notice
		must(t, json.Unmarshal(m.Payload, &n))
		if told != nil {
			told(n)
		}
	}
}

// linkUp waits until the front one has said so many times that a link came up.
func (s *server) linkUp(times int) {
	s.t.Helper()
	if s.errs.wait(strings.Repeat(`(?s:link to the upstream broker is up.*?)`, times), 2*prompt, s.gone) == nil {
		s.t.Fatalf("the link to upstream did not come up %d times:\n%s", times, s.errs)
	}
}

func TestManyPagesInFrontOfAServiceAreOneConnection(t *testing.T) {
	for name, door := range map[string]func(*server) []string{
		"over WebSocket": func(*server) []string { return nil },
		"over TCP":       func(s *server) []string { return []string{"--upstream-mqtt", "mqtt://" + s.mqtt} },
	} {
		t.Run(name, func(t *testing.T) {
			back := start(t)
			k, other := back.addKey("shed"), back.addKey("barn")
			device := back.device(k, "")
			must(t, device.Subscribe(1, k.topic("messages")))
			front := back.inFront(t, door(back)...)

			person := front.browser()
			person.signIn(k)
			var pages []*wire.Client
			for range 15 {
				page := person.live()
				must(t, page.Subscribe(1, k.topic("publish"), k.topic("messages")))
				pages = append(pages, page)
			}
			front.linkUp(1)
			must(t, device.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: []byte(`{"msg_type":"publish","data":{"temperature":21.5}}`)}))
			for n, page := range pages {
				m, ok := reads(t, page, prompt, nil)
				if !ok {
					t.Fatalf("page %d hears nothing", n)
				}
				if e := opened(t, m.Payload); m.Topic != k.topic("publish") || e.Context.About != "shed" || e.Source != k.Sub {
					t.Errorf("page %d hears %s on %s", n, m.Payload, m.Topic)
				}
			}
			if board := person.do(http.MethodGet, "/", ""); !strings.Contains(board.body, "21.5") {
				t.Errorf("the board does not show the value: %s", board.Status)
			}

			must(t, pages[0].Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: to("shed", `{"led":"on"}`)}))
			order, err := device.Receive(prompt)
			if err != nil || !strings.Contains(string(order.Payload), `"led":"on"`) {
				t.Errorf("the device hears %s, %v", order.Payload, err)
			}
			friend := back.device(other, "")
			must(t, friend.Publish(wire.Message{Topic: other.topic("publish"), QoS: 1, Payload: []byte(`{"data":{"door":"open"},"dest":"shed"}`)}))
			for {
				m, ok := reads(t, pages[14], prompt, nil)
				if !ok {
					t.Fatal("what was sent to the key does not reach its page")
				}
				if e := opened(t, m.Payload); strings.Contains(string(e.Data), "door") {
					if e.Context.About != "barn" || e.Source != other.Sub {
						t.Errorf("it is about %q from %q", e.Context.About, e.Source)
					}
					break
				}
			}
			must(t, device.Ping()) // it was never dropped
			if n := strings.Count(front.errs.String(), "link to the upstream broker is up"); n != 1 {
				t.Errorf("there were %d connections upstream", n)
			}
		})
	}
}

func TestFrontKeepsNoKeyInTheClear(t *testing.T) {
	back := start(t)
	k := back.addKey("shed")
	front := back.inFront(t)
	person := front.browser()
	person.signIn(k)
	page := person.live()
	must(t, page.Subscribe(1, k.topic("publish")))
	front.linkUp(1)
	if code := front.stop(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	must(t, filepath.WalkDir(front.data, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), k.Key) {
			t.Errorf("the key stands in %s", path)
		}
		return err
	}))
	if info, err := os.Stat(filepath.Join(front.data, "sealing-key.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the sealing key: %v, %v", info, err)
	}
	if strings.Contains(person.seen.String(), k.Key) {
		t.Error("a page holds the key")
	}

	// What was sent while it was away is there after the next start, without anybody signing in again.
	device := back.device(k, "")
	for n := range 20 {
		must(t, device.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: fmt.Appendf(nil, `{"data":{"away":%d}}`, n)}))
	}
	front.startFront()
	person.s = front
	front.linkUp(1)
	for until := time.Now().Add(prompt); !strings.Contains(person.do(http.MethodGet, "/", "").body, ">19<"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("what was sent meanwhile is not on the board: %s", person.do(http.MethodGet, "/", "").body)
		}
	}
}

func TestDoorsOfAFrontSayWhereToGo(t *testing.T) {
	back := start(t)
	k := back.addKey("shed")
	front := back.inFront(t)
	b := front.browser()
	if r := b.do(http.MethodGet, "/api/claims", "", "Authorization", "Bearer "+k.Key); r.StatusCode != 421 || r.refusal(t).Reason != "elsewhere" {
		t.Errorf("claims: %s %s", r.Status, r.body)
	}
	if _, answer, err := wire.DialSocket(t.Context(), "ws://"+front.listen+"/ws", http.Header{}); err == nil || answer.StatusCode != 421 {
		t.Errorf("the devices' door: %v", err)
	}
	if r := b.post("/session", url.Values{"key": {"no-key-at-all"}}); r.StatusCode != 401 || !strings.Contains(r.body, "was not accepted") {
		t.Errorf("a wrong key: %s", r.Status)
	}
	_, errs, code := trellis(t, "key", "add", "x", "--data", front.data)
	if code != 1 || !strings.Contains(errs, "takes keys of http://"+back.listen) {
		t.Errorf("key add: exit %d, %s", code, errs)
	}
	back.stop()
	if r := b.post("/session", url.Values{"key": {k.Key}}); r.StatusCode != 502 || !strings.Contains(r.body, "is not answering") {
		t.Errorf("a service that is away: %s", r.Status)
	}
}

// counter is a page that counts numbered messages, and what it is told meanwhile.
type counter struct {
	t        *testing.T
	page     *wire.Client
	heard    map[int]int
	down, up time.Time // when it was first told that the link is down, and last that it is up
	refused  string
}

// hear reads until what it waits for is true, or too much time has passed.
func (c *counter) hear(until func() bool) {
	c.t.Helper()
	for end := time.Now().Add(3 * prompt); !until() && time.Now().Before(end); {
		m, ok := reads(c.t, c.page, 250*time.Millisecond, c.told)
		if !ok {
			continue
		}
		var data struct{ N int }
		must(c.t, json.Unmarshal(opened(c.t, m.Payload).Data, &data))
		c.heard[data.N]++
	}
}

func (c *counter) told(n notice) {
	switch {
	case n.Refused != nil:
		c.refused = n.Refused.Sentence
	case n.Link != nil && n.Link.Up:
		c.up = time.Now()
	case n.Link != nil && c.down.IsZero():
		c.down = time.Now()
	}
}

func TestServiceKilledAndBackLosesNothing(t *testing.T) {
	const each = 400
	back := start(t)
	k := back.addKey("shed")
	front := back.inFront(t)
	person := front.browser()
	person.signIn(k)
	c := &counter{t: t, page: person.live(), heard: map[int]int{}}
	must(t, c.page.Subscribe(1, k.topic("publish")))
	front.linkUp(1)
	next := 0
	say := func() {
		device := back.device(k, "")
		for range each {
			must(t, device.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: fmt.Appendf(nil, `{"data":{"n":%d}}`, next)}))
			next++
		}
	}
	say()
	back.kill()
	killed := time.Now()
	c.hear(func() bool { return !c.down.IsZero() })
	if c.down.IsZero() || c.down.Sub(killed) > noticeIn {
		t.Errorf("the page was told after %v", c.down.Sub(killed))
	}
	must(t, c.page.Publish(wire.Message{Topic: k.topic("publish"), Payload: []byte(`{"data":{"late":1}}`)}))
	c.hear(func() bool { return c.refused != "" })
	if !strings.Contains(c.refused, "could not be delivered") {
		t.Errorf("a press meanwhile is answered %q", c.refused)
	}
	back.start()
	say() // before anybody is back, too
	c.hear(func() bool { return len(c.heard) == next && !c.up.IsZero() })
	twice := 0
	for n := range next {
		if c.heard[n] == 0 {
			t.Errorf("message %d is lost", n)
		}
		twice += max(0, c.heard[n]-1)
	}
	t.Logf("noticed after %v, back %v after that; %d messages, %d came twice", c.down.Sub(killed), c.up.Sub(c.down), next, twice)
}

func TestKeyThatIsWithdrawnAtTheServiceEndsItsPages(t *testing.T) {
	back := start(t)
	k := back.addKey("shed")
	front := back.inFront(t)
	person := front.browser()
	person.signIn(k)
	page := person.live()
	must(t, page.Subscribe(1, k.topic("publish")))
	front.linkUp(1)
	back.revoke("shed")
	if _, err := page.Ended(prompt); err != nil {
		t.Errorf("the page of a withdrawn key: %v", err)
	}
	if r := person.do(http.MethodGet, "/", ""); !strings.Contains(r.body, "was withdrawn") {
		t.Errorf("the board says %s", r.Status)
	}
}

func TestFrozenServiceIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	back := start(t)
	k := back.addKey("shed")
	front := back.inFront(t)
	person := front.browser()
	person.signIn(k)
	page := person.live()
	must(t, page.Subscribe(1, k.topic("publish")))
	front.linkUp(1)
	must(t, back.Process.Signal(syscall.SIGSTOP))
	defer func() { _ = back.Process.Signal(syscall.SIGCONT) }()
	frozen := time.Now()
	var noticed time.Duration
	for noticed == 0 && time.Since(frozen) < 40*time.Second {
		must(t, page.Ping())
		reads(t, page, time.Second, func(n notice) {
			if n.Link != nil && !n.Link.Up {
				noticed = time.Since(frozen)
			}
		})
	}
	if noticed == 0 || noticed > noticeIn {
		t.Errorf("noticed after %v", noticed)
	}
	t.Logf("noticed after %v", noticed)
}
