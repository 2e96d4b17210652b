package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"trellis/e2e/wire"
)

// screens are two phones, three tabs of one browser and ten further pages, all with one key. The browser with the tabs is given too.
func (s *server) screens(k key) (pages []*wire.Client, tabs *browser) {
	s.t.Helper()
	opens := func(b *browser) {
		page := b.live()
		must(s.t, page.Subscribe(1, k.topic("publish"), k.topic("messages")))
		pages = append(pages, page)
	}
	tabs = s.browser()
	tabs.signIn(k)
	for range 3 {
		opens(tabs)
	}
	for range 2 + 10 {
		own := s.browser()
		own.signIn(k)
		opens(own)
	}
	return pages, tabs
}

// allHear waits until every page has heard the data of a message.
func allHear(t *testing.T, pages []*wire.Client, data string) {
	t.Helper()
	for n, page := range pages {
		for {
			m, ok := reads(t, page, prompt, nil)
			if !ok {
				t.Fatalf("page %d does not hear %s", n, data)
			}
			if strings.Contains(string(m.Payload), data) {
				break
			}
		}
	}
}

// tells gives the first that a page is told of its link.
func tells(t *testing.T, page *wire.Client) (told notice) {
	t.Helper()
	for until := time.Now().Add(prompt); told.Link == nil && time.Now().Before(until); {
		must(t, page.Ping()) // by its answer there is here what was said before
		for page.Waiting() > 0 && told.Link == nil {
			m, err := page.Receive(prompt)
			must(t, err)
			if m.Topic == "$trellis/session" {
				decode(t, m.Payload, &told)
			}
		}
	}
	return told
}

// let counts who was let in under a client id that matches.
func let(log *program, id string) int {
	return len(regexp.MustCompile(`New client connected from \S+ as `+id+` `).FindAllString(log.errs.String(), -1))
}

func TestScreensAreOneConnectionBesideTheDevice(t *testing.T) {
	back := start(t)
	k := back.addKey("shed")
	broker := lenientBroker(t, k)
	device := back.open(broker.address, k.login(""))
	must(t, device.Subscribe(1, k.topic("messages")))
	front := back.inFront(t, "--upstream-mqtt", "mqtt://"+broker.address)
	pages, tabs := front.screens(k)
	front.linkUp(1)
	for round := range 3 {
		must(t, device.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: fmt.Appendf(nil, `{"data":{"temperature":2%d}}`, round)}))
		allHear(t, pages, fmt.Sprintf(`"temperature":2%d`, round))
		must(t, pages[round].Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: fmt.Appendf(nil, `{"data":{"press":%d}}`, round)}))
		allHear(t, pages, fmt.Sprintf(`"press":%d`, round))
		_ = pages[len(pages)-1].Close() // people come and go
		pages = append(pages[:len(pages)-1:len(pages)-1], tabs.live())
		must(t, pages[len(pages)-1].Subscribe(1, k.topic("publish")))
	}
	overseer := back.open(broker.address, oversees())
	must(t, overseer.Publish(wire.Message{Topic: k.topic("messages"), QoS: 1, Payload: []byte(`{"data":{"led":"on"}}`)}))
	if m, err := device.Receive(prompt); err != nil || !strings.Contains(string(m.Payload), `"led":"on"`) {
		t.Errorf("the device hears %s, %v: it was to hear what was sent to it", m.Payload, err)
	}
	must(t, device.Ping())
	sub := regexp.QuoteMeta(k.Sub)
	if ours, devices := let(broker.program, sub+`#\S+`), let(broker.program, sub); ours != 1 || devices != 1 {
		t.Errorf("the broker let us in %d times and the device %d times", ours, devices)
	}
	if log := broker.errs.String(); strings.Contains(log, "already connected") || regexp.MustCompile(`Client `+sub+`\S* (closed|disconnected|has exceeded)`).MatchString(log) {
		t.Errorf("somebody was dropped:\n%s", log)
	}
}
