package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// healthDoc is what /healthz and /readyz say.
type healthDoc struct {
	Status, Record, Broker string
	Links                  *struct {
		Wanted, Up, Connecting, Down int
		DownSince                    time.Time `json:"down_since"`
		Why                          map[string]int
	}
	Claims *struct{ Last string }
}

// health asks both and gives what they say, which is the same.
func (s *server) health(b *browser) (h healthDoc, healthz, readyz int) {
	s.t.Helper()
	alive, ready := b.do(http.MethodGet, "/healthz", ""), b.do(http.MethodGet, "/readyz", "")
	must(s.t, json.Unmarshal([]byte(alive.body), &h))
	return h, alive.StatusCode, ready.StatusCode
}

// healthy waits until the answers are as they should be.
func (s *server) healthy(b *browser, what string, is func(healthDoc) bool) healthDoc {
	s.t.Helper()
	for until := time.Now().Add(3 * prompt); ; time.Sleep(50 * time.Millisecond) { // it is asked for, nothing tells it
		h, healthz, readyz := s.health(b)
		if healthz != http.StatusOK || readyz != http.StatusOK || h.Status != "ok" || h.Record != "ok" {
			s.t.Fatalf("%s: %d and %d, %+v", what, healthz, readyz, h)
		}
		if is(h) {
			return h
		}
		if time.Now().After(until) {
			s.t.Fatalf("%s: it says %+v, links %+v, claims %+v", what, h, h.Links, h.Claims)
		}
	}
}

// numbers scrapes the metrics of a server that was told to have some.
func (s *server) numbers(token string) (status int, text string) {
	s.t.Helper()
	at := s.errs.wait(`at=(http://\S+/metrics)`, prompt, s.gone)
	if at == nil {
		s.t.Fatalf("it does not say where its numbers are: %s", s.errs)
	}
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, at[1], nil)
	must(s.t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	must(s.t, err)
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	must(s.t, err)
	return answer.StatusCode, string(body)
}

// number finds one of them.
func number(t *testing.T, text, name string) float64 {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("there is no %s", name)
	}
	n, err := strconv.ParseFloat(found[1], 64)
	must(t, err)
	return n
}

func TestHealthAndNumbersSayWhichLinkIsDown(t *testing.T) {
	back := start(t)
	k := back.addKey("canary-entity")
	front := back.inFront(t, "--metrics", "127.0.0.1:0")
	person := front.browser()
	front.healthy(person, "before anybody came", func(h healthDoc) bool {
		return h.Broker == "upstream" && h.Links.Wanted == 0 && h.Claims.Last == "not_asked"
	})
	person.signIn(k)
	page := person.live()
	must(t, page.Subscribe(1, k.topic("publish")))
	front.linkUp(1)
	front.healthy(person, "with its link", func(h healthDoc) bool {
		return h.Links.Wanted == 1 && h.Links.Up == 1 && h.Links.Down == 0 && h.Claims.Last == "ok"
	})
	must(t, page.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: []byte(`{"data":{"canary-reading":1}}`)}))
	if _, ok := reads(t, page, prompt, nil); !ok {
		t.Fatal("the page does not hear what it sent")
	}
	_, before := front.numbers("")
	for name, want := range map[string]float64{
		`trellis_upstream_links{state="up"}`: 1, `trellis_upstream_connections_total`: 1, `trellis_upstream_echoes_total`: 1,
		`trellis_upstream_published_total{result="acknowledged"}`: 1, `trellis_record_messages_total`: 1, `trellis_page_sessions`: 1,
		`trellis_claims_asked_total{result="ok"}`: 1, `trellis_ready`: 1, `trellis_healthy`: 1, `trellis_page_messages_total{result="accepted"}`: 1,
	} {
		if got := number(t, before, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}

	back.kill()
	killed := time.Now()
	down := front.healthy(person, "without the service", func(h healthDoc) bool { return h.Links.Down == 1 && h.Links.Why["away"] == 1 })
	if since := down.Links.DownSince; since.Before(killed.Add(-2*time.Second)) || since.After(time.Now()) || time.Since(killed) > noticeIn {
		t.Errorf("it is down since %v, said %v after it was killed at %v", since, time.Since(killed), killed)
	}
	front.browser().post("/session", url.Values{"key": {"canary-guess"}})
	front.healthy(person, "when the service was asked", func(h healthDoc) bool { return h.Claims.Last == "away" })
	_, text := front.numbers("")
	for name, want := range map[string]float64{
		`trellis_upstream_links{state="up"}`: 0, `trellis_upstream_links{state="away"}`: 1, `trellis_upstream_connections_lost_total`: 1,
		`trellis_claims_asked_total{result="away"}`: 1, `trellis_sign_ins_refused_total{reason="service_away"}`: 1, `trellis_ready`: 1,
	} {
		if got := number(t, text, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	back.start()
	front.healthy(person, "with the service again", func(h healthDoc) bool { return h.Links.Up == 1 && h.Links.Down == 0 })

	_, after := front.numbers("")
	onlyGrows(t, before, text)
	onlyGrows(t, text, after)
	said := before + text + after + person.do(http.MethodGet, "/healthz", "").body + person.do(http.MethodGet, "/readyz", "").body
	for _, canary := range []string{"canary", k.JTI, k.Key, "home:local", "home/local", back.listen, ":" + strings.Split(back.listen, ":")[1], front.listen} {
		if strings.Contains(said, canary) {
			t.Errorf("%q is told", canary)
		}
	}
}

// onlyGrows fails if a counter has become less, or has gone.
func onlyGrows(t *testing.T, before, after string) {
	t.Helper()
	counters := regexp.MustCompile(`(?m)^(trellis_\w+_(?:total|sum|count)(?:\{[^}]*\})?) \S+$`).FindAllStringSubmatch(before, -1)
	if len(counters) < 30 {
		t.Errorf("there are only %d counters", len(counters))
	}
	for _, c := range counters {
		if was, is := number(t, before, c[1]), number(t, after, c[1]); is < was {
			t.Errorf("%s fell from %v to %v", c[1], was, is)
		}
	}
}

func TestNumbersOfABrokerInside(t *testing.T) {
	const token = "a token of more than sixteen letters"
	file := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(file, []byte(strings.ReplaceAll(token, " ", "-")+"\n"), 0o600))
	s := start(t, "--metrics", "127.0.0.1:0", "--metrics-token-file", file)
	k := s.addKey("canary-entity")
	device := s.device(k, "")
	for range 3 {
		must(t, device.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: []byte(`{"data":{"canary-reading":1}}`)}))
	}
	b := s.browser()
	if h, healthz, readyz := s.health(b); healthz != 200 || readyz != 200 || h.Broker != "inside" || h.Links != nil || h.Claims != nil {
		t.Errorf("%d and %d, %+v", healthz, readyz, h)
	}
	if r := b.do(http.MethodGet, "/metrics", ""); r.StatusCode != http.StatusNotFound {
		t.Errorf("everybody can ask for the numbers: %s", r.Status)
	}
	if status, text := s.numbers(""); status != http.StatusUnauthorized || strings.Contains(text, "trellis_") {
		t.Errorf("without the token: %d", status)
	}
	_, text := s.numbers(strings.ReplaceAll(token, " ", "-"))
	for until := time.Now().Add(prompt); number(t, text, "trellis_record_messages_total") < 3 && time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		_, text = s.numbers(strings.ReplaceAll(token, " ", "-")) // what was acknowledged is recorded a moment later
	}
	for name, want := range map[string]float64{
		"trellis_device_connections": 1, `trellis_device_connections_total{result="accepted"}`: 1, "trellis_record_messages_total": 3,
		"trellis_record_failures_total": 0, "trellis_messages_published_total": 3, `trellis_messages_dropped_total{reason="record_behind"}`: 0,
	} {
		if got := number(t, text, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for _, canary := range []string{"canary", k.JTI, k.Key, "upstream", "claims"} {
		if strings.Contains(text, canary) {
			t.Errorf("%q is told", canary)
		}
	}
	if code := s.stop(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
}
