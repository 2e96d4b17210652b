package server

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"trellis/history"
)

// valueSite is a shed that was heard every five minutes for a day, but for an hour in which it was silent and half an hour in which the
// server was off, and a gate that is somebody else's.
func valueSite(t *testing.T, change func(*Config)) (s *site, now time.Time, b *http.Client) {
	t.Helper()
	now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s = newSite(t, func(c *Config) {
		c.Now = func() time.Time { return now }
		if change != nil {
			change(c)
		}
	})
	shed, gate := s.key(t, "house:shed"), s.key(t, "gate")
	for n := range 24 * 12 {
		at := now.Add(time.Duration(n-24*12) * 5 * time.Minute)
		silent := at.After(now.Add(-6*time.Hour)) && at.Before(now.Add(-5*time.Hour))
		off := at.After(now.Add(-3*time.Hour)) && at.Before(now.Add(-150*time.Minute))
		if !silent && !off {
			record(t, s, shed, `{"data":{"temp_c":`+strconv.Itoa(20+n%5)+`,"door":"`+[]string{"open", "shut"}[n/100%2]+`"}}`, at)
		}
	}
	record(t, s, gate, `{"data":{"secret_level":77}}`, now)
	if err := s.store.BeginGap(t.Context(), "", history.GapStopped, now.Add(-3*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := s.store.EndGap(t.Context(), "", history.GapStopped, now.Add(-150*time.Minute)); err != nil {
		t.Fatal(err)
	}
	b = s.browser(t)
	send(t, b, "POST", s.URL+"/session", url.Values{"key": {shed.Key}})
	return s, now, b
}

// knowsRhythm waits until the rhythm of a device is known, which is learned beside the answers.
func knowsRhythm(t *testing.T, s *site, b *http.Client) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); ; {
		if _, body := send(t, b, "GET", s.URL+"/history/devices", nil); strings.Contains(body, `"rhythm":"steady"`) {
			return
		}
		if time.Now().After(until) {
			t.Fatal("nothing is learned")
		}
	}
}

func TestThePageOfAValueIsTrueWithoutScripts(t *testing.T) {
	s, _, b := valueSite(t, nil)
	knowsRhythm(t, s, b)
	for name, tt := range map[string]struct {
		query string
		says  []string
	}{
		"numbers": {"entity=house:shed&reading=temp_c", []string{
			"<h1>Temperature</h1>", "Shed", "House", "22", "°C", "5 min ago", "Times are UTC.", "The last day",
			"This page&#39;s server was off,", ">09:00</time>–", ">09:30</time>", "Quiet (usually every 5 min),",
			"Lowest", "Mean", "Highest", "<table", `data-plot="line"`, `aria-current="true" data-span>Day<`,
		}},
		"words": {"entity=house:shed&reading=door", []string{"<h1>Door</h1>", `data-plot="lanes"`, ">Open</text>", ">Shut</text>", "<table"}},
		"an hour before": {"entity=house:shed&reading=temp_c&span=hour&to=2026-05-01T08:00:00Z", []string{
			"One hour", ">Later →</a>", "span=hour&amp;to=2026-05-01T09%3A00%3A00Z",
		}},
		"a time of which there is nothing": {"entity=house:shed&reading=temp_c&to=2026-01-01T08:00:00Z", []string{"Nothing was heard in this time."}},
	} {
		t.Run(name, func(t *testing.T) {
			answer, page := send(t, b, "GET", s.URL+"/value?"+tt.query, nil)
			if answer.StatusCode != http.StatusOK {
				t.Fatalf("%d: %s", answer.StatusCode, page)
			}
			for _, want := range tt.says {
				if !strings.Contains(page, want) {
					t.Errorf("it does not say %q", want)
				}
			}
		})
	}
}

func TestALineIsNotDrawnWhereNothingIsKnown(t *testing.T) {
	s, _, b := valueSite(t, nil)
	knowsRhythm(t, s, b)
	_, page := send(t, b, "GET", s.URL+"/value?entity=house:shed&reading=temp_c", nil)
	_, line, _ := strings.Cut(page, `class="plot-line" d="`)
	line, _, _ = strings.Cut(line, `"`)
	if n := strings.Count(line, "M"); n != 3 {
		t.Errorf("the line has %d pieces, want 3: it was broken by a silence and by a stop", n)
	}
	if n := strings.Count(page, `class="plot-gap"`); n != 2 {
		t.Errorf("%d times are marked, want 2", n)
	}
}

// An outage that is narrower than what a chart can show is told all the same, with how long it was.
func TestAShortOutageIsListedWithItsLength(t *testing.T) {
	s, now, b := valueSite(t, nil)
	began := now.Add(-10*time.Minute + 5*time.Second)
	for _, err := range []error{
		s.store.BeginGap(t.Context(), "", history.GapStopped, began),
		s.store.EndGap(t.Context(), "", history.GapStopped, began.Add(35*time.Second)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, span := range []string{"hour", "day", "week", "month"} {
		_, page := send(t, b, "GET", s.URL+"/value?entity=house:shed&reading=temp_c&span="+span, nil)
		gaps, _, _ := strings.Cut(page[strings.Index(page, "data-gaps")+1:], "</ul>")
		if !strings.Contains(gaps, ">11:50</time>–") || !strings.Contains(gaps, "</time> (35 s)") || strings.Count(page, "</time> (35 s)") != 2 {
			t.Errorf("the %s does not list it, or its table does not: %s", span, gaps)
		}
	}
}

// A board that is told localhost asks itself.
func TestTheProgramForABoardSaysThatLocalhostIsTheBoard(t *testing.T) {
	for address, warned := range map[string]string{
		"http://localhost:8080": "localhost", "http://127.0.0.1:8080": "127.0.0.1", "http://[::1]:8080": "::1", "http://192.168.1.20:8080": "", "https://trellis.example": "",
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		s := &Server{Config: Config{PublicURL: u}}
		for _, one := range s.code(nil, asked{entity: "shed", reading: "t"}, boardNow, boardNow) {
			want := one.Name == "Arduino" && warned != ""
			if strings.Contains(one.Text, "// To the board, "+warned+" is the board itself.") != want || strings.Contains(one.Text, "{{") {
				t.Errorf("%s: %s", address, one.Text)
			}
		}
	}
}

func TestTheRecordOfAValueIsSaidToBegin(t *testing.T) {
	s, _, b := valueSite(t, nil)
	const begins = "The record of this value begins on <time data-moment data-whole datetime="
	for query, want := range map[string]string{
		"reading=temp_c&span=month":                       ">Apr 30, 2026, 12:00</time>.",
		"reading=door&span=week":                          ">Apr 30, 2026, 12:00</time>.",
		"reading=temp_c&span=hour":                        "",
		"reading=temp_c&span=day":                         "",
		"reading=temp_c&span=day&to=2026-04-01T12:00:00Z": ">Apr 30, 2026, 12:00</time>.",
	} {
		_, page := send(t, b, "GET", s.URL+"/value?entity=house:shed&"+query, nil)
		_, said, is := strings.Cut(page, begins)
		if said, _, _ = strings.Cut(said, "</p>"); is != (want != "") || !strings.HasSuffix(said, want) {
			t.Errorf("%s: %q, want %q", query, said, want)
		}
	}
}

// What does not exist and what somebody may not hear is answered in the same words.
func TestAValueOfAnotherIsAnsweredLikeNone(t *testing.T) {
	s, _, b := valueSite(t, nil)
	foreign, other := send(t, b, "GET", s.URL+"/value?entity=gate&reading=secret_level", nil)
	nothing, none := send(t, b, "GET", s.URL+"/value?entity=gate&reading=nothing_here", nil)
	if foreign.StatusCode != http.StatusNotFound || nothing.StatusCode != foreign.StatusCode || other != none {
		t.Errorf("answered %d and %d, the same words: %v", foreign.StatusCode, nothing.StatusCode, other == none)
	}
	if strings.Contains(other, "secret_level") || strings.Contains(other, ">77") || !strings.Contains(other, "There is no such value, or it is not shown to you.") {
		t.Errorf("the answer says: %s", other)
	}
	if answer, _ := send(t, s.browser(t), "GET", s.URL+"/value?entity=house:shed&reading=temp_c", nil); !strings.HasSuffix(answer.Request.URL.Path, "/") {
		t.Errorf("a stranger is shown %s", answer.Request.URL)
	}
}

func TestWrongQuestionsAreAnsweredInASentence(t *testing.T) {
	s, _, b := valueSite(t, nil)
	for query, says := range map[string]string{
		"entity=house:shed":                                 "which reading",
		"entity=house:shed&reading=temp_c&span=year":        "Say span as hour, day, week or month.",
		"entity=house:shed&reading=temp_c&to=yesterday":     "to must be a time",
		"entity=house:shed&reading=temp_c&to=0000-01-01Z":   "to must be a time",
		"entity=house:shed&reading=temp_c&to=%ff%00%3Cb%3E": "to must be a time",
	} {
		if answer, page := send(t, b, "GET", s.URL+"/value?"+query, nil); answer.StatusCode != http.StatusBadRequest || !strings.Contains(page, says) {
			t.Errorf("%s: %d, does not say %q", query, answer.StatusCode, says)
		}
	}
}

func FuzzAsked(f *testing.F) {
	for _, seed := range []string{
		"entity=a&reading=b", "entity=a&reading=b&span=week&to=2026-05-01T12:00:00Z", "entity=%00&reading=%ff&to=9999-12-31T23:59:59.999999999+14:00",
		"entity=a&reading=b&to=1970-01-01T00:00:00Z", "entity=a;b&reading=&&&", "entity=a&reading=b&span=month&to=1971-01-01T00:00:00-23:59",
	} {
		f.Add(seed)
	}
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		query, _ := url.ParseQuery(text)
		a, err := askedOf(query, now)
		if err != nil {
			return
		}
		from, to := a.times(now)
		if !from.Before(to) || to.After(now) || from.Year() < 1970 || to.Sub(from) > longestSpan {
			t.Fatalf("from %v to %v", from, to)
		}
		at, err := url.Parse(a.href())
		if err != nil || at.Host != "" || at.Path != "/value" {
			t.Fatalf("%q is no address of ours: %v", a.href(), err)
		}
		again, err := askedOf(at.Query(), now)
		if err != nil || !again.to.Equal(a.to) || again.entity != a.entity || again.reading != a.reading || again.span != a.span {
			t.Fatalf("%q leads to %+v, want %+v (%v)", a.href(), again, a, err)
		}
	})
}

// The page asks several questions about the past: whoever asks for it a hundred times at once waits for himself, as everywhere else.
func TestThePageOfAValueWaitsForItsTurn(t *testing.T) {
	s, _, b := valueSite(t, nil)
	address := s.URL + "/value?entity=house:shed&reading=temp_c"
	if answer, _ := send(t, b, "GET", address, nil); answer.StatusCode != http.StatusOK {
		t.Fatalf("alone it is answered %d", answer.StatusCode)
	}
	keys, err := s.keys.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.server.turns.mu.Lock()
	for _, k := range keys {
		s.server.turns.of[k.ID] = &turn{waiting: turnsWaited, one: make(chan struct{}, 1)}
	}
	s.server.turns.mu.Unlock()
	if answer, _ := send(t, b, "GET", address, nil); answer.StatusCode != http.StatusTooManyRequests {
		t.Errorf("behind %d others it is answered %d", turnsWaited, answer.StatusCode)
	}
}
