package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"trellis/access"
	"trellis/history"
	"trellis/mqttproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keyRows keeps keys in the store, as cmd/trellis does.
type keyRows struct{ *history.Store }

func (r keyRows) Keys(ctx context.Context) ([]access.KeyInfo, error) {
	rows, err := r.Store.Keys(ctx)
	infos := make([]access.KeyInfo, len(rows))
	for i, k := range rows {
		sub, _ := access.ParseSubject(k.Subject)
		infos[i] = access.KeyInfo{Subject: sub, ID: k.ID, Created: k.Created, Expires: k.Expires, Revoked: k.Revoked, Ended: k.Ended, Hash: k.Hash}
	}
	return infos, err
}

func (r keyRows) AddKey(ctx context.Context, k access.KeyInfo) error {
	return r.Store.AddKey(ctx, history.Key{Subject: k.Subject.String(), ID: k.ID, Created: k.Created, Expires: k.Expires, Hash: k.Hash})
}

// noPages stands where the hub would: these tests are about who is let in.
type noPages struct {
	grants chan access.Grant
	ended  chan string
	broker *pressed
}

func (p noPages) Listen(hear func(mqttproxy.Message)) { p.broker.hear = hear }

func (p noPages) Press(ctx context.Context, g access.Grant, topic string, payload []byte, handed func() error) error {
	return p.broker.press(ctx, g, topic, payload, handed)
}

func (p noPages) EndSignIn(id string) { p.ended <- id }

func (p noPages) Serve(_ context.Context, c mqttproxy.Carrier, g access.Grant) mqttproxy.Reason {
	p.grants <- g
	c.End(mqttproxy.Done)
	return mqttproxy.Done
}

// site is a server with its real keys and store, and a browser without scripts.
type site struct {
	*httptest.Server
	server *Server
	store  *history.Store
	keys   *access.Keys
	pages  noPages
	dir    string // of the record
}

func newSite(t testing.TB, change func(*Config)) *site {
	t.Helper()
	dir := t.TempDir()
	store, err := history.Open(t.Context(), dir, history.Config{})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := access.OpenSigner(filepath.Join(dir, "signing-key.json"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := access.OpenKeys(t.Context(), keyRows{store}, signer, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{dir: dir, store: store, keys: keys, pages: noPages{make(chan access.Grant, 10), make(chan string, 10), &pressed{}}}
	config := Config{
		Keys: keys, Store: store, Past: store, Moments: store, Pages: s.pages, Outbox: &postman{store: store}, JWKS: signer.JWKS(), Account: "home", Region: "local",
		Devices: func(_ context.Context, c net.Conn, _ netip.Addr) error { return c.Close() },
		Healthy: func() error { return nil },
		Probe:   func(context.Context) (time.Duration, error) { return 12 * time.Millisecond, nil },
	}
	if change != nil {
		change(&config)
	}
	s.server = New(config)
	s.Server = httptest.NewServer(s.server.http.Handler)
	t.Cleanup(func() {
		s.Server.Close()
		_ = s.server.Close(context.Background())
		_ = store.Close()
	})
	return s
}

func (s *site) browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport}
}

func (s *site) key(t *testing.T, entity string) access.NewKey {
	t.Helper()
	key, err := s.keys.Add(t.Context(), access.Subject{Account: "home", Region: "local", Entity: entity}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// send makes one request and reads the answer whole.
func send(t *testing.T, c *http.Client, method, address string, form url.Values, headers ...string) (*http.Response, string) {
	t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}
