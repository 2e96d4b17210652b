package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"trellis/access"
	"trellis/mqttproxy"
)

// asks gets one of the two answers and holds it to its description.
func asks(t *testing.T, s *site, path string) (int, health) {
	t.Helper()
	answer, body := send(t, s.browser(t), http.MethodGet, s.URL+path, nil)
	holdTo(t, path, answer, body)
	if answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s may be kept: %q", path, answer.Header.Get("Cache-Control"))
	}
	var h health
	if err := json.Unmarshal([]byte(body), &h); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, h
}

func TestHealthzIsAboutThisServerAndReadyzAboutItsVisitors(t *testing.T) {
	var trouble error
	s := newSite(t, func(c *Config) { c.Healthy = func() error { return trouble } })
	is := func(healthz, readyz int, status, record string) {
		t.Helper()
		for path, want := range map[string]int{"/healthz": healthz, "/readyz": readyz} {
			code, h := asks(t, s, path)
			if code != want || h.Status != status || h.Record != record || h.Broker != "inside" || h.Links != nil || h.Claims != nil {
				t.Errorf("%s: %d %+v, want %d %q %q", path, code, h, want, status, record)
			}
			if (h.Message == "") != (status == "ok") {
				t.Errorf("%s: %q is said to a person while the status is %q", path, h.Message, status)
			}
		}
	}
	is(200, 503, "starting", "ok")
	s.server.Ready()
	is(200, 200, "ok", "ok")
	trouble = errors.New("no space left on /secret/path")
	is(503, 503, "failing", "failing")
	if _, body := send(t, s.browser(t), http.MethodGet, s.URL+"/healthz", nil); strings.Contains(body, "secret") {
		t.Error("the reason is told to everybody:", body)
	}
	trouble = nil
	if err := s.server.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	is(200, 503, "stopping", "ok") // what was open before is still answered
}

func TestHealthIsAnsweredToHEAD(t *testing.T) {
	s := newSite(t, nil)
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503} {
		if answer, body := send(t, s.browser(t), http.MethodHead, s.URL+path, nil); answer.StatusCode != want || body != "" {
			t.Errorf("%s: %d %q", path, answer.StatusCode, body)
		}
	}
}

func TestHealthSaysHowTheLinksAre(t *testing.T) {
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	links := mqttproxy.UplinksStats{Links: 7, Up: 2, Connecting: 1, DownSince: noon, Down: map[mqttproxy.Why]int{mqttproxy.WhyAway: 3, mqttproxy.WhyTaken: 1}}
	for name, tt := range map[string]struct {
		links mqttproxy.UplinksStats
		asked access.Asked
		want  string
	}{
		"nobody is here": {mqttproxy.UplinksStats{}, access.Asked{},
			`"links":{"wanted":0,"up":0,"connecting":0,"down":0,"why":{}},"claims":{"last":"not_asked"}`},
		"some links are down": {links, access.Asked{Last: access.AnswerAway, At: noon},
			`"links":{"wanted":7,"up":2,"connecting":1,"down":4,"down_since":"2026-05-01T12:00:00Z","why":{"away":3,"taken":1}},"claims":{"last":"away","at":"2026-05-01T12:00:00Z"}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(c *Config) {
				c.Front = &Front{Links: func() mqttproxy.UplinksStats { return tt.links }, Asked: func() access.Asked { return tt.asked }}
			})
			s.server.Ready()
			for _, path := range []string{"/healthz", "/readyz"} {
				answer, body := send(t, s.browser(t), http.MethodGet, s.URL+path, nil)
				holdTo(t, path, answer, body)
				want := `{"status":"ok","record":"ok","broker":"upstream",` + tt.want + "}\n"
				if answer.StatusCode != 200 || body != want {
					t.Errorf("%s: %d %s\nwant %s", path, answer.StatusCode, body, want)
				}
			}
		})
	}
}

func TestEveryWordOfALinkAndOfAnAnswerIsDescribed(t *testing.T) {
	for n := range max(len(mqttproxy.Whys), len(access.Answers)) {
		why, answer := mqttproxy.Whys[n%len(mqttproxy.Whys)], access.Answers[n%len(access.Answers)]
		s := newSite(t, func(c *Config) {
			c.Front = &Front{
				Links: func() mqttproxy.UplinksStats {
					return mqttproxy.UplinksStats{Links: 1, Down: map[mqttproxy.Why]int{why: 1}}
				},
				Asked: func() access.Asked { return access.Asked{Last: answer, At: time.Now()} },
			}
		})
		if _, h := asks(t, s, "/healthz"); h.Links.Why[why.Word()] != 1 || h.Claims.Last != string(answer) {
			t.Errorf("%q and %q: %+v", why, answer, h)
		}
	}
}

func TestStrangersWhoAskOftenDoNotHaveAllLinksLookedAtEachTime(t *testing.T) {
	looked := 0
	s := newSite(t, func(c *Config) {
		c.Front = &Front{Links: func() mqttproxy.UplinksStats { looked++; return mqttproxy.UplinksStats{} }}
	})
	began := time.Now()
	for range 20 {
		asks(t, s, "/healthz")
	}
	if most := 1 + int(time.Since(began)/linksHold); looked > most {
		t.Errorf("looked %d times, want at most %d", looked, most)
	}
}
