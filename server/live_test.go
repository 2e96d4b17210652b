package server

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"trellis/access"
	"trellis/mqttproxy"
)

// dial opens a WebSocket as a browser does; the answer to a refused upgrade is in the response.
func dial(t *testing.T, s *site, path string, b *http.Client, headers http.Header, protocols ...string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	if protocols == nil {
		protocols = []string{"mqtt"}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return websocket.Dial(ctx, "ws"+s.URL[len("http"):]+path, &websocket.DialOptions{
		HTTPClient: b, HTTPHeader: headers, Subprotocols: protocols,
	})
}

func TestLiveHandsTheVisitorsGrantOn(t *testing.T) {
	s := newSite(t, nil)
	key := s.key(t, "shed")
	b := s.browser(t)
	send(t, b, "POST", s.URL+"/session", url.Values{"key": {key.Key}})
	conn, _, err := dial(t, s, "/live", b, http.Header{"Origin": {s.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	g := <-s.pages.grants
	if want := access.KeyGrant(access.Subject{Account: "home", Region: "local", Entity: "shed"}, key.JTI, time.Time{}); g.KeyID != want.KeyID || g.Publish[0] != want.Publish[0] {
		t.Errorf("grant %v, want %v", g, want)
	}
}

func TestLiveCarriesAPipe(t *testing.T) {
	s := newSite(t, nil)
	key := s.key(t, "shed")
	b := signedIn(t, s, key.Key)
	line := func(b *http.Client, join string) (*websocket.Conn, []byte, error) {
		conn, answer, err := dial(t, s, "/live", b, http.Header{"Origin": {s.URL}}, "mqtt", mqttproxy.PipeSubprotocol)
		if err != nil || answer.Header.Get("Sec-WebSocket-Protocol") != mqttproxy.PipeSubprotocol {
			t.Fatal(answer, err)
		}
		t.Cleanup(func() { _ = conn.CloseNow() })
		_ = conn.Write(t.Context(), websocket.MessageBinary, append([]byte{1}, join...))
		_, said, err := conn.Read(t.Context())
		return conn, said, err
	}
	conn, said, err := line(b, `{"id":"","have":0,"take":true}`)
	var opened told
	if err != nil || said[0] != 0x81 || json.Unmarshal(said[1:], &opened) != nil || len(opened.ID) < 34 {
		t.Fatalf("a join was answered %q: %v", said, err)
	}
	thief := signedIn(t, s, s.key(t, "other").Key)
	if _, _, err := line(thief, `{"id":"`+opened.ID+`","have":0,"take":true}`); websocket.CloseStatus(err) != 4004 {
		t.Errorf("a thief got %v", err)
	}
	if _, said, err := line(b, `{"id":"`+opened.ID+`","have":0,"take":false}`); err != nil || !strings.Contains(string(said), `"up":0`) {
		t.Errorf("its owner got %q: %v", said, err)
	}
	_ = conn.Write(t.Context(), websocket.MessageBinary, append(make([]byte, 0, 20), "\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00hello"...))
	if g := <-s.pages.grants; g.KeyID != key.JTI {
		t.Errorf("grant %v", g)
	}
}

func TestSigningOutEndsAPipeThatNobodyServesYet(t *testing.T) {
	s := newSite(t, nil)
	b := signedIn(t, s, s.key(t, "shed").Key)
	conn, _, err := dial(t, s, "/live", b, http.Header{"Origin": {s.URL}}, mqttproxy.PipeSubprotocol)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Write(t.Context(), websocket.MessageBinary, []byte("\x01{\"id\":\"\",\"have\":0,\"take\":true}"))
	if _, _, err := conn.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	send(t, b, "POST", s.URL+"/session/end", nil)
	if _, said, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusCode(mqttproxy.SignedOut.Code()) {
		t.Errorf("told %q, %v", said, err)
	}
}

func TestLiveTellsWhoIsNotSignedIn(t *testing.T) {
	s := newSite(t, nil)
	conn, _, err := dial(t, s, "/live", s.browser(t), http.Header{"Origin": {s.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != 4010 {
		t.Errorf("closed with %v, want 4010", err)
	}
}

func TestLiveIsForOurOwnPages(t *testing.T) {
	s := newSite(t, nil)
	key := s.key(t, "shed")
	b := s.browser(t)
	send(t, b, "POST", s.URL+"/session", url.Values{"key": {key.Key}})
	for _, origin := range []string{"https://evil.example", "null", "https" + s.URL[len("http"):], "http://127.0.0.1", ""} {
		_, answer, err := dial(t, s, "/live", b, http.Header{"Origin": {origin}})
		if err == nil || answer == nil || answer.StatusCode != http.StatusForbidden {
			t.Errorf("origin %q was let in: %v", origin, err)
		}
	}
}

func TestDevicesComeFromAnywhere(t *testing.T) {
	s := newSite(t, nil)
	conn, _, err := dial(t, s, "/ws", s.browser(t), http.Header{"Origin": {"https://elsewhere.example"}})
	if err != nil {
		t.Fatal(err)
	}
	conn.CloseNow()
	answer, _ := send(t, s.browser(t), "GET", s.URL+"/ws", nil)
	if answer.StatusCode < 400 {
		t.Errorf("a plain request: %d", answer.StatusCode)
	}
}
