package e2e

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trellis/e2e/wire"
)

func TestKeysAreMadeListedAndWithdrawn(t *testing.T) {
	s := start(t)
	try := func(t *testing.T) {
		s := s.in(t)
		names := map[string]key{}
		for _, name := range []string{"shed", "home:kitchen:fridge"} {
			k := s.addKey(name)
			names[k.JTI] = k
			if k.Entity != name || k.Sub != k.place(":")+":"+name {
				t.Errorf("a key of %q says entity %q, sub %q", name, k.Entity, k.Sub)
			}
		}
		out, _, code := trellis(t, "key", "list", "--json", "--data", s.data)
		if code != 0 {
			t.Errorf("key list ended with %d", code)
		}
		for id, k := range names {
			if !strings.Contains(out, id) {
				t.Errorf("key list does not name %s", id)
			}
			if strings.Contains(out, k.Key) {
				t.Errorf("key list shows a key")
			}
		}
		plain, _, _ := trellis(t, "key", "list", "--data", s.data)
		if !strings.Contains(plain, "home:kitchen:fridge") {
			t.Errorf("key list for people does not name the entity:\n%s", plain)
		}
		for id, k := range names {
			s.revoke(id)
			if _, errs, code := trellis(t, "key", "revoke", k.Entity, "--data", s.data); code == 0 || strings.Count(errs, "\n") > 3 {
				t.Errorf("revoking a name without a live key ended with %d and said %q", code, errs)
			}
		}
	}
	t.Run("beside a running server", try)
	t.Run("on a stopped one", func(t *testing.T) {
		if code := s.in(t).stop(); code != 0 {
			t.Fatalf("the server ended with %d", code)
		}
		try(t)
	})
}

// Whoever is in another folder than their server makes a key that it does not know.
func TestAKeyInANewFolderIsSaidToBeInOne(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	for _, want := range []bool{true, false} {
		_, errs, code := trellis(t, "key", "add", "shed", "--data", folder)
		if code != 0 || strings.Contains(errs, "the folder "+folder+" is new") != want {
			t.Errorf("key add ended with %d and said %q", code, errs)
		}
	}
}

func TestARevokedKeysSessionsEndWithinASecond(t *testing.T) {
	s := start(t)
	k, other := s.addKey("shed"), s.addKey("barn")
	page, bystander := s.browser(), s.device(other, "")
	page.signIn(k)
	login := k.login("#ws")
	login.KeepAlive = 0
	doors := map[string]*wire.Client{"TCP": s.device(k, ""), "/ws": s.open(s.ws, login), "/live": page.live()}

	s.revoke("shed")
	began := time.Now() // starting the command is not what is promised
	for name, c := range doors {
		reason, err := c.Ended(prompt)
		if lasted := time.Since(began); err != nil || lasted > 2*time.Second { // a second, and what a busy machine takes
			t.Errorf("%s ended after %v: %v, %v", name, lasted, reason, err)
		}
		var closed *wire.CloseError
		if name == "/live" && (!errors.As(reason, &closed) || closed.Code != 4003) {
			t.Errorf("/live ended with %v, want close code 4003", reason)
		}
	}
	must(t, bystander.Ping())

	for name, address := range map[string]string{"TCP": s.mqtt, "/ws": s.ws} {
		var refused *wire.RefusedError
		if _, err := wire.Open(t.Context(), address, k.login("#again")); !errors.As(err, &refused) || refused.Code != 5 {
			t.Errorf("a revoked key at %s: %v, want a CONNACK with 5", name, err)
		}
	}
	r := page.post("/session", url.Values{"key": {k.Key}}, "Accept", "application/json")
	if said := r.refusal(t); r.StatusCode != http.StatusForbidden || said.Reason == "" || said.Message == "" {
		t.Errorf("signing in with a revoked key: %s %+v", r.Status, said)
	}
	if board := page.do(http.MethodGet, "/", ""); strings.Contains(board.body, "barn") || !strings.Contains(board.body, `name="key"`) {
		t.Errorf("a page session of a revoked key still opens the board")
	}
}

func TestAnExpiredKeyEndsByItself(t *testing.T) {
	s := start(t)
	k := s.addKey("shed", "--expires", "3s")
	c := s.device(k, "")
	if reason, err := c.Ended(prompt); err != nil {
		t.Errorf("a session past its key's end: %v, %v", reason, err)
	}
	if _, err := wire.Open(t.Context(), s.mqtt, k.login("")); err == nil {
		t.Errorf("an expired key still logs in")
	}
}

func TestClaimsAnswerAsDocumented(t *testing.T) {
	s := start(t)
	k, gone := s.addKey("shed"), s.addKey("barn")
	device := s.device(gone, "")
	s.revoke("barn")
	if _, err := device.Ended(prompt); err != nil { // the server has noticed what another process did
		t.Fatal(err)
	}
	b := s.browser()
	bearer := func(token string) reply { return b.do(http.MethodGet, "/api/claims", "", "Authorization", token) }

	t.Run("a key's own claims", func(t *testing.T) {
		r := bearer("Bearer " + k.Key)
		var claims map[string]any
		must(t, json.Unmarshal([]byte(r.body), &claims))
		if r.StatusCode != http.StatusOK || claims["sub"] != k.Sub || claims["jti"] != k.JTI {
			t.Errorf("%s %s", r.Status, r.body)
		}
		if !strings.Contains(r.Header.Get("Cache-Control"), "no-store") {
			t.Errorf("claims may be cached: %q", r.Header.Get("Cache-Control"))
		}
	})
	for name, tt := range map[string]struct {
		header string
		status int
		title  string
	}{
		"no key":            {"-", 401, "Unauthorized"},
		"an empty key":      {"Bearer ", 401, "Unauthorized"},
		"another scheme":    {"Basic YTpi", 401, "Unauthorized"},
		"a key of no form":  {"Bearer tomato", 401, "Unauthorized"},
		"a changed key":     {"Bearer " + k.Key[:len(k.Key)-8] + "AAAAAAAA", 401, "Unauthorized"},
		"an enormous key":   {"Bearer " + strings.Repeat("A", 6000), 401, "Unauthorized"},
		"an unsigned token": {"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhY21lOmxvY2FsOnNoZWQiLCJqdGkiOiJ4In0.", 401, "Unauthorized"},
		"a revoked key":     {"Bearer " + gone.Key, 403, "Forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			r := bearer(tt.header)
			if said := r.refusal(t); r.StatusCode != tt.status || said.Error != tt.title || said.Message == "" || said.Reason == "" {
				t.Errorf("%s %+v, want %d %q with a message and a reason", r.Status, said, tt.status, tt.title)
			}
		})
	}
	t.Run("a cookie is not a key", func(t *testing.T) {
		page := s.in(t).browser()
		page.signIn(k)
		if r := page.do(http.MethodGet, "/api/claims", ""); r.StatusCode != http.StatusUnauthorized {
			t.Errorf("claims with a page's cookie: %s", r.Status)
		}
	})
	t.Run("whoever guesses is told to wait", func(t *testing.T) {
		for range 300 {
			if r := bearer("Bearer tomato"); r.StatusCode == http.StatusTooManyRequests {
				if said := r.refusal(t); said.Error != "Rate Limit Exceeded" || said.Message == "" || said.Reason == "" || r.Header.Get("Retry-After") == "" {
					t.Errorf("%+v, Retry-After %q", said, r.Header.Get("Retry-After"))
				}
				return
			}
		}
		t.Errorf("300 wrong keys in a row and never 429")
	})
}

func TestALinkPointsToTheServerOfItsFolder(t *testing.T) {
	s, proxied := start(t), startBehind(t, "trellis.example")
	t.Setenv("TRELLIS_LISTEN", ":1") // which the server was told otherwise
	for want, args := range map[string][]string{
		s.url + "/enter#":               {"--data", s.data},
		"http://trellis.example/enter#": {"--data", proxied.data},
		"https://other.example/enter#":  {"--data", s.data, "--public-url", "https://other.example"},
		"http://127.0.0.1:9000/enter#":  {"--data", proxied.data, "--listen", "127.0.0.1:9000"},
	} {
		out, errs, code := trellis(t, append([]string{"link"}, args...)...)
		if code != 0 || !strings.HasPrefix(out, want) {
			t.Errorf("link %v: exit %d, %s%s, want %s…", args, code, out, errs, want)
		}
	}
}
