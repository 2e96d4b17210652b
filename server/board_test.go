package server

import (
	"net/http"
	"net/url"
	"slices"
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
	for _, want := range []string{"21.5", "°C", "2 min ago", "10 min ago", `data-reading="door"`} {
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

func TestTheBoardIsAskedForNoOftenerThanOtherPages(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	for _, b := range []*http.Client{s.holder(t, "shed"), s.browser(t)} {
		codes := map[int]int{}
		for range askBurst + 5 {
			answer, _ := send(t, b, "GET", s.URL+"/", nil)
			codes[answer.StatusCode]++
		}
		if now = now.Add(time.Minute); codes[http.StatusTooManyRequests] < 5 || codes[http.StatusOK] < askBurst-10 {
			t.Errorf("answers: %v", codes)
		}
	}
}

func TestThePrintedBoardIsBounded(t *testing.T) {
	cards := map[[2]string]*madeCard{}
	for i := range 30 {
		cards[[2]string{"shed", strconv.Itoa(i)}] = &madeCard{Card: templates.Card{At: time.Unix(int64(i), 0)}}
	}
	keepNewest(cards, 10)
	if _, newest := cards[[2]string{"shed", "29"}]; len(cards) != 10 || !newest {
		t.Errorf("%d cards left, the newest among them: %v", len(cards), newest)
	}
}

func TestABoardThatOnlyPretendDevicesFeedSaysSo(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	var demo []string
	s := newSite(t, func(c *Config) {
		c.Now = func() time.Time { return now }
		c.Pretend = func() []string { return slices.Clone(demo) }
	})
	pretend, real := s.key(t, "greenhouse-soil"), s.key(t, "shed")
	demo = append(demo, "home/local/"+pretend.JTI+"/publish")
	chief, visitor, owner := operator(t, s), signedIn(t, s, pretend.Key), signedIn(t, s, real.Key)
	said := func(b *http.Client) bool {
		return strings.Contains(pageOf(t, s, b), "A pretend greenhouse, to look around.")
	}
	if said(chief) || said(visitor) {
		t.Error("it is said where nothing was heard yet")
	}
	record(t, s, pretend, `{"data":{"moisture":40}}`, now)
	if !said(chief) || !said(visitor) || said(owner) {
		t.Errorf("operator %v, holder of a pretend key %v, of a real one %v", said(chief), said(visitor), said(owner))
	}
	record(t, s, access.NewKey{Sub: "home:local:hand", JTI: "operator"}, `{"entity":"greenhouse-soil","data":{"pump":"on"},"context":{"by":"page"}}`, now)
	if !said(chief) {
		t.Error("what a person sends makes it no less pretend")
	}
	record(t, s, real, `{"data":{"moisture":40}}`, now)
	if said(chief) || !said(visitor) || said(owner) {
		t.Errorf("with a real device: operator %v, holder of a pretend key %v, of a real one %v", said(chief), said(visitor), said(owner))
	}
}
