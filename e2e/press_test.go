package e2e

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// presser presses the one button of the operator's board.
type presser struct {
	*browser
	button string
}

// presserOf makes a button with a number, so that each press can be told from the others.
func (s *server) presserOf(entity string) *presser {
	s.t.Helper()
	b := s.browser()
	b.http.Timeout = time.Minute
	b.enter()
	made := b.post("/buttons", url.Values{"label": {"Dim the lamp"}, "entity": {entity}, "risk": {"plain"}, "answer": {"-"},
		"number": {"yes"}, "min": {"0"}, "max": {"9"}, "step": {"1"}, "start": {"0"}}, "Accept", "application/json")
	found := regexp.MustCompile(`data-button="([A-Z0-9]+)"`).FindStringSubmatch(b.do("GET", "/", "").body)
	if made.StatusCode != 204 || found == nil {
		s.t.Fatalf("the button is not made: %s %s", made.Status, made.body)
	}
	return &presser{b, found[1]}
}

type pressState struct{ ID, State string }

func (p *presser) press(id, value string) (how pressState) {
	p.t.Helper()
	r := p.post("/press", url.Values{"button": {p.button}, "version": {"1"}, "press": {id}, "value": {value}}, "Accept", "application/json")
	must(p.t, json.Unmarshal([]byte(r.body), &how))
	return how
}

func (p *presser) how(id string) (how pressState) {
	p.t.Helper()
	must(p.t, json.Unmarshal([]byte(p.do("GET", "/press/"+id, "", "Accept", "application/json").body), &how))
	return how
}

// nextIs says that the next thing that the device hears is this press, so that none came late before it.
func nextIs(t *testing.T, device *wire.Client, want string) {
	t.Helper()
	m, err := device.Receive(prompt)
	if err != nil || string(m.Payload) != want {
		t.Errorf("the device hears %q (%v), and should hear %s", m.Payload, err, want)
	}
}

func TestAPressIsNeverSentLate(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as two presses")
	}
	b := newOtherBroker(t)
	device := b.device("kitchen")
	must(t, device.Subscribe(1, "home/kitchen/set"))
	s := inFrontOf(t, b.login("home/{entity}/#", "--broker-send", "home/{entity}/set")...)
	s.linkUp(1)
	p := s.presserOf("kitchen")
	if how := p.press("press-of-before-0", "0"); how.State != "accepted" {
		t.Fatalf("a press is %s", how.State)
	}
	nextIs(t, device, "0")

	must(t, b.Process.Signal(syscall.SIGSTOP))
	t.Cleanup(func() { _ = b.Process.Signal(syscall.SIGCONT) })
	began := time.Now()
	how := p.press("press-when-frozen", "1")
	if lasted := time.Since(began); how.State != "not_sent" || lasted < 9*time.Second || lasted > 15*time.Second {
		t.Errorf("while the broker is frozen a press is %s after %s", how.State, lasted)
	}
	must(t, b.Process.Signal(syscall.SIGCONT))
	s.linkUp(1)
	if how := p.press("press-after-that-", "2"); how.State != "accepted" {
		t.Errorf("when it goes on a press is %s", how.State)
	}
	nextIs(t, device, "2")
	if how := p.press("press-when-frozen", "1"); how.State != "not_sent" {
		t.Errorf("asked for again, what was given back is %s", how.State)
	}

	must(t, b.Process.Signal(syscall.SIGSTOP))
	asked := make(chan struct{})
	go func() { // its answer is cut off by the kill
		defer close(asked)
		form := url.Values{"button": {p.button}, "version": {"1"}, "press": {"press-when-killed"}, "value": {"3"}}
		if answer, err := p.http.PostForm(s.url+"/press", form); err == nil {
			_ = answer.Body.Close()
		}
	}()
	for until := time.Now().Add(prompt); p.how("press-when-killed").State != "sending" && time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
	}
	s.kill()
	<-asked
	must(t, b.Process.Signal(syscall.SIGCONT))
	s.startOther()
	s.linkUp(1)
	if how := p.how("press-when-killed"); how.State != "not_sent" {
		t.Errorf("killed between keeping and sending it is %q", how.State)
	}
	if how := p.press("press-of-afterwards", "4"); how.State != "accepted" {
		t.Errorf("after the restart a press is %s", how.State)
	}
	nextIs(t, device, "4")
}

func TestThePretendGreenhouseAnswersItsButtons(t *testing.T) {
	s := start(t, "--demo")
	b := s.browser()
	b.enter()
	b.http.Timeout = time.Minute
	button := func(page, label string) string {
		before, _, there := strings.Cut(page, ">"+label+"<")
		found := regexp.MustCompile(`data-button="([A-Z0-9]+)"`).FindAllStringSubmatch(before, -1)
		if !there || found == nil {
			t.Fatalf("there is no button %q", label)
		}
		return found[len(found)-1][1]
	}
	page := b.do("GET", "/", "").body
	for label, tt := range map[string]struct{ value, words string }{
		"Set the heating": {"19", "19 °C"},
		"Open the roof…":  {"", "the roof is open"},
	} {
		id := "press-" + button(page, label)
		form := url.Values{"button": {button(page, label)}, "version": {"1"}, "press": {id}, "value": {tt.value}, "sure": {"yes"}}
		var said struct{ State, Words string } // a device may not listen yet when it is pressed for the first time: then it is asked again
		for try := 0; try < 5 && said.State != "answered"; try++ {
			form.Set("press", id+"-"+string(rune('a'+try)))
			b.post("/press", form, "Accept", "application/json")
			must(t, json.Unmarshal([]byte(b.do("GET", "/press/"+form.Get("press")+"?state=accepted", "", "Accept", "application/json").body), &said))
		}
		if said.State != "answered" || said.Words != tt.words {
			t.Errorf("%s: %+v", label, said)
		}
	}
	if !strings.Contains(b.do("GET", "/", "").body, "A pretend greenhouse, to look around.") {
		t.Error("nothing says that it is pretend")
	}
	if r := b.post("/buttons/remove", url.Values{"id": {button(page, "Set the heating")}}, "Accept", "application/json"); r.StatusCode != 204 {
		t.Fatalf("it cannot be removed: %s", r.Status)
	}
	s.kill()
	s.start()
	page = b.do("GET", "/", "").body
	button(page, "Open the roof…")
	if strings.Contains(page, ">Set the heating</button>") {
		t.Error("a button that was removed is there again after a restart")
	}
}
