package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"trellis/e2e/wire"
)

// browser is a page's view of the server: it keeps cookies, follows nothing and says where it comes from.
type browser struct {
	t    testing.TB
	s    *server
	http *http.Client
	seen *strings.Builder // every header and body that was answered
}

// reply is an answer with its body read.
type reply struct {
	*http.Response
	body string
}

func (s *server) browser() *browser {
	jar, err := cookiejar.New(nil)
	must(s.t, err)
	client := &http.Client{
		Jar: jar, Timeout: prompt,
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.t.Cleanup(client.CloseIdleConnections)
	return &browser{t: s.t, s: s, http: client, seen: &strings.Builder{}}
}

// do sends a request with these headers; a header given as "-" is left out.
func (b *browser) do(method, path, body string, headers ...string) reply {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, b.s.url+path, strings.NewReader(body))
	must(b.t, err)
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] != "-" {
			request.Header.Set(headers[i], headers[i+1])
		}
	}
	answer, err := b.http.Do(request)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	must(b.t, err)
	_ = answer.Header.Write(b.seen)
	b.seen.Write(text)
	return reply{answer, string(text)}
}

// post sends a form as the site's own page would.
func (b *browser) post(path string, form url.Values, headers ...string) reply {
	b.t.Helper()
	own := []string{"Content-Type", "application/x-www-form-urlencoded", "Origin", b.s.url, "Sec-Fetch-Site", "same-origin"}
	return b.do(http.MethodPost, path, form.Encode(), append(own, headers...)...)
}

// signIn signs in with a key.
func (b *browser) signIn(k key) {
	b.t.Helper()
	if r := b.post("/session", url.Values{"key": {k.Key}}, "Accept", "application/json"); r.StatusCode/100 != 2 {
		b.t.Fatalf("signing in with a key: %s %s", r.Status, r.body)
	}
}

// enter follows the operator's link, doing what its page's script does.
func (b *browser) enter() reply {
	b.t.Helper()
	_, code, _ := strings.Cut(b.s.link, "#")
	return b.post("/enter", url.Values{"code": {code}})
}

// cookies are what the page would send with a WebSocket's handshake.
func (b *browser) cookies() string {
	at, err := url.Parse(b.s.url)
	must(b.t, err)
	var all []string
	for _, c := range b.http.Jar.Cookies(at) {
		all = append(all, c.Name+"="+c.Value)
	}
	return strings.Join(all, "; ")
}

// live opens the page's own MQTT connection.
func (b *browser) live() *wire.Client {
	b.t.Helper()
	socket, answer, err := wire.DialSocket(b.t.Context(), "ws://"+b.s.listen+"/live", b.liveHeader())
	if err != nil {
		b.t.Fatalf("open /live: %v (%v)", err, answer)
	}
	client, err := wire.OpenOn(socket, wire.Login{ClientID: "page", KeepAlive: 60})
	if err != nil {
		b.t.Fatalf("log in on /live: %v", err)
	}
	b.t.Cleanup(func() { _ = client.Close() })
	return client
}

// liveHeader names the host as the site's address does: that is what the cookie and the Origin belong to.
func (b *browser) liveHeader() http.Header {
	at, err := url.Parse(b.s.url)
	must(b.t, err)
	return http.Header{"Cookie": {b.cookies()}, "Origin": {b.s.url}, "Host": {at.Host}}
}

// refusal is the documented form of an error, and our reason beside it.
type refusal struct{ Error, Message, Reason string }

func (r reply) refusal(t testing.TB) refusal {
	t.Helper()
	var said refusal
	if err := json.Unmarshal([]byte(r.body), &said); err != nil {
		t.Errorf("%s with the body %.200q, not the documented form: %v", r.Status, r.body, err)
	}
	return said
}
