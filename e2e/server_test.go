package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// prompt is how long anything may take that should happen at once; generous, because test machines are busy.
const prompt = 10 * time.Second

// output collects what a program prints and lets a test wait for a line.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	close(o.changed)
	o.changed = make(chan struct{})
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// wait returns what pattern matched, or nil if it did not come in time or before over is closed.
func (o *output) wait(pattern string, within time.Duration, over <-chan struct{}) []string {
	re := regexp.MustCompile(pattern)
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		o.mu.Lock()
		found, changed := re.FindStringSubmatch(o.text.String()), o.changed
		o.mu.Unlock()
		if found != nil {
			return found
		}
		select {
		case <-changed:
		case <-over:
			return re.FindStringSubmatch(o.String())
		case <-timer.C:
			return nil
		}
	}
}

// program is a running child.
type program struct {
	*exec.Cmd
	out, errs *output
	gone      chan struct{} // closed when it has ended and everything it printed is here
}

// run starts a program whose output can be watched; it is killed when the test ends, if it still runs.
func run(t testing.TB, name string, env []string, args ...string) *program {
	t.Helper()
	p := &program{Cmd: exec.Command(name, args...), out: newOutput(), errs: newOutput(), gone: make(chan struct{})}
	p.Stdout, p.Stderr = p.out, p.errs
	p.Env = append(os.Environ(), env...)
	if err := p.Start(); err != nil {
		t.Fatalf("start %s (does e2e/need say something?): %v", name, err)
	}
	go func() {
		defer close(p.gone)
		_ = p.Wait()
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the program as a power cut would.
func (p *program) kill() {
	_ = p.Process.Kill()
	<-p.gone
}

// end waits for the program to end by itself and returns its exit code.
func (p *program) end(t testing.TB, within time.Duration) int {
	t.Helper()
	select {
	case <-p.gone:
	case <-time.After(within):
		t.Errorf("%s still runs after %v", filepath.Base(p.Path), within)
		p.kill()
	}
	return p.ProcessState.ExitCode()
}

// server is one trellis serve, over all its restarts.
type server struct {
	t      testing.TB
	data   string    // its folder
	listen string    // address of HTTP
	mqtt   string    // address of MQTT over TCP
	args   []string  // beyond those three
	behind bool      // a proxy, whose address it prints instead of its own
	url    string    // of the site, no slash at the end
	ws     string    // ws://…/ws
	link   string    // the operator's, of the present run
	issued *sync.Map // keys: they must never be printed

	*program
}

// start runs trellis serve on free ports with a folder of its own and waits until it is open.
func start(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{t: t, data: filepath.Join(t.TempDir(), "data"), listen: "127.0.0.1:0", mqtt: "127.0.0.1:0", args: args, issued: &sync.Map{}}
	s.start()
	t.Cleanup(s.leave)
	return s
}

// startBehind runs a server behind a proxy that people come to at this address.
func startBehind(t testing.TB, public string) *server {
	t.Helper()
	s := &server{
		t: t, data: filepath.Join(t.TempDir(), "data"), listen: freeAddress(t), mqtt: "127.0.0.1:0",
		args: []string{"--public-url", "http://" + public}, behind: true, issued: &sync.Map{},
	}
	s.start()
	t.Cleanup(s.leave)
	return s
}

// start runs the server, again on the ports it had before.
func (s *server) start() {
	s.t.Helper()
	args := append([]string{"serve", "--listen", s.listen, "--mqtt", s.mqtt, "--data", s.data}, s.args...)
	s.program = run(s.t, trellisBin, nil, args...)
	open := s.out.wait(`(?m)^Open\s+((http://\S+)/enter#\S+)$`, 3*prompt, s.gone) // after a kill it has much to read first
	devices := s.out.wait(`(?m)^Devices\s+mqtt://(\S+) and (ws://(\S+)/ws)$`, prompt, s.gone)
	if open == nil || devices == nil {
		s.t.Fatalf("trellis serve did not say where it is open.\nstdout: %s\nstderr: %s", s.out, s.errs)
	}
	s.link, s.url = open[1], open[2]
	s.mqtt = devices[1]
	if !s.behind {
		s.listen = devices[3]
	}
	for _, address := range []*string{&s.mqtt, &s.listen} {
		*address = strings.Replace(*address, "localhost", "127.0.0.1", 1)
	}
	s.ws = "ws://" + s.listen + "/ws"
}

// stop asks the server to end and returns its exit code.
func (s *server) stop() int {
	s.t.Helper()
	_ = s.Process.Signal(syscall.SIGTERM)
	return s.end(s.t, prompt)
}

// leave stops the server at the end of a test and holds it to what is true of every run.
func (s *server) leave() {
	select {
	case <-s.gone:
	default:
		if code := s.stop(); code != 0 {
			s.t.Errorf("trellis serve ended with %d on SIGTERM", code)
		}
	}
	printed := s.out.String() + s.errs.String()
	for key := range s.issued.Range {
		if strings.Contains(printed, key.(string)) {
			s.t.Errorf("the server printed a key")
		}
	}
	if strings.Contains(printed, "panic") {
		s.t.Errorf("the server's log speaks of a panic")
	}
	if s.t.Failed() {
		s.t.Logf("server's log, its end:\n%s", tail(s.errs.String(), 60))
	}
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// trellis runs one command of the binary and returns what it printed and its exit code.
func trellis(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(trellisBin, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatalf("run trellis %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// key is what `trellis key add --json` prints.
type key struct{ Entity, Sub, JTI, Key string }

// addKey makes a key with the command line, beside the running server.
func (s *server) addKey(name string, more ...string) key {
	s.t.Helper()
	out, errs, code := trellis(s.t, append([]string{"key", "add", name, "--json", "--data", s.data}, more...)...)
	if code != 0 {
		s.t.Fatalf("trellis key add %s: exit %d: %s", name, code, errs)
	}
	var k key
	if err := json.Unmarshal([]byte(out), &k); err != nil || k.Key == "" || k.JTI == "" || k.Sub == "" {
		s.t.Fatalf("trellis key add %s printed %q: %v", name, out, err)
	}
	s.issued.Store(k.Key, true)
	return k
}

func (s *server) revoke(name string) {
	s.t.Helper()
	if _, errs, code := trellis(s.t, "key", "revoke", name, "--data", s.data); code != 0 {
		s.t.Fatalf("trellis key revoke %s: exit %d: %s", name, code, errs)
	}
}

// account is the first part of the key's sub; place is the account and the region with this between them.
func (k key) account() string { return strings.SplitN(k.Sub, ":", 3)[0] }

func (k key) place(between string) string {
	return strings.Join(strings.SplitN(k.Sub, ":", 3)[:2], between)
}

// topic is the key's own topic with this last part: publish or messages.
func (k key) topic(last string) string { return k.place("/") + "/" + k.JTI + "/" + last }

// login is the documented login; more programs of one holder follow the client id with # and anything.
func (k key) login(program string) wire.Login {
	return wire.Login{ClientID: k.Sub + program, User: k.JTI, Password: k.Key, KeepAlive: 60}
}

// device logs in over TCP.
func (s *server) device(k key, program string) *wire.Client {
	s.t.Helper()
	return s.open(s.mqtt, k.login(program))
}

// open logs in somewhere and hangs up when the test ends.
func (s *server) open(address string, login wire.Login) *wire.Client {
	s.t.Helper()
	client, err := wire.Open(s.t.Context(), address, login)
	if err != nil {
		s.t.Fatalf("log in at %s as %s: %v", address, login.ClientID, err)
	}
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

// must is for steps of a test that are not its point.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// envelope is what is delivered.
type envelope struct {
	Type      string          `json:"msg_type"`
	Data      json.RawMessage `json:"data"`
	Tags      []string        `json:"tags"`
	Timestamp string          `json:"timestamp"`
	Source    string          `json:"source"`
	Entity    string          `json:"entity"`
	Dest      string          `json:"dest"`
	Context   struct {
		Hops     int      `json:"hops"`
		About    string   `json:"about"`
		Envelope *bool    `json:"envelope"`
		Notes    []string `json:"notes"`
	} `json:"context"`
}

func decode(t testing.TB, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%.200q: %v", text, err)
	}
}

func opened(t testing.TB, payload []byte) envelope {
	t.Helper()
	var e envelope
	if err := json.Unmarshal(payload, &e); err != nil {
		t.Fatalf("delivered payload %.200q: %v", payload, err)
	}
	return e
}

// to writes a message for an entity, the way the documented sample does.
func to(entity string, data string) []byte {
	return fmt.Appendf(nil, `{"msg_type":"publish","data":%s,"tags":["test"],"entity":%q}`, data, entity)
}

// in is the same server seen by a part of the test, so that failures and cleanups belong to the part.
func (s *server) in(t testing.TB) *server {
	part := *s
	part.t = t
	return &part
}
