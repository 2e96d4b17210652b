package server

import (
	"net/http"
	"strings"
	"testing"

	"trellis/mqttproxy"
)

func TestThePlanIsPrintedToldAndKept(t *testing.T) {
	s := newSite(t, func(c *Config) { c.Ways = []string{"poll", "stream"} })
	b := signedIn(t, s, s.key(t, "shed").Key)
	if _, page := send(t, b, "GET", s.URL, nil); !strings.Contains(page, `data-ways="poll stream"`) {
		t.Error("the board does not say which ways there are")
	}
	for _, path := range []string{"/live/hello", "/live/open"} {
		status, said := post(t, s, b, path, "", "", "X-Nonce", "n1")
		if status != http.StatusOK || strings.Join(said.Ways, " ") != "poll stream" || said.Nonce != "n1" {
			t.Errorf("%s was answered %d %+v", path, status, said)
		}
	}
	for _, protocol := range []string{"mqtt", mqttproxy.PipeSubprotocol} {
		if _, answer, err := dial(t, s, "/live", b, http.Header{"Origin": {s.URL}}, protocol); err == nil || answer.StatusCode != http.StatusForbidden {
			t.Errorf("a WebSocket of %s was let in: %v", protocol, err)
		}
	}
}

func TestPlansAreChecked(t *testing.T) {
	for plan, ok := range map[string]bool{
		"socket,stream,poll": true, "poll": true, "stream,socket": true,
		"direct,socket": true, "direct": false, "socket,direct": false, "socket,socket": false, "carrier pigeon": false, "": false, "Socket": false,
	} {
		if err := CheckWays(strings.Split(plan, ",")); (err == nil) != ok {
			t.Errorf("%q: %v", plan, err)
		}
	}
}

func TestPagesAreLimited(t *testing.T) {
	s := newSite(t, func(c *Config) { c.Limits = Limits{PerKey: 1} })
	b := signedIn(t, s, s.key(t, "shed").Key)
	post(t, s, b, "/live/open", "", "")
	if status, said := post(t, s, b, "/live/open", "", ""); status != http.StatusTooManyRequests || said.Code != 4021 || said.Words == "" {
		t.Errorf("a second page was answered %d %+v", status, said)
	}
}
