package server

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestSigningInWithAKey(t *testing.T) {
	s := newSite(t, nil)
	key := s.key(t, "shed")
	b := s.browser(t)
	if _, page := send(t, b, "GET", s.URL+"/", nil); !strings.Contains(page, `name="key"`) {
		t.Fatalf("the first page does not ask for a key:\n%s", page)
	}
	answer, page := send(t, b, "POST", s.URL+"/session", url.Values{"key": {" " + key.Key[:80] + "\n" + key.Key[80:] + "\n"}})
	if answer.StatusCode != 200 || answer.Request.URL.Path != "/" || strings.Contains(page, `name="key"`) {
		t.Fatalf("%d at %s: not signed in", answer.StatusCode, answer.Request.URL)
	}
	if strings.Contains(page, key.Key) {
		t.Error("the page holds the key")
	}
	if !strings.Contains(page, key.JTI+"/messages") {
		t.Error("the page does not say what it may hear")
	}
	if _, err := s.keys.Revoke(t.Context(), key.JTI); err != nil {
		t.Fatal(err)
	}
	if answer, page := send(t, b, "GET", s.URL+"/", nil); answer.StatusCode != 403 || !strings.Contains(page, "was withdrawn") {
		t.Errorf("after the key was withdrawn: %d", answer.StatusCode)
	}
}

func TestARefusedKeyIsSaidAndNotPrinted(t *testing.T) {
	s := newSite(t, nil)
	b := s.browser(t)
	answer, page := send(t, b, "POST", s.URL+"/session", url.Values{"key": {"canary-9371"}})
	if answer.StatusCode != 401 || !strings.Contains(page, "This access key was not accepted. Check that you copied all of it.") {
		t.Errorf("%d: the sentence is missing", answer.StatusCode)
	}
	if strings.Contains(page, "canary-9371") || len(answer.Cookies()) > 0 {
		t.Error("the page gives the key back, or a cookie for nothing")
	}
	answer, text := send(t, b, "POST", s.URL+"/session", url.Values{"key": {"x"}}, "Accept", "application/json")
	if answer.StatusCode != 401 || !strings.Contains(text, `"reason":"key_unknown"`) {
		t.Errorf("to a script: %d %s", answer.StatusCode, text)
	}
}

func TestTheOperatorsCodeIsGoodOnce(t *testing.T) {
	s := newSite(t, nil)
	if err := s.store.PutCode(t.Context(), CodeHash("ABC"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	b := s.browser(t)
	if answer, _ := send(t, b, "GET", s.URL+"/enter", nil); answer.StatusCode != 200 {
		t.Fatalf("looking at the page: %d", answer.StatusCode)
	}
	answer, page := send(t, b, "POST", s.URL+"/enter", url.Values{"code": {"abc "}})
	if answer.StatusCode != 200 || answer.Request.URL.Path != "/" || !strings.Contains(page, "home/local/+/publish") {
		t.Fatalf("%d at %s: not the operator", answer.StatusCode, answer.Request.URL)
	}
	other := s.browser(t)
	if answer, page := send(t, other, "POST", s.URL+"/enter", url.Values{"code": {"ABC"}}); answer.StatusCode != 410 || !strings.Contains(page, "used before") {
		t.Errorf("a second time: %d", answer.StatusCode)
	}
}

func TestSigningOutEndsTheSession(t *testing.T) {
	s := newSite(t, nil)
	key := s.key(t, "shed")
	b := s.browser(t)
	send(t, b, "POST", s.URL+"/session", url.Values{"key": {key.Key}})
	at, _ := url.Parse(s.URL)
	old := b.Jar.Cookies(at)
	send(t, b, "POST", s.URL+"/session/end", url.Values{})
	thief := s.browser(t)
	thief.Jar.SetCookies(at, old)
	if _, page := send(t, thief, "GET", s.URL+"/", nil); !strings.Contains(page, `name="key"`) {
		t.Error("the old cookie still signs in")
	}
	if first, second := <-s.pages.ended, <-s.pages.ended; first != "" || second == "" {
		t.Errorf("live sessions of %q and %q were ended, want none at first and then this one's", first, second)
	}
}

// Whoever has one key can sign in with it again and again.
func TestSigningInOftenPushesOutNobodyElse(t *testing.T) {
	s := newSite(t, nil)
	house, first, key := operatorOf(t, s), s.holder(t, "barn"), s.key(t, "shed").Key
	var all []*http.Client
	patient := time.Now()
	s.server.limits.now = func() time.Time { patient = patient.Add(time.Minute); return patient } // whoever does that is not in a hurry
	for range 52 {
		b := s.browser(t)
		if answer, page := send(t, b, "POST", s.URL+"/session", url.Values{"key": {key}}); strings.Contains(page, `name="key"`) {
			t.Fatal(answer.Status)
		}
		for len(s.pages.ended) > 0 {
			<-s.pages.ended
		}
		all = append(all, b)
	}
	for name, b := range map[string]*http.Client{"the operator": house, "another key": first, "the last": all[51]} {
		if _, page := send(t, b, "GET", s.URL+"/", nil); strings.Contains(page, `name="key"`) {
			t.Errorf("%s is signed out", name)
		}
	}
	if _, page := send(t, all[0], "GET", s.URL+"/", nil); !strings.Contains(page, `name="key"`) {
		t.Error("one key has more sign-ins than it may")
	}
}

// There is one connection that writes, and strangers may wait for it without end.
func TestAStrangerWhoSignsOutWritesNothing(t *testing.T) {
	s := newSite(t, nil)
	store := &countingStore{Store: s.server.Store}
	s.server.sessions.Store = store
	b := s.browser(t)
	at, _ := url.Parse(s.URL)
	send(t, b, "POST", s.URL+"/session/end", url.Values{})
	b.Jar.SetCookies(at, []*http.Cookie{{Name: s.server.sessions.Cookie.Name, Value: "made-up"}})
	send(t, b, "POST", s.URL+"/session/end", url.Values{})
	if store.deleted != 0 {
		t.Errorf("%d sessions were deleted", store.deleted)
	}
	send(t, b, "POST", s.URL+"/session", url.Values{"key": {s.key(t, "shed").Key}})
	before := store.deleted
	send(t, b, "POST", s.URL+"/session/end", url.Values{})
	if store.deleted != before+1 {
		t.Error("who has signed in is not signed out")
	}
}

type countingStore struct {
	Store
	deleted int
}

func (s *countingStore) Delete(token string) error {
	s.deleted++
	return s.Store.Delete(token)
}

func TestAGivenCookieIsReplacedBySigningIn(t *testing.T) {
	s := newSite(t, nil)
	key := s.key(t, "shed")
	b := s.browser(t)
	at, _ := url.Parse(s.URL)
	b.Jar.SetCookies(at, []*http.Cookie{{Name: "trellis", Value: "planted-by-somebody-else"}})
	send(t, b, "POST", s.URL+"/session", url.Values{"key": {key.Key}})
	for _, c := range b.Jar.Cookies(at) {
		if c.Value == "planted-by-somebody-else" {
			t.Error("the planted value became a session")
		}
	}
}

func TestOnlyOurOwnPagesMayAct(t *testing.T) {
	s := newSite(t, nil)
	key := s.key(t, "shed")
	host := strings.TrimPrefix(s.URL, "http://")
	for name, tt := range map[string]struct {
		headers []string
		want    int
	}{
		"our own page":                   {[]string{"Origin", s.URL, "Sec-Fetch-Site", "same-origin"}, 204},
		"a program":                      {nil, 204},
		"another site":                   {[]string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, 403},
		"another site, old browser":      {[]string{"Origin", "https://evil.example"}, 403},
		"the same site's other host":     {[]string{"Origin", "http://x." + host, "Sec-Fetch-Site", "same-site"}, 403},
		"the same host by https":         {[]string{"Origin", "https://" + host}, 403},
		"the same host, other port":      {[]string{"Origin", "http://127.0.0.1:1"}, 403},
		"no origin at all, said as null": {[]string{"Origin", "null"}, 403},
		"ours as a prefix":               {[]string{"Origin", s.URL + ".evil.example"}, 403},
		"ours as user information":       {[]string{"Origin", s.URL + "@evil.example"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			headers := append([]string{"Accept", "application/json"}, tt.headers...)
			if answer, text := send(t, s.browser(t), "POST", s.URL+"/session", url.Values{"key": {key.Key}}, headers...); answer.StatusCode != tt.want {
				t.Errorf("%d %s, want %d", answer.StatusCode, text, tt.want)
			}
		})
	}
}

func TestFormsAreBounded(t *testing.T) {
	s := newSite(t, nil)
	if answer, _ := send(t, s.browser(t), "POST", s.URL+"/session", url.Values{"key": {strings.Repeat("x", 1<<20)}}); answer.StatusCode < 400 || answer.StatusCode > 499 {
		t.Errorf("a megabyte: %d", answer.StatusCode)
	}
	if answer, _ := send(t, s.browser(t), "POST", s.URL+"/session", url.Values{"key": {"x"}}, "Content-Encoding", "gzip"); answer.StatusCode != 415 {
		t.Errorf("a compressed form: %d", answer.StatusCode)
	}
}

func TestEveryAnswerCarriesThePolicy(t *testing.T) {
	s := newSite(t, nil)
	for _, path := range []string{"/", "/enter", "/nowhere", "/api/claims", "/static/nothing.js", "/healthz"} {
		answer, _ := send(t, s.browser(t), "GET", s.URL+path, nil)
		policy := answer.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || answer.Header.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("%s: policy %q", path, policy)
		}
	}
	if _, page := send(t, s.browser(t), "GET", s.URL+"/nowhere", nil); !strings.Contains(page, "There is no page at this address.") {
		t.Error("an unknown address gets no sentence")
	}
}

func TestARenewedKeyEndsWhatTheOldOneSignedIn(t *testing.T) {
	s := newSite(t, nil)
	key := s.key(t, "shed")
	b := s.browser(t)
	send(t, b, "POST", s.URL+"/session", url.Values{"key": {key.Key}})
	fresh, err := s.keys.Renew(t.Context(), key.JTI)
	if err != nil {
		t.Fatal(err)
	}
	if answer, _ := send(t, b, "GET", s.URL+"/", nil); answer.StatusCode != 403 {
		t.Errorf("with the old key's session: %d", answer.StatusCode)
	}
	if answer, _ := send(t, b, "POST", s.URL+"/session", url.Values{"key": {fresh.Key}}); answer.StatusCode != 200 {
		t.Errorf("with the new key: %d", answer.StatusCode)
	}
}
