package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"trellis/e2e/wire"
)

// worker is a server that is looked at.
type worker interface {
	cpu() (time.Duration, error)
	memory() (float64, error)
	stop()
}

// peer is one server under load.
type peer interface {
	worker
	// publisher opens a connection that may publish on topic; sink opens the session that its messages are also kept for.
	publisher(n int) (client *wire.Client, topic string, err error)
	sink() (*wire.Client, error)

	page(by string) opener              // of pages that have subscribed to every publish
	device(n int) (*wire.Client, error) // a device that has subscribed to its messages
}

// trellis is our side.
type trellis struct {
	*process
	http, mqtt string // addresses
	site       string
	cookie     string
	keys       []key
	kept       key
}

type key struct{ Sub, JTI, Key string }

const (
	devicesOfAKey = 50 // fewer than one key may have at once
	fewKeys       = 2  // enough for all publishers
)

func startTrellis(o options, keys int, flags ...string) (*trellis, error) {
	t, found, err := openTrellis(o, `(?s)Open\s+(http://([^/]+))/enter#(\S+).*mqtt://(\S+)`, append([]string{"--mqtt", "127.0.0.1:0"}, flags...)...)
	if err != nil {
		return nil, err
	}
	t.mqtt = found[4]
	if err := errors.Join(t.signIn("/enter", url.Values{"code": {found[3]}}), t.addKeys(o, keys)); err != nil {
		t.stop()
		return nil, err
	}
	return t, nil
}

// openTrellis starts one and waits until it says where it is: its site and that without http:// are the first two that the pattern
// finds.
func openTrellis(o options, says string, flags ...string) (t *trellis, found []string, err error) {
	dir, err := os.MkdirTemp("", "bench-trellis-")
	if err != nil {
		return nil, nil, err
	}
	p, err := launch(dir, o.binary, append([]string{
		"serve", "--listen", "127.0.0.1:0", "--data", dir, "--log-level", "warn",
		"--trusted-proxy", "127.0.0.1/32", // each page comes from an address of its own
	}, flags...)...)
	if err != nil {
		return nil, nil, err
	}
	open := regexp.MustCompile(says)
	if err := p.await(func() bool { found = open.FindStringSubmatch(p.out.String()); return found != nil }); err != nil {
		p.stop()
		return nil, nil, err
	}
	return &trellis{process: p, site: found[1], http: found[2]}, found, nil
}

// signIn posts a form as one of its pages does: that of the operator's link, or that for keys.
func (t *trellis) signIn(path string, form url.Values) error {
	request, err := http.NewRequest(http.MethodPost, t.site+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", t.site)
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("sign in at %s: %w", path, err)
	}
	defer func() { _ = answer.Body.Close() }()
	for _, c := range answer.Cookies() {
		t.cookie = c.Name + "=" + c.Value
	}
	if t.cookie == "" {
		return fmt.Errorf("sign in at %s: %s and no cookie", path, answer.Status)
	}
	return nil
}

func (t *trellis) addKeys(o options, keys int) error {
	add := func(name string) (k key, err error) {
		out, err := exec.Command(o.binary, "key", "add", name, "--json", "--data", t.dir).Output()
		if err != nil {
			return k, fmt.Errorf("add key %s: %w", name, err)
		}
		return k, json.Unmarshal(out, &k)
	}
	for n := range keys {
		k, err := add(fmt.Sprintf("device-%d", n))
		if err != nil {
			return err
		}
		t.keys = append(t.keys, k)
	}
	var err error
	t.kept, err = add("sink")
	return err
}

func (k key) topic(last string) string {
	return strings.Join(strings.SplitN(k.Sub, ":", 3)[:2], "/") + "/" + k.JTI + "/" + last
}

func (k key) login(program string) wire.Login {
	return wire.Login{ClientID: k.Sub + program, User: k.JTI, Password: k.Key}
}

func (t *trellis) publisher(n int) (*wire.Client, string, error) {
	k := t.keys[n/devicesOfAKey]
	c, err := wire.Open(context.Background(), t.mqtt, k.login(fmt.Sprintf("#%d", n)))
	return c, k.topic("publish"), err
}

func (t *trellis) sink() (*wire.Client, error) {
	login := t.kept.login("")
	login.Persistent = true
	c, err := wire.Open(context.Background(), t.mqtt, login)
	if err == nil {
		err = c.Subscribe(1, t.kept.topic("messages"))
	}
	return c, err
}

// envelope is a documented message.
func envelope(sent time.Time) []byte {
	return fmt.Appendf(nil, `{"msg_type":"publish","data":{"temperature":21.5,"humidity":60,"sent":%d},"tags":["bench"]}`, sent.UnixNano())
}

// addressed is one for the sink.
func addressed(sent time.Time) []byte {
	return append(bytes.TrimSuffix(envelope(sent), []byte("}")), `,"entity":"sink"}`...)
}

// operatorTopic is where the operator's pages may publish.
func (t *trellis) operatorTopic() string { return t.region() + "/operator/publish" }

// region is where all topics begin.
func (t *trellis) region() string { return strings.Join(strings.SplitN(t.kept.Sub, ":", 3)[:2], "/") }

func (t *trellis) page(by string) opener {
	everything := t.region() + "/+/publish"
	return t.pageAt(t.http, by, func(int) string { return everything })
}

// pageAt opens pages through the address of a proxy, or our own.
func (t *trellis) pageAt(address, by string, filter func(n int) string) opener {
	return func(ctx context.Context, dial dialer, n int) (*page, error) {
		door := wire.Door{Base: "http://" + address + "/live", Header: t.browser(n)}
		var c carrier
		var err error
		switch by {
		case byMQTT:
			c, err = openSocket(ctx, dial, "ws://"+address+"/live", door.Header)
		case bySocket:
			c, err = openFramed(ctx, dial, door)
		case byStream:
			c, err = openRequests(dial, door, wire.ByStream)
		case byPoll:
			c, err = openRequests(dial, door, wire.ByPoll)
		}
		if err != nil {
			return nil, err
		}
		return entered(c, wire.Login{ClientID: "page"}, filter(n))
	}
}

// browser is what Chromium sends with each request of a page, in size; each page comes from an address of its own.
func (t *trellis) browser(n int) http.Header {
	return http.Header{
		"Host": {t.http}, "Cookie": {t.cookie}, "Origin": {t.site}, "Referer": {t.site + "/"},
		"X-Forwarded-For":    {fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)},
		"User-Agent":         {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"},
		"Accept":             {"*/*"},
		"Accept-Encoding":    {"gzip, deflate, br, zstd"},
		"Accept-Language":    {"en-US,en;q=0.9"},
		"Cache-Control":      {"no-cache"},
		"Pragma":             {"no-cache"},
		"Sec-Ch-Ua":          {`"Chromium";v="142", "Not_A Brand";v="99"`},
		"Sec-Ch-Ua-Mobile":   {"?0"},
		"Sec-Ch-Ua-Platform": {`"Linux"`},
		"Sec-Fetch-Dest":     {"empty"},
		"Sec-Fetch-Mode":     {"cors"},
		"Sec-Fetch-Site":     {"same-origin"},
	}
}

// deviceAt opens connections of devices over WebSocket, through the address of a proxy or our own, that hear one of the two
// topics of their key.
func (t *trellis) deviceAt(address, last string, of func(n int) key) opener {
	return func(ctx context.Context, dial dialer, n int) (*page, error) {
		c, err := openSocket(ctx, dial, "ws://"+address+"/ws", http.Header{"Host": {t.http}})
		if err != nil {
			return nil, err
		}
		k := of(n)
		return entered(c, k.login(fmt.Sprintf("#%s-%d", last, n)), k.topic(last))
	}
}

// member opens a publisher of one key.
func (t *trellis) member(of, n int) (*wire.Client, string, error) {
	k := t.keys[of]
	c, err := wire.Open(context.Background(), t.mqtt, k.login(fmt.Sprintf("#member-%d", n)))
	return c, k.topic("publish"), err
}

func (t *trellis) device(n int) (*wire.Client, error) {
	k := t.keys[n/devicesOfAKey]
	c, err := wire.Open(context.Background(), t.mqtt, k.login(fmt.Sprintf("#%d", n)))
	if err == nil {
		err = c.Subscribe(1, k.topic("messages"))
	}
	return c, err
}

// mosquitto is the other side, with everything that trellis does for safety and nothing that it does for access.
type mosquitto struct {
	*process
	tcp, ws string
}

// startMosquitto starts Debian's broker; durable turns on what makes it keep every change.
func startMosquitto(durable bool) (*mosquitto, error) {
	return launchMosquitto(func(dir string) (string, error) {
		settings := "allow_anonymous true\n"
		if durable {
			settings += "persistence true\npersistence_location " + dir + "/\nautosave_interval 1\nautosave_on_changes true\n"
		}
		return settings, nil
	})
}

// launchMosquitto starts it with further settings.
func launchMosquitto(further func(dir string) (string, error)) (*mosquitto, error) {
	name, err := find("mosquitto")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bench-mosquitto-")
	if err != nil {
		return nil, err
	}
	m := &mosquitto{}
	if m.tcp, m.ws, err = freeAddresses(); err != nil {
		return nil, err
	}
	settings := fmt.Sprintf("listener %s 127.0.0.1\nlistener %s 127.0.0.1\nprotocol websockets\n", port(m.tcp), port(m.ws)) +
		"max_queued_messages 0\nset_tcp_nodelay true\nlog_type error\n"
	if os.Getuid() == 0 {
		settings += "user root\n" // else it gives up its rights, and with them this folder
	}
	more, err := further(dir)
	if err != nil {
		return nil, err
	}
	settings += more
	file := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		return nil, err
	}
	if m.process, err = launch(dir, name, "-c", file); err != nil {
		return nil, err
	}
	if err = m.await(func() bool { return answers(m.ws) }); err != nil {
		m.stop()
		return nil, err
	}
	return m, nil
}

// freeAddresses finds two ports that nobody uses at this moment.
func freeAddresses() (a, b string, err error) {
	one, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer func() { _ = one.Close() }()
	two, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer func() { _ = two.Close() }()
	return one.Addr().String(), two.Addr().String(), nil
}

func port(address string) string {
	_, p, _ := net.SplitHostPort(address)
	return p
}

func (m *mosquitto) publisher(n int) (*wire.Client, string, error) {
	c, err := wire.Open(context.Background(), m.tcp, wire.Login{ClientID: fmt.Sprintf("publisher-%d", n)})
	return c, "home/local/bench/publish", err
}

func (m *mosquitto) sink() (*wire.Client, error) {
	c, err := wire.Open(context.Background(), m.tcp, wire.Login{ClientID: "sink", Persistent: true})
	if err == nil {
		err = c.Subscribe(1, "home/local/+/publish")
	}
	return c, err
}

func (m *mosquitto) page(string) opener { return m.pageOn("home/local/+/publish") }

func (m *mosquitto) pageOn(filter string) opener {
	return func(ctx context.Context, dial dialer, n int) (*page, error) {
		c, err := openSocket(ctx, dial, "ws://"+m.ws+"/mqtt", nil)
		if err != nil {
			return nil, err
		}
		return entered(c, wire.Login{ClientID: fmt.Sprintf("page-%d", time.Now().UnixNano())}, filter)
	}
}

func (m *mosquitto) device(n int) (*wire.Client, error) {
	c, err := wire.Open(context.Background(), m.tcp, wire.Login{ClientID: fmt.Sprintf("device-%d", n)})
	if err == nil {
		err = c.Subscribe(1, fmt.Sprintf("home/local/%d/messages", n))
	}
	return c, err
}
