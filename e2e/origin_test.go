package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"trellis/e2e/wire"
)

// foreign are Origins that are not the site's own, written so that a careless comparison lets them pass.
func foreign(site string) []string {
	at, _ := url.Parse(site)
	host, port := at.Hostname(), at.Port()
	return []string{
		"null", "https://evil.example", "http://evil.example:" + port, "https://" + at.Host, "ws://" + at.Host,
		"http://" + host, "http://" + host + ":1" + port, "http://" + host + ":" + port + "0", "http://" + host + ":",
		"http://" + at.Host + ".evil.example", "http://evil" + at.Host, "http://evil.example/" + at.Host,
		"http://" + at.Host + "@evil.example", "http://evil.example@" + at.Host, "http://" + at.Host + "#@evil.example",
		"http://" + at.Host + "?x", "http://" + host + "..:" + port, "http://x." + at.Host,
		"http://[::1]:" + port, "http://0.0.0.0:" + port, "http://127.0.0.2:" + port, "http://2130706433:" + port,
		"http://[::ffff:127.0.0.1]:" + port, "file://", "file://" + at.Host, "chrome-extension://abcdef", "data:",
		at.Host, "//" + at.Host, "http://" + at.Host + " http://evil.example", "javascript://" + at.Host,
	}
}

func TestPagesActOnlyForTheirOwnSite(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	page := s.browser()
	page.signIn(k)
	own := page.do(http.MethodGet, "/", "")
	if own.StatusCode != http.StatusOK || strings.Contains(own.body, `name="key"`) {
		t.Fatalf("the board does not open: %s", own.Status)
	}
	for _, origin := range foreign(s.url) {
		t.Run(strings.ReplaceAll(origin, "/", "|"), func(t *testing.T) {
			header := page.liveHeader()
			header.Set("Origin", origin)
			socket, answer, err := wire.DialSocket(t.Context(), "ws://"+s.listen+"/live", header)
			if err == nil {
				_ = socket.Close()
				t.Errorf("/live opened")
			} else if answer == nil || answer.StatusCode != http.StatusForbidden {
				t.Errorf("/live: %v, want 403", err)
			}
			for path, form := range map[string]url.Values{"/session": {"key": {k.Key}}, "/session/end": {}, "/enter": {"code": {"x"}}} {
				stranger := &browser{t: t, s: s, http: page.http, seen: page.seen}
				r := stranger.post(path, form, "Origin", origin, "Sec-Fetch-Site", "cross-site")
				if r.StatusCode != http.StatusForbidden || len(r.Cookies()) > 0 {
					t.Errorf("POST %s: %s, cookies %v; want 403 and none", path, r.Status, r.Cookies())
				}
				if r := stranger.post(path, form, "Origin", origin, "Sec-Fetch-Site", "-"); r.StatusCode != http.StatusForbidden {
					t.Errorf("POST %s from an old browser: %s, want 403", path, r.Status)
				}
			}
		})
	}
	if after := page.do(http.MethodGet, "/", ""); strings.Contains(after.body, `name="key"`) {
		t.Errorf("a foreign page has ended the session")
	}
	page.live() // the site's own Origin still opens
}

func TestProgramsComeFromAnywhere(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	page := s.browser()
	page.signIn(k)
	for _, origin := range append(foreign(s.url), s.url, "https://"+s.listen) {
		t.Run(strings.ReplaceAll(origin, "/", "|"), func(t *testing.T) {
			socket, _, err := wire.DialSocket(t.Context(), s.ws, http.Header{"Origin": {origin}})
			must(t, err)
			defer func() { _ = socket.Close() }()
			if _, err := wire.OpenOn(socket, k.login("")); err != nil {
				t.Errorf("log in on /ws: %v", err)
			}
			r := s.in(t).browser().do(http.MethodGet, "/api/claims", "", "Origin", origin, "Authorization", "Bearer "+k.Key)
			if allowed := r.Header.Get("Access-Control-Allow-Origin"); r.StatusCode != http.StatusOK || allowed != "*" {
				t.Errorf("claims: %s, allowed %q; want 200 and *", r.Status, allowed)
			}
			if r.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("claims with credentials are allowed to foreign pages")
			}
		})
	}
	t.Run("and are asked for a key even with a page's cookie", func(t *testing.T) {
		socket, _, err := wire.DialSocket(t.Context(), s.ws, page.liveHeader())
		must(t, err)
		defer func() { _ = socket.Close() }()
		if _, err := wire.OpenOn(socket, wire.Login{ClientID: k.Sub}); err == nil {
			t.Errorf("a cookie opened /ws")
		}
	})
	t.Run("a preflight is answered", func(t *testing.T) {
		r := s.in(t).browser().do(http.MethodOptions, "/api/claims", "", "Origin", "https://evil.example",
			"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization")
		if r.StatusCode >= 300 || !strings.Contains(strings.ToLower(r.Header.Get("Access-Control-Allow-Headers")), "authorization") {
			t.Errorf("%s, headers %q", r.Status, r.Header.Get("Access-Control-Allow-Headers"))
		}
	})
}
