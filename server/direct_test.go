package server

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"trellis/access"
	"trellis/mqttproxy"
)

// directSite stands in front of a service whose broker pages may reach at this address.
func directSite(t *testing.T, address string, change func(*Config, *Direct)) *site {
	t.Helper()
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return newSite(t, func(c *Config) {
		d := &Direct{Address: at, Lend: func(g access.Grant) (string, error) { return "acme:eu:shed#" + g.SignIn, nil }, Renew: func(access.Grant, string) error { return nil }}
		c.Keys, c.Front = anotherService{access.ErrKeyUnknown}, &Front{Direct: d}
		if change != nil {
			change(c, d)
		}
	})
}

const serviceBroker = "wss://broker.example:8443/ws"

func ownPage(s *site, more ...string) []string {
	return append([]string{"Sec-Fetch-Site", "same-origin", "Origin", s.URL, "Accept", "application/json"}, more...)
}

// ask asks as a page does.
func ask(t *testing.T, s *site, b *http.Client, body string, headers ...string) (status int, said map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/live/direct?1", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := b.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	_ = json.NewDecoder(answer.Body).Decode(&said)
	return answer.StatusCode, said
}

func TestAPageIsToldHowToGoPastUs(t *testing.T) {
	var renewed []string
	s := directSite(t, serviceBroker, func(_ *Config, d *Direct) {
		d.Renew = func(g access.Grant, client string) error {
			renewed = append(renewed, g.KeyID+" "+client)
			return nil
		}
	})
	b := s.browser(t)
	if status, said := ask(t, s, b, `{"nonce":"n"}`, ownPage(s)...); status != 403 || said["code"] != 4010.0 {
		t.Errorf("a stranger: %d %v", status, said)
	}
	_, page := send(t, b, http.MethodGet, s.URL, nil)
	if !strings.Contains(page, "data-direct") {
		t.Error("the sign-in page does not know that it may keep the key")
	}
	answer, body := send(t, b, http.MethodPost, s.URL+"/session", url.Values{"key": {"good"}}, ownPage(s)...)
	if answer.StatusCode != 200 || strings.TrimSpace(body) != `{"user":"k1","print":""}` {
		t.Errorf("signed in: %s %s", answer.Status, body)
	}
	_, page = send(t, b, http.MethodGet, s.URL, nil)
	if !strings.Contains(page, `data-ways="direct socket stream poll"`) || strings.Contains(page, "broker.example") {
		t.Error("the board does not offer the direct way, or names where it leads")
	}
	status, said := ask(t, s, b, `{"nonce":"n"}`, ownPage(s)...)
	client, _ := said["client"].(string)
	if status != 200 || said["nonce"] != "n" || said["address"] != serviceBroker || said["user"] != "k1" || !strings.HasPrefix(client, "acme:eu:shed#") || len(client) < 20 {
		t.Errorf("told %d %v", status, said)
	}
	if status, said := ask(t, s, b, `{"nonce":"n","client":"acme:eu:shed#x"}`, ownPage(s)...); status != 200 || said["client"] != nil || len(renewed) != 1 || renewed[0] != "k1 acme:eu:shed#x" {
		t.Errorf("a page that is there: %d %v, renewed %q", status, said, renewed)
	}
	for name, body := range map[string]string{"nothing": "", "too much": `{"nonce":"` + strings.Repeat("x", 3000) + `"}`, "a long nonce": `{"nonce":"` + strings.Repeat("x", 65) + `"}`} {
		if status, said := ask(t, s, b, body, ownPage(s)...); status != 400 || said["client"] != nil {
			t.Errorf("%s: %d %v", name, status, said)
		}
	}
	if status, _ := ask(t, s, b, `{"nonce":"n"}`, "Origin", "https://evil.example"); status != 403 {
		t.Errorf("another site's page: %d", status)
	}
}

func TestAPageIsToldWhyItMayNotGoPastUs(t *testing.T) {
	for why, refusal := range map[string]error{"shared": mqttproxy.ErrShared, "never": mqttproxy.ErrInsisted} {
		s := directSite(t, serviceBroker, func(_ *Config, d *Direct) {
			d.Lend = func(access.Grant) (string, error) { return "", refusal }
			d.Renew = func(access.Grant, string) error { return refusal }
		})
		b := signedIn(t, s, "good")
		if status, said := ask(t, s, b, `{"nonce":"n","client":"acme:eu:shed#x"}`, ownPage(s)...); status != 200 || said["why"] != why || said["user"] != "k1" {
			t.Errorf("%s, and there already: %d %v", why, status, said)
		}
		if status, said := ask(t, s, b, `{"nonce":"n"}`, ownPage(s)...); status != 200 || said["why"] != why || said["client"] != nil || said["address"] != nil {
			t.Errorf("%s: %d %v", why, status, said)
		}
	}
}

func TestTheOperatorNeverGoesPastUs(t *testing.T) {
	s := directSite(t, serviceBroker, nil)
	if err := s.store.PutCode(t.Context(), CodeHash("ABC"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	b := s.browser(t)
	send(t, b, http.MethodPost, s.URL+"/enter", url.Values{"code": {"abc"}})
	if status, said := ask(t, s, b, `{"nonce":"n"}`, ownPage(s)...); status != 403 || said["code"] != 4010.0 || said["client"] != nil {
		t.Errorf("told %d %v, which does not end the line of a page that had a key", status, said)
	}
}

func TestWhereNothingLeadsPastUs(t *testing.T) {
	for name, s := range map[string]*site{
		"no WebSocket there": directSite(t, serviceBroker, func(c *Config, _ *Direct) { c.Front.Direct = nil }),
		"turned off":         directSite(t, serviceBroker, func(c *Config, _ *Direct) { c.Ways = []string{"socket", "poll"} }),
		"an address on this machine, for others": directSite(t, "ws://127.0.0.1:9001/ws", func(c *Config, _ *Direct) {
			c.PublicURL = &url.URL{Scheme: "http", Host: "trellis.example"}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			b := s.browser(t)
			own := ownPage(s)
			if s.server.PublicURL != nil {
				own = []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://trellis.example", "Accept", "application/json"}
			}
			if answer, _ := send(t, b, http.MethodPost, s.URL+"/session", url.Values{"key": {"good"}}, own...); answer.StatusCode != 204 {
				t.Errorf("signed in: %s", answer.Status)
			}
			for _, asked := range []string{`{"nonce":"n"}`, `{"nonce":"n","client":"acme:eu:shed#x"}`} {
				if status, said := ask(t, s, b, asked, own...); status != 200 || said["why"] != "never" || said["user"] != "k1" || said["client"] != nil || said["address"] != nil {
					t.Errorf("%s was told %d %v", asked, status, said)
				}
			}
			for _, path := range []string{"/", "/hub.js", "/check"} {
				answer, page := send(t, b, http.MethodGet, s.URL+path, nil)
				if policy := answer.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "connect-src 'self';") || strings.Contains(page, `data-ways="direct`) {
					t.Errorf("%s: %s", path, policy)
				}
			}
		})
	}
	here := directSite(t, "ws://127.0.0.1:9001/ws", nil) // its pages are on this machine too
	if status, said := ask(t, here, signedIn(t, here, "good"), `{"nonce":"n"}`, ownPage(here)...); status != 200 || said["address"] != "ws://127.0.0.1:9001/ws" {
		t.Errorf("told %d %v", status, said)
	}
}

func TestOnlyTheWorkerAndTheCheckMayConnectElsewhere(t *testing.T) {
	s := directSite(t, serviceBroker, nil)
	may := map[string]bool{"/hub.js": true, "/check": true}
	for name, b := range map[string]*http.Client{"a stranger": s.browser(t), "signed in": signedIn(t, s, "good")} {
		for _, path := range []string{"/", "/hub.js", "/check", "/enter", "/healthz", "/api/openapi.json", "/static/none.js", "/nowhere", "/live/hello", "/check/hello"} {
			answer, _ := send(t, b, http.MethodGet, s.URL+path, nil)
			policy := answer.Header.Get("Content-Security-Policy")
			want := "connect-src 'self';"
			if may[path] {
				want = "connect-src 'self' wss://broker.example:8443;"
			}
			if !strings.Contains(policy, want) || strings.Contains(policy, "unsafe") || strings.Count(policy, "broker.example") != strings.Count(want, "broker.example") {
				t.Errorf("%s, %s: %q", name, path, policy)
			}
		}
	}
}
