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
	"sync"
	"syscall"
	"time"

	"trellis/e2e/wire"
)

// peer is one server under load.
type peer interface {
	// publisher opens a connection that may publish on topic; sink opens the session that its messages are also kept for.
	publisher(n int) (client *wire.Client, topic string, err error)
	sink() (*wire.Client, error)
	payload(sent time.Time) []byte

	page() (net.Conn, error)            // a page that has subscribed to every publish
	device(n int) (*wire.Client, error) // a device that has subscribed to its messages
	pid() int
	stop()
}

// process is a server's child process.
type process struct {
	cmd  *exec.Cmd
	out  lines
	gone chan struct{}
	dir  string
}

// lines collects output; it is small.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func launch(dir, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), gone: make(chan struct{}), dir: dir}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(p.gone)
		_ = p.cmd.Wait()
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the server and removes what it kept.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.gone:
	case <-time.After(15 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.gone
	}
	_ = os.RemoveAll(p.dir)
}

// await asks until ready says yes.
func (p *process) await(ready func() bool) error {
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); {
		if ready() {
			return nil
		}
		select {
		case <-p.gone:
			return fmt.Errorf("the server ended: %s", p.out.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("the server did not open: %s", p.out.String())
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

const devicesOfAKey = 50 // fewer than one key may have at once

func startTrellis(o options) (peer, error) {
	dir, err := os.MkdirTemp("", "bench-trellis-")
	if err != nil {
		return nil, err
	}
	p, err := launch(dir, o.binary, "serve", "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--data", dir, "--log-level", "warn")
	if err != nil {
		return nil, err
	}
	t := &trellis{process: p}
	open := regexp.MustCompile(`(?s)Open\s+(http://([^/]+))/enter#(\S+).*mqtt://(\S+)`)
	var found []string
	if err := p.await(func() bool { found = open.FindStringSubmatch(p.out.String()); return found != nil }); err != nil {
		p.stop()
		return nil, err
	}
	t.site, t.http, t.mqtt = found[1], found[2], found[4]
	if err := errors.Join(t.enter(found[3]), t.addKeys(o)); err != nil {
		p.stop()
		return nil, err
	}
	return t, nil
}

// enter takes the operator's link, as the page behind it does.
func (t *trellis) enter(code string) error {
	request, err := http.NewRequest(http.MethodPost, t.site+"/enter", strings.NewReader(url.Values{"code": {code}}.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", t.site)
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("open the operator's link: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	for _, c := range answer.Cookies() {
		t.cookie = c.Name + "=" + c.Value
	}
	if t.cookie == "" {
		return fmt.Errorf("open the operator's link: %s and no cookie", answer.Status)
	}
	return nil
}

func (t *trellis) addKeys(o options) error {
	add := func(name string) (k key, err error) {
		out, err := exec.Command(o.binary, "key", "add", name, "--json", "--data", t.dir).Output()
		if err != nil {
			return k, fmt.Errorf("add key %s: %w", name, err)
		}
		return k, json.Unmarshal(out, &k)
	}
	for n := range 2 + o.devices/devicesOfAKey {
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

func (t *trellis) payload(sent time.Time) []byte { return envelope(sent) }

// envelope is a documented message, addressed to the sink.
func envelope(sent time.Time) []byte {
	return fmt.Appendf(nil, `{"msg_type":"publish","data":{"temperature":21.5,"humidity":60,"sent":%d},"tags":["bench"],"entity":"sink"}`, sent.UnixNano())
}

func (t *trellis) page() (net.Conn, error) {
	header := http.Header{"Cookie": {t.cookie}, "Origin": {t.site}}
	filter := strings.Join(strings.SplitN(t.kept.Sub, ":", 3)[:2], "/") + "/+/publish"
	return openPage("ws://"+t.http+"/live", header, wire.Login{ClientID: "page"}, filter)
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
func startMosquitto(durable bool) (peer, error) {
	dir, err := os.MkdirTemp("", "bench-mosquitto-")
	if err != nil {
		return nil, err
	}
	m := &mosquitto{}
	if m.tcp, m.ws, err = freeAddresses(); err != nil {
		return nil, err
	}
	settings := fmt.Sprintf("listener %s 127.0.0.1\nlistener %s 127.0.0.1\nprotocol websockets\n", port(m.tcp), port(m.ws)) +
		"allow_anonymous true\nmax_queued_messages 0\nset_tcp_nodelay true\nlog_type error\n"
	if os.Getuid() == 0 {
		settings += "user root\n" // else it gives up its rights, and with them this folder
	}
	if durable {
		settings += "persistence true\npersistence_location " + dir + "/\nautosave_interval 1\nautosave_on_changes true\n"
	}
	file := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		return nil, err
	}
	name, err := exec.LookPath("mosquitto")
	if err != nil {
		name = "/usr/sbin/mosquitto"
	}
	if m.process, err = launch(dir, name, "-c", file); err != nil {
		return nil, err
	}
	err = m.await(func() bool {
		c, err := net.Dial("tcp", m.ws)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
	if err != nil {
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

func (m *mosquitto) payload(sent time.Time) []byte { return envelope(sent) }

func (m *mosquitto) page() (net.Conn, error) {
	login := wire.Login{ClientID: fmt.Sprintf("page-%d", time.Now().UnixNano())}
	return openPage("ws://"+m.ws+"/mqtt", nil, login, "home/local/+/publish")
}

func (m *mosquitto) device(n int) (*wire.Client, error) {
	c, err := wire.Open(context.Background(), m.tcp, wire.Login{ClientID: fmt.Sprintf("device-%d", n)})
	if err == nil {
		err = c.Subscribe(1, fmt.Sprintf("home/local/%d/messages", n))
	}
	return c, err
}
