package server

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"trellis/history"
)

// past records an hour of two devices, and gives the site, the moment that it is now, and the key of the first.
func past(t *testing.T) (s *site, now time.Time, mine, other string) {
	t.Helper()
	now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s = newSite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	shed, gate := s.key(t, "shed"), s.key(t, "gate")
	for minute := range 60 {
		at := now.Add(time.Duration(minute-60) * time.Minute)
		record(t, s, shed, `{"data":{"temp_c":`+[]string{"20", "22"}[minute%2]+`,"door":"`+[]string{"open", "shut"}[minute/30]+`"}}`, at)
		record(t, s, gate, `{"data":{"secret_level":77}}`, at)
	}
	if err := s.store.BeginGap(t.Context(), shed.JTI, history.GapUpstream, now.Add(-10*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := s.store.BeginGap(t.Context(), gate.JTI, history.GapUpstream, now.Add(-10*time.Minute)); err != nil {
		t.Fatal(err)
	}
	return s, now, shed.Key, gate.Key
}

func TestWhatWasSaidBeforeIsAsDescribed(t *testing.T) {
	s, _, mine, _ := past(t)
	for name, tt := range map[string]struct {
		path, query string
		status      int
		says        []string
	}{
		"latest":                   {"latest", "", 200, []string{`"reading":"temp_c"`, `"unit":"°C"`, `"value":"shut"`}},
		"a range":                  {"range", "entity=shed&reading=temp_c", 200, []string{`"unit":"°C"`, `"low":20`, `"high":22`, `"mean":21`, `"reason":"upstream"`}},
		"a range of words":         {"range", "entity=shed&reading=door&points=10", 200, []string{`"value":"open"`, `"value":"shut"`}},
		"a range of nothing":       {"range", "entity=shed&reading=nothing", 200, []string{`"points":[]`}},
		"another's range":          {"range", "entity=gate&reading=secret_level", 200, []string{`"points":[]`}},
		"messages":                 {"messages", "limit=2", 200, []string{`"next":"`, `"msg_type":"publish"`}},
		"gaps":                     {"gaps", "", 200, []string{`"ended":null`}},
		"a range without reading":  {"range", "entity=shed", 400, []string{"which reading", `"reason":"query"`}},
		"a range that is too long": {"range", "entity=shed&reading=t&from=2020-01-01T00:00:00Z", 400, []string{"400 days"}},
		"a range backwards":        {"range", "entity=shed&reading=t&from=2026-05-01T12:00:00Z&to=2026-05-01T11:00:00Z", 400, nil},
		"no time":                  {"range", "entity=shed&reading=t&from=yesterday", 400, []string{"from must be a time"}},
		"too many points":          {"range", "entity=shed&reading=t&points=100000", 400, []string{"from 1 to 2000"}},
		"a made-up cursor":         {"messages", "cursor=-1", 400, nil},
		"too many messages":        {"messages", "limit=5000", 400, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := "/api/history/" + tt.path
			answer, body := send(t, s.browser(t), "GET", s.URL+path+"?"+tt.query, nil, "Authorization", "Bearer "+mine)
			if answer.StatusCode != tt.status {
				t.Fatalf("%d %s, want %d", answer.StatusCode, body, tt.status)
			}
			for _, want := range tt.says {
				if !strings.Contains(body, want) {
					t.Errorf("it does not say %s: %.600s", want, body)
				}
			}
			if strings.Contains(body, "secret_level\":") || strings.Contains(body, ":77") {
				t.Errorf("another key's values are in the answer: %.600s", body)
			}
			holdTo(t, path, answer, body)
		})
	}
}

func TestPagesOfMessagesGoOnWhereTheLastOneEnded(t *testing.T) {
	s, now, mine, _ := past(t)
	seen, cursor := 0, ""
	for range 10 {
		query := url.Values{"limit": {"25"}, "cursor": {cursor}, "from": {now.Add(-30 * time.Minute).Format(time.RFC3339)}}
		_, body := send(t, s.browser(t), "GET", s.URL+"/api/history/messages?"+query.Encode(), nil, "Authorization", "Bearer "+mine)
		var page messagesAnswer
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatal(err)
		}
		if seen += len(page.Messages); page.Next == "" {
			break
		}
		cursor = page.Next
	}
	if seen != 30 {
		t.Errorf("%d messages, want the 30 of half an hour", seen)
	}
}

// A cookie opens it for our own pages, and a key's id or a cookie is nothing to the door of programs.
func TestThePastIsForThoseWhoMayHear(t *testing.T) {
	s, _, mine, other := past(t)
	b := s.browser(t)
	if answer, _ := send(t, b, "GET", s.URL+"/history/latest", nil, "Accept", "application/json"); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger is answered %d", answer.StatusCode)
	}
	send(t, b, "POST", s.URL+"/session", url.Values{"key": {other}})
	answer, body := send(t, b, "GET", s.URL+"/history/latest", nil, "Accept", "application/json")
	if answer.StatusCode != 200 || !strings.Contains(body, "secret_level") || strings.Contains(body, "temp_c") {
		t.Errorf("the other's page is answered %d %s", answer.StatusCode, body)
	}
	if answer, _ := send(t, b, "GET", s.URL+"/api/history/latest", nil); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a cookie opens the door of programs: %d", answer.StatusCode)
	}
	if answer, _ := send(t, b, "GET", s.URL+"/api/history/latest?key="+mine, nil); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a key in the address opens it: %d", answer.StatusCode)
	}
}

// The programs that a page hands out print the first value of the answer.
func TestTheLatestIsOneOfEachReading(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	old, shed := s.key(t, "shed"), s.key(t, "shed")
	record(t, s, old, `{"data":{"temp_c":3,"only_there":4}}`, now.Add(-72*time.Hour))
	record(t, s, shed, `{"data":{"temp_c":20}}`, now.Add(-time.Minute))
	b := operatorOf(t, s)
	_, body := send(t, b, http.MethodGet, s.URL+"/history/latest?entity=shed", nil)
	var got struct {
		Values []struct {
			Reading string
			Value   float64
		}
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Values) != 2 || got.Values[0].Value != 4 || got.Values[1].Value != 20 {
		t.Errorf("%+v, want the newest of each, the longest silent first", got.Values)
	}
}
