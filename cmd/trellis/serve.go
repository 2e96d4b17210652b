package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	"trellis/access"
	"trellis/broker"
	"trellis/history"
	"trellis/mqttproxy"
	"trellis/server"
	"trellis/static"
)

// serveCommand runs everything.
type serveCommand struct {
	folder
	account
	upstream
	otherBrokerFlags
	pageLimits
	metrics
	Listen       string         `help:"Address of the pages and of MQTT over WebSocket (/ws)." default:":8080"`
	MQTT         string         `name:"mqtt" help:"Address of MQTT over TCP; empty turns it off." default:":1883"`
	PublicURL    string         `name:"public-url" help:"The address that people use, when it is not this machine's own: https://trellis.example.com." placeholder:"URL"`
	Sync         syncEvery      `help:"When a message counts as safe: 'always' writes to disk before it is acknowledged; a time such as 1s may lose that much in a power cut." default:"always"`
	Demo         bool           `help:"Start a pretend greenhouse of four devices."`
	TrustedProxy []netip.Prefix `name:"trusted-proxy" help:"Networks of proxies whose X-Forwarded-For is believed." placeholder:"CIDR"`
	behind       *behind        // what upstream says, once it was read
	other        *otherBroker   // and what is said of any broker
	Keep         keepFor        `help:"How long messages and charts are kept: 90d, 12w, 8760h; 0 keeps them for ever." default:"90d"`
	KeepSize     keepSize       `name:"keep-size" help:"How large the record may become before the oldest goes: 2GiB, 500MiB." default:"2GiB"`
	LogLevel     string         `name:"log-level" help:"debug, info, warn or error." default:"info" enum:"debug,info,warn,error"`
}

// syncEvery is --sync; zero means always.
type syncEvery time.Duration

// UnmarshalText reads `always` or a time.
func (s *syncEvery) UnmarshalText(text []byte) error {
	if string(text) == "always" {
		*s = 0
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 10*time.Millisecond || d > time.Hour {
		return fmt.Errorf("should be 'always' or a time between 10ms and 1h, not %q", text)
	}
	*s = syncEvery(d)
	return nil
}

// defaultMQTT is what --mqtt is when nobody said anything.
const defaultMQTT = ":1883"

// stopWithin is how long a stop may take in all.
const stopWithin = 9 * time.Second

// Run serves until ctx ends, then stops.
func (c *serveCommand) Run(ctx context.Context, con console) (err error) {
	public, err := c.publicURL()
	if err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // one of four
	log := newLog(con.errs, level)
	doors, err := c.openPorts()
	if err != nil {
		return err
	}
	defer doors.close()
	if os.Getenv("GOGC") == "" {
		// Most of what is held is idle pages and devices: a third less memory for each, and no fewer messages a second (make bench).
		debug.SetGCPercent(50)
	}
	release, err := lockFolder(c.Data)
	if err != nil {
		return err
	}
	defer release()
	var topics access.Topics
	if c.other != nil {
		topics = c.other.keyTopics
	}
	state, err := openState(ctx, c.Data, history.Config{Sync: time.Duration(c.Sync), Keep: time.Duration(c.Keep), KeepBytes: int64(c.KeepSize), Log: log}, topics)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.close()) }()
	if err := errors.Join(state.store.Resume(ctx), state.store.EndPresses(ctx)); err != nil {
		return err
	}
	if err := c.notes(doors.http.Addr()); err != nil {
		return err
	}
	if !static.Built() {
		log.Warn("this program was built without its pages' scripts; build it with make build")
	}
	start := c.start
	switch {
	case c.behind != nil:
		start = c.startFront
	case c.other != nil:
		start = c.startOther
	}
	s, err := start(ctx, state, public, log)
	if err != nil {
		return err
	}
	return s.serve(ctx, doors, func() error { return c.greet(ctx, con.out, state, doors) })
}

// check refuses an account or region that no key could carry, and a demo that could not be reached.
func (c *serveCommand) check() error {
	var err error
	if c.behind, err = c.upstream.read(); err != nil {
		return err
	}
	if c.other, err = c.otherBrokerFlags.read(); err != nil {
		return err
	}
	if c.behind != nil && c.other != nil {
		return wrongUse("--upstream and --broker: this server stands in front of one of them")
	}
	if c.behind != nil || c.other != nil {
		if c.Demo || (c.MQTT != "" && c.MQTT != defaultMQTT) {
			return wrongUse("--demo and --mqtt need a broker inside, and with --upstream or --broker there is none")
		}
		c.MQTT = ""
	}
	if c.Demo && c.MQTT == "" {
		return wrongUse("--demo needs --mqtt: its devices are ordinary MQTT clients")
	}
	if err := c.pageLimits.check(); err != nil {
		return err
	}
	if err := c.metrics.check(); err != nil {
		return err
	}
	_, err = subject(c.account, "x")
	return err
}

func (c *serveCommand) publicURL() (*url.URL, error) {
	if c.PublicURL == "" {
		return nil, nil
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.User != nil {
		return nil, wrongUse("--public-url=%s: should be http:// or https:// and a host, nothing behind it", c.PublicURL)
	}
	return u, nil
}

// start builds every part and connects them; nothing answers yet.
func (c *serveCommand) start(ctx context.Context, st *state, public *url.URL, log *slog.Logger) (*service, error) {
	var pages atomic.Pointer[mqttproxy.Hub] // made after the broker, which may lose something before
	kept := newKeeping(c.Data, st.store, log)
	kept.room.warn(log, int64(c.KeepSize))
	b, err := broker.Open(ctx, broker.Config{
		Dir:       filepath.Join(c.Data, "jetstream"),
		SyncEvery: time.Duration(c.Sync),
		Keys:      st.keys,
		Record:    kept.record,
		Room:      kept.fit,
		Lost: func(topic string) {
			kept.tally.note(topic)
			if hub := pages.Load(); hub != nil {
				hub.Unrecorded(topic)
			}
		},
		Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("start the broker: %w", err)
	}
	hub, err := c.openHub(ctx, st, source{b, kept}, st.keys, log)
	if err != nil {
		return nil, errors.Join(err, b.Close(ctx))
	}
	pages.Store(hub)
	box := newOutbox(st.store, source{b, kept}, st.keys, log)
	st.keys.OnEnd(func(jti string) { hub.EndKey(jti); b.EndKey(jti); box.Wake(jti) })
	var greenhouse *pretend
	if c.Demo {
		greenhouse = &pretend{keys: st.keys, store: st.store, account: c.account, log: log}
	}
	s := &service{broker: b, outbox: box, demo: greenhouse, hub: hub, state: st, log: log, token: c.token, keeping: kept, healthy: kept.healthy(b.Healthy)}
	s.web = server.New(server.Config{
		Keys: st.keys, Store: st.store, Past: st.store, Moments: st.store, Pages: hub, Devices: b.ServeFrom, Healthy: s.healthy, Recording: kept.Recording, Probe: b.Probe, JWKS: st.signer.JWKS(), Outbox: box,
		Account: c.Account, Region: c.Region, PublicURL: public, Proxies: c.TrustedProxy, Log: log,
		Limits: c.limits(), Ways: c.Ways, Counted: s.counted(), Pretend: greenhouse.speaksOn,
	})
	return s, nil
}

// openHub makes the hub on this source, with the last values that are on record.
func (c *serveCommand) openHub(ctx context.Context, st *state, from mqttproxy.Source, keys server.Keys, log *slog.Logger) (*mqttproxy.Hub, error) {
	hub := mqttproxy.NewHub(mqttproxy.Config{
		Source: from, Log: log, Good: stillGood(keys), MaxSessions: c.MaxPages, MaxPerKey: c.MaxPagesPerKey,
	})
	latest, err := st.store.Latest(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the last values: %w", err)
	}
	hub.Seed(remembered(latest))
	hub.Start()
	return hub, nil
}
