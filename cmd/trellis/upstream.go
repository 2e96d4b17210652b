package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/url"
	"os"

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
	upstreamCA
}

// upstreamCA says whom to believe that it is the service.
type upstreamCA struct {
	UpstreamCA string `name:"upstream-ca" help:"A file of certificate authorities, in PEM, to believe beside this machine's own." type:"path" placeholder:"FILE"`
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
	roots, err := readRoots("--upstream-ca", u.UpstreamCA)
	if err != nil {
		return nil, err
	}
	return &behind{service, brokers, roots}, nil
}

// readRoots gives this machine's authorities and those in the file; nil without one.
func readRoots(flag, file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, wrongUse("%s: %w", flag, err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, wrongUse("%s=%s: holds no certificate in PEM", flag, file)
	}
	return pool, nil
}

// startFront builds every part that stands in front of another service.
func (c *serveCommand) startFront(ctx context.Context, st *state, public *url.URL, log *slog.Logger) (_ *service, err error) {
	r, err := openRelay(ctx, c.Data, st.store, c.behind, log)
	if err != nil {
		return nil, err
	}
	hub, err := c.openHub(ctx, st, r, r.keys, log)
	if err != nil {
		return nil, errors.Join(err, r.Close(ctx))
	}
	r.keys.OnEnd(hub.EndKey)
	r.keys.OnEnd(r.unwatch)
	r.keys.OnWatched(r.watchKey)
	box := newOutbox(st.store, r, r.keys, log)
	r.keys.OnEnd(box.Wake)
	r.resume()
	s := &service{front: r, outbox: box, hub: hub, state: st, log: log, token: c.token, keeping: r.kept, healthy: r.kept.healthy(r.healthy)}
	s.web = server.New(server.Config{
		Keys: r.keys, Store: st.store, Past: st.store, Moments: st.store, Pages: hub, Healthy: s.healthy, Recording: r.Recording, Probe: r.links.Reach, JWKS: st.signer.JWKS(),
		Front: &server.Front{
			Service: c.behind.service.Host, Agree: r.agree, Watch: r.watch, Watched: r.watched, Held: r.keys.Held, Listen: r.listen,
			Link: r.StateOf, Links: r.links.Stats, Asked: r.service.Asked, Direct: c.behind.direct(r.links),
		},
		Outbox:  box,
		Account: c.Account, Region: c.Region, PublicURL: public, Proxies: c.TrustedProxy, Log: log,
		Limits: c.limits(), Ways: c.Ways, Counted: s.counted(),
	})
	return s, nil
}

// openRelay connects the keys of the service with the links to its broker; nothing connects yet.
func openRelay(ctx context.Context, dir string, store *history.Store, b *behind, log *slog.Logger) (*relay, error) {
	service, err := access.NewService(access.ServiceConfig{Origin: b.service, Roots: b.roots})
	if err != nil {
		return nil, err
	}
	vault, err := access.OpenVault(sealingKeyFile(dir))
	if err != nil {
		return nil, err
	}
	r := &relay{service: service, watching: map[string]func(){}}
	r.store, r.log, r.kept = store, log, newKeeping(dir, store, log)
	if r.keys, err = access.OpenForeignKeys(ctx, heldRows{store}, service, vault, log); err != nil {
		return nil, err
	}
	r.links, err = mqttproxy.NewUplinks(mqttproxy.UplinksConfig{
		Addresses: b.brokers, TLS: &tls.Config{RootCAs: b.roots, MinVersion: tls.VersionTLS12}, Program: vault.Name(), Log: log,
		Secret: r.keys.Secret, Check: r.keys.Check, Ended: r.keys.End, Agreed: r.keys.Agreed, Take: r.taking(r.understand, nil), Lost: r.kept.tally.note, Linked: r.linked,
		Echo: r.keys.Echo, SetEcho: r.echoed, Client: r.keys.Client, SetClient: r.wentOn,
	})
	return r, err
}

// direct is how pages go to the service's broker themselves: by its WebSocket, if we know of one.
func (b *behind) direct(links *mqttproxy.Uplinks) *server.Direct {
	for _, at := range b.brokers {
		if at.Scheme == "wss" || at.Scheme == "ws" {
			return &server.Direct{Address: at, Lend: links.Lend, Renew: links.Renew}
		}
	}
	return nil
}

// heldRows keeps the service's keys in the one database.
type heldRows struct{ *history.Store }

// HeldKeys gives all of them.
func (r heldRows) HeldKeys(ctx context.Context) ([]access.HeldKey, error) {
	rows, err := r.Store.HeldKeys(ctx)
	keys := make([]access.HeldKey, len(rows))
	for i, k := range rows {
		keys[i] = access.HeldKey{Sub: k.Subject, ID: k.ID, Print: k.Print, Sealed: k.Sealed, Until: k.Until, Used: k.Used,
			HeldMarks: access.HeldMarks{Agreed: k.Agreed, Linked: k.Linked, Watched: k.Watched, Echo: access.Echo(k.Echo), Client: k.Client}}
	}
	return keys, err
}

// PutHeldKey keeps one.
func (r heldRows) PutHeldKey(ctx context.Context, k access.HeldKey) error {
	return r.Store.PutHeldKey(ctx, history.HeldKey{Subject: k.Sub, ID: k.ID, Print: k.Print, Sealed: k.Sealed, Until: k.Until, Used: k.Used,
		Agreed: k.Agreed, Linked: k.Linked, Watched: k.Watched, Echo: int(k.Echo), Client: k.Client})
}

// MarkHeldKey sets what is remembered about one.
func (r heldRows) MarkHeldKey(ctx context.Context, id string, mark access.Mark, value any) (bool, error) {
	return r.Store.MarkHeldKey(ctx, id, history.HeldMark(mark), value)
}
