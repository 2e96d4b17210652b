package server

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trellis/access"
	"trellis/history"
	"trellis/message"
	"trellis/rhythm"
	"trellis/templates"
)

// absence records a day of devices in which something happened, and gives the site, the moment that it is now, and their keys.
func absence(t *testing.T, change func(*Config)) (s *site, now time.Time, shed, gate access.NewKey) {
	t.Helper()
	now = time.Date(2026, 5, 1, 15, 0, 0, 0, time.UTC)
	s = newSite(t, func(c *Config) {
		c.Now = func() time.Time { return now }
		if change != nil {
			change(c)
		}
	})
	shed, gate = s.key(t, "shed"), s.key(t, "gate")
	for n := range 24 * 12 { // every 5 minutes, but for 47 minutes from 13:40 on
		at := now.Add(time.Duration(n-24*12) * 5 * time.Minute)
		if at.Hour() != 13 && at.Hour() != 14 || at.Hour() == 13 && at.Minute() <= 40 || at.Hour() == 14 && at.Minute() > 25 {
			door := "closed"
			if n >= 24*12-60 && n < 24*12-48 { // open for an hour, from 10:00 on
				door = "open"
			}
			record(t, s, shed, fmt.Sprintf(`{"data":{"temp_c":%d,"rssi":-60,"door":"%s"}}`, 20+n%5, door), at)
		}
		record(t, s, gate, `{"data":{"secret_level":77}}`, at)
	}
	return s, now, shed, gate
}

// BenchmarkHappened looks back in a record of 40 devices that spoke every 5 minutes for 8 days: 92,160 messages, 4 readings in each.
func BenchmarkHappened(b *testing.B) {
	now := time.Date(2026, 5, 9, 15, 0, 0, 0, time.UTC)
	s := newSite(b, func(c *Config) { c.Now = func() time.Time { return now } })
	var batch []message.Message
	for n := range 8 * 288 {
		for device := range 40 {
			from := message.Origin{Topic: fmt.Sprintf("home/local/K%d/publish", device), Source: fmt.Sprint("home:local:d", device), Entity: fmt.Sprint("d", device)}
			from.Received = now.Add(time.Duration(n-8*288) * 5 * time.Minute).Add(time.Duration(device) * time.Second)
			payload := fmt.Sprintf(`{"data":{"temp_c":%d,"hum":%d,"door":"%s","rssi":-60}}`, 20+(n+device)%9, 40+n%30, []string{"open", "closed"}[n/50%2])
			batch = append(batch, message.Normalise([]byte(payload), from, func(string) bool { return false })...)
		}
		if n%96 != 95 {
			continue
		}
		if err := s.store.Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		batch = nil
	}
	operator := access.OperatorGrant("home", "local", time.Time{})
	for name, back := range map[string]time.Duration{"a day": happenedUsual, "a month": happenedLongest} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				h := happened{From: now.Add(-back), To: now}
				if err := s.server.find(b.Context(), operator, time.UTC, &h); err != nil || h.Messages == 0 {
					b.Fatal(h.Messages, err)
				}
			}
		})
	}
}

func comeIn(t *testing.T, s *site, key access.NewKey) *http.Client {
	t.Helper()
	b := s.browser(t)
	send(t, b, http.MethodPost, s.URL+"/session", url.Values{"key": {key.Key}})
	return b
}

func TestThePageSaysWhatHappened(t *testing.T) {
	s, now, shed, _ := absence(t, nil)
	knowsRhythm(t, s, comeIn(t, s, shed))
	b := comeIn(t, s, shed)
	since := url.QueryEscape(now.Add(-6 * time.Hour).Format(time.RFC3339))
	answer, page := send(t, b, http.MethodGet, s.URL+"/happened?since="+since, nil)
	if answer.StatusCode != http.StatusOK {
		t.Fatal(answer.StatusCode, page)
	}
	for _, want := range []string{
		"From 09:00 to 15:00 (6 h)", "1 device was quiet and 1 value changed.", "messages came.", "<h2 id=\"day-0\">Today</h2>",
		"<strong>Shed</strong>", "is back. It was quiet for 50 min, since 13:40 (usually every 5 min).", "Closed → Open", "Open → Closed", "Times are those of UTC.",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, bad := range []string{"secret", "Gate", "Signal", "Nothing unusual", "<script"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page says %q", bad)
		}
	}
	if strings.Index(page, "is back") > strings.Index(page, "Open → Closed") {
		t.Error("the newest is not first")
	}
	if _, page := send(t, b, http.MethodGet, s.URL+"/happened?zone=Asia%2FTokyo&since="+since, nil); !strings.Contains(page, "since yesterday, 22:40") {
		t.Error("times are not those of the reader's zone")
	}
	until := url.QueryEscape(now.Add(-210 * time.Minute).Format(time.RFC3339))
	if _, page := send(t, b, http.MethodGet, s.URL+"/happened?since="+since+"&until="+until, nil); strings.Contains(page, "quiet for") || !strings.Contains(page, "→") {
		t.Error("a time that ends before says what came after it")
	}
}

// What lasted at the end of a time that is over, may be over too: nothing is said of now.
func TestATimeThatIsOverIsToldAsOver(t *testing.T) {
	s, now, shed, _ := absence(t, nil)
	knowsRhythm(t, s, comeIn(t, s, shed))
	one := history.Setting{Board: shed.Sub, Entity: "shed", Reading: "temp_c", Field: history.SettingLow, Value: "30"}
	if err := s.store.PutSettings(t.Context(), []history.Setting{one}); err != nil {
		t.Fatal(err)
	}
	b := comeIn(t, s, shed)
	until := now.Add(-55 * time.Minute) // 14:05: quiet since 13:40, and back at 14:30
	query := "since=" + now.Add(-6*time.Hour).Format(time.RFC3339) + "&until=" + until.Format(time.RFC3339)
	if _, page := send(t, b, http.MethodGet, s.URL+"/happened?"+query, nil); !strings.Contains(page, "was still quiet at 14:05, since 13:40 (usually every 5 min).") {
		t.Error("the page does not say that it was still quiet")
	}
	if err := s.store.BeginGap(t.Context(), "", history.GapFull, now.Add(-130*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := s.store.EndGap(t.Context(), "", history.GapFull, now.Add(-50*time.Minute)); err != nil {
		t.Fatal(err)
	}
	_, page := send(t, b, http.MethodGet, s.URL+"/happened?"+query, nil)
	for _, want := range []string{"was still below 30 °C at 14:05, since", "The disk of this page&#39;s server was full between 12:50 and 14:10"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, bad := range []string{"has been", "is back"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page says %q of a time that is over", bad)
		}
	}
	for _, e := range happenedTo(t, s, shed, query).Events {
		if e.At.After(until) {
			t.Errorf("at %s, after the end, there is %+v", e.At, e)
		}
	}
}

func TestQuestionsThatThePageOfWhatHappenedIsAsked(t *testing.T) {
	s, _, shed, _ := absence(t, nil)
	b := comeIn(t, s, shed)
	for query, tt := range map[string]struct {
		status int
		says   string
	}{
		"":                                 {200, "From yesterday, 15:00 to 15:00 (24 h)"},
		"since=2020-01-01T00:00:00Z":       {200, "No more than 31 days are looked at in one go."},
		"since=2030-01-01T00:00:00Z":       {200, "Nothing unusual. No message came."},
		"since=yesterday":                  {400, "since must be a time"},
		"until=99999-01-01T00:00:00Z":      {400, "until must be a time"},
		"until=1980-01-01T00:00:00Z":       {200, "Nothing unusual."},
		"page=0":                           {400, "page must be a number"},
		"page=11":                          {400, "page must be a number"},
		"page=9":                           {200, "Newer"},
		"zone=../../etc/passwd":            {200, "Times are those of UTC."},
		"zone=" + strings.Repeat("x", 999): {200, "Times are those of UTC."},
	} {
		answer, page := send(t, b, http.MethodGet, s.URL+"/happened?"+query, nil)
		if answer.StatusCode != tt.status || !strings.Contains(page, tt.says) {
			t.Errorf("%s: %d, want %d and %q: %.300s", query, answer.StatusCode, tt.status, tt.says, page)
		}
	}
	if answer, _ := send(t, s.browser(t), http.MethodGet, s.URL+"/happened", nil); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger is answered %d", answer.StatusCode)
	}
}

// happenedTo asks as programs do.
func happenedTo(t *testing.T, s *site, key access.NewKey, query string) (h happened) {
	t.Helper()
	const path = "/api/history/happened"
	answer, body := send(t, s.browser(t), http.MethodGet, s.URL+path+"?"+query, nil, "Authorization", "Bearer "+key.Key)
	holdTo(t, path, answer, body)
	if err := json.Unmarshal([]byte(body), &h); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer.StatusCode, err, body)
	}
	return h
}

func TestProgramsAreToldTheSame(t *testing.T) {
	s, now, shed, gate := absence(t, nil)
	knowsRhythm(t, s, comeIn(t, s, shed))
	knowsRhythm(t, s, comeIn(t, s, gate))
	h := happenedTo(t, s, shed, "since="+now.Add(-6*time.Hour).Format(time.RFC3339))
	var kinds []string
	for _, e := range h.Events {
		kinds = append(kinds, e.Kind+" "+e.Entity+" "+e.Before+" "+e.Value)
	}
	if diff := cmp.Diff([]string{"quiet shed  ", "changed shed open closed", "changed shed closed open"}, kinds); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if h.Messages != 63 || h.Values != 3 || h.Many || h.More || h.Learning != 0 {
		t.Errorf("%+v", h)
	}
	if h := happenedTo(t, s, gate, ""); len(h.Events) != 0 || h.Messages != 288 {
		t.Errorf("the other key is told %+v", h)
	}
	answer, body := send(t, s.browser(t), http.MethodGet, s.URL+"/api/history/happened?since=x", nil, "Authorization", "Bearer "+shed.Key)
	if holdTo(t, "/api/history/happened", answer, body); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
	if answer, body := send(t, comeIn(t, s, shed), http.MethodGet, s.URL+"/history/happened", nil, "Accept", "application/json"); answer.StatusCode != http.StatusOK || !strings.Contains(body, `"quiet"`) {
		t.Errorf("our own page is answered %d %s", answer.StatusCode, body)
	}
}

func TestWhatGoesBackAndForthIsToldOnceADay(t *testing.T) {
	s, now, shed, _ := absence(t, nil)
	for n := range 40 {
		record(t, s, shed, `{"data":{"valve":"`+[]string{"open", "shut"}[n%2]+`","uptime_text":"2026-05-01T12:00:00Z"}}`, now.Add(time.Duration(n-40)*time.Minute))
	}
	h := happenedTo(t, s, shed, "since="+now.Add(-time.Hour).Format(time.RFC3339))
	var got []templates.HappenedEvent
	for _, e := range h.Events {
		if e.Kind == templates.HappenedChanged {
			got = append(got, e)
		}
	}
	last := now.Add(-time.Minute)
	want := []templates.HappenedEvent{{
		Kind: templates.HappenedChanged, At: last, From: now.Add(-40 * time.Minute), To: &last, Entity: "shed", Name: "Shed", Called: "Shed", Reading: "valve", Label: "Valve", Value: "shut", Count: 40,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLongPagesGoOnBehindALink(t *testing.T) {
	s, now, shed, _ := absence(t, nil)
	for n := range happenedAtOnce + 20 {
		record(t, s, shed, fmt.Sprintf(`{"data":{"switch_%d":"on"}}`, n), now.Add(-30*time.Minute))
	}
	b := comeIn(t, s, shed)
	_, page := send(t, b, http.MethodGet, s.URL+"/happened?since="+now.Add(-31*time.Minute).Format(time.RFC3339), nil)
	_, href, found := strings.Cut(page, `<nav class="happened-pages" aria-label="Pages"><a class="button small quiet" href="`)
	if !found || strings.Count(page, `data-testid="happened"`) != happenedAtOnce || !strings.Contains(page, "Showing 1 to 200 of 22") {
		t.Fatalf("%d rows, and a link: %v", strings.Count(page, `data-testid="happened"`), found)
	}
	href, _, _ = strings.Cut(href, `"`)
	_, page = send(t, b, http.MethodGet, s.URL+strings.ReplaceAll(href, "&amp;", "&"), nil)
	if n := strings.Count(page, `data-testid="happened"`); n < 20 || n > 22 || !strings.Contains(page, ">Newer</a>") || strings.Contains(page, ">Older</a>") {
		t.Errorf("%d rows are behind it", n)
	}
}

func TestWhoPressedWhatIsTold(t *testing.T) {
	s, now, shed, gate := absence(t, nil)
	for id, at := range map[string]time.Time{"before": now.Add(-2 * time.Hour), "since": now.Add(-time.Minute)} {
		p := history.Press{ID: id, Board: shed.Sub, Button: "b", Who: "shed", Label: "Heat", Chosen: "19 °C", Entity: "shed", Pressed: at, Due: at, State: history.PressAnswered}
		if _, _, err := s.store.BeginPress(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	since := "since=" + now.Add(-5*time.Minute).Format(time.RFC3339)
	h := happenedTo(t, s, shed, since)
	if len(h.Events) != 1 || h.Events[0].Kind != templates.HappenedPressed || h.Events[0].Label != "Heat: 19 °C" || h.Events[0].Who != "shed" {
		t.Errorf("%+v", h.Events)
	}
	if _, page := send(t, comeIn(t, s, shed), http.MethodGet, s.URL+"/happened?"+since, nil); !strings.Contains(page, "was pressed by shed.") || !strings.Contains(page, "1 button was pressed.") {
		t.Error("the page does not say who pressed it")
	}
	if h := happenedTo(t, s, gate, since); len(h.Events) != 0 {
		t.Errorf("another board is told of it: %+v", h.Events)
	}
}

// A device that could not be heard was not quiet.
func TestGapsOfOursAreNoSilence(t *testing.T) {
	s, now, shed, gate := absence(t, func(c *Config) {
		c.Front = &Front{Topics: []string{"home/{entity}"}}
	})
	began, ended := now.Add(-75*time.Minute), now.Add(-40*time.Minute) // 13:45 to 14:20, where it is silent
	for _, step := range []func() error{
		func() error { return s.store.BeginGap(t.Context(), shed.JTI, history.GapUnheard, began) },
		func() error { return s.store.EndGap(t.Context(), shed.JTI, history.GapUnheard, ended) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	since := "since=" + now.Add(-3*time.Hour).Format(time.RFC3339)
	h := happenedTo(t, s, shed, since)
	if len(h.Events) != 1 || h.Events[0].Kind != templates.HappenedGap || h.Events[0].Reason != "unheard" || !h.Events[0].To.Equal(ended) {
		t.Errorf("%+v", h.Events)
	}
	if h := happenedTo(t, s, gate, since); len(h.Events) != 0 {
		t.Errorf("the other key is told of it: %+v", h.Events)
	}
	_, page := send(t, comeIn(t, s, shed), http.MethodGet, s.URL+"/happened?"+since, nil)
	if !strings.Contains(page, "s server did not listen between 13:45 and 14:20.") || !strings.Contains(page, "1 time is not in the record.") {
		t.Error("the page does not say when nobody listened")
	}
}

func TestTheOperatorOfAServicesKeysIsToldWhoseGapItIs(t *testing.T) {
	s, now, shed, _ := absence(t, func(c *Config) {
		c.Front = &Front{Service: "tendrl.example", Agree: func(context.Context, access.Grant) error { return nil }}
	})
	if err := s.store.BeginGap(t.Context(), shed.JTI, history.GapUnheard, now.Add(-78*time.Minute)); err != nil {
		t.Fatal(err)
	}
	h := happened{From: now.Add(-3 * time.Hour), To: now}
	if err := s.server.find(t.Context(), access.OperatorGrant("home", "local", time.Time{}), time.UTC, &h); err != nil {
		t.Fatal(err)
	}
	if len(h.Events) != 1 || h.Events[0].Entity != "shed" || h.Events[0].Reason != history.GapUnheard || h.Events[0].To != nil {
		t.Errorf("%+v", h.Events)
	}
}

func TestWithoutLeavesWhatCouldBeHeard(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 5, 1, 12, minute, 0, 0, time.UTC) }
	whole := history.Silence{From: at(10), To: at(50)}
	for name, tt := range map[string]struct {
		silence history.Silence
		gaps    []history.Gap
		want    []history.Silence
	}{
		"no gap":              {whole, nil, []history.Silence{whole}},
		"one in the middle":   {whole, []history.Gap{{Began: at(20), Ended: at(30)}}, []history.Silence{{From: at(10), To: at(20)}, {From: at(30), To: at(50)}}},
		"one over it":         {whole, []history.Gap{{Began: at(0), Ended: at(59)}}, nil},
		"one that lasts":      {whole, []history.Gap{{Began: at(20)}}, []history.Silence{{From: at(10), To: at(20)}}},
		"one at the start":    {whole, []history.Gap{{Began: at(5), Ended: at(15)}}, []history.Silence{{From: at(15), To: at(50)}}},
		"before and after it": {whole, []history.Gap{{Began: at(1), Ended: at(10)}, {Began: at(50)}}, []history.Silence{whole}},
		"two, and it lasts": {
			history.Silence{From: at(10)},
			[]history.Gap{{Began: at(20), Ended: at(30)}, {Began: at(25), Ended: at(40)}}, []history.Silence{{From: at(10), To: at(20)}, {From: at(40)}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, without(tt.silence, at(59), tt.gaps)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A key that was renewed, or one of two, does not make its entity quiet.
func TestAnEntityIsQuietWhereAllItsTopicsAre(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 5, 1, 12, minute, 0, 0, time.UTC) }
	a := []silence{{entity: "shed", from: at(10)}}
	b := []silence{{entity: "shed", from: at(5), to: at(20)}, {entity: "shed", from: at(30), to: at(40), unheard: true}}
	want := []silence{{entity: "shed", from: at(10), to: at(20)}, {entity: "shed", from: at(30), to: at(40), unheard: true}}
	if diff := cmp.Diff(want, both(a, b, at(59)), cmp.AllowUnexported(silence{}, rhythm.Rhythm{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := both(a, nil, at(59)); got != nil {
		t.Errorf("%+v: the other topic was heard", got)
	}
}

// What the owner of a board has set holds for what happened too.
func TestLimitsOnTheDevicesOfOthersPushOutNone(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	limit := func(board, entity string) history.Setting {
		return history.Setting{Board: board, Entity: entity, Reading: "t", Field: history.SettingHigh, Value: "1"}
	}
	set := []history.Setting{limit("home:local:zed", "zed")}
	for i := range 250 {
		set = append(set, limit("home:local:", fmt.Sprintf("a%03d", i)))
	}
	if err := s.store.PutSettings(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	zed := s.key(t, "zed")
	record(t, s, zed, `{"data":{"t":5}}`, now.Add(-time.Hour))
	record(t, s, zed, `{"data":{"t":0}}`, now.Add(-30*time.Minute))
	_, body := send(t, s.browser(t), "GET", s.URL+"/api/history/happened", nil, "Authorization", "Bearer "+zed.Key)
	if !strings.Contains(body, `"kind":"outside"`) || !strings.Contains(body, `"more":false`) {
		t.Errorf("what others have set hides one's own: %s", body)
	}
}

func TestWhatHappenedIsToldAsTheOwnerWantsIt(t *testing.T) {
	s, now, shed, _ := absence(t, nil)
	board := shed.Sub
	put := func(reading string, field history.SettingField, value string) {
		t.Helper()
		one := history.Setting{Board: board, Entity: "shed", Reading: reading, Field: field, Value: value}
		if err := s.store.PutSettings(t.Context(), []history.Setting{one}); err != nil {
			t.Fatal(err)
		}
	}
	b := comeIn(t, s, shed)
	path := s.URL + "/happened?since=" + url.QueryEscape(now.Add(-2*time.Hour).Format(time.RFC3339))
	put("", history.SettingName, "Glass house")
	put("temp_c", history.SettingName, "Warmth")
	put("temp_c", history.SettingHigh, "23.5")
	_, page := send(t, b, http.MethodGet, path, nil)
	for _, want := range []string{"Glass house", `<a href="/value?entity=shed&amp;reading=temp_c">Warmth</a>`, "was above 23.5 °C from 13:", "up to 24 °C."} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	put("door", history.SettingHidden, "yes")
	day := s.URL + "/happened"
	if _, page := send(t, b, http.MethodGet, day, nil); strings.Contains(page, "Open → Closed") || !strings.Contains(page, "is back") {
		t.Error("a hidden value is told, or what is not hidden is not")
	}
	put("", history.SettingHidden, "yes")
	if _, page := send(t, b, http.MethodGet, day, nil); strings.Contains(page, "is back") || strings.Contains(page, "Warmth") {
		t.Error("a hidden device is told of")
	}
}

// Whoever tries it out does all of it within two minutes. The newest is first, in each minute too, and what came back is over.
func TestWhatHappenedWithinAMinuteIsToldInItsOrder(t *testing.T) {
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return boardNow } })
	shed := s.key(t, "shed")
	ago := func(d time.Duration) time.Time { return boardNow.Truncate(time.Minute).Add(-d) }
	for d, data := range map[time.Duration]string{
		10 * time.Minute: `{"temp_c":22,"pump":"off"}`, 75 * time.Second: `{"temp_c":18.1}`, 70 * time.Second: `{"pump":"on"}`, 65 * time.Second: `{"temp_c":21}`,
		50 * time.Second: `{"temp_c":33}`,
	} {
		record(t, s, shed, `{"data":`+data+`}`, ago(d))
	}
	one := history.Setting{Board: shed.Sub, Entity: "shed", Reading: "temp_c", Field: history.SettingLow, Value: "20"}
	other := one
	other.Field, other.Value = history.SettingHigh, "30"
	if err := s.store.PutSettings(t.Context(), []history.Setting{one, other}); err != nil {
		t.Fatal(err)
	}
	_, page := send(t, comeIn(t, s, shed), http.MethodGet, s.URL+"/happened", nil)
	begun, over := ago(50*time.Second).Format("15:04"), ago(75*time.Second).Format("15:04")
	rest := page
	for _, words := range []string{"has been above 30 °C since " + begun + ", up to 33 °C.", "was below 20 °C at " + over + " for 10 s, down to 18.1 °C.", "Off → On"} {
		_, after, there := strings.Cut(rest, words)
		if !there {
			t.Fatalf("%q is not said, or not in its place: %s", words, page)
		}
		rest = after
	}
}

// A reason that has no words would be told as if nobody knew it.
func TestEveryReasonOfAGapHasWords(t *testing.T) {
	unknown := templates.GapWords("none of these", "")
	for _, reason := range []string{history.GapStopped, history.GapUpstream, history.GapUnheard, history.GapFull, history.GapFailing} {
		if templates.GapWords(reason, "") == unknown {
			t.Errorf("%s has none", reason)
		}
	}
}

// What was removed came as well.
func TestWhatIsNotKeptIsNotSaidNotToHaveCome(t *testing.T) {
	s, now, shed, _ := absence(t, nil)
	b := comeIn(t, s, shed)
	if _, page := send(t, b, http.MethodGet, s.URL+"/happened", nil); !strings.Contains(page, "messages came.") || strings.Contains(page, "kept") {
		t.Error("it does not say how many came while all are kept")
	}
	file, err := sql.Open("sqlite", "file:"+filepath.Join(s.dir, "trellis.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, err = file.Exec(`INSERT INTO swept SELECT topic, max(id) FROM messages WHERE received < ? GROUP BY topic;
		DELETE FROM messages WHERE id <= (SELECT message FROM swept WHERE swept.topic = messages.topic) AND NOT EXISTS (SELECT 1 FROM latest WHERE message = messages.id)`,
		now.Add(-12*time.Minute).UnixMicro())
	if err != nil {
		t.Fatal(err)
	}
	_, page := send(t, b, http.MethodGet, s.URL+"/happened", nil)
	for _, want := range []string{"2 messages are kept.", "Messages from before 14:50 are not all kept any more, so not all that happened then is known."} {
		if !strings.Contains(page, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if strings.Contains(page, "messages came.") {
		t.Error("it says how many came")
	}
	since := "since=" + url.QueryEscape(now.Add(-8*time.Minute).Format(time.RFC3339))
	if _, page := send(t, b, http.MethodGet, s.URL+"/happened?"+since, nil); !strings.Contains(page, "1 message came.") {
		t.Error("of a time of which all is kept it does not say how many came")
	}
}
