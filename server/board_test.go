package server

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"trellis/access"
	"trellis/message"
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
