package e2e

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"trellis/e2e/wire"
)

const strictPlugin = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"

// strictBroker is a real mosquitto that lets a key in under its entity's name only, and lets it read its messages and nothing else.
func strictBroker(t *testing.T, k key) (address string, log *program) {
	t.Helper()
	if _, err := os.Stat(strictPlugin); err != nil {
		t.Skip("mosquitto's dynamic security plugin is not here")
	}
	address = freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	salt := []byte("twelve-bytes")
	hash, err := pbkdf2.Key(sha512.New, k.Key, salt, 101, 64)
	must(t, err)
	acl := func(kind, topic string) map[string]any {
		return map[string]any{"acltype": kind, "topic": topic, "priority": 0, "allow": true}
	}
	rules, err := json.Marshal(map[string]any{
		"defaultACLAccess": map[string]bool{"publishClientSend": false, "publishClientReceive": true, "subscribe": false, "unsubscribe": true},
		"clients": []any{map[string]any{"username": k.JTI, "clientid": k.Sub, "iterations": 101, "roles": []any{map[string]any{"rolename": "key"}},
			"salt": base64.StdEncoding.EncodeToString(salt), "password": base64.StdEncoding.EncodeToString(hash)}},
		"roles": []any{map[string]any{"rolename": "key", "acls": []any{acl("publishClientSend", k.topic("publish")), acl("subscribeLiteral", k.topic("messages"))}}},
	})
	must(t, err)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "rules.json"), rules, 0o600))
	conf := fmt.Sprintf("listener %s 127.0.0.1\nuser root\nlog_type all\nallow_anonymous false\nplugin %s\nplugin_opt_config_file %s/rules.json\n", port, strictPlugin, dir)
	must(t, os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o600))
	log = run(t, "mosquitto", nil, "-c", filepath.Join(dir, "conf"))
	if log.errs.wait(` running`, prompt, log.gone) == nil {
		t.Fatalf("mosquitto does not run:\n%s%s", log.out, log.errs)
	}
	return address, log
}

// logins counts who was let in under the entity's name.
func logins(log *program, k key) int {
	return len(regexp.MustCompile(`New client connected from \S+ as `+regexp.QuoteMeta(k.Sub)+` `).FindAllString(log.errs.String(), -1))
}

func TestStrictBrokerIsEnteredOnlyWhenThePersonAgrees(t *testing.T) {
	back := start(t)
	k := back.addKey("shed")
	address, log := strictBroker(t, k)
	device, err := wire.Open(t.Context(), address, k.login(""))
	must(t, err)
	defer device.Close()
	front := back.inFront(t, "--upstream-mqtt", "mqtt://"+address)
	pages, person := front.screens(k)
	for n, page := range pages { // the question comes to everybody, and before anything happens
		asked := tells(t, page)
		if asked.Link == nil || asked.Link.Up || asked.Link.Why != "consent" || !strings.Contains(asked.Link.Sentence, "would be disconnected") {
			t.Fatalf("page %d is asked %+v", n, asked.Link)
		}
	}
	must(t, device.Ping())
	if n := logins(log, k); n != 1 {
		t.Errorf("%d logins under the entity's name, want the device's alone", n)
	}
	if board := person.do(http.MethodGet, "/", ""); !strings.Contains(board.body, `action="/agree"`) {
		t.Error("the page has no button to agree with")
	}
	if r := person.post("/agree", url.Values{}); r.StatusCode != http.StatusSeeOther {
		t.Fatalf("agreeing: %s %s", r.Status, r.body)
	}
	front.linkUp(1)
	if _, err := device.Ended(prompt); err != nil {
		t.Errorf("the device's connection: %v", err) // it was said that this would happen
	}
	must(t, pages[0].Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: []byte(`{"data":{"led":"on"}}`)}))
	for n, page := range pages { // the broker does not bring it back, so it is shown as sent
		m, ok := reads(t, page, prompt, nil)
		if !ok || m.Topic != k.topic("publish") || !strings.Contains(string(m.Payload), `"led":"on"`) {
			t.Errorf("page %d hears %s %s", n, m.Topic, m.Payload)
		}
	}
	if n := let(log, regexp.QuoteMeta(k.Sub)+`#\S+`); n != 0 {
		t.Errorf("%d connections under other names", n)
	}
	if n := strings.Count(log.errs.String(), "already connected, closing old connection"); n != 1 {
		t.Errorf("%d connections were ended, want the device's, as was said", n)
	}
	if n := logins(log, k); n != 2 {
		t.Errorf("%d logins under the entity's name, want the device's and one for all pages", n)
	}
}

func TestClaimsAndBrokerFailApartFromEachOther(t *testing.T) {
	back := start(t)
	k := back.addKey("shed")
	address, broker := strictBroker(t, k)
	front := back.inFront(t, "--upstream-mqtt", "mqtt://"+address)
	person := front.browser()
	person.signIn(k)
	if r := person.post("/agree", url.Values{}); r.StatusCode != http.StatusSeeOther {
		t.Fatalf("agreeing: %s", r.Status)
	}
	page := person.live()
	must(t, page.Subscribe(1, k.topic("publish")))
	front.linkUp(1)
	must(t, broker.Process.Signal(syscall.SIGSTOP)) // the one that takes messages is gone, the one that knows keys is there
	front.browser().signIn(k)
	must(t, page.Publish(wire.Message{Topic: k.topic("publish"), Payload: []byte(`{"data":1}`)}))
	must(t, broker.Process.Signal(syscall.SIGCONT))
	if _, ok := reads(t, page, prompt, nil); !ok {
		t.Error("what was sent into a short silence did not come through")
	}

	back.stop()
	must(t, page.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: []byte(`{"data":{"still":"here"}}`)}))
	if m, ok := reads(t, page, prompt, func(n notice) {
		if n.Link != nil && !n.Link.Up {
			t.Errorf("the page is told %+v, and its link is up", n.Link)
		}
	}); !ok || !strings.Contains(string(m.Payload), "still") {
		t.Errorf("without the claims the page hears %s", m.Payload)
	}
	if r := person.do(http.MethodGet, "/", ""); r.StatusCode != http.StatusOK {
		t.Errorf("who is signed in sees %s", r.Status)
	}
	if r := front.browser().post("/session", url.Values{"key": {"another-key"}}); r.StatusCode != http.StatusBadGateway || !strings.Contains(r.body, "is not answering") {
		t.Errorf("who comes new is told %s", r.Status)
	}
}

func TestFightForAnEntityIsSeenAndSaid(t *testing.T) {
	back := start(t)
	k := back.addKey("shed")
	address, log := strictBroker(t, k)
	front := back.inFront(t, "--upstream-mqtt", "mqtt://"+address)
	person := front.browser()
	person.signIn(k)
	if r := person.post("/agree", url.Values{}); r.StatusCode != http.StatusSeeOther {
		t.Fatalf("agreeing: %s", r.Status)
	}
	quit, over := make(chan struct{}), make(chan struct{})
	go func() { // somebody else with the same name, who always comes back
		defer close(over)
		for {
			other, err := wire.Open(t.Context(), address, k.login(""))
			if err != nil {
				return
			}
			gone := make(chan struct{})
			go func() { defer close(gone); _, _ = other.Ended(time.Minute) }()
			select {
			case <-gone:
				_ = other.Close()
			case <-quit:
				_ = other.Close()
				<-gone
				return
			}
		}
	}()
	defer func() { close(quit); <-over }()
	page := person.live()
	must(t, page.Subscribe(1, k.topic("messages")))
	began := time.Now()
	var said notice
	for time.Since(began) < 2*prompt && said.Link == nil {
		must(t, page.Ping())
		reads(t, page, 250*time.Millisecond, func(n notice) {
			if n.Link != nil && n.Link.Why == "taken" {
				said = n
			}
		})
	}
	if said.Link == nil || !strings.Contains(said.Link.Sentence, "Something else is using the same access key") {
		t.Fatalf("the page is told %+v:\n%s", said.Link, front.errs)
	}
	rounds := strings.Count(log.errs.String(), "already connected, closing old connection")
	t.Logf("said after %v and %d evictions", time.Since(began), rounds)
	time.Sleep(5 * time.Second) // nothing is to happen: only time can show that
	if now := strings.Count(log.errs.String(), "already connected, closing old connection"); now != rounds {
		t.Errorf("the fight goes on: %d evictions after %d", now, rounds)
	}
	if n := strings.Count(front.errs.String(), "link to the upstream broker is up"); n > 3 {
		t.Errorf("it took %d connections to see that", n)
	}
}
