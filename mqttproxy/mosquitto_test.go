package mqttproxy

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// mosquitto is a real broker, over all its restarts.
type mosquitto struct {
	t    *testing.T
	dir  string
	port string
	cmd  *exec.Cmd
	over chan struct{}

	mu   sync.Mutex
	text bytes.Buffer
	news chan struct{}
}

const (
	strictPlugin = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"
	shedSub      = "acme:eu:shed"
	shedOurs     = shedSub + "#test-6ab9f1eb" // as whom we log in with the key k1
	shedHeard    = "acme/eu/k1/messages"
	shedOwn      = "acme/eu/k1/publish"
	shedKey      = "key-of-the-shed"
	serviceKey   = "key-of-the-service"
)

// lenient takes any client id; acl says what the user k1 may do.
func lenient(t *testing.T, acl string) *mosquitto {
	t.Helper()
	m := newMosquitto(t)
	m.write("passwords", "k1:"+passwordLine(shedKey)+"\nservice:"+passwordLine(serviceKey)+"\n")
	m.write("acl", "user service\ntopic readwrite #\nuser k1\n"+acl)
	m.write("conf", m.common()+"allow_anonymous false\npassword_file "+m.file("passwords")+"\nacl_file "+m.file("acl")+"\n")
	m.start()
	return m
}

const fullACL = "topic readwrite " + shedOwn + "\ntopic read " + shedHeard + "\n"

// strict insists on the entity's name as the client id, and lets the key read its messages and nothing else.
func strict(t *testing.T) *mosquitto {
	t.Helper()
	if _, err := os.Stat(strictPlugin); err != nil {
		t.Skip("mosquitto's dynamic security plugin is not here")
	}
	m := newMosquitto(t)
	acl := func(kind, topic string) map[string]any {
		return map[string]any{"acltype": kind, "topic": topic, "priority": 0, "allow": true}
	}
	client := func(user, id, key string) map[string]any {
		c := map[string]any{"username": user, "roles": []any{map[string]any{"rolename": user}}}
		if id != "" {
			c["clientid"] = id
		}
		salt, hash := hashed(key)
		c["salt"], c["password"], c["iterations"] = salt, hash, 101
		return c
	}
	all, err := json.Marshal(map[string]any{
		"defaultACLAccess": map[string]bool{"publishClientSend": false, "publishClientReceive": true, "subscribe": false, "unsubscribe": true},
		"clients":          []any{client("k1", shedSub, shedKey), client("k2", shedSub, shedKey), client("service", "", serviceKey)},
		"roles": []any{
			map[string]any{"rolename": "k1", "acls": []any{acl("publishClientSend", shedOwn), acl("subscribeLiteral", shedHeard)}},
			map[string]any{"rolename": "k2", "acls": []any{acl("subscribeLiteral", "acme/eu/k2/messages")}},
			map[string]any{"rolename": "service", "acls": []any{acl("publishClientSend", "#"), acl("subscribePattern", "#")}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.write("security.json", string(all))
	m.write("conf", m.common()+"allow_anonymous false\nplugin "+strictPlugin+"\nplugin_opt_config_file "+m.file("security.json")+"\n")
	m.start()
	return m
}

func newMosquitto(t *testing.T) *mosquitto {
	t.Helper()
	if _, err := exec.LookPath("mosquitto"); err != nil {
		t.Skip("mosquitto is not here")
	}
	dir := t.TempDir()
	if os.Getuid() == 0 { // started by root it becomes another user
		if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // a test's own folder
			t.Fatal(err)
		}
	}
	return &mosquitto{t: t, dir: dir, port: freePort(t), news: make(chan struct{})}
}

func (m *mosquitto) common() string {
	return fmt.Sprintf("listener %s 127.0.0.1\nuser root\nlog_type all\nlog_timestamp false\npersistence true\npersistence_location %s/\n", m.port, m.dir) +
		"max_queued_messages 0\nmax_inflight_messages 20\n"
}

func (m *mosquitto) file(name string) string { return filepath.Join(m.dir, name) }

func (m *mosquitto) write(name, text string) {
	if err := os.WriteFile(m.file(name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func hashed(key string) (salt, hash string) {
	raw := []byte("twelve-bytes")
	sum, err := pbkdf2.Key(sha512.New, key, raw, 101, 64)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(raw), base64.StdEncoding.EncodeToString(sum)
}

func passwordLine(key string) string {
	salt, hash := hashed(key)
	return "$7$101$" + salt + "$" + hash
}

// Write collects the broker's log.
func (m *mosquitto) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.text.Write(p)
	close(m.news)
	m.news = make(chan struct{})
	return len(p), nil
}

func (m *mosquitto) log() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text.String()
}

func (m *mosquitto) start() {
	m.t.Helper()
	before := strings.Count(m.log(), " running")
	m.cmd = exec.Command("mosquitto", "-c", m.file("conf"))
	m.cmd.Stdout, m.cmd.Stderr = m, m
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	over := make(chan struct{})
	m.over = over
	go func(cmd *exec.Cmd) {
		defer close(over)
		_ = cmd.Wait()
	}(m.cmd)
	m.t.Cleanup(func() { m.end(syscall.SIGKILL) })
	m.said(" running", before+1)
}

// end stops the broker with this signal and waits for it.
func (m *mosquitto) end(signal syscall.Signal) {
	_ = m.cmd.Process.Signal(signal)
	<-m.over
}

// said waits until the log holds these words so many times.
func (m *mosquitto) said(words string, times int) {
	m.t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		m.mu.Lock()
		n, news := strings.Count(m.text.String(), words), m.news
		m.mu.Unlock()
		if n >= times {
			return
		}
		select {
		case <-news:
		case <-timeout:
			m.t.Fatalf("the broker said %q %d times, want %d:\n%s", words, n, times, m.log())
		}
	}
}

func (m *mosquitto) address() *url.URL { return &url.URL{Scheme: "mqtt", Host: "127.0.0.1:" + m.port} }
