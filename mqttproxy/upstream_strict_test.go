package mqttproxy

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"trellis/access"
)

func TestAStrictBrokerIsOnlyEnteredWithConsent(t *testing.T) {
	m := strict(t)
	var dropped atomic.Int32
	m.client(shedSub, "k1", shedKey, func(error) { dropped.Add(1) })
	f := newFront(t, m.address(), func(c *UplinksConfig) { c.FightPause = time.Hour })
	t.Cleanup(f.Need(shed()))
	s := f.is(because(WhyConsent))
	if dropped.Load() != 0 || !strings.Contains(s.Why.Words(), "would be disconnected") {
		t.Errorf("the device was dropped %d times; the page is told %q", dropped.Load(), s.Why.Words())
	}
	if err := f.Publish(t.Context(), shedOwn, []byte("x"), 1); !errors.Is(err, errLinkDown) {
		t.Errorf("publishing without a link: %v", err)
	}
	f.agreed.Store(true)
	f.Try("k1")
	f.up()
	f.is(func(s State) bool { return !s.Down })
	send(t, m.service(), shedHeard, "hello", 1)
	if took := f.count(1); string(took[0].Payload) != "hello" {
		t.Errorf("came %+v", took)
	}
	if n := strings.Count(m.log(), "New client connected from"); n > 4 {
		t.Errorf("the broker saw %d connections", n)
	}
}

func TestTwoKeysOfAnEntityDoNotFight(t *testing.T) {
	m := strict(t)
	f := newFront(t, m.address(), func(c *UplinksConfig) { c.FightPause = 20 * time.Millisecond })
	f.agreed.Store(true)
	t.Cleanup(f.Need(shed()))
	f.up()
	second := access.KeyGrant(shed().Subject, "k2", time.Time{})
	t.Cleanup(f.Need(second))
	for until := time.Now().Add(10 * time.Second); f.StateOf(second).Why != WhyOtherKey; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("the second key's link is %+v", f.StateOf(second))
		}
	}
	if words := f.StateOf(second).Why.Words(); !strings.Contains(words, "another one is in use") || strings.Contains(words, "make a second key") {
		t.Errorf("the page of the second key is told %q", words)
	}
	time.Sleep(200 * time.Millisecond) // nothing is to happen: only time can show that
	if n := strings.Count(m.log(), "already connected, closing old connection"); n != 0 || f.StateOf(shed()).Down {
		t.Errorf("%d evictions; the first key's link is %+v", n, f.StateOf(shed()))
	}
}

func TestTwoKeysOfAnEntityAreTwoClientsBesideTheDevice(t *testing.T) {
	m := newMosquitto(t)
	m.write("passwords", "k1:"+passwordLine(shedKey)+"\nk2:"+passwordLine(shedKey)+"\nservice:"+passwordLine(serviceKey)+"\n")
	m.write("acl", "user service\ntopic readwrite #\nuser k1\n"+fullACL+"user k2\ntopic readwrite acme/eu/k2/publish\ntopic read acme/eu/k2/messages\n")
	m.write("conf", m.common()+"allow_anonymous false\npassword_file "+m.file("passwords")+"\nacl_file "+m.file("acl")+"\n")
	m.start()
	f := newFront(t, m.address(), func(c *UplinksConfig) { c.Linger = time.Nanosecond })
	release := f.Need(shed())
	t.Cleanup(f.Need(access.KeyGrant(shed().Subject, "k2", time.Time{})))
	for until := time.Now().Add(10 * time.Second); f.Stats().Up < 2; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%+v of two links:\n%s", f.Stats(), m.log())
		}
	}
	release()
	m.said(shedOurs+" (p2, c1", 1) // the goodbye of the first
	m.said("Client "+shedOurs+" disconnected", 2)
	send(t, m.service(), "acme/eu/k2/messages", "for the second", 1)
	if took := f.count(1); took[0].KeyID != "k2" || f.Stats().Up != 1 {
		t.Errorf("came %+v; %+v", took, f.Stats())
	}
	if strings.Contains(m.log(), "already connected") {
		t.Errorf("one key threw the other out:\n%s", m.log())
	}
}

func TestAFightForTheEntityIsRecognised(t *testing.T) {
	m := strict(t)
	f := newFront(t, m.address(), func(c *UplinksConfig) { c.FightPause = time.Hour })
	f.agreed.Store(true)
	quit, over := make(chan struct{}), make(chan struct{})
	go func() { // another client with the same id, in a loop
		defer close(over)
		for {
			lost := make(chan struct{})
			other := m.client(shedSub, "k1", shedKey, func(error) { close(lost) })
			select {
			case <-lost:
			case <-quit:
				other.Disconnect(50)
				return
			}
		}
	}()
	defer func() { close(quit); <-over }()
	m.said("as "+shedSub+" ", 1)
	t.Cleanup(f.Need(shed()))
	s := f.is(because(WhyTaken))
	if !strings.Contains(s.Why.Words(), "Something else is using the same access key") {
		t.Errorf("the page is told %q", s.Why.Words())
	}
	was := strings.Count(m.log(), "already connected, closing old connection")
	if was > 2*fightRounds {
		t.Errorf("it took %d evictions to see that", was)
	}
	time.Sleep(300 * time.Millisecond) // nothing is to happen: only time can show that
	if now := strings.Count(m.log(), "already connected, closing old connection"); now != was {
		t.Errorf("the fight goes on: %d evictions after %d", now, was)
	}
}
