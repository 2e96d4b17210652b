package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"trellis/broker"
	"trellis/message"
	"trellis/mqttproxy"
	"trellis/server"
	"trellis/static"
)

// serveCommand runs everything.
type serveCommand struct {
	folder
	account
	Listen       string         `help:"Address of the pages and of MQTT over WebSocket (/ws)." default:":8080"`
	MQTT         string         `name:"mqtt" help:"Address of MQTT over TCP; empty turns it off." default:":1883"`
	PublicURL    string         `name:"public-url" help:"The address that people use, when it is not this machine's own: https://trellis.example.com." placeholder:"URL"`
	Sync         syncEvery      `help:"When a message counts as safe: 'always' writes to disk before it is acknowledged; a time such as 1s may lose that much in a power cut." default:"always"`
	Demo         bool           `help:"Start a pretend greenhouse of four devices."`
	TrustedProxy []netip.Prefix `name:"trusted-proxy" help:"Networks of proxies whose X-Forwarded-For is believed." placeholder:"CIDR"`
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

// stopWithin is how long a stop may take in all.
const stopWithin = 9 * time.Second

// Run serves until ctx ends, then stops in the reverse order of the start.
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
	release, err := lockFolder(c.Data)
	if err != nil {
		return err
	}
	defer release()
	state, err := openState(ctx, c.Data, time.Duration(c.Sync), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.close()) }()
	if !static.Built() {
		log.Warn("this program was built without its pages' scripts; build it with make build")
	}
	s, err := c.start(ctx, state, public, log)
	if err != nil {
		return err
	}
	return s.serve(ctx, doors, func() error { return c.greet(ctx, con.out, state, doors) })
}

// check refuses an account or region that no key could carry, and a demo that could not be reached.
func (c *serveCommand) check() error {
	if c.Demo && c.MQTT == "" {
		return wrongUse("--demo needs --mqtt: its devices are ordinary MQTT clients")
	}
	_, err := subject(c.account, "x")
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

// listeners are the open ports. They are opened first, since a port in use is the commonest reason not to start.
type listeners struct{ http, mqtt net.Listener }

func (c *serveCommand) openPorts() (l listeners, err error) {
	if l.http, err = listen("--listen", c.Listen); err != nil {
		return l, err
	}
	if c.MQTT == "" {
		return l, nil
	}
	if l.mqtt, err = listen("--mqtt", c.MQTT); err != nil {
		_ = l.http.Close()
	}
	return l, err
}

func listen(flag, address string) (net.Listener, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, wrongUse("%s=%s: should be host:port or :port", flag, address)
	}
	l, err := net.Listen("tcp", address)
	var name *net.DNSError
	var wrong *net.AddrError
	if errors.As(err, &name) || errors.As(err, &wrong) {
		return nil, wrongUse("%s=%s: %v", flag, address, err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s (%s): %w", address, flag, errors.Unwrap(err))
	}
	return l, nil
}

func (l listeners) close() {
	_ = l.http.Close()
	if l.mqtt != nil {
		_ = l.mqtt.Close()
	}
}

// start builds every part and connects them; nothing answers yet.
func (c *serveCommand) start(ctx context.Context, st *state, public *url.URL, log *slog.Logger) (*service, error) {
	b, err := broker.Open(ctx, broker.Config{
		Dir:       filepath.Join(c.Data, "jetstream"),
		SyncEvery: time.Duration(c.Sync),
		Keys:      st.keys,
		Record:    st.store.Append,
		Log:       log,
	})
	if err != nil {
		return nil, fmt.Errorf("start the broker: %w", err)
	}
	hub := mqttproxy.NewHub(mqttproxy.Config{Source: source{b}, Log: log, Good: st.stillGood})
	latest, err := st.store.Latest(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the last values: %w", err), b.Close(ctx))
	}
	hub.Seed(remembered(latest))
	hub.Start()
	st.keys.OnEnd(func(jti string) { b.EndKey(jti); hub.EndKey(jti) })
	web := server.New(server.Config{
		Keys: st.keys, Store: st.store, Pages: hub, Devices: b.ServeConn, JWKS: st.signer.JWKS(),
		Account: c.Account, Region: c.Region, PublicURL: public, Proxies: c.TrustedProxy, Log: log,
	})
	s := &service{broker: b, hub: hub, web: web, state: st, log: log}
	if c.Demo {
		s.demo = &pretend{keys: st.keys, account: c.account, log: log}
	}
	return s, nil
}

// greet prints where to go.
func (c *serveCommand) greet(ctx context.Context, out io.Writer, st *state, l listeners) error {
	base := baseURL(c.PublicURL, l.http.Addr())
	link, err := operatorLink(ctx, st.store, base)
	if err != nil {
		return err
	}
	devices := "ws" + base[len("http"):] + "/ws"
	if l.mqtt != nil {
		devices = "mqtt://" + hostOf(base) + ":" + port(l.mqtt.Addr()) + " and " + devices
	}
	network := ""
	if here := onNetwork(l.http.Addr()); here != "" && c.PublicURL == "" {
		network = "        On another device of this network use " + here + " instead of " + hostOf(base) + ".\n"
	}
	_, err = fmt.Fprintf(out, "Open    %s\n        Signs you in once, within the hour; a new one: trellis link\n%sDevices %s\n", link, network, devices)
	return err
}

// onNetwork is this machine's address for others, if it listens for them.
func onNetwork(at net.Addr) string {
	if a, ok := at.(*net.TCPAddr); !ok || !a.IP.IsUnspecified() {
		return ""
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsPrivate() && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	return ""
}

// baseURL is the address to print: the public one, or this machine's.
func baseURL(public string, at net.Addr) string {
	if public != "" {
		u, _ := url.Parse(public) // was checked
		return u.Scheme + "://" + u.Host
	}
	host := "localhost"
	if a, ok := at.(*net.TCPAddr); ok && len(a.IP) > 0 && !a.IP.IsUnspecified() && !a.IP.IsLoopback() {
		host = a.IP.String()
	} else if ok && a.IP.IsLoopback() && a.IP.To4() != nil {
		host = a.IP.String()
	}
	return "http://" + net.JoinHostPort(host, port(at))
}

func hostOf(base string) string {
	u, _ := url.Parse(base) // made by baseURL
	return u.Hostname()
}

func port(at net.Addr) string {
	if a, ok := at.(*net.TCPAddr); ok {
		return strconv.Itoa(a.Port)
	}
	return ""
}

// source lets the hub stand on the broker inside this binary.
type source struct{ broker *broker.Broker }

// Subscribe hands every routed message on. Only readings on their sender's own topic are remembered for those who join later.
func (s source) Subscribe(deliver func(mqttproxy.Message)) (stop func()) {
	return s.broker.Subscribe(func(topic string, m message.Message) {
		out := mqttproxy.Message{Topic: topic, Payload: m.Payload}
		if m.About != "" && topic == m.Topic {
			out.Parts = parts(m.About, message.Readings(m.Data))
		}
		deliver(out)
	})
}

// Publish hands a page's message to the broker and returns when it is as safe as its quality of service asks.
func (s source) Publish(ctx context.Context, topic string, payload []byte, qos byte) error {
	return s.broker.Publish(ctx, topic, payload, qos)
}

// State of a broker in the same program: there is no link that could be down.
func (s source) State() mqttproxy.State { return mqttproxy.State{} }

func parts(about string, readings []message.Reading) []string {
	names := make([]string, len(readings))
	for i, r := range readings {
		names[i] = about + "\x00" + r.Name
	}
	return names
}

// service is everything that runs, in the order of its start.
type service struct {
	state  *state
	broker *broker.Broker
	hub    *mqttproxy.Hub
	web    *server.Server
	demo   *pretend
	log    *slog.Logger
}

// serve answers until ctx ends or a part fails.
func (s *service) serve(ctx context.Context, l listeners, ready func() error) error {
	running, ended := errgroup.WithContext(ctx)
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	running.Go(func() error { return s.web.Serve(l.http) })
	running.Go(func() error { return s.state.keys.Watch(background) })
	running.Go(func() error { return s.state.store.Sweep(background) })
	if l.mqtt != nil {
		running.Go(func() error { return s.broker.ServeListener(background, l.mqtt) })
	}
	if s.demo != nil {
		running.Go(func() error { return s.demo.run(ended, l.mqtt.Addr()) })
	}
	running.Go(func() error {
		<-ended.Done()
		err := s.stop(context.WithoutCancel(ctx), l)
		stopBackground()
		return err
	})
	running.Go(ready)
	err := running.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// stop lets nobody new in and ends pages, devices and broker. What is not over in time is cut.
func (s *service) stop(ctx context.Context, l listeners) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	s.log.Info("stopping")
	l.close()
	// All at once, so that one that is slow to end takes no time from the others.
	var parts errgroup.Group
	for _, end := range []func(context.Context) error{s.hub.Close, s.broker.Close, s.web.Close} {
		parts.Go(func() error { return end(ctx) })
	}
	err := parts.Wait()
	s.log.Info("stopped", "lasted", time.Since(began).Round(time.Millisecond), "err", err)
	return nil // whatever did not end in time was cut; what was acknowledged is safe
}
