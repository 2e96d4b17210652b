package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// mosquitto runs one of Debian's documented command line clients with this key's login.
func (s *server) mosquitto(client string, k key, program string, more ...string) *program {
	s.t.Helper()
	host, port, err := net.SplitHostPort(s.mqtt)
	must(s.t, err)
	args := []string{"-h", host, "-p", port, "-V", "mqttv311", "-i", k.Sub + program, "-u", k.JTI, "-P", k.Key}
	// Into a pipe they would print only when they end.
	return run(s.t, "stdbuf", nil, append(append([]string{"-oL", client}, args...), more...)...)
}

// listening starts mosquitto_sub and waits until the server has answered its subscription.
func (s *server) listening(k key, program string, more ...string) *program {
	s.t.Helper()
	p := s.mosquitto("mosquitto_sub", k, program, append([]string{"-d", "-F", "got %q %r %t %p"}, more...)...)
	if p.out.wait(`Subscribed \(mid`, prompt, p.gone) == nil {
		s.t.Fatalf("mosquitto_sub was not subscribed:\n%s\n%s", p.out, p.errs)
	}
	return p
}

// said waits for the end of a client and holds it to an exit code and words.
func said(t *testing.T, p *program, code int, words string) {
	t.Helper()
	if got := p.end(t, prompt); got != code || !strings.Contains(p.out.String()+p.errs.String(), words) {
		t.Errorf("%s ended with %d, want %d, and said %q, want %q", p.Args[2], got, code, p.out.String()+p.errs.String(), words)
	}
}

func TestMosquittoClientsLogIn(t *testing.T) {
	s := start(t)
	k, other := s.addKey("shed"), s.addKey("barn")
	mixed := k
	mixed.Key = other.Key
	wrong := k
	wrong.Key = k.Key[:len(k.Key)-6] + "AAAAAA"
	short := k
	short.Key = "x"
	stranger := k
	stranger.Sub = other.Sub
	const wrongKey, wrongName = "bad user name or password", "not authorised"

	for name, tt := range map[string]struct {
		key     key
		program string
		code    int
		words   string
	}{
		"with the right key":            {k, "", 0, ""},
		"as a further program":          {k, "#phone 2", 0, ""},
		"with a key changed at its end": {wrong, "", 4, wrongKey},
		"with a key of no form at all":  {short, "", 4, wrongKey},
		"with somebody else's key":      {mixed, "", 4, wrongKey},
		"under somebody else's name":    {stranger, "", 5, wrongName},
		"under a longer name":           {k, "x", 5, wrongName},
	} {
		t.Run(name, func(t *testing.T) {
			p := s.in(t).mosquitto("mosquitto_pub", tt.key, tt.program, "-q", "1", "-t", k.topic("publish"), "-m", "{}")
			said(t, p, tt.code, tt.words)
		})
	}
}

func TestMosquittoClientsStayWithinTheirKey(t *testing.T) {
	s := start(t)
	k, victim := s.addKey("shed"), s.addKey("barn")
	watch := s.device(victim, "#watch")
	must(t, watch.Subscribe(1, victim.topic("publish"), victim.topic("messages")))

	t.Run("what is published elsewhere reaches nobody and no record", func(t *testing.T) {
		s := s.in(t)
		for _, topic := range []string{victim.topic("publish"), victim.topic("messages"), k.place("/"), "$SYS/x", k.topic("messages")} {
			for qos := range 3 {
				// The protocol has no negative acknowledgement: being cut off and being ignored are both honest answers.
				s.mosquitto("mosquitto_pub", k, "#elsewhere", "-q", fmt.Sprint(qos), "-t", topic, "-m", "stolen").end(t, prompt)
			}
		}
		said(t, s.mosquitto("mosquitto_pub", victim, "", "-q", "1", "-t", victim.topic("publish"), "-m", `{"mine":1}`), 0, "")
		got, err := watch.Receive(prompt)
		if err != nil || strings.Contains(string(got.Payload), "stolen") || got.Topic != victim.topic("publish") {
			t.Errorf("the victim received %s %s, %v", got.Topic, got.Payload, err)
		}
		for _, topic := range []string{victim.topic("publish"), victim.topic("messages"), k.topic("messages"), k.place("/")} {
			for _, record := range recorded(t, s.data, topic, 100) {
				if strings.Contains(string(record.Payload), "stolen") {
					t.Errorf("a message published against the rules is on record under %s", topic)
				}
			}
		}
	})

	for name, filter := range map[string]string{
		"everything":               "#",
		"somebody else's messages": victim.topic("messages"),
		"somebody else's publish":  victim.topic("publish"),
		"every key's publish":      k.place("/") + "/+/publish",
		"every key's messages":     "+/+/+/messages",
		"the account":              k.account() + "/#",
		"the server's own":         "$SYS/#",
		"a shared subscription":    "$share/g/" + victim.topic("messages"),
		"the pages' notices":       "$trellis/session",
		"the broker's inside":      "$JS/#",
		"the broker's own topics":  "$MQTT/#",
	} {
		t.Run("may not subscribe to "+name, func(t *testing.T) {
			p := s.in(t).mosquitto("mosquitto_sub", k, "#listener", "-t", filter, "-q", "1", "-E", "-d")
			p.end(t, prompt)
			if text := p.out.String() + p.errs.String(); !strings.Contains(text, "denied") && !strings.Contains(text, "lost") {
				t.Errorf("subscribing to %s was not refused: %s", filter, text)
			}
		})
	}

	t.Run("a will to elsewhere is refused at login", func(t *testing.T) {
		p := s.in(t).mosquitto("mosquitto_sub", k, "#will", "-t", k.topic("messages"), "--will-topic", victim.topic("messages"), "--will-payload", "x")
		said(t, p, 5, "not authorised")
	})
}

func TestOneClientIDIsOneConnection(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")

	t.Run("the newer one takes over", func(t *testing.T) {
		s := s.in(t)
		older := s.device(k, "")
		newer := s.listening(k, "", "-t", k.topic("messages"))
		if _, err := older.Ended(prompt); err != nil {
			t.Errorf("the older connection: %v", err)
		}
		if newer.ProcessState != nil {
			t.Errorf("the newer connection ended too")
		}
		newer.kill()
	})
	t.Run("further programs of the same holder live beside each other", func(t *testing.T) {
		s := s.in(t)
		one := s.listening(k, "#one", "-t", k.topic("publish"), "-C", "1")
		two := s.listening(k, "#two", "-t", k.topic("publish"), "-C", "1")
		said(t, s.mosquitto("mosquitto_pub", k, "", "-q", "1", "-t", k.topic("publish"), "-m", `{"n":1}`), 0, "")
		said(t, one, 0, `{"n":1}`)
		said(t, two, 0, `{"n":1}`)
	})
}

func TestMosquittoClientsAtEveryQoS(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	for _, qos := range []string{"0", "1", "2"} {
		t.Run("QoS "+qos, func(t *testing.T) {
			s := s.in(t)
			sub := s.listening(k, "#sub", "-q", qos, "-t", k.topic("publish"), "-C", "5")
			for n := range 5 {
				said(t, s.mosquitto("mosquitto_pub", k, "#pub", "-q", qos, "-t", k.topic("publish"), "-m", fmt.Sprintf(`{"n":%d}`, n)), 0, "")
			}
			said(t, sub, 0, "")
			for n := range 5 {
				if want := fmt.Sprintf("got %s 0 %s {\"n\":%d}\n", qos, k.topic("publish"), n); strings.Count(sub.out.String(), want) != 1 {
					t.Errorf("want once: %q in:\n%s", want, sub.out)
				}
			}
		})
	}
}

// untilGreeted waits until whoever subscribes now is told so many retained messages: nats has acknowledged one a moment
// before it remembers it.
func (s *server) untilGreeted(k key, messages int) {
	s.t.Helper()
	for until := time.Now().Add(prompt); ; {
		d := s.device(k, "#greeted")
		must(s.t, d.Subscribe(1, k.topic("publish")))
		must(s.t, d.Ping())
		told := d.Waiting()
		d.Leave()
		if told == messages {
			return
		}
		if time.Now().After(until) {
			s.t.Fatalf("who subscribes is told %d messages, not %d", told, messages)
		}
	}
}

func TestRetainedMessagesAndWills(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	t.Run("a retained message greets who comes later", func(t *testing.T) {
		s := s.in(t)
		said(t, s.mosquitto("mosquitto_pub", k, "", "-r", "-q", "1", "-t", k.topic("publish"), "-m", `{"kept":1}`), 0, "")
		s.untilGreeted(k, 1)
		said(t, s.listening(k, "#late", "-t", k.topic("publish"), "-C", "1"), 0, `got 0 1 `+k.topic("publish")+` {"kept":1}`)
		said(t, s.mosquitto("mosquitto_pub", k, "", "-r", "-n", "-q", "1", "-t", k.topic("publish")), 0, "")
		s.untilGreeted(k, 0)
		later := s.listening(k, "#later", "-t", k.topic("publish"), "-C", "1")
		said(t, s.mosquitto("mosquitto_pub", k, "", "-q", "1", "-t", k.topic("publish"), "-m", `{"next":1}`), 0, "")
		said(t, later, 0, `got 0 0 `+k.topic("publish")+` {"next":1}`)
	})
	t.Run("a will is sent when a client dies and not when it leaves", func(t *testing.T) {
		s := s.in(t)
		watch := s.device(k, "#watch")
		must(t, watch.Subscribe(1, k.topic("publish")))
		will := []string{"-t", k.topic("messages"), "--will-topic", k.topic("publish"), "--will-qos", "1", "--will-payload"}
		said(t, s.mosquitto("mosquitto_sub", k, "#leaves", append(will, `{"left":1}`, "-E")...), 0, "")
		s.listening(k, "#dies", append(will, `{"died":1}`)...).kill()
		got, err := watch.Receive(prompt)
		if err != nil || !strings.Contains(string(got.Payload), "died") {
			t.Errorf("after the death came %s, %v", got.Payload, err)
		}
	})
	t.Run("a will of a revoked key is not sent", func(t *testing.T) {
		s := s.in(t)
		gone, stays := s.addKey("pump"), s.addKey("tap")
		watch := s.device(stays, "")
		must(t, watch.Subscribe(1, stays.topic("messages")))
		login := gone.login("")
		login.Will = &wire.Message{Topic: gone.topic("publish"), Payload: to("tap", `{"will":1}`), QoS: 1}
		dying := s.open(s.mqtt, login)
		s.revoke("pump")
		if _, err := dying.Ended(prompt); err != nil {
			t.Fatalf("the revoked key's session: %v", err)
		}
		must(t, s.device(k, "").Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: to("tap", `{"after":1}`)}))
		got, err := watch.Receive(prompt)
		if err != nil || strings.Contains(string(got.Payload), "will") {
			t.Errorf("after the revocation came %s, %v", got.Payload, err)
		}
	})
}

func TestAPersistentSessionGetsWhatWasSentMeanwhile(t *testing.T) {
	s := start(t)
	k, sender := s.addKey("shed"), s.addKey("phone")
	away := []string{"-c", "-q", "1", "-t", k.topic("messages")}
	said(t, s.mosquitto("mosquitto_sub", k, "", append(away, "-E")...), 0, "")

	phone := s.device(sender, "")
	for n := range 25 {
		must(t, phone.Publish(wire.Message{Topic: sender.topic("publish"), QoS: 1, Payload: to("shed", fmt.Sprintf(`{"n":%d}`, n))}))
	}

	back := s.mosquitto("mosquitto_sub", k, "", append(away, "-C", "25")...)
	said(t, back, 0, "")
	lines := strings.Split(strings.TrimSpace(back.out.String()), "\n")
	if len(lines) != 25 {
		t.Fatalf("%d messages came, want 25:\n%s", len(lines), back.out)
	}
	for n, line := range lines {
		e := opened(t, []byte(line))
		if want := fmt.Sprintf(`{"n":%d}`, n); string(e.Data) != want {
			t.Errorf("message %d is %s, want %s", n, e.Data, want)
		}
		if e.Source != sender.Sub {
			t.Errorf("message %d says it comes from %q, want %q", n, e.Source, sender.Sub)
		}
	}
}
