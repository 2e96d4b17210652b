package server

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"trellis/access"
	"trellis/history"
	"trellis/mqttproxy"
)

// scrape asks for the metrics as a collector on this machine does.
func scrape(t *testing.T, s *site) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.server.metricsHandler("").ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1:9464/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// says fails if a line is not there.
func says(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+text, "\n"+line+"\n") {
			name, _, _ := strings.Cut(line, "{")
			name, _, _ = strings.Cut(name, " ")
			t.Errorf("no line %q, but %q", line, regexp.MustCompile("(?m)^"+name+`\b.*$`).FindAllString(text, -1))
		}
	}
}

// counting is a server in front of another service that counts everything that there is to count.
func counting(c *Config) {
	c.Front = &Front{
		Links: func() mqttproxy.UplinksStats {
			return mqttproxy.UplinksStats{
				Links: 6, Up: 3, Connecting: 1, Down: map[mqttproxy.Why]int{mqttproxy.WhyAway: 1, mqttproxy.WhyConsent: 1}, DownSince: time.Now().Add(-90 * time.Second),
				Waiting: 5, Connected: 9, Lost: 4, Fights: 1, Received: 70, Echoes: 7, Dropped: 2, Strays: 3, Acknowledged: 11, Sent: 12, Unsure: 13, NotSent: 14,
			}
		},
		Asked: func() access.Asked {
			return access.Asked{Counts: map[access.Answer]uint64{access.AnswerOK: 21, access.AnswerAway: 0}}
		},
	}
	c.Counted = Counted{
		Version: "v1.2.3",
		Hub: func() mqttproxy.Stats {
			return mqttproxy.Stats{Sessions: 1, Kept: 2, Published: 3, Delivered: 4, Dropped: 5, Accepted: 6, Refused: 7, Panics: 8}
		},
		Record: func() history.Stats {
			return history.Stats{Messages: 30, Batches: 10, Took: 1500 * time.Millisecond, Failed: 1, Unread: 41}
		},
		Outbox: func() mqttproxy.OutboxStats { return mqttproxy.OutboxStats{Sent: 38, Expired: 39, Refused: 40} },
		Devices: func() DeviceStats {
			return DeviceStats{Connections: 31, Accepted: 32, Refused: 33, DroppedQoS0: 34, Undeliverable: 35, Unclaimed: 36}
		},
		Panics: func() uint64 { return 37 },
	}
}

func TestMetricsSayWhatWasCounted(t *testing.T) {
	s := newSite(t, counting)
	says(t, scrape(t, s), `trellis_build_info{version="v1.2.3"} 1`, "trellis_healthy 1", "trellis_ready 0",
		"trellis_page_sessions 1", "trellis_messages_kept 2", "trellis_messages_published_total 3", "trellis_messages_delivered_total 4",
		`trellis_page_messages_total{result="accepted"} 6`, `trellis_page_messages_total{result="refused"} 7`, "trellis_page_panics_total 8",
		"trellis_record_messages_total 30", "trellis_record_failures_total 1", "trellis_record_unread_total 41", "trellis_record_duration_seconds_sum 1.5", "trellis_record_duration_seconds_count 10",
		`trellis_outbox_messages_total{result="sent"} 38`, `trellis_outbox_messages_total{result="expired"} 39`, `trellis_outbox_messages_total{result="refused"} 40`,
		"trellis_device_connections 31", `trellis_device_connections_total{result="accepted"} 32`, `trellis_device_connections_total{result="refused"} 33`,
		`trellis_messages_dropped_total{reason="page_behind"} 5`, `trellis_messages_dropped_total{reason="record_behind"} 34`,
		`trellis_messages_dropped_total{reason="undeliverable"} 35`, `trellis_messages_dropped_total{reason="unclaimed"} 36`,
		`trellis_messages_dropped_total{reason="inbox_full"} 2`, `trellis_messages_dropped_total{reason="not_asked_for"} 3`, "trellis_message_panics_total 37",
		`trellis_upstream_links{state="up"} 3`, `trellis_upstream_links{state="connecting"} 1`, `trellis_upstream_links{state="away"} 1`,
		`trellis_upstream_links{state="consent"} 1`, `trellis_upstream_links{state="taken"} 0`, "trellis_upstream_longest_down_seconds 90",
		"trellis_upstream_messages_waiting 5", "trellis_upstream_connections_total 9", "trellis_upstream_connections_lost_total 4", "trellis_upstream_fights_total 1",
		"trellis_upstream_messages_received_total 70", "trellis_upstream_echoes_total 7", `trellis_upstream_published_total{result="acknowledged"} 11`,
		`trellis_upstream_published_total{result="sent"} 12`, `trellis_upstream_published_total{result="unsure"} 13`, `trellis_upstream_published_total{result="not_sent"} 14`,
		`trellis_claims_asked_total{result="ok"} 21`, `trellis_claims_asked_total{result="away"} 0`,
		`trellis_page_pipes{way="socket"} 0`, `trellis_page_pipes_limited_total{limit="too_many_of_address"} 0`)
	s.server.Ready()
	says(t, scrape(t, s), "trellis_ready 1")
}

func TestMetricsAreNamedAsTheyAreElsewhere(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(scrape(t, newSite(t, counting)))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "trellis_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestMetricsCountRefusalsAndLimitsAndNameNobody(t *testing.T) {
	still := time.Now()
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return still } })
	key := s.key(t, "canary-entity")
	record(t, s, key, `{"data":{"canary-reading":1}}`, still)
	b := s.browser(t)
	if answer, _ := send(t, b, "POST", s.URL+"/session", url.Values{"key": {key.Key}}); answer.StatusCode != 200 {
		t.Fatal(answer.Status)
	}
	for range guessBurst + 2 {
		send(t, b, "GET", s.URL+"/api/claims?canary-query", nil, "Authorization", "Bearer canary-guess", "X-Forwarded-For", "canary-address")
	}
	send(t, b, "POST", s.URL+"/enter", url.Values{"code": {"canary-code"}}, "Origin", s.URL)
	send(t, b, "GET", s.URL+"/canary-path", nil)
	text := scrape(t, s)
	says(t, text, `trellis_sign_ins_refused_total{reason="key_unknown"} 20`, `trellis_sign_ins_refused_total{reason="rate_limited"} 3`,
		`trellis_rate_limited_total{limit="guess"} 3`, `trellis_rate_limited_total{limit="open"} 0`)
	for _, canary := range []string{"canary", key.JTI, key.Key, "home:local", "home/local", "127.0.0.1", strings.TrimPrefix(s.URL, "http://")} {
		if strings.Contains(text, canary) {
			t.Errorf("%q is told", canary)
		}
	}
}

func TestMetricsAreOnlyForWhoMayHaveThem(t *testing.T) {
	s := newSite(t, nil)
	const token = "sixteen letters!"
	for name, tt := range map[string]struct {
		token, method, address, authorization string
		want                                  int
	}{
		"this machine":                           {"", "GET", "http://127.0.0.1:9464/metrics", "", 200},
		"this machine by name":                   {"", "GET", "http://localhost:9464/metrics", "", 200},
		"this machine in the newer way":          {"", "GET", "http://[::1]:9464/metrics", "", 200},
		"only the head":                          {"", "HEAD", "http://127.0.0.1/metrics", "", 200},
		"a page whose name leads here":           {"", "GET", "http://evil.example:9464/metrics", "", 403},
		"another page of it":                     {"", "GET", "http://127.0.0.1:9464/", "", 404},
		"another method":                         {"", "POST", "http://127.0.0.1:9464/metrics", "", 405},
		"with the token, from anywhere":          {token, "GET", "http://trellis.example:9464/metrics", "Bearer " + token, 200},
		"without the token":                      {token, "GET", "http://127.0.0.1:9464/metrics", "", 401},
		"with half of it":                        {token, "GET", "http://127.0.0.1:9464/metrics", "Bearer " + token[:8], 401},
		"with it and more":                       {token, "GET", "http://127.0.0.1:9464/metrics", "Bearer " + token + "!", 401},
		"with it as something else than asked":   {token, "GET", "http://127.0.0.1:9464/metrics", "Basic " + token, 401},
		"with it in the address, which is noted": {token, "GET", "http://127.0.0.1:9464/metrics?token=" + url.QueryEscape(token), "", 401},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, tt.address, nil)
			r.Header.Set("Authorization", tt.authorization)
			w := httptest.NewRecorder()
			s.server.metricsHandler(tt.token).ServeHTTP(w, r)
			if w.Code != tt.want || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%d, want %d", w.Code, tt.want)
			}
			if told := strings.Contains(w.Body.String(), "go_goroutines"); told != (tt.want == 200) { // a HEAD loses its body on the wire
				t.Errorf("it says %s", w.Body)
			}
		})
	}
}

func TestPagesDoNotTellMetrics(t *testing.T) {
	s := newSite(t, nil)
	if answer, body := send(t, s.browser(t), "GET", s.URL+"/metrics", nil); answer.StatusCode != 404 || strings.Contains(body, "go_goroutines") {
		t.Errorf("everybody is told metrics: %s", answer.Status)
	}
}
