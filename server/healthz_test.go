package server

import (
	"errors"
	"strings"
	"testing"
)

func TestHealthzSaysWhenMessagesAreNotTaken(t *testing.T) {
	var trouble error
	s := newSite(t, func(c *Config) { c.Healthy = func() error { return trouble } })
	if answer, body := send(t, s.browser(t), "GET", s.URL+"/healthz", nil); answer.StatusCode != 200 || !strings.Contains(body, "ok") {
		t.Errorf("well: %d %s", answer.StatusCode, body)
	}
	trouble = errors.New("no space left on /secret/path")
	answer, body := send(t, s.browser(t), "GET", s.URL+"/healthz", nil)
	if answer.StatusCode != 503 || strings.Contains(body, "secret") {
		t.Errorf("unwell: %d %s", answer.StatusCode, body)
	}
}
