package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trellis/access"
	"trellis/history"
	"trellis/message"
	"trellis/mqttproxy"
)

// newTestHouse shows what a broker brings that is not there: tests hand it over.
func newTestHouse(t *testing.T, topics []string, send string) (*house, *[]mqttproxy.Message) {
	t.Helper()
	flags := otherBrokerFlags{Broker: "mqtt://127.0.0.1:1", BrokerTopics: topics, BrokerSend: send}
	b, err := flags.read()
	if err != nil {
		t.Fatal(err)
	}
	store, err := history.Open(t.Context(), t.TempDir(), history.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	h := &house{topics: b.topics, send: b.send, owner: access.Subject{Account: "home", Region: "local"}}
	h.store, h.kept = store, newKeeping(t.TempDir(), store, slog.New(slog.DiscardHandler))
	shown := new([]mqttproxy.Message)
	h.Subscribe(func(m mqttproxy.Message) { *shown = append(*shown, m) })
	return h, shown
}

func (h *house) takes(t *testing.T, came ...mqttproxy.Arrival) {
	t.Helper()
	for i := range came {
		came[i].At = time.Now()
	}
	if err := h.taking(h.understand, h.sift)(context.Background(), came); err != nil {
		t.Fatal(err)
	}
}

func says(topic, payload string) mqttproxy.Arrival {
	return mqttproxy.Arrival{Topic: topic, Payload: []byte(payload)}
}

func kept(topic, payload string) mqttproxy.Arrival {
	return mqttproxy.Arrival{Topic: topic, Payload: []byte(payload), Retained: true}
}

func TestWhatABrokerHadKeptIsNewOnlyOnce(t *testing.T) {
	h, shown := newTestHouse(t, []string{"home/{entity}/state"}, "")
	h.takes(t, kept("home/a/state", "ON"))
	h.takes(t, kept("home/a/state", "ON")) // the next connection
	if len(*shown) != 1 {
		t.Fatalf("shown %d times", len(*shown))
	}
	h.takes(t, says("home/a/state", "OFF"), kept("home/a/state", "OFF"))
	if len(*shown) != 2 {
		t.Errorf("what came just now and was kept is shown %d times", len(*shown)-1)
	}
	h.takes(t, kept("home/a/state", "ON")) // changed back while we were away
	if len(*shown) != 3 {
		t.Errorf("what was said before, and is news again, is shown %d times", len(*shown)-2)
	}
	h.takes(t, kept("home/b/state", "ON"), says("home/a/state", "ON"))
	if len(*shown) != 5 {
		t.Errorf("another topic, and what a device says again, are shown %d times", len(*shown)-3)
	}
}

func TestOrdersAreNobodysReadings(t *testing.T) {
	for name, tt := range map[string]struct {
		topics []string
		send   string
		came   mqttproxy.Arrival
		parts  int
	}{
		"what a device says":               {[]string{"home/{entity}/#"}, "home/{entity}/set", says("home/shed/state", "ON"), 1},
		"somebody's order":                 {[]string{"home/{entity}/#"}, "home/{entity}/set", says("home/shed/set", "ON"), 0},
		"where devices answer on it too":   {[]string{"home/{entity}"}, "home/{entity}", says("home/shed", "ON"), 1},
		"where nothing can be sent":        {[]string{"home/{entity}/#"}, "", says("home/shed/set", "ON"), 1},
		"what a page sent":                 {[]string{"home/{entity}/#"}, "home/{entity}/set", mqttproxy.Arrival{Topic: sentTopic + "shed", Payload: []byte(`{"data":{"led":"on"}}`), Sent: true}, 0},
		"a payload that was cut":           {[]string{"home/{entity}"}, "", mqttproxy.Arrival{Topic: "home/shed", Cut: 1 << 20}, 0},
		"a payload that names another one": {[]string{"home/{entity}"}, "", says("home/shed", `{"msg_type":"publish","data":{"t":1},"entity":"barn"}`), 1},
	} {
		t.Run(name, func(t *testing.T) {
			h, shown := newTestHouse(t, tt.topics, tt.send)
			h.takes(t, tt.came)
			if len(*shown) != 1 || len((*shown)[0].Parts) != tt.parts {
				t.Fatalf("shown %+v", *shown)
			}
			for _, part := range (*shown)[0].Parts {
				if !strings.HasPrefix(part, "shed\x00") {
					t.Errorf("it is about %q", part)
				}
			}
		})
	}
}

func TestWhomAMessageOfAPageIsFor(t *testing.T) {
	operator, holder := access.Subject{Account: "home", Region: "local"}, access.Subject{Account: "home", Region: "local", Entity: "shed"}
	for name, tt := range map[string]struct {
		from             access.Subject
		named, to, words string
	}{
		"an operator names it":                 {operator, "shed", "shed", ""},
		"an operator names it by its path":     {operator, "home:local:shed", "shed", ""},
		"an operator names nobody":             {operator, "", "", "Say which device"},
		"a holder names nobody":                {holder, "", "shed", ""},
		"a holder names the own one":           {holder, "shed", "shed", ""},
		"a holder names the own one by a path": {holder, "home:local:shed", "shed", ""},
		"a holder names another":               {holder, "barn", "", "to shed only"},
		"a holder names another by a path":     {holder, "home:local:barn", "", "to shed only"},
		"a holder names another account's":     {holder, "other:local:shed", "", "to shed only"},
	} {
		t.Run(name, func(t *testing.T) {
			to, err := addressee(tt.from, tt.named)
			var said orderError
			if to != tt.to || errors.As(err, &said) != (tt.words != "") || !strings.Contains(said.sentence, tt.words) {
				t.Errorf("it is for %q, %v", to, err)
			}
		})
	}
	h, _ := newTestHouse(t, []string{"home/{entity}/#"}, "{entity}/set")
	for _, name := range []string{"a/b", "+", "#", "$SYS", "a\x00b"} {
		err := h.Publish(t.Context(), sendTopic+access.OperatorName, message.Order([]byte(`{"data":1}`), message.Origin{Entity: name}).Payload, 1)
		var said orderError
		if !errors.As(err, &said) || !strings.Contains(said.Sentence(), "cannot be a device's name") {
			t.Errorf("something for %q is refused with %v", name, err)
		}
	}
	silent, _ := newTestHouse(t, []string{"home/{entity}/#"}, "")
	if err := silent.Publish(t.Context(), sendTopic+access.OperatorName, []byte(`{"data":1,"entity":"shed"}`), 1); err == nil || len(silent.operatorGrant(time.Time{}).Publish) != 0 {
		t.Errorf("without a place to send to: %v", err)
	}
}

func TestAPasswordThatOthersCanReadIsRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "password")
	for name, tt := range map[string]struct {
		text   string
		mode   os.FileMode
		system bool
		words  string
	}{
		"for its owner alone":          {"se cret\n", 0o600, false, ""},
		"for reading only":             {"se cret\r\n", 0o400, false, ""},
		"for its group":                {"x", 0o640, false, "can be read by others"},
		"for everybody":                {"x", 0o604, false, "can be read by others"},
		"a credential of systemd":      {"se cret", 0o440, true, ""},
		"a credential for everybody":   {"x", 0o444, true, "can be read by others"},
		"nothing in it":                {"\n", 0o600, false, "is empty"},
		"more than a password can be ": {strings.Repeat("x", maxPassword+1), 0o600, false, "holds no password"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("CREDENTIALS_DIRECTORY", "")
			if tt.system {
				t.Setenv("CREDENTIALS_DIRECTORY", dir+"/")
			}
			_ = os.Remove(file)
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, tt.mode); err != nil {
				t.Fatal(err)
			}
			got, err := readPassword(file)
			if tt.words == "" && (err != nil || got != "se cret") || tt.words != "" && (err == nil || !strings.Contains(err.Error(), tt.words)) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestFlagsOfABrokerThatCannotBe(t *testing.T) {
	good := otherBrokerFlags{Broker: "mqtts://mqtt.x", BrokerTopics: []string{"home/{entity}"}}
	if _, err := good.read(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*otherBrokerFlags){
		"no broker":                     func(f *otherBrokerFlags) { f.Broker = "" },
		"no topics":                     func(f *otherBrokerFlags) { f.BrokerTopics = nil },
		"plain through a network":       func(f *otherBrokerFlags) { f.Broker = "mqtt://mqtt.x" },
		"a login in the address":        func(f *otherBrokerFlags) { f.Broker = "mqtts://me:hidden@mqtt.x" },
		"a password for nobody":         func(f *otherBrokerFlags) { f.BrokerPasswordFile = "/dev/null" },
		"a password that is not there":  func(f *otherBrokerFlags) { f.BrokerUser, f.BrokerPasswordFile = "me", "/no/such/file" },
		"authorities that are none":     func(f *otherBrokerFlags) { f.BrokerCA = "/dev/null" },
		"a client id of no signs":       func(f *otherBrokerFlags) { f.BrokerClientID = "a\x00" },
		"topics that name two":          func(f *otherBrokerFlags) { f.BrokerTopics = []string{"a/{entity}/b", "a/+/{entity}"} },
		"a place to send to for nobody": func(f *otherBrokerFlags) { f.BrokerSend = "home/set" },
		"a place to send to of many":    func(f *otherBrokerFlags) { f.BrokerSend = "home/{entity}/#" },
	} {
		t.Run(name, func(t *testing.T) {
			f := good
			change(&f)
			_, err := f.read()
			var usage usageError
			if !errors.As(err, &usage) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("it is taken: %v", err)
			}
		})
	}
}
