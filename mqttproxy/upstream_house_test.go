package mqttproxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"trellis/access"
)

// houseBroker lets the user k1 listen to home/ and tele/, and send to what ends in set.
func houseBroker(t *testing.T) *mosquitto {
	t.Helper()
	return lenient(t, "topic read home/#\ntopic read tele/+/SENSOR\ntopic write home/+/set\n")
}

func anyHouse(filters ...string) *House {
	return &House{ClientID: "trellis-test", User: "k1", Secret: func() (string, error) { return shedKey, nil }, Filters: filters}
}

// newHouse holds one login for everybody.
func newHouse(t *testing.T, m *mosquitto, h *House, change ...func(*UplinksConfig)) *front {
	t.Helper()
	f := newFront(t, m.address(), append([]func(*UplinksConfig){func(c *UplinksConfig) { c.House = h }}, change...)...)
	f.Hold()
	return f
}

func TestOneLoginIsForEverybody(t *testing.T) {
	m := houseBroker(t)
	f := newHouse(t, m, anyHouse("home/+/state", "tele/+/SENSOR"))
	f.Need(shed())() // who comes and goes changes nothing
	f.up()
	send(t, m.service(), "home/shed/state", "21.5", 1)
	send(t, m.service(), "home/shed/other", "not asked for", 1)
	send(t, m.service(), "tele/shed/SENSOR", "{}", 1)
	took := f.count(2)
	if string(took[0].Payload) != "21.5" || took[1].Topic != "tele/shed/SENSOR" || took[0].KeyID != "" {
		t.Errorf("came %+v", took)
	}
	m.said("as trellis-test (p2, c0", 1)
	if n := strings.Count(m.log(), "as trellis-test (p2, c0"); n != 1 {
		t.Errorf("%d sessions that stay:\n%s", n, m.log())
	}
	for _, g := range []access.Grant{shed(), access.OperatorGrant("home", "local", time.Time{})} {
		if s := f.StateOf(g); s.Down {
			t.Errorf("%s is told %+v", g.Holder, s)
		}
	}
}

func TestARefusedTopicKeepsNoOtherFromBeingHeard(t *testing.T) {
	m := withSecurity(t, "home/+/state")
	f := newHouse(t, m, anyHouse("secret/#", "home/+/state"))
	f.up()
	send(t, m.service(), "home/shed/state", "21.5", 1)
	f.count(1)
}

func TestWhenNothingMayBeHeardThatIsSaid(t *testing.T) {
	m := withSecurity(t, "home/+/state")
	f := newHouse(t, m, anyHouse("secret/#", "other/+"), func(c *UplinksConfig) { c.FightPause = time.Hour })
	if s := f.is(because(WhyTopics)); !strings.Contains(s.Why.Words(), "not hear what it was told") {
		t.Errorf("a page is told %q", s.Why.Words())
	}
	if err := f.Send(t.Context(), "home/shed/set", []byte("ON"), 1, Arrival{}); !errors.Is(err, errLinkDown) {
		t.Errorf("sending: %v", err)
	}
}

// withSecurity is a broker that grants this filter alone; an access list in a file grants everything and is quiet.
func withSecurity(t *testing.T, filter string) *mosquitto {
	t.Helper()
	if _, err := os.Stat(strictPlugin); err != nil {
		t.Skip("mosquitto's dynamic security plugin is not here")
	}
	client := func(user, key string) string {
		salt, hash := hashed(key)
		return fmt.Sprintf(`{"username":%q,"salt":%q,"password":%q,"iterations":101,"roles":[{"rolename":%q}]}`, user, salt, hash, user)
	}
	m := newMosquitto(t)
	m.write("security.json", fmt.Sprintf(`{"defaultACLAccess":{"publishClientSend":true,"publishClientReceive":true,"subscribe":false,"unsubscribe":true},
		"clients":[%s,%s],"roles":[{"rolename":"k1","acls":[{"acltype":"subscribeLiteral","topic":%q,"priority":0,"allow":true}]},{"rolename":"service","acls":[]}]}`,
		client("k1", shedKey), client("service", serviceKey), filter))
	m.write("conf", m.common()+"allow_anonymous false\nplugin "+strictPlugin+"\nplugin_opt_config_file "+m.file("security.json")+"\n")
	m.start()
	return m
}

func TestARefusedLoginIsSaid(t *testing.T) {
	for name, h := range map[string]*House{
		"a wrong password":               {ClientID: "x", User: "k1", Secret: func() (string, error) { return "wrong", nil }, Filters: []string{"home/#"}},
		"no login where one is asked":    {ClientID: "x", Filters: []string{"home/#"}},
		"a password that cannot be read": {ClientID: "x", User: "k1", Secret: func() (string, error) { return "", errors.New("no file") }, Filters: []string{"home/#"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := houseBroker(t)
			f := newHouse(t, m, h, func(c *UplinksConfig) { c.FightPause = time.Hour })
			if s := f.is(because(WhyLogin)); !strings.Contains(s.Why.Words(), "refuses the login") {
				t.Errorf("a page is told %q", s.Why.Words())
			}
		})
	}
}

func TestSomebodyWithOurNameIsSaid(t *testing.T) {
	m := houseBroker(t)
	f := newHouse(t, m, anyHouse("home/#"), func(c *UplinksConfig) { c.FightPause = time.Hour })
	f.up()
	quit, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for {
			lost := make(chan struct{})
			twin := m.client("trellis-test", "service", serviceKey, func(error) { close(lost) })
			select {
			case <-lost:
			case <-quit:
				twin.Disconnect(50)
				return
			}
		}
	}()
	defer func() { close(quit); <-over }()
	if s := f.is(because(WhyTwin)); !strings.Contains(s.Why.Words(), "uses the name that this server uses") {
		t.Errorf("a page is told %q", s.Why.Words())
	}
}

func TestABrokerThatHangsUpAtATopicIsNoFight(t *testing.T) {
	p := newPuppet(t, func(p *puppeteer) { _ = p.Close() })
	p.suback = func([]byte) []byte { return nil }
	f := newFront(t, p.at, func(c *UplinksConfig) { c.House, c.FightPause = anyHouse("home/#"), time.Hour })
	f.Hold()
	f.is(because(WhyTopics))
	if n := p.runs.Load(); n != hangsUpTimes {
		t.Errorf("it was asked %d times", n)
	}
}

func TestWhatIsSentComesBackToNobody(t *testing.T) {
	m := houseBroker(t)
	f := newHouse(t, m, anyHouse("home/#"))
	f.up()
	for n := range 20 {
		if err := f.Send(t.Context(), "home/shed/set", fmt.Appendf(nil, "press %d", n/2), 1, Arrival{Topic: "sent", Payload: fmt.Appendf(nil, "a person: %d", n/2)}); err != nil {
			t.Fatal(err)
		}
	}
	send(t, m.service(), "home/shed/state", "the end", 1)
	took := f.until(func(all []Arrival) bool {
		last := len(all) - 1
		return last >= 20 && all[last].Topic == "home/shed/state"
	})
	for i, a := range took[:20] {
		if a.Topic != "sent" || !a.Sent || string(a.Payload) != fmt.Sprintf("a person: %d", i/2) {
			t.Errorf("message %d is %+v", i, a)
		}
	}
	if len(took) != 21 {
		t.Errorf("%d messages came", len(took))
	}
}

func TestLargeMessagesAreCutAndNotTheLink(t *testing.T) {
	m := houseBroker(t)
	f := newHouse(t, m, anyHouse("home/#"))
	f.up()
	send(t, m.service(), "home/shed/picture", strings.Repeat("x", 3<<20), 1)
	send(t, m.service(), "home/shed/state", "on", 1)
	took := f.count(2)
	if took[0].Cut != 3<<20 || took[0].Payload != nil || string(took[1].Payload) != "on" || took[1].Cut != 0 {
		t.Errorf("came %d bytes, cut of %d, and %q", len(took[0].Payload), took[0].Cut, took[1].Payload)
	}
}

func TestTheBrokerKeepsWhatComesWhileWeAreAway(t *testing.T) {
	m := houseBroker(t)
	first := newHouse(t, m, anyHouse("home/#"))
	first.up()
	if err := first.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	device := m.service()
	for n := range 100 {
		send(t, device, "home/shed/n", fmt.Sprint(n), 1)
	}
	device.Disconnect(100)
	m.end(syscall.SIGTERM)
	m.start()
	took := newHouse(t, m, anyHouse("home/#")).count(100)
	for n, a := range took {
		if string(a.Payload) != fmt.Sprint(n) {
			t.Errorf("message %d is %s", n, a.Payload)
		}
	}
}

func TestABrokerThatSendsAllAtOnceIsTakenInTurn(t *testing.T) {
	const all = 500
	p := newPuppet(t, func(p *puppeteer) {
		for n := range all {
			if _, err := p.Write(publishPacket("home/shed/n", fmt.Sprint(n), 1, uint16(n+1))); err != nil {
				return
			}
		}
	})
	release := make(chan struct{})
	var f *front
	f = newFront(t, p.at, func(c *UplinksConfig) {
		c.House, c.Waiting = anyHouse("home/#"), 32
		c.Take = func(ctx context.Context, came []Arrival) error {
			<-release
			return f.take(ctx, came)
		}
	})
	f.Hold()
	for until := time.Now().Add(10 * time.Second); f.links[""].inbox.crowded() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("nothing waits")
		}
	}
	close(release)
	for n, a := range f.count(all) {
		if string(a.Payload) != fmt.Sprint(n) {
			t.Fatalf("message %d is %s", n, a.Payload)
		}
	}
	if n := p.runs.Load(); n != 1 {
		t.Errorf("it took %d connections", n)
	}
}

func TestALinkLogsInAndEndsWhileNothingCanBeRecorded(t *testing.T) {
	asked, filled := make(chan struct{}), make(chan struct{})
	once := sync.OnceFunc(func() { close(asked) })
	p := newPuppet(t, func(*puppeteer) { once() })
	f := newFront(t, p.at, func(c *UplinksConfig) {
		c.House, c.Waiting = anyHouse("home/#"), 1000
		c.House.Secret = func() (string, error) {
			<-filled
			return shedKey, nil
		}
		c.Take = func(context.Context, []Arrival) error { return errors.New("the disk is full") }
	})
	f.Hold()
	for range 900 { // of which some are taken, and held
		f.links[""].inbox.put(Arrival{Topic: "home/shed/n"}, 1)
	}
	close(filled)
	select {
	case <-asked:
	case <-time.After(10 * time.Second):
		t.Error("it does not get past its login")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := f.Close(ctx); err != nil {
		t.Errorf("it does not end: %v", err)
		for f.links[""].inbox.size() > 0 {
			f.links[""].inbox.take(atOnce)
		}
	}
}
