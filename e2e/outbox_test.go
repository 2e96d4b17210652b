package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// left is what a program is told of a message that it has left.
type left struct{ ID, State, At string }

// entrust leaves a message as a program does that has nothing but the key.
func (s *server) entrust(k key, query, data string, headers ...string) (left, reply) {
	s.t.Helper()
	program := s.browser()
	r := program.do(http.MethodPost, "/api/entities/messages"+query, `{"msg_type":"publish","data":`+data+`}`, append(headers, "Authorization", "Bearer "+k.Key)...)
	var l left
	if r.StatusCode == http.StatusAccepted {
		must(s.t, json.Unmarshal([]byte(r.body), &l))
		l.At = r.Header.Get("Location")
	}
	return l, r
}

// becomes waits until a message is in this state.
func (s *server) becomes(k key, l left, state string) {
	s.t.Helper()
	var r reply
	for until := time.Now().Add(2 * prompt); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		r = s.browser().do(http.MethodGet, l.At, "", "Authorization", "Bearer "+k.Key)
		if strings.Contains(r.body, `"state":"`+state+`"`) {
			return
		}
	}
	s.t.Errorf("message %s is not %s but %s %s", l.ID, state, r.Status, r.body)
}

// numbers hears what arrives at the service on the key's publish topic, until the last of them.
func numbers(t *testing.T, device *wire.Client, last int) (came []int) {
	t.Helper()
	for {
		m, err := device.Receive(3 * prompt)
		if err != nil {
			t.Fatalf("after %v: %v", came, err)
		}
		var data struct{ N int }
		must(t, json.Unmarshal(opened(t, m.Payload).Data, &data))
		if came = append(came, data.N); data.N == last {
			return came
		}
	}
}

func TestOutboxSurvivesBothEndsAndKeepsItsOrder(t *testing.T) {
	const each = 30
	back := start(t)
	k, other := back.addKey("shed"), back.addKey("barn")
	front := back.inFront(t, "--upstream-mqtt", "mqtt://"+back.mqtt)
	lasting := k.login("#ear")
	lasting.Persistent = true
	ear := back.open(back.mqtt, lasting)
	must(t, ear.Subscribe(1, k.topic("publish")))
	n := 0
	say := func() (last left) {
		for range each {
			l, r := front.entrust(k, "", fmt.Sprintf(`{"n":%d}`, n))
			if r.StatusCode != http.StatusAccepted || l.State != "waiting" || l.At == "" {
				t.Fatalf("message %d: %s %s", n, r.Status, r.body)
			}
			n++
			last = l
		}
		return last
	}
	if l, r := front.entrust(other, "", `{"n":1}`); r.StatusCode != http.StatusAccepted {
		t.Fatalf("%+v %s", l, r.body)
	}
	front.becomes(k, say(), "sent") // nobody has opened a page
	must(t, ear.Close())
	back.kill() // the service with its claims
	say()
	short, r := front.entrust(k, "?expires=1", `{"n":-1}`)
	if r.StatusCode != http.StatusAccepted {
		t.Fatalf("a short one: %s", r.body)
	}
	front.becomes(k, short, "expired")
	front.kill()
	front.startFront()
	say()
	front.becomes(k, short, "expired")
	back.start()
	last := say()
	front.kill() // amid the sending
	front.startFront()
	front.becomes(k, last, "sent")
	ear = back.open(back.mqtt, lasting)
	came := numbers(t, ear, n-1)
	twice, next := 0, 0
	for _, got := range came {
		switch {
		case got == next:
			next++
		case got >= 0 && got < next:
			twice++
		default:
			t.Fatalf("message %d came where %d was due", got, next)
		}
	}
	t.Logf("%d messages, three of the processes killed, %d came twice", n, twice)
	if next != n || twice > 3 {
		t.Errorf("%d of %d came, %d twice", next, n, twice)
	}
	holder := front.browser()
	holder.signIn(k)
	holder.shows(t, fmt.Sprintf(">%d<", n-1)) // recorded as sent, by a program
	if strings.Contains(holder.do(http.MethodGet, "/", "").body, "Sent by hand") {
		t.Error("what a program sent is shown as sent by hand")
	}
}

func TestOutboxSendsOneNameOnceAndNoPress(t *testing.T) {
	back := start(t)
	k := back.addKey("shed")
	front := back.inFront(t, "--upstream-mqtt", "mqtt://"+back.mqtt)
	ear := back.device(k, "#ear")
	must(t, ear.Subscribe(1, k.topic("publish")))
	person := front.browser()
	person.signIn(k)
	page := person.live()
	must(t, page.Subscribe(1, k.topic("publish")))
	front.linkUp(1)
	must(t, back.Process.Signal(syscall.SIGTERM))
	<-back.gone
	front.leaveDown()
	name := []string{"Idempotency-Key", "order-66"}
	first, _ := front.entrust(k, "", `{"n":1}`, name...)
	again, r := front.entrust(k, "", `{"n":1}`, name...)
	if first.ID == "" || again.ID != first.ID {
		t.Errorf("%+v, then %+v %s", first, again, r.body)
	}
	if _, r := front.entrust(k, "", `{"n":2}`, name...); r.StatusCode != 422 {
		t.Errorf("another message of that name: %s", r.Status)
	}
	must(t, page.Publish(wire.Message{Topic: k.topic("publish"), Payload: []byte(`{"msg_type":"publish","data":{"n":100},"context":{"by":"page"}}`)}))
	refused := false
	reads(t, page, prompt, func(n notice) {
		if n.Refused != nil {
			refused = true
			_ = page.Close()
		}
	})
	if !refused {
		t.Error("a press while the link is down is not given back")
	}
	front.kill() // no press waits in memory either
	front.startFront()
	back.start()
	ear = back.device(k, "#ear")
	must(t, ear.Subscribe(1, k.topic("publish")))
	front.becomes(k, first, "sent")
	last, _ := front.entrust(k, "", `{"n":3}`)
	front.becomes(k, last, "sent")
	for _, got := range numbers(t, ear, 3) {
		if got == 100 {
			t.Error("a press was sent late")
		}
	}
	if again, _ := front.entrust(k, "", `{"n":1}`, name...); again.ID != first.ID || again.State != "sent" {
		t.Errorf("asked once more: %+v", again)
	}
}

// leaveDown waits until the front one has noticed that its link is down.
func (s *server) leaveDown() {
	s.t.Helper()
	if s.errs.wait(`link to the upstream broker is down`, 3*prompt, s.gone) == nil {
		s.t.Fatalf("it does not notice:\n%s", s.errs)
	}
}

func TestOutboxInFrontOfAStrictBroker(t *testing.T) {
	back := start(t)
	k := back.addKey("shed")
	address, broker := strictBroker(t, k)
	front := back.inFront(t, "--upstream-mqtt", "mqtt://"+address)
	waits, r := front.entrust(k, "", `{"n":1}`)
	if r.StatusCode != http.StatusAccepted {
		t.Fatalf("%s %s", r.Status, r.body)
	}
	if front.errs.wait(`"?why"?[=:]"?consent`, prompt, front.gone) == nil { // a program cannot agree for a person
		t.Fatalf("the broker does not insist:\n%s", front.errs)
	}
	front.becomes(k, waits, "waiting")
	person := front.browser()
	person.signIn(k)
	if r := person.post("/agree", nil); r.StatusCode != http.StatusSeeOther {
		t.Fatalf("agreeing: %s", r.Status)
	}
	front.becomes(k, waits, "sent")
	person.shows(t, ">1<") // the broker does not bring it back, so it is recorded as sent
	if n := strings.Count(broker.errs.String(), "Received PUBLISH from "+k.Sub); n != 1 {
		t.Errorf("the broker got it %d times", n)
	}
	back.revoke("shed")
	r = front.browser().do(http.MethodGet, waits.At, "", "Authorization", "Bearer "+k.Key)
	for until := time.Now().Add(2 * time.Minute); r.StatusCode == http.StatusOK && time.Now().Before(until); time.Sleep(500 * time.Millisecond) {
		r = front.browser().do(http.MethodGet, waits.At, "", "Authorization", "Bearer "+k.Key) // its answers are remembered for a minute
	}
	if r.StatusCode != http.StatusUnauthorized {
		t.Errorf("with a withdrawn key: %s %s", r.Status, r.body)
	}
}

func TestMessagesAreAskedFor(t *testing.T) {
	back := start(t)
	k, other := back.addKey("shed"), back.addKey("barn")
	front := back.inFront(t, "--upstream-mqtt", "mqtt://"+back.mqtt)
	ask := func() []struct{ Data struct{ N int } } {
		t.Helper()
		r := front.browser().do(http.MethodGet, "/api/entities/check_messages?limit=2", "", "Authorization", "Bearer "+k.Key)
		var all []struct{ Data struct{ N int } }
		if r.StatusCode != http.StatusOK || json.Unmarshal([]byte(r.body), &all) != nil || all == nil {
			t.Fatalf("%s %s", r.Status, r.body)
		}
		return all
	}
	if got := ask(); len(got) != 0 {
		t.Errorf("at first %v", got)
	}
	front.linkUp(1) // asking has this server listen
	friend := back.device(other, "")
	for n := range 5 {
		must(t, friend.Publish(wire.Message{Topic: other.topic("publish"), QoS: 1, Payload: fmt.Appendf(nil, `{"msg_type":"publish","data":{"n":%d},"dest":"shed"}`, n)}))
	}
	next := 0
	for until := time.Now().Add(prompt); next < 5 && time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		for _, m := range ask() {
			if m.Data.N != next {
				t.Errorf("message %d came where %d was due", m.Data.N, next)
			}
			next++
		}
	}
	if code := front.stop(); code != 0 { // not killed: the broker would deliver again, out of order, what was not acknowledged
		t.Errorf("it ended with %d", code)
	}
	front.startFront()
	if more := ask(); next != 5 || len(more) != 0 { // what was given is known after that, too
		t.Errorf("%d of 5 came, and %d more", next, len(more))
	}
}

func TestLeftMessagesWithABrokerOfOurOwn(t *testing.T) {
	s := start(t)
	k := s.addKey("shed")
	ear := s.device(k, "#ear")
	must(t, ear.Subscribe(1, k.topic("publish")))
	for n := range 5 {
		if l, r := s.entrust(k, "", fmt.Sprintf(`{"n":%d}`, n)); r.StatusCode != http.StatusAccepted || l.State != "sent" {
			t.Errorf("message %d: %s %s", n, r.Status, r.body)
		}
	}
	s.kill()
	s.start()
	l, _ := s.entrust(k, "", `{"n":5}`, "Idempotency-Key", "x")
	if again, r := s.entrust(k, "", `{"n":5}`, "Idempotency-Key", "x"); again.ID != l.ID {
		t.Errorf("again: %s %s", r.Status, r.body)
	}
	holder := s.browser()
	holder.signIn(k)
	holder.shows(t, ">5<")
	if r := holder.do(http.MethodGet, "/api/entities/check_messages", "", "Authorization", "Bearer "+k.Key); r.StatusCode != 501 {
		t.Errorf("asked for: %s %s", r.Status, r.body)
	}
}
