package server

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"trellis/access"
	"trellis/message"
	"trellis/templates"
)

// record puts a publish of this key's holder into the store, as the router does.
func record(t *testing.T, s *site, key access.NewKey, payload string, at time.Time) {
	t.Helper()
	sub, err := access.ParseSubject(key.Sub)
	if err != nil {
		t.Fatal(err)
	}
	from := message.Origin{Topic: sub.PublishTopic(key.JTI), Source: key.Sub, Entity: key.Entity, Received: at}
	if err := s.store.Append(t.Context(), message.Normalise([]byte(payload), from, func(string) bool { return false })); err != nil {
		t.Fatal(err)
	}
}

func TestTheBoardIsPrintedWithItsLastValues(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	mine, other := s.key(t, "shed"), s.key(t, "gate")
	record(t, s, mine, `{"data":{"temperature":20.1,"door":"open"}}`, now.Add(-10*time.Minute))
	record(t, s, mine, `{"data":{"temperature":21.46}}`, now.Add(-2*time.Minute))
	record(t, s, other, `{"data":{"secret_level":77}}`, now)
	b := s.browser(t)
	_, page := send(t, b, "POST", s.URL+"/session", url.Values{"key": {mine.Key}})
	for _, want := range []string{"21.5", "°C", "2 min ago", "10 min ago", `data-reading="door"`, ",20.1 "} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(page, "secret_level") {
		t.Error("the page shows what another key published")
	}
}

// cardOf is what the page prints of one value.
func cardOf(t *testing.T, page, reading string) string {
	t.Helper()
	_, after, found := strings.Cut(page, `data-reading="`+reading+`"`)
	if !found {
		t.Fatalf("the page has no card of %q", reading)
	}
	card, _, _ := strings.Cut(after, "</article>")
	return card
}

func TestLongMessagesGiveNoPointsButTheirValue(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	mine := s.key(t, "shed")
	record(t, s, mine, `{"data":{"level":11}}`, now.Add(-2*time.Minute))
	record(t, s, mine, `{"data":{"level":12,"fill":["`+strings.Repeat("x", maxShort)+`"]}}`, now.Add(-time.Minute))
	b := s.browser(t)
	_, page := send(t, b, "POST", s.URL+"/session", url.Values{"key": {mine.Key}})
	card := cardOf(t, page, "level")
	if !strings.Contains(card, ">12</output>") {
		t.Error("the newest value is not printed:", card)
	}
	if !strings.Contains(card, `,11"`) || strings.Contains(card, ",12") {
		t.Error("the graph is not of the short messages only:", card)
	}
}

func TestThePointsAreOfFewMessages(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	mine := s.key(t, "shed")
	record(t, s, mine, `{"data":{"silent":11}}`, now.Add(-time.Hour))
	for range maxRecent {
		record(t, s, mine, `{"data":{"level":12}}`, now)
	}
	b := s.browser(t)
	_, page := send(t, b, "POST", s.URL+"/session", url.Values{"key": {mine.Key}})
	if card := cardOf(t, page, "silent"); strings.Contains(card, ",11") {
		t.Error("more messages were looked at than", maxRecent)
	}
	if n := strings.Count(cardOf(t, page, "level"), ",12"); n != maxPoints {
		t.Errorf("the graph has %d points, want %d", n, maxPoints)
	}
}

func TestWhatAPersonSentDoesNotLookMeasured(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	mine := s.key(t, "shed")
	record(t, s, mine, `{"data":{"measured":1}}`, now)
	record(t, s, mine, `{"data":{"typed":2},"context":{"by":"page"}}`, now)
	b := s.browser(t)
	_, page := send(t, b, "POST", s.URL+"/session", url.Values{"key": {mine.Key}})
	for reading, hidden := range map[string]bool{"measured": true, "typed": false} {
		if card := cardOf(t, page, reading); strings.Contains(card, "data-note hidden") != hidden {
			t.Errorf("%s: the note is hidden: %v, want %v: %s", reading, !hidden, hidden, card)
		}
	}
}

func TestThePrintedBoardIsBounded(t *testing.T) {
	cards := map[[2]string]templates.Card{}
	for i := range 30 {
		cards[[2]string{"shed", strconv.Itoa(i)}] = templates.Card{At: time.Unix(int64(i), 0)}
	}
	keepNewest(cards, 10)
	if _, newest := cards[[2]string{"shed", "29"}]; len(cards) != 10 || !newest {
		t.Errorf("%d cards left, the newest among them: %v", len(cards), newest)
	}
}
