package mqttproxy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"trellis/access"
)

func signedIn(as string) access.Grant {
	g := shed()
	g.SignIn = as
	return g
}

// page logs in to a broker as a page does: by a client id that was lent to it, in a session that is kept.
func (m *mosquitto) page(id string) (c mqtt.Client, heard chan string) {
	m.t.Helper()
	heard = make(chan string, 100)
	o := mqtt.NewClientOptions().AddBroker("tcp://" + m.address().Host).SetClientID(id).SetUsername("k1").SetPassword(shedKey)
	o.SetProtocolVersion(4).SetAutoReconnect(false).SetCleanSession(false)
	o.SetDefaultPublishHandler(func(_ mqtt.Client, got mqtt.Message) { heard <- string(got.Payload()) })
	c = mqtt.NewClient(o)
	if token := c.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		m.t.Fatalf("log in as a page: %v", token.Error())
	}
	if token := c.Subscribe(shedHeard, 1, nil); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		m.t.Fatal(token.Error())
	}
	return c, heard
}

func lend(t *testing.T, f *front, g access.Grant) string {
	t.Helper()
	id, err := f.Lend(g)
	if err != nil || !strings.HasPrefix(id, shedSub+"#") {
		t.Fatalf("lent %q: %v", id, err)
	}
	return id
}

func TestOurLinkGoesOnWithAPagesSession(t *testing.T) {
	m := lenient(t, fullACL)
	f := newFront(t, m.address())
	phone := signedIn("phone")
	id := lend(t, f, phone)
	if again := lend(t, f, phone); again != id {
		t.Errorf("lent %q and then %q: the page would not find its session", id, again)
	}
	page, heard := m.page(id)
	if n := f.Stats().Links; n != 0 {
		t.Fatalf("%d links beside the page", n)
	}
	service := m.service()
	send(t, service, shedHeard, "1", 1)
	if got := <-heard; got != "1" {
		t.Fatalf("the page heard %q", got)
	}
	page.Disconnect(0) // as if it had been cut: the session stays
	for n := range 3 {
		send(t, service, shedHeard, fmt.Sprint(n+2), 1)
	}
	release := f.Need(phone)
	f.up()
	send(t, service, shedHeard, "5", 1)
	took := f.until(func(a []Arrival) bool { return len(a) > 0 && string(a[len(a)-1].Payload) == "5" })
	if string(took[0].Payload) == "1" {
		took = took[1:] // the page was cut before its acknowledgement had gone out
	}
	for i, a := range took {
		if string(a.Payload) != fmt.Sprint(i+2) || len(took) != 4 {
			t.Errorf("message %d of %d is %q", i, len(took), a.Payload)
		}
	}
	next := lend(t, f, phone)
	if next == id {
		t.Error("the page was given the client id that our link uses")
	}
	m.page(next) // beside our link, until the page has let that go
	release()
	for n := range 3 {
		send(t, service, shedHeard, fmt.Sprint(n+6), 1)
	}
	f.count(7) // the link lingers
	t.Cleanup(f.Need(phone))
	m.said(fmt.Sprintf("as %s (p2, c1, k10", id), 1) // it says goodbye for the old session, and goes on with the new one
	f.until(func(a []Arrival) bool { return string(a[len(a)-1].Payload) == "8" && len(a) >= 10 })
}

func TestALinkThatOthersNeedIsNotPassed(t *testing.T) {
	m := lenient(t, fullACL)
	f := newFront(t, m.address())
	release := f.Need(signedIn("phone"))
	lend(t, f, signedIn("phone")) // one's own need is no reason
	if _, err := f.Lend(signedIn("tablet")); !errors.Is(err, ErrShared) {
		t.Errorf("another sign-in was told %v", err)
	}
	other := access.KeyGrant(shed().Subject, "k2", time.Time{})
	other.SignIn = "laptop"
	if _, err := f.Lend(other); !errors.Is(err, ErrShared) {
		t.Errorf("another key of the entity was told %v", err)
	}
	release()
	lend(t, f, signedIn("tablet"))
	watched := f.Need(shed()) // by nobody's sign-in: this server's own need
	if _, err := f.Lend(signedIn("tablet")); !errors.Is(err, ErrShared) {
		t.Errorf("beside the server's own need: %v", err)
	}
	watched()
	f.agreed.Store(true)
	if _, err := f.Lend(signedIn("tablet")); !errors.Is(err, ErrInsisted) {
		t.Errorf("where the broker insists on the entity: %v", err)
	}
	if err := f.Renew(signedIn("tablet"), shedSub+"#ABCDEFGHIJKLMNOPQRSTUVWXYZ"); !errors.Is(err, ErrInsisted) {
		t.Errorf("a page that is there already was told %v", err)
	}
}

func TestASessionOfAPageThatIsGoneIsRecordedAndEnded(t *testing.T) {
	m := lenient(t, fullACL)
	f := newFront(t, m.address(), func(c *UplinksConfig) { c.LentFor, c.Linger = time.Hour, 100*time.Millisecond })
	phone := signedIn("phone")
	id := shedSub + "#ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for _, other := range []string{"acme:eu:barn#ABCDEFGHIJKLMNOPQRSTUVWXYZ", shedSub + "#test-6ab9f1eb"} {
		if err := f.Renew(phone, other); err != nil {
			t.Error(err)
		}
	}
	if len(f.loans) != 0 {
		t.Error("a page made us log in as somebody else")
	}
	if err := f.Renew(phone, id); err != nil { // this server was started anew meanwhile
		t.Fatal(err)
	}
	page, _ := m.page(id)
	page.Disconnect(0)
	send(t, m.service(), shedHeard, "left behind", 1)
	f.Uplinks.mu.Lock()
	f.loans[loanOf{phone.KeyID, phone.SignIn}].timer.Reset(0) // the hour is over
	f.Uplinks.mu.Unlock()
	if a := f.count(1)[0]; string(a.Payload) != "left behind" {
		t.Errorf("recorded %q", a.Payload)
	}
	m.said(fmt.Sprintf("as %s (p2, c1, k10", id), 1)
}

func TestASessionThatOurLinkDoesNotGoOnWithIsEnded(t *testing.T) {
	m := lenient(t, fullACL)
	f := newFront(t, m.address())
	id := lend(t, f, signedIn("phone"))
	m.page(id)
	t.Cleanup(f.Need(signedIn("tablet")))
	f.up()
	t.Cleanup(f.Need(signedIn("phone")))
	m.said(fmt.Sprintf("as %s (p2, c1, k10", id), 1)
}

func TestLoansOfAKeyAreBounded(t *testing.T) {
	f := newFront(t, newPuppet(t, nil).at)
	for n := range mostLoans - 1 {
		lend(t, f, signedIn(fmt.Sprint(n)))
	}
	heldBefore := shedSub + "#ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	f.Renew(signedIn("held before"), heldBefore)
	if id := lend(t, f, signedIn("held before")); id != heldBefore {
		t.Errorf("lent %q where the page had %q", id, heldBefore)
	}
	if _, err := f.Lend(signedIn("one more")); !errors.Is(err, ErrShared) {
		t.Errorf("one more was told %v", err)
	}
	f.Renew(signedIn("one more"), heldBefore)
	if len(f.loans) != mostLoans {
		t.Errorf("%d are lent, want %d", len(f.loans), mostLoans)
	}
	lend(t, f, signedIn("0")) // who has one keeps it
	other := access.KeyGrant(shed().Subject, "k2", time.Time{})
	other.SignIn = "one more"
	lend(t, f, other)
}
