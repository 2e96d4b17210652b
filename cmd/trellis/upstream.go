package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"trellis/access"
	"trellis/history"
	"trellis/mqttproxy"
	"trellis/server"
)

// upstream are the flags for standing in front of another service.
type upstream struct {
	Upstream     string `help:"Stand in front of another service: its address, such as https://app.tendrl.com. People sign in with its keys; there is no broker inside then." placeholder:"URL"`
	UpstreamMQTT string `name:"upstream-mqtt" help:"Where that service takes MQTT over TCP: mqtts://host:port, or a bare host for TLS on port 443." placeholder:"ADDRESS"`
	UpstreamWS   string `name:"upstream-ws" help:"Where it takes MQTT over WebSocket: wss://host/path." placeholder:"ADDRESS"`
	UpstreamCA   string `name:"upstream-ca" help:"A file of certificate authorities, in PEM, to believe beside this machine's own." type:"path" placeholder:"FILE"`
}

// behind is what the flags say, read.
type behind struct {
	service *url.URL
	brokers []*url.URL
	roots   *x509.CertPool
}

// read refuses flags that lead nowhere. It gives nil where there is no service behind.
func (u upstream) read() (*behind, error) {
	if u.Upstream == "" {
		if u.UpstreamMQTT != "" || u.UpstreamWS != "" || u.UpstreamCA != "" {
			return nil, wrongUse("--upstream-mqtt, --upstream-ws and --upstream-ca need --upstream")
		}
		return nil, nil
	}
	service, err := access.ParseService(u.Upstream)
	if err != nil {
		return nil, wrongUse("--upstream=%s: %v", u.Upstream, err)
	}
	if u.UpstreamMQTT != "" {
		if _, err := mqttproxy.ParseMQTTAddress(u.UpstreamMQTT); err != nil {
			return nil, wrongUse("--upstream-mqtt=%s: %v", u.UpstreamMQTT, err)
		}
	}
	brokers, err := mqttproxy.UpstreamAddresses(service, u.UpstreamMQTT, u.UpstreamWS)
	if err != nil {
		return nil, wrongUse("--upstream-ws=%s: %v", u.UpstreamWS, err)
	}
	roots, err := u.roots()
	if err != nil {
		return nil, err
	}
	return &behind{service, brokers, roots}, nil
}

// roots are this machine's authorities and those in the file.
func (u upstream) roots() (*x509.CertPool, error) {
	if u.UpstreamCA == "" {
		return nil, nil
	}
	text, err := os.ReadFile(u.UpstreamCA)
	if err != nil {
		return nil, wrongUse("--upstream-ca: %v", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, wrongUse("--upstream-ca=%s: holds no certificate in PEM", u.UpstreamCA)
	}
	return pool, nil
}

// startFront builds every part that stands in front of another service.
func (c *serveCommand) startFront(ctx context.Context, st *state, public *url.URL, log *slog.Logger) (_ *service, err error) {
	r, err := openRelay(ctx, c.Data, st.store, c.behind, log)
	if err != nil {
		return nil, err
	}
	hub := mqttproxy.NewHub(mqttproxy.Config{
		Source: r, Log: log, Good: stillGood(r.keys), MaxSessions: c.MaxPages, MaxPerKey: c.MaxPagesPerKey,
	})
	latest, err := st.store.Latest(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the last values: %w", err), r.Close(ctx))
	}
	hub.Seed(remembered(latest))
	hub.Start()
	r.keys.OnEnd(hub.EndKey)
	r.resume()
	web := server.New(server.Config{
		Keys: r.keys, Store: st.store, Past: st.store, Pages: hub, Healthy: r.healthy, Probe: r.links.Reach, JWKS: st.signer.JWKS(),
		Front:   &server.Front{Agree: r.agree},
		Account: c.Account, Region: c.Region, PublicURL: public, Proxies: c.TrustedProxy, Log: log,
		Limits: c.limits(), Ways: c.Ways,
	})
	return &service{relay: r, hub: hub, web: web, state: st, log: log}, nil
}

// openRelay connects the keys of the service with the links to its broker; nothing connects yet.
func openRelay(ctx context.Context, dir string, store *history.Store, b *behind, log *slog.Logger) (*relay, error) {
	service, err := access.NewService(access.ServiceConfig{Origin: b.service, Roots: b.roots})
	if err != nil {
		return nil, err
	}
	vault, err := access.OpenVault(filepath.Join(dir, "sealing-key.json"))
	if err != nil {
		return nil, err
	}
	r := &relay{service: service, store: store, log: log}
	if r.keys, err = access.OpenForeignKeys(ctx, heldRows{store}, service, vault, log); err != nil {
		return nil, err
	}
	r.links, err = mqttproxy.NewUplinks(mqttproxy.UplinksConfig{
		Addresses: b.brokers, TLS: &tls.Config{RootCAs: b.roots, MinVersion: tls.VersionTLS12}, Program: vault.Name(), Log: log,
		Secret: r.keys.Secret, Check: r.keys.Check, Ended: r.keys.End, Agreed: r.keys.Agreed, Take: r.take, Linked: r.linked,
	})
	return r, err
}

// upstreamNote is where a folder says whose keys its server takes, for commands beside it.
func upstreamNote(dir string) string { return filepath.Join(dir, "upstream") }

// noteUpstream writes that down, or that the keys are our own.
func noteUpstream(dir string, b *behind) error {
	if b == nil {
		if err := os.Remove(upstreamNote(dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("note whose keys these are: %w", err)
		}
		return nil
	}
	if err := os.WriteFile(upstreamNote(dir), []byte(b.service.String()+"\n"), 0o600); err != nil {
		return fmt.Errorf("note whose keys these are: %w", err)
	}
	return nil
}

// refuseForeign says where keys come from, if not from here.
func refuseForeign(dir string) error {
	text, err := os.ReadFile(upstreamNote(dir))
	if err != nil {
		return nil // there is no such note
	}
	return fmt.Errorf("the server on %s takes keys of %s: make them there, and paste them on its page", dir, strings.TrimSpace(string(text)))
}

// heldRows keeps the service's keys in the one database.
type heldRows struct{ *history.Store }

// HeldKeys gives all of them.
func (r heldRows) HeldKeys(ctx context.Context) ([]access.HeldKey, error) {
	rows, err := r.Store.HeldKeys(ctx)
	keys := make([]access.HeldKey, len(rows))
	for i, k := range rows {
		keys[i] = access.HeldKey{Sub: k.Subject, ID: k.ID, Print: k.Print, Sealed: k.Sealed, Until: k.Until, Used: k.Used, Agreed: k.Agreed, Linked: k.Linked}
	}
	return keys, err
}

// PutHeldKey keeps one.
func (r heldRows) PutHeldKey(ctx context.Context, k access.HeldKey) error {
	return r.Store.PutHeldKey(ctx, history.HeldKey{Subject: k.Sub, ID: k.ID, Print: k.Print, Sealed: k.Sealed, Until: k.Until, Used: k.Used, Agreed: k.Agreed, Linked: k.Linked})
}
