package server

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// told is what every answer of a pipe says.
type told struct {
	ID    string
	Up    int64
	Code  int
	Words string
	Nonce string
	Ways  []string
}

// post makes one of a pipe's requests, as our own page does.
func post(t *testing.T, s *site, b *http.Client, path, id, body string, headers ...string) (int, told) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i, all := 0, append([]string{"Origin", s.URL, "X-Trellis-Session", id, "X-Pos", "0", "X-Ack", "0"}, headers...); i < len(all); i += 2 {
		r.Header.Set(all[i], all[i+1])
	}
	answer, err := b.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var said told
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		t.Errorf("%s was answered %d, not in the usual form: %v", path, answer.StatusCode, err)
	}
	return answer.StatusCode, said
}

func signedIn(t *testing.T, s *site, key string) *http.Client {
	t.Helper()
	b := s.browser(t)
	send(t, b, "POST", s.URL+"/session", url.Values{"key": {key}})
	return b
}

func TestPipeHandsTheVisitorsGrantOn(t *testing.T) {
	s := newSite(t, nil)
	key := s.key(t, "shed")
	b := signedIn(t, s, key.Key)
	status, opened := post(t, s, b, "/live/open", "", "")
	if status != http.StatusOK || len(opened.ID) < 34 {
		t.Fatalf("open was answered %d %+v", status, opened)
	}
	if status, said := post(t, s, b, "/live/up", opened.ID, "hello"); status != http.StatusOK || said.Up != 5 {
		t.Errorf("an upload was answered %d %+v", status, said)
	}
	if g := <-s.pages.grants; g.KeyID != key.JTI {
		t.Errorf("grant %v", g)
	}
}

func TestPipeIsBoundToTheSignIn(t *testing.T) {
	s := newSite(t, nil)
	key := s.key(t, "shed")
	a, again := signedIn(t, s, key.Key), signedIn(t, s, key.Key)
	b := signedIn(t, s, s.key(t, "other").Key)
	_, opened := post(t, s, a, "/live/open", "", "")
	for name, thief := range map[string]*http.Client{"another key": b, "the same key in another browser": again} {
		for _, path := range []string{"/live/up", "/live/down"} {
			if status, said := post(t, s, thief, path, opened.ID, "x", "X-Mode", "poll"); status != http.StatusNotFound || said.Code != 4004 {
				t.Errorf("%s: %s was answered %d %+v", name, path, status, said)
			}
		}
	}
	if status, said := post(t, s, s.browser(t), "/live/up", opened.ID, "x"); status != http.StatusForbidden || said.Code != 4010 {
		t.Errorf("nobody: %d %+v", status, said)
	}
	if status, said := post(t, s, a, "/live/up", opened.ID, "mine"); status != http.StatusOK || said.Up != 4 {
		t.Errorf("its owner: %d %+v", status, said)
	}
	<-s.pages.grants
}

func TestPipeIsForOurOwnPages(t *testing.T) {
	s := newSite(t, nil)
	b := signedIn(t, s, s.key(t, "shed").Key)
	for _, origin := range []string{"https://evil.example", "null", "https" + s.URL[len("http"):], "http://127.0.0.1", ""} {
		for _, path := range []string{"/live/hello", "/live/open", "/live/up", "/live/down"} {
			if status, _ := post(t, s, b, path, "", "", "Origin", origin); status != http.StatusForbidden {
				t.Errorf("%s from %q was answered %d", path, origin, status)
			}
		}
	}
	if status, said := post(t, s, s.browser(t), "/live/hello", "", "", "X-Nonce", "n1"); status != http.StatusOK || said.Nonce != "n1" {
		t.Errorf("hello was answered %d %+v", status, said)
	}
}
