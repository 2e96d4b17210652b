package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// otherBroker is a real mosquitto of somebody's own, over all its restarts: names, passwords, an access list and a certificate.
type otherBroker struct {
	*program
	t     *testing.T
	dir   string
	plain string // address without encryption, for devices
	tls   string
}

const (
	housePassword  = "house-password"
	devicePassword = "device-password"
)

// newOtherBroker lets trellis hear home/ and send to what ends in set, and devices do anything.
func newOtherBroker(t *testing.T) *otherBroker {
	t.Helper()
	b := &otherBroker{t: t, dir: t.TempDir(), plain: freeAddress(t), tls: freeAddress(t)}
	line := func(user, password string) string {
		salt := []byte("twelve-bytes")
		hash, err := pbkdf2.Key(sha512.New, password, salt, 101, 64)
		must(t, err)
		return fmt.Sprintf("%s:$7$101$%s$%s\n", user, base64.StdEncoding.EncodeToString(salt), base64.StdEncoding.EncodeToString(hash))
	}
	b.write("passwords", line("trellis", housePassword)+line("device", devicePassword))
	b.write("acl", "user device\ntopic readwrite #\nuser trellis\ntopic read home/#\ntopic write home/+/set\n")
	b.write("house", housePassword+"\n")
	b.certificate()
	port := func(address string) string { _, p, _ := net.SplitHostPort(address); return p }
	b.write("conf", fmt.Sprintf("listener %s 127.0.0.1\nlistener %s 127.0.0.1\ncertfile %s\nkeyfile %s\nuser root\nlog_type all\nallow_anonymous false\n"+
		"password_file %s\nacl_file %s\npersistence true\npersistence_location %s/\nmax_queued_messages 0\n",
		port(b.plain), port(b.tls), b.file("cert.pem"), b.file("key.pem"), b.file("passwords"), b.file("acl"), b.dir))
	b.start()
	return b
}

func (b *otherBroker) file(name string) string { return filepath.Join(b.dir, name) }

func (b *otherBroker) write(name, text string) {
	b.t.Helper()
	must(b.t, os.WriteFile(b.file(name), []byte(text), 0o600))
}

func (b *otherBroker) certificate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(b.t, err)
	plan := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "home"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, plan, plan, &key.PublicKey, key)
	must(b.t, err)
	secret, err := x509.MarshalECPrivateKey(key)
	must(b.t, err)
	b.write("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	b.write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})))
}

func (b *otherBroker) start() {
	b.t.Helper()
	b.program = run(b.t, "mosquitto", nil, "-c", b.file("conf"))
	if b.errs.wait(` running`, prompt, b.gone) == nil {
		b.t.Fatalf("mosquitto does not run:\n%s%s", b.out, b.errs)
	}
}

// stop lets the broker write down what it keeps.
func (b *otherBroker) stop() {
	b.t.Helper()
	_ = b.Process.Signal(syscall.SIGTERM)
	b.end(b.t, prompt)
}

// login are trellis's flags for this broker.
func (b *otherBroker) login(topics string, more ...string) []string {
	return append([]string{"--broker", "mqtts://" + b.tls, "--broker-ca", b.file("cert.pem"), "--broker-user", "trellis",
		"--broker-password-file", b.file("house"), "--broker-topics", topics}, more...)
}

// device is a program of its own on the broker.
func (b *otherBroker) device(id string) *wire.Client {
	b.t.Helper()
	client, err := wire.Open(b.t.Context(), b.plain, wire.Login{ClientID: id, User: "device", Password: devicePassword, KeepAlive: 60})
	must(b.t, err)
	b.t.Cleanup(func() { _ = client.Close() })
	return client
}

func say1(t testing.TB, device *wire.Client, topic, payload string) {
	t.Helper()
	must(t, device.Publish(wire.Message{Topic: topic, QoS: 1, Payload: []byte(payload)}))
}

// inFrontOf runs trellis in front of some broker.
func inFrontOf(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{t: t, data: filepath.Join(t.TempDir(), "data"), listen: "127.0.0.1:0", args: args, issued: newIssued(housePassword)}
	s.startOther()
	t.Cleanup(s.leave)
	return s
}

func (s *server) startOther() {
	s.t.Helper()
	s.program = run(s.t, trellisBin, nil, append([]string{"serve", "--listen", s.listen, "--data", s.data}, s.args...)...)
	open := s.out.wait(`(?m)^Open\s+((http://(\S+))/enter#\S+)$`, prompt, s.gone)
	if open == nil {
		s.t.Fatalf("trellis serve --broker did not say where it is open.\nstdout: %s\nstderr: %s", s.out, s.errs)
	}
	s.link, s.url, s.listen = open[1], open[2], strings.Replace(open[3], "localhost", "127.0.0.1", 1)
}

// operator signs in as such and opens a page that hears these.
func (s *server) operator(filters ...string) (*browser, *wire.Client) {
	s.t.Helper()
	b := s.browser()
	b.enter()
	page := b.live()
	must(s.t, page.Subscribe(1, filters...))
	return b, page
}

// hears gives the next message of a page.
func hears(t testing.TB, page *wire.Client) (wire.Message, envelope) {
	t.Helper()
	m, ok := reads(t, page, prompt, nil)
	if !ok {
		t.Fatal("the page hears nothing")
	}
	return m, opened(t, m.Payload)
}

func TestPlainDevicesOfAnyBrokerOnAPage(t *testing.T) {
	b := newOtherBroker(t)
	device := b.device("kitchen")
	must(t, device.Publish(wire.Message{Topic: "home/attic/state", QoS: 1, Retain: true, Payload: []byte("closed")}))
	s := inFrontOf(t, b.login("home/{entity}/#", "--broker-send", "home/{entity}/set")...)
	s.linkUp(1)
	person, page := s.operator("home/+/#", "$trellis/sent/+")
	if m, e := hears(t, page); m.Topic != "home/attic/state" || e.Context.About != "attic" || len(e.Context.Notes) != 1 {
		t.Errorf("what the broker had kept is %s on %s", m.Payload, m.Topic)
	}
	for _, said := range []struct{ topic, payload, data, about string }{
		{"home/kitchen/temperature", "21.5", `{"temperature":21.5}`, "kitchen"},
		{"home/kitchen/state", "ON", `{"state":"ON"}`, "kitchen"},
		{"home/garden/soil", `{"moisture":41,"battery":{"pct":90}}`, `{"moisture":41,"battery":{"pct":90}}`, "garden"},
		{"home/kitchen/raw", "\xff\x00", `"/wA="`, ""},
		{"home/kitchen/set", "OFF", `{"set":"OFF"}`, ""}, // somebody's order, and no reading
	} {
		say1(t, device, said.topic, said.payload)
		if m, e := hears(t, page); m.Topic != said.topic || string(e.Data) != said.data || e.Context.About != said.about {
			t.Errorf("%q on %s is heard as %s", said.payload, said.topic, m.Payload)
		}
	}
	board := person.do("GET", "/", "").body
	for _, want := range []string{">21.5<", ">On<", ">41<", ">Closed<", "home/{entity}/set"} {
		if !strings.Contains(board, want) {
			t.Errorf("the board does not show %s", want)
		}
	}
	if strings.Contains(board, ">Off<") {
		t.Error("the board shows an order as a value")
	}
	if r := person.do("GET", "/healthz", ""); r.StatusCode != 200 {
		t.Errorf("health: %s", r.Status)
	}

	// Kept messages come with every connection, and are no news.
	if code := s.stop(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	s.startOther()
	s.linkUp(1)
	say1(t, device, "home/kitchen/state", "OFF")
	for until := time.Now().Add(prompt); len(recorded(t, s.data, "home/kitchen/state", 10)) < 2 && time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
	}
	if attic := recorded(t, s.data, "home/attic/state", 10); len(attic) != 1 {
		t.Errorf("what the broker had kept is on record %d times", len(attic))
	}
}

func TestSendingToADeviceOfAnyBroker(t *testing.T) {
	b := newOtherBroker(t)
	device := b.device("kitchen")
	must(t, device.Subscribe(1, "home/kitchen/set"))
	s := inFrontOf(t, b.login("home/{entity}/#", "--broker-send", "home/{entity}/set")...)
	s.linkUp(1)
	k := s.addKey("kitchen")
	_, page := s.operator("home/+/#", "$trellis/sent/+")
	holder := s.browser()
	holder.signIn(k)
	mine := holder.live()
	must(t, mine.Subscribe(1, "home/kitchen/#", "$trellis/sent/kitchen"))

	for n, said := range []struct{ payload, want string }{
		{`{"msg_type":"publish","data":{"led":"on"},"entity":"kitchen","context":{"by":"page"}}`, `{"led":"on"}`},
		{`{"data":"ON","dest":"home:local:kitchen"}`, "ON"},
	} {
		must(t, page.Publish(wire.Message{Topic: "$trellis/send/operator", QoS: 1, Payload: []byte(said.payload)}))
		order, err := device.Receive(prompt)
		if err != nil || string(order.Payload) != said.want {
			t.Errorf("order %d comes as %q, %v", n, order.Payload, err)
		}
		for _, reader := range []*wire.Client{page, mine} {
			if m, e := hears(t, reader); m.Topic != "$trellis/sent/kitchen" || e.Source != "home:local:operator" || e.Context.About != "" || e.Entity != "kitchen" {
				t.Errorf("order %d is shown as %s on %s", n, m.Payload, m.Topic)
			}
		}
	}
	must(t, mine.Publish(wire.Message{Topic: "$trellis/send/" + k.JTI, QoS: 1, Payload: []byte(`{"data":19}`)}))
	if order, err := device.Receive(prompt); err != nil || string(order.Payload) != "19" {
		t.Errorf("the holder's order comes as %q, %v", order.Payload, err)
	}
	say1(t, device, "home/kitchen/state", "done")
	for _, reader := range []*wire.Client{page, mine} { // nothing came twice: the broker brought each order back
		if m, e := hears(t, reader); m.Topic != "$trellis/sent/kitchen" || e.Source != k.Sub {
			t.Errorf("the holder's order is shown as %s on %s", m.Payload, m.Topic)
		}
		if m, _ := hears(t, reader); m.Topic != "home/kitchen/state" {
			t.Errorf("then comes %s on %s", m.Payload, m.Topic)
		}
	}
	for payload, want := range map[string]string{
		`{"data":1}`:                   "Say which device",
		`{"data":1,"entity":"a/b"}`:    "cannot be a device",
		`{"data":1,"entity":"home/#"}`: "cannot be a device",
	} {
		isRefused(t, page, "$trellis/send/operator", payload, want)
	}
	isRefused(t, mine, "$trellis/send/"+k.JTI, `{"data":1,"entity":"garden"}`, "to kitchen only")
}

// isRefused sends something that is not taken, and looks for these words in what the page is told.
func isRefused(t testing.TB, page *wire.Client, topic, payload, want string) {
	t.Helper()
	must(t, page.Publish(wire.Message{Topic: topic, Payload: []byte(payload)}))
	told := ""
	for until := time.Now().Add(prompt); told == "" && time.Now().Before(until); {
		must(t, page.Ping())
		reads(t, page, 100*time.Millisecond, func(n notice) {
			if n.Refused != nil {
				told = n.Refused.Sentence
			}
		})
	}
	if !strings.Contains(told, want) {
		t.Errorf("%s is answered %q", payload, told)
	}
}
