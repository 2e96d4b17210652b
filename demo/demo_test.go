package demo

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon is far more than anything here takes; it only ends a test that hangs.
const soon = 20 * time.Second

func testLogins() map[string]Login {
	logins := map[string]Login{}
	for _, name := range Names() {
		logins[name] = Login{Sub: "acme:local:" + name, JTI: "jti-" + name, Key: "key-" + name}
	}
	return logins
}

// runDemo starts the greenhouse; the stop that it returns reports how long ending took.
func runDemo(t *testing.T, c Config) (stop func() time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, c) }()
	return func() time.Duration {
		began := time.Now()
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run ended with %v", err)
			}
		case <-time.After(soon):
			t.Fatal("Run does not end")
		}
		return time.Since(began)
	}
}

// hear waits for a publish that the test wants.
func hear(t *testing.T, b *fakeBroker, wanted func(heard) bool) heard {
	t.Helper()
	over := time.After(soon)
	for {
		select {
		case h := <-b.heard:
			if wanted(h) {
				return h
			}
		case <-over:
			t.Fatal("what was waited for has not been said")
		}
	}
}

func await(t *testing.T, b *fakeBroker, wanted string) {
	t.Helper()
	over := time.After(soon)
	for {
		select {
		case got := <-b.ready:
			if got == wanted {
				return
			}
		case <-over:
			t.Fatalf("%q has not happened", wanted)
		}
	}
}

func TestEveryDeviceReportsAtOnceAndSaysGoodbye(t *testing.T) {
	b := startBroker(t, "127.0.0.1:0", testLogins())
	stop := runDemo(t, Config{Broker: b.address(), Logins: testLogins(), Every: time.Hour})
	want := map[string]bool{"temperature": true, "soil_moisture": true, "door": true, "mem_free": true, "signal": true}
	for len(want) > 0 {
		h := hear(t, b, func(heard) bool { return true })
		var e envelope
		var data map[string]any
		if json.Unmarshal(h.payload, &e) != nil || json.Unmarshal(e.Data, &data) != nil {
			t.Fatalf("not an envelope with an object: %s", h.payload)
		}
		name := strings.TrimPrefix(h.client, "acme:local:")
		if h.topic != "acme/local/jti-"+name+"/publish" || h.qos != 1 {
			t.Errorf("%s published on %s at QoS %d", name, h.topic, h.qos)
		}
		if _, isMemory := data["mem_free"]; isMemory != (e.Type == "heartbeat") || e.Timestamp == "" {
			t.Errorf("%s sent %s", name, h.payload)
		}
		for key := range data {
			delete(want, key)
		}
	}
	if took := stop(); took > 5*time.Second {
		t.Errorf("ending took %v", took)
	}
	gone := map[string]bool{}
	for len(gone) < len(Names()) {
		if got := <-b.ready; strings.HasPrefix(got, "goodbye ") {
			gone[got] = true
		}
	}
}

func TestADeviceTellsWhatItMeasuredBeforeAnybodyListened(t *testing.T) {
	b := startBroker(t, "127.0.0.1:0", testLogins())
	began := time.Now()
	stop := runDemo(t, Config{Broker: b.address(), Logins: testLogins(), Every: time.Hour, Past: 6 * time.Hour})
	defer stop()
	var last time.Time
	for n := 0; ; n++ {
		h := hear(t, b, func(h heard) bool { return h.client == soilSub })
		var e envelope
		if err := json.Unmarshal(h.payload, &e); err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, e.Timestamp)
		if err != nil || !at.After(last) {
			t.Fatalf("%s came after %v", h.payload, last)
		}
		if n == 0 && at.After(began.Add(-5*time.Hour)) {
			t.Errorf("the first is of %v, want one of six hours ago", at)
		}
		if last = at; at.After(began.Add(-time.Minute)) {
			if n != 24 {
				t.Errorf("%d came before the newest, want one for each quarter of an hour", n)
			}
			return
		}
	}
}

func TestDeviceAnswersWhoAsked(t *testing.T) {
	b := startBroker(t, "127.0.0.1:0", testLogins())
	stop := runDemo(t, Config{Broker: b.address(), Logins: testLogins(), Every: time.Hour})
	defer stop()
	topic := "acme/local/jti-greenhouse-soil/messages"
	await(t, b, soilSub+" "+topic)

	b.send(soilSub, topic, `{"data":{"answer":"never answered"},"source":"acme:local:robot"}`)
	b.send(soilSub, topic, `{"data":{"pump":"on"},"source":"`+soilSub+`"}`)
	b.send(soilSub, topic, `{"data":{"lamp":1},"source":"acme:local:operator","context":{"hops":1}}`)
	b.send(soilSub, topic, `{"data":{"pump":"on","seconds":20},"source":"acme:local:operator"}`)

	said := func(text string) func(heard) bool {
		return func(h heard) bool { return h.client == soilSub && strings.Contains(string(h.payload), text) }
	}
	// The first answer is to the third message: the two before it got none.
	first := hear(t, b, said("answer"))
	if got := string(first.payload); !strings.Contains(got, "I do not know") ||
		!strings.Contains(got, `"dest":"acme:local:operator"`) || !strings.Contains(got, `"hops":1`) {
		t.Errorf("first answer: %s", got)
	}
	hear(t, b, said("pump on for 20 s"))
	hear(t, b, said(`"pump":"on"`)) // the change shows at once, without waiting an hour
}

func TestAnotherAnsweringMachineIsHeldToATrickle(t *testing.T) {
	// This session has no client: an answer would be a panic.
	s := &session{device: &device{kind: kindOf(t, "greenhouse-soil"), login: testLogins()["greenhouse-soil"]}}
	s.answered = answersATick
	if err := s.obeyLetter(t.Context(), letter{from: "acme:local:robot"}); err != nil {
		t.Errorf("an unanswered letter is an error: %v", err)
	}
}

func TestDevicesComeBackAfterTheBrokerWasAway(t *testing.T) {
	first := startBroker(t, "127.0.0.1:0", testLogins())
	address := first.address()
	stop := runDemo(t, Config{Broker: address, Logins: testLogins(), Every: 10 * time.Millisecond})
	defer stop()
	hear(t, first, func(h heard) bool { return h.client == soilSub })
	first.stop()
	second := startBroker(t, address, testLogins())
	back := map[string]bool{}
	for len(back) < len(Names()) {
		back[hear(t, second, func(heard) bool { return true }).client] = true
	}
}

func TestEndingIsQuick(t *testing.T) {
	refused := testLogins()
	for name, login := range refused {
		login.Key = "another"
		refused[name] = login
	}
	for name, tt := range map[string]struct {
		logins map[string]Login
		mute   bool
		gone   bool
	}{
		"while the keys are refused":         {logins: refused},
		"while the broker does not answer":   {logins: testLogins(), mute: true},
		"while there is no broker":           {logins: testLogins(), gone: true},
		"while everything is as it ought to": {logins: testLogins()},
	} {
		t.Run(name, func(t *testing.T) {
			b := startBroker(t, "127.0.0.1:0", testLogins())
			b.mu.Lock()
			b.mute = tt.mute
			b.mu.Unlock()
			if tt.gone {
				b.stop()
			}
			stop := runDemo(t, Config{Broker: b.address(), Logins: tt.logins, Every: time.Hour})
			if tt.mute {
				await(t, b, "mute")
			}
			if took := stop(); took > 5*time.Second {
				t.Errorf("ending took %v", took)
			}
		})
	}
}

func TestRunRefusesAMissingLogin(t *testing.T) {
	for name, tt := range map[string]func(map[string]Login){
		"none":               func(l map[string]Login) { clear(l) },
		"one missing":        func(l map[string]Login) { delete(l, "greenhouse-door") },
		"not a subject":      func(l map[string]Login) { l["greenhouse-door"] = Login{Sub: "door", JTI: "j", Key: "k"} },
		"without a key's id": func(l map[string]Login) { l["greenhouse-door"] = Login{Sub: "a:b:c", Key: "k"} },
	} {
		t.Run(name, func(t *testing.T) {
			logins := testLogins()
			tt(logins)
			if err := Run(t.Context(), Config{Broker: "127.0.0.1:1", Logins: logins}); err == nil {
				t.Error("started")
			}
		})
	}
}
