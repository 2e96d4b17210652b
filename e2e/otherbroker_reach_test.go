package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"trellis/e2e/wire"
)

func newIssued(secrets ...string) *sync.Map {
	all := &sync.Map{}
	for _, secret := range secrets {
		all.Store(secret, true)
	}
	return all
}

func TestAKeyInFrontOfAnyBrokerSeesOneDevice(t *testing.T) {
	b := newOtherBroker(t)
	s := inFrontOf(t, b.login("home/{entity}/state,home/{entity}/#,home/{entity}", "--broker-send", "home/{entity}/set")...)
	s.linkUp(1)
	kitchen := s.addKey("kitchen")
	person := s.browser()
	person.signIn(kitchen)
	page := person.live()
	must(t, page.Subscribe(1, "home/kitchen/#", "home/kitchen/state", "$trellis/sent/kitchen"))
	for _, filter := range []string{
		"#", "+", "home/#", "home/+", "home/+/state", "home/garden/state", "home/garden/#", "+/kitchen/state", "$trellis/#",
		"$trellis/sent/+", "$trellis/sent/garden", "$trellis/send/operator", "$SYS/#", "home/kitchenette/state",
	} {
		if err := page.Subscribe(1, filter); !errors.Is(err, wire.ErrSubscription) {
			t.Errorf("the key may hear %q: %v", filter, err)
		}
	}
	device := b.device("all")
	say1(t, device, "home/garden/state", "secret-of-the-garden")
	say1(t, device, "home/kitchen/state", "ON")
	if m, _ := hears(t, page); m.Topic != "home/kitchen/state" {
		t.Errorf("the page hears %s on %s", m.Payload, m.Topic)
	}
	if r := person.do(http.MethodGet, "/", ""); !strings.Contains(r.body, ">On<") || strings.Contains(r.body, "garden") {
		t.Error("the board shows not the one device alone")
	}
	for _, topic := range []string{"$trellis/send/operator", "home/kitchen/set", "home/garden/set", "$trellis/sent/kitchen"} {
		intruder := person.live()
		must(t, intruder.Publish(wire.Message{Topic: topic, Payload: []byte(`{"data":"x","entity":"kitchen"}`)}))
		if _, err := intruder.Ended(prompt); err != nil {
			t.Errorf("the key may write to %s: %v", topic, err)
		}
	}
	for _, path := range []string{"/api/claims", "/ws"} {
		if r := person.do(http.MethodGet, path, "", "Authorization", "Bearer "+kitchen.Key, "Accept", "application/json"); r.StatusCode != 421 || !strings.Contains(r.body, "that broker itself") {
			t.Errorf("%s: %s %s", path, r.Status, r.body)
		}
	}
	s.revoke("kitchen")
	if _, err := page.Ended(prompt); err != nil {
		t.Errorf("the page of a withdrawn key: %v", err)
	}
	if strings.Contains(person.seen.String(), housePassword) {
		t.Error("a page holds the broker's password")
	}
}

func TestALinkToAnyBrokerThatIsDownIsSaid(t *testing.T) {
	b := newOtherBroker(t)
	s := inFrontOf(t, b.login("home/{entity}/#")...)
	s.linkUp(1)
	person, page := s.operator("home/+/#")
	b.kill()
	told := func(want func(notice) bool) bool {
		for until := time.Now().Add(3 * prompt); time.Now().Before(until); {
			must(t, page.Ping())
			found := false
			reads(t, page, 250*time.Millisecond, func(n notice) { found = found || want(n) })
			if found {
				return true
			}
		}
		return false
	}
	if !told(func(n notice) bool { return n.Link != nil && !n.Link.Up && n.Link.Why == "" }) {
		t.Error("the page is not told that the link is down")
	}
	if r := person.do(http.MethodGet, "/healthz", ""); r.StatusCode != 200 || !strings.Contains(r.body, `"down":1`) || !strings.Contains(r.body, `"away":1`) {
		t.Errorf("health without a broker: %s %s", r.Status, r.body)
	}
	var hop struct{ Works bool }
	decode(t, []byte(person.do(http.MethodPost, "/check/broker", "", "Origin", s.url, "Sec-Fetch-Site", "same-origin").body), &hop)
	if hop.Works {
		t.Error("the check says that the broker works")
	}
	b.write("passwords", "") // nobody is let in any more
	b.start()
	if !told(func(n notice) bool { return n.Link != nil && strings.Contains(n.Link.Sentence, "refuses the login") }) {
		t.Error("the page is not told that the login is refused")
	}
}

const numbered = 10_000

func TestRestartsOnBothSidesOfAnyBrokerLoseNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	b := newOtherBroker(t)
	s := inFrontOf(t, b.login("home/{entity}/n")...)
	s.linkUp(1)
	began, next := time.Now(), 0
	say := func(upTo int) {
		t.Helper()
		device := b.device(fmt.Sprint("counter-", next))
		for ; next < upTo; next++ {
			say1(t, device, "home/counter/n", fmt.Sprint(next))
		}
		must(t, device.Close())
	}
	say(numbered * 2 / 10)
	if code := s.stop(); code != 0 { // while we are away the broker keeps it, over a restart of its own too
		t.Errorf("it ended with %d", code)
	}
	say(numbered * 4 / 10)
	b.stop()
	b.start()
	say(numbered * 5 / 10)
	s.startOther()
	say(numbered * 6 / 10)
	s.kill() // as a power cut would
	say(numbered * 8 / 10)
	s.startOther()
	say(numbered * 9 / 10)
	b.stop() // in the middle of it
	b.start()
	say(numbered)
	seen, twice := map[int]int{}, 0
	for until := time.Now().Add(6 * prompt); len(seen) < numbered && time.Now().Before(until); time.Sleep(200 * time.Millisecond) {
		seen, twice = map[int]int{}, 0
		for _, r := range recorded(t, s.data, "home/counter/n", 2*numbered) {
			var data struct{ N int }
			must(t, json.Unmarshal(opened(t, r.Payload).Data, &data))
			if seen[data.N]++; seen[data.N] > 1 {
				twice++
			}
		}
	}
	if len(seen) != numbered {
		t.Errorf("%d of %d messages are on record", len(seen), numbered)
	}
	t.Logf("%d messages over two restarts of the broker, a restart and a kill of ours in %v; %d came twice", len(seen), time.Since(began).Round(time.Millisecond), twice)
}

// natsBroker is a real nats-server that speaks MQTT.
func natsBroker(t *testing.T) (address string) {
	t.Helper()
	address = freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	n, err := strconv.Atoi(port)
	must(t, err)
	s, err := natsserver.NewServer(&natsserver.Options{
		ServerName: "nats", Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
		Users: []*natsserver.User{{Username: "trellis", Password: housePassword}, {Username: "device", Password: devicePassword}},
		MQTT:  natsserver.MQTTOpts{Host: "127.0.0.1", Port: n},
	})
	must(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(prompt) {
		t.Fatal("nats does not run")
	}
	return address
}

func TestInFrontOfNATS(t *testing.T) {
	address := natsBroker(t)
	b := &otherBroker{t: t, dir: t.TempDir(), plain: address}
	b.write("house", housePassword)
	s := inFrontOf(t, "--broker", "mqtt://"+address, "--broker-user", "trellis", "--broker-password-file", b.file("house"),
		"--broker-topics", "home/{entity}/state,home/{entity}/#", "--broker-send", "home/{entity}/set")
	s.linkUp(1)
	_, page := s.operator("home/+/#", "$trellis/sent/+")
	device := b.device("kitchen")
	must(t, device.Subscribe(1, "home/kitchen/set"))
	say1(t, device, "home/kitchen/state", "ON")
	if m, e := hears(t, page); m.Topic != "home/kitchen/state" || string(e.Data) != `{"state":"ON"}` {
		t.Errorf("the page hears %s on %s", m.Payload, m.Topic)
	}
	must(t, page.Publish(wire.Message{Topic: "$trellis/send/operator", QoS: 1, Payload: []byte(`{"data":"OFF","entity":"kitchen"}`)}))
	if order, err := device.Receive(prompt); err != nil || string(order.Payload) != "OFF" {
		t.Errorf("the order comes as %q, %v", order.Payload, err)
	}
	if m, _ := hears(t, page); m.Topic != "$trellis/sent/kitchen" {
		t.Errorf("the order is shown as %s on %s", m.Payload, m.Topic)
	}
	if code := s.stop(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	const away = 200
	for n := range away {
		say1(t, device, "home/counter/n", fmt.Sprint(n))
	}
	s.startOther()
	for until := time.Now().Add(prompt); len(recorded(t, s.data, "home/counter/n", away+1)) < away && time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
	}
	if n := len(recorded(t, s.data, "home/counter/n", 2*away)); n != away {
		t.Errorf("%d of %d messages that came meanwhile are on record", n, away)
	}
	if n := len(recorded(t, s.data, "home/kitchen/set", 10)); n != 0 {
		t.Errorf("the order is on record as a device's %d times", n)
	}
}
