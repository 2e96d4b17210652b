package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"trellis/mqttproxy"
	"trellis/templates"
)

// seenAnswer is what POST /check/seen says.
type seenAnswer struct {
	T int64
	templates.Seen
	Devices *templates.DevicesHeard
	Reason  string
}

// askCheck makes a request as the script of the check page does.
func askCheck(t *testing.T, s *site, b *http.Client, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	return send(t, b, "POST", s.URL+path, nil, append([]string{"Origin", s.URL}, headers...)...)
}

func askSeen(t *testing.T, s *site, b *http.Client, headers ...string) seenAnswer {
	t.Helper()
	answer, body := askCheck(t, s, b, "/check/seen", headers...)
	var said seenAnswer
	if err := json.Unmarshal([]byte(body), &said); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%d %s: %v", answer.StatusCode, body, err)
	}
	return said
}

func TestAnybodyMayCheckAndStrangersLearnNothingOfDevices(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	mine, other := s.key(t, "shed"), s.key(t, "cellar")
	record(t, s, mine, `{"data":{"temperature":20.1}}`, now.Add(-2*time.Minute))
	record(t, s, other, `{"data":{"level":7}}`, now)

	stranger := s.browser(t)
	answer, page := send(t, stranger, "GET", s.URL+"/check", nil)
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Cache-Control") != "no-store" || answer.Header.Get("Content-Security-Policy") != policy {
		t.Errorf("%d %v", answer.StatusCode, answer.Header)
	}
	_, told := askCheck(t, s, stranger, "/check/seen")
	for _, secret := range []string{"Shed", "Cellar", "shed", "cellar", mine.JTI, "heard", "2 min"} {
		if strings.Contains(page, secret) || strings.Contains(told, secret) {
			t.Errorf("a stranger is told %q", secret)
		}
	}
	if !strings.Contains(page, "Sign in to see the devices") || !strings.Contains(page, "works (0.01 s)") {
		t.Error("the page lacks what a stranger may know:", page)
	}

	b := signedIn(t, s, mine.Key)
	_, page = send(t, b, "GET", s.URL+"/check", nil)
	said := askSeen(t, s, b)
	for _, want := range []string{"Shed", "Last heard 2 min ago", "1 device heard."} {
		if !strings.Contains(page, want) {
			t.Errorf("the holder's page does not say %q", want)
		}
	}
	if strings.Contains(page, "Cellar") {
		t.Error("the page shows another key's device")
	}
	if d := said.Devices; d == nil || len(d.List) != 1 || d.List[0].Name != "Shed" || d.List[0].Age != "Last heard 2 min ago" {
		t.Errorf("told %+v", d)
	}
}

func TestADeviceThatIsQuietIsTold(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	key := s.key(t, "shed")
	for i := range 12 {
		record(t, s, key, `{"data":{"temperature":20.1}}`, now.Add(-time.Duration(31-i)*time.Minute))
	}
	record(t, s, key, `{"data":{"temperature":19},"context":{"by":"page"}}`, now) // a person, not the device
	b := signedIn(t, s, key.Key)
	if d := askSeen(t, s, b).Devices; d == nil || d.State != "silent" || !d.List[0].Quiet || d.List[0].Age != "Quiet, last heard 20 min ago" {
		t.Errorf("told %+v", d)
	}
}

func TestAWithdrawnKeyIsAStrangerToTheCheck(t *testing.T) {
	s := newSite(t, nil)
	key := s.key(t, "shed")
	record(t, s, key, `{"data":{"temperature":20.1}}`, time.Now())
	b := signedIn(t, s, key.Key)
	if _, err := s.keys.Revoke(t.Context(), key.JTI); err != nil {
		t.Fatal(err)
	}
	if said := askSeen(t, s, b); said.Devices != nil {
		t.Errorf("told %+v", said.Devices)
	}
	if answer, page := send(t, b, "GET", s.URL+"/check", nil); answer.StatusCode != http.StatusOK || strings.Contains(page, "Shed") {
		t.Error(answer.StatusCode)
	}
}

func TestTheCheckSaysWhatTheWayAdded(t *testing.T) {
	s := newSite(t, nil)
	said := askSeen(t, s, s.browser(t),
		"Via", "1.1 squid.school.example", "X-Forwarded-For", "203.0.113.77", "Proxy-Authorization", "Basic c2VjcmV0", "X-Cache-Lookup", "MISS",
		"X-Forwarded-A_B", "nonsense", "X-Forwarded-"+strings.Repeat("x", 50), "too long", "X-Own", "not of a proxy",
		"X-Pos", "0", "X-Ack", "0", "X-Nonce", "n")
	if got, want := strings.Join(said.Added, " "), "Proxy-Authorization Via X-Cache-Lookup X-Forwarded-For"; got != want {
		t.Errorf("added: %s, want %s", got, want)
	}
	if got, want := strings.Join(said.Missing, " "), "X-Trellis-Session X-Mode"; got != want {
		t.Errorf("missing: %s, want %s", got, want)
	}
	if said.Protocol != "HTTP/1.1" || said.T == 0 {
		t.Errorf("%+v", said)
	}
	_, page := send(t, s.browser(t), "GET", s.URL+"/check", nil, "Via", "1.1 squid.school.example", "X-Forwarded-For", "203.0.113.77")
	if strings.Contains(page, "squid") || strings.Contains(page, "203.0.113") || !strings.Contains(page, "through a proxy (Via, X-Forwarded-For)") {
		t.Error("the page does not say names and only names")
	}
}

func TestTheCheckIsForOurOwnPages(t *testing.T) {
	s := newSite(t, nil)
	for _, origin := range []string{"https://evil.example", "null", ""} {
		for _, path := range []string{"/check/seen", "/check/broker", "/check/live/hello", "/check/live/open", "/check/live/up", "/check/live/down"} {
			answer, body := send(t, s.browser(t), "POST", s.URL+path, nil, "Origin", origin)
			if answer.StatusCode != http.StatusForbidden || !strings.Contains(body, "foreign_origin") {
				t.Errorf("%s from %q was answered %d %s", path, origin, answer.StatusCode, body)
			}
		}
		if _, answer, err := dial(t, s, "/check/live", s.browser(t), http.Header{"Origin": {origin}}, mqttproxy.PipeSubprotocol); err == nil || answer.StatusCode != http.StatusForbidden {
			t.Errorf("a WebSocket from %q: %v", origin, err)
		}
	}
}

func TestChecksOfOneAddressAreLimited(t *testing.T) {
	s := newSite(t, func(c *Config) {
		still := time.Now()
		c.Now = func() time.Time { return still }
	})
	b := s.browser(t)
	for i := range checkBurst {
		if answer, body := askCheck(t, s, b, "/check/broker"); answer.StatusCode != http.StatusOK {
			t.Fatalf("request %d: %d %s", i, answer.StatusCode, body)
		}
	}
	answer, body := askCheck(t, s, b, "/check/seen")
	if answer.StatusCode != http.StatusTooManyRequests || answer.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
	if _, page := send(t, b, "POST", s.URL+"/session", url.Values{"key": {s.key(t, "shed").Key}}); !strings.Contains(page, "Nothing was heard yet") {
		t.Error("who checks a lot cannot sign in")
	}
}

func TestTheBrokerIsAskedOnceForMany(t *testing.T) {
	var asked atomic.Int64
	s := newSite(t, func(c *Config) {
		c.Probe = func(context.Context) (time.Duration, error) { asked.Add(1); return time.Millisecond, nil }
	})
	b := s.browser(t)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { askCheck(t, s, b, "/check/broker") })
	}
	all.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("the broker was asked %d times", n)
	}
}

func TestABrokerInTroubleIsSaidWithoutWhy(t *testing.T) {
	why := errors.New("write /srv/secret/place: no space left on device")
	for name, change := range map[string]func(*Config){
		"nothing comes back":  func(c *Config) { c.Probe = func(context.Context) (time.Duration, error) { return 0, why } },
		"nothing is recorded": func(c *Config) { c.Healthy = func() error { return why } },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, change)
			answer, body := askCheck(t, s, s.browser(t), "/check/broker")
			_, page := send(t, s.browser(t), "GET", s.URL+"/check", nil)
			if answer.StatusCode != http.StatusOK || !strings.Contains(body, `"works":false`) || strings.Contains(body+page, "secret") {
				t.Errorf("%d %s", answer.StatusCode, body)
			}
			if !strings.Contains(page, "no messages come through now") {
				t.Error("the page does not say that no messages come through")
			}
		})
	}
}

func TestTheCheckKnowsTheAddressOverHTTPS(t *testing.T) {
	public, _ := url.Parse("https://trellis.example.com:8443")
	s := newSite(t, func(c *Config) { c.PublicURL = public })
	if _, page := send(t, s.browser(t), "GET", s.URL+"/check", nil); !strings.Contains(page, `data-secure-host="trellis.example.com:8443"`) {
		t.Error("the page does not name it")
	}
}

func TestTheCheckKnowsThePlan(t *testing.T) {
	s := newSite(t, func(c *Config) { c.Ways = []string{"stream", "poll"} })
	_, page := send(t, s.browser(t), "GET", s.URL+"/check", nil)
	if !strings.Contains(page, `data-ways="stream poll"`) || strings.Count(page, "turned off here") != 1 {
		t.Error("the page does not say what is turned off")
	}
}

func TestAStrangerHearsTheEchoOfEveryWay(t *testing.T) {
	s := newSite(t, nil)
	b := s.browser(t)
	if status, said := post(t, s, b, "/check/live/hello", "", "", "X-Nonce", "n1"); status != http.StatusOK || said.Nonce != "n1" {
		t.Errorf("hello was answered %d %+v", status, said)
	}
	_, opened := post(t, s, b, "/check/live/open", "", "")
	if status, said := post(t, s, b, "/check/live/up", opened.ID, "hello"); status != http.StatusOK || said.Up != 5 {
		t.Fatalf("an upload was answered %d %+v", status, said)
	}
	for _, mode := range []string{"poll", "stream"} {
		if first := firstData(t, s, b, opened.ID, mode); first != "aGVsbG8=" {
			t.Errorf("%s brought %q", mode, first)
		}
	}
	conn, _, err := dial(t, s, "/check/live", b, http.Header{"Origin": {s.URL}}, mqttproxy.PipeSubprotocol)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	_ = conn.Write(t.Context(), websocket.MessageBinary, []byte("\x01"+`{"id":"","have":0,"take":true}`))
	_ = conn.Write(t.Context(), websocket.MessageBinary, []byte("\x02"+strings.Repeat("\x00", 16)+"hello"))
	for said := []byte{}; !strings.HasSuffix(string(said), "hello"); {
		if _, said, err = conn.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// firstData gives the first bytes that come down a stranger's pipe, still in base64.
func firstData(t *testing.T, s *site, b *http.Client, id, mode string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/check/live/down", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Origin": s.URL, "X-Trellis-Session": id, "X-Pos": "0", "X-Mode": mode} {
		r.Header.Set(name, value)
	}
	answer, err := b.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if lines.Text() == "id: 0" && lines.Scan() {
			return strings.TrimPrefix(lines.Text(), "data: ")
		}
	}
	return ""
}

func TestAStrangersPipeIsNoWayToAPage(t *testing.T) {
	s := newSite(t, nil)
	b := signedIn(t, s, s.key(t, "shed").Key)
	_, checked := post(t, s, b, "/check/live/open", "", "")
	_, opened := post(t, s, b, "/live/open", "", "")
	for path, id := range map[string]string{"/live/up": checked.ID, "/check/live/up": opened.ID} {
		if status, said := post(t, s, b, path, id, "x"); status != http.StatusNotFound || said.Code != 4004 {
			t.Errorf("%s was answered %d %+v", path, status, said)
		}
	}
	if _, _, err := dial(t, s, "/check/live", b, http.Header{"Origin": {s.URL}}, "mqtt"); err == nil {
		t.Error("a stranger's door speaks MQTT")
	}
}

func TestStrangersHaveRoomForFewPipes(t *testing.T) {
	s := newSite(t, nil)
	b := s.browser(t)
	for i := range checksOfAddress {
		if status, said := post(t, s, b, "/check/live/open", "", ""); status != http.StatusOK {
			t.Fatalf("pipe %d: %d %+v", i, status, said)
		}
	}
	if status, said := post(t, s, b, "/check/live/open", "", ""); status != http.StatusTooManyRequests || said.Code == 0 {
		t.Errorf("%d %+v", status, said)
	}
	if status, said := post(t, s, signedIn(t, s, s.key(t, "shed").Key), "/live/open", "", ""); status != http.StatusOK {
		t.Errorf("who is signed in: %d %+v", status, said)
	}
}
