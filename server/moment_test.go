package server

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"trellis/access"
	"trellis/message"
)

var madeLink = regexp.MustCompile(`value="(http[^"]+/moment#([A-Z2-7]{26}))"`)

// sendIt makes a link to the shed's day, and gives its code and the page that shows it.
func sendIt(t *testing.T, s *site, b *http.Client, more ...string) (code, page string) {
	t.Helper()
	form := url.Values{"entity": {"house:shed"}, "reading": {"temp_c"}, "span": {"day"}, "to": {"2026-05-01T12:00:00Z"}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	answer, page := send(t, b, "POST", s.URL+"/value/moment", form)
	found := madeLink.FindStringSubmatch(page)
	if answer.StatusCode != 200 || found == nil {
		t.Fatalf("%d, no link in: %.3000s", answer.StatusCode, page)
	}
	return found[2], page
}

// openIt exchanges a code in a browser of its own.
func openIt(t *testing.T, s *site, code string) (b *http.Client, answer *http.Response, page string) {
	t.Helper()
	b = s.browser(t)
	answer, page = send(t, b, "POST", s.URL+"/moment", url.Values{"code": {code}})
	return b, answer, page
}

func TestAMomentShowsOneReadingAndNothingElse(t *testing.T) {
	s, _, owner := valueSite(t, nil)
	code, page := sendIt(t, s, owner, "title", "  A <b>warm</b>\nday ")
	if !strings.Contains(page, "A &lt;b&gt;warm&lt;/b&gt; day") {
		t.Error("the title is not on the page as text")
	}
	if !strings.Contains(page, "elsewhere 127.0.0.1 is another machine") {
		t.Error("nothing says that the link opens on this machine alone")
	}
	visitor, answer, page := openIt(t, s, strings.ToLower(code))
	if answer.StatusCode != 200 || !strings.HasPrefix(answer.Request.URL.Path, "/moment/") {
		t.Fatalf("%d at %s", answer.StatusCode, answer.Request.URL)
	}
	for _, want := range []string{"A &lt;b&gt;warm&lt;/b&gt; day", "Temperature", "Shed", "Lowest", "<table", "plot-line", "This page&#39;s server was off"} {
		if !strings.Contains(page, want) {
			t.Errorf("it does not show %q", want)
		}
	}
	for _, foreign := range []string{"house:shed", "home/local", "home:local", "secret_level", "door", "gate", "/history/", "/publish", code, "export", "code-curl", `id="settings"`} {
		if strings.Contains(page, foreign) {
			t.Errorf("it tells a visitor of %q", foreign)
		}
	}
	for _, closed := range []string{"/value?entity=house:shed&reading=temp_c", "/history/latest", "/history/range?entity=house:shed&reading=temp_c", "/history/export?entity=house:shed&reading=temp_c", "/history/messages"} {
		if answer, body := send(t, visitor, "GET", s.URL+closed, nil, "Accept", "application/json"); answer.StatusCode == 200 && !strings.HasSuffix(answer.Request.URL.Path, "/") {
			t.Errorf("%s is open to a visitor: %s", closed, body)
		}
	}
	for _, closed := range []string{"/value/moment", "/value/moment/withdraw"} {
		if answer, _ := send(t, visitor, "POST", s.URL+closed, url.Values{"entity": {"house:shed"}, "reading": {"temp_c"}}); answer.StatusCode < 400 {
			t.Errorf("%s is open to a visitor: %d", closed, answer.StatusCode)
		}
	}
}

// A cookie that somebody brings is not taken up: each opening makes a fresh one, and it shows no other moment.
func TestAMomentsCookieIsFreshAndItsOwn(t *testing.T) {
	s, _, owner := valueSite(t, nil)
	first, _ := sendIt(t, s, owner)
	second, _ := sendIt(t, s, owner, "span", "week")
	b, answer, _ := openIt(t, s, first)
	at := answer.Request.URL
	cookies := b.Jar.Cookies(at)
	if len(cookies) != 1 || len(cookies[0].Value) != 26 {
		t.Fatalf("cookies: %v", cookies)
	}
	_, answer, _ = openIt(t, s, second)
	other := answer.Request.URL
	_, id, _ := strings.Cut(other.Path, "/moment/")
	b.Jar.SetCookies(other, []*http.Cookie{{Name: "trellis-moment-" + id, Value: cookies[0].Value, Path: "/"}})
	if answer, page := send(t, b, "GET", other.String(), nil); answer.StatusCode != 404 || !strings.Contains(page, "Open the link that was sent to you") {
		t.Errorf("the cookie of one moment opens another: %d", answer.StatusCode)
	}
	send(t, b, "POST", s.URL+"/moment", url.Values{"code": {second}})
	for _, c := range b.Jar.Cookies(other) {
		if c.Name == "trellis-moment-"+id && c.Value == cookies[0].Value {
			t.Error("the cookie that was brought was taken up")
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/moment", strings.NewReader(url.Values{"code": {first}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	plain, err := s.browser(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Body.Close()
	if set := plain.Header.Get("Set-Cookie"); !strings.Contains(set, "HttpOnly") || !strings.Contains(set, "SameSite=Strict") {
		t.Errorf("the cookie is set as %s", set)
	}
	if answer, _ := send(t, owner, "POST", s.URL+"/moment", url.Values{"code": {first}}); answer.StatusCode != 200 {
		t.Errorf("the owner cannot open it: %d", answer.StatusCode)
	}
	if answer, _ := send(t, owner, "GET", s.URL+"/value?entity=house:shed&reading=temp_c", nil); answer.StatusCode != 200 || answer.Request.URL.Path != "/value" {
		t.Error("opening a moment signed its owner out")
	}
}

func TestALinkUntilADateEndsOnThatDate(t *testing.T) {
	var late time.Duration
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s, _, owner := valueSite(t, func(c *Config) { c.Now = func() time.Time { return now.Add(late) } })
	code, page := sendIt(t, s, owner, "until", "date", "date", "2026-05-05")
	visitor, answer, shown := openIt(t, s, code)
	if !strings.Contains(page, "Ends on Tuesday") || !strings.Contains(shown, "This link ends on Tuesday.") {
		t.Error("a link until Tuesday is not said to end on Tuesday")
	}
	for _, after := range []struct {
		late time.Duration
		says string
	}{{108*time.Hour - time.Second, "This link ends today."}, {108 * time.Hour, "This link ended on Tuesday."}} {
		late = after.late
		if _, page := send(t, visitor, "GET", answer.Request.URL.String(), nil); !strings.Contains(page, after.says) {
			t.Errorf("after %s it does not say %q", late, after.says)
		}
	}
}

func TestLinksEndAndAreWithdrawn(t *testing.T) {
	var late time.Duration
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s, _, owner := valueSite(t, func(c *Config) { c.Now = func() time.Time { return now.Add(late) } })
	day, _ := sendIt(t, s, owner, "until", "day")
	for_, _ := sendIt(t, s, owner)
	visitor, answer, _ := openIt(t, s, for_)
	at := answer.Request.URL.String()
	_, id, _ := strings.Cut(answer.Request.URL.Path, "/moment/")
	_, page := send(t, owner, "GET", s.URL+"/value?entity=house:shed&reading=temp_c", nil)
	for _, want := range []string{"Opened once, last just now", "Not opened yet", "Ends on Saturday", "No end"} {
		if !strings.Contains(page, want) {
			t.Errorf("the list does not say %q", want)
		}
	}
	form := url.Values{"entity": {"house:shed"}, "reading": {"temp_c"}, "id": {id}}
	if answer, page := send(t, owner, "POST", s.URL+"/value/moment/withdraw", form); answer.StatusCode != 200 || !strings.Contains(page, "Withdrawn today") {
		t.Fatalf("withdrawing: %d", answer.StatusCode)
	}
	for _, again := range []func() (*http.Response, string){
		func() (*http.Response, string) { return send(t, visitor, "GET", at, nil) },
		func() (*http.Response, string) { _, a, p := openIt(t, s, for_); return a, p },
	} {
		if answer, page := again(); answer.StatusCode != 410 || !strings.Contains(page, "This link was withdrawn.") || strings.Contains(page, "plot-line") {
			t.Errorf("what was withdrawn: %d", answer.StatusCode)
		}
	}
	if answer, page := send(t, owner, "POST", s.URL+"/value/moment/withdraw", form); answer.StatusCode != 404 || !strings.Contains(page, "withdrawn before") {
		t.Errorf("withdrawing twice: %d", answer.StatusCode)
	}
	late = 48 * time.Hour // it ended on Saturday, and now it is Sunday
	if _, answer, page := openIt(t, s, day); answer.StatusCode != 410 || !strings.Contains(page, "This link ended on Saturday. Ask whoever sent it to you for a new one.") {
		t.Errorf("what has ended: %d %s", answer.StatusCode, page)
	}
}

func TestMomentsThatCannotBeMadeAreRefusedOnThePage(t *testing.T) {
	s, _, owner := valueSite(t, nil)
	for name, tt := range map[string]struct {
		form   map[string]string
		status int
		says   string
	}{
		"nothing was heard":      {map[string]string{"to": "2026-01-01T00:00:00Z"}, 409, "Nothing was heard in this time, so there is nothing to send."},
		"a date that is over":    {map[string]string{"until": "date", "date": "2026-04-30"}, 400, "Choose a date from today on"},
		"a date that is none":    {map[string]string{"until": "date", "date": "soon"}, 400, "Choose a date from today on"},
		"an end of another kind": {map[string]string{"until": "forever"}, 400, "Choose a date from today on"},
		"another's value":        {map[string]string{"entity": "gate", "reading": "secret_level"}, 404, "There is no such value, or it is not shown to you."},
		"a span of another kind": {map[string]string{"span": "year"}, 400, "Say span as"},
	} {
		t.Run(name, func(t *testing.T) {
			form := url.Values{"entity": {"house:shed"}, "reading": {"temp_c"}}
			for k, v := range tt.form {
				form.Set(k, v)
			}
			answer, page := send(t, owner, "POST", s.URL+"/value/moment", form)
			if answer.StatusCode != tt.status || !strings.Contains(page, tt.says) || madeLink.MatchString(page) {
				t.Errorf("%d, and it does not say %q", answer.StatusCode, tt.says)
			}
		})
	}
	form := url.Values{"entity": {"house:shed"}, "reading": {"temp_c"}}
	if answer, _ := send(t, owner, "POST", s.URL+"/value/moment", form, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); answer.StatusCode != 403 {
		t.Errorf("a page of another site makes a link: %d", answer.StatusCode)
	}
}

func TestGuessingCodesIsLimited(t *testing.T) {
	s, _, _ := valueSite(t, nil)
	b := s.browser(t)
	for n := range 30 {
		answer, page := send(t, b, "POST", s.URL+"/moment", url.Values{"code": {"GUESS" + string(rune('A'+n))}})
		switch {
		case answer.StatusCode == http.StatusTooManyRequests && n >= guessBurst:
			return
		case answer.StatusCode != 404 || !strings.Contains(page, "This link is not known here."):
			t.Fatalf("guess %d is answered %d", n, answer.StatusCode)
		}
	}
	t.Error("somebody may guess for ever")
}

// What a preview does, a GET of the address, opens nothing.
func TestAPreviewOpensNothing(t *testing.T) {
	s, _, owner := valueSite(t, nil)
	_, page := sendIt(t, s, owner)
	found := madeLink.FindStringSubmatch(page)
	at, _, _ := strings.Cut(found[1], "#")
	for _, method := range []string{"GET", "HEAD"} {
		send(t, s.browser(t), method, at, nil)
	}
	if _, page := send(t, owner, "GET", s.URL+"/value?entity=house:shed&reading=temp_c", nil); !strings.Contains(page, "Not opened yet") || strings.Contains(page, found[2]) {
		t.Error("it was opened, or its code is shown a second time")
	}
}

// What is left out says so: a day whose first hours are empty looks as if nothing had been.
func TestTooManyChangesAreSaidToBeLeftOut(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return now } })
	shed := s.key(t, "house:shed")
	sub, err := access.ParseSubject(shed.Sub)
	if err != nil {
		t.Fatal(err)
	}
	from := message.Origin{Topic: sub.PublishTopic(shed.JTI), Source: shed.Sub, Entity: shed.Entity}
	var batch []message.Message
	for n := range 3 * 1440 { // twice a minute, for a day and a half
		from.Received = now.Add(time.Duration(n-3*1440) * 30 * time.Second)
		batch = append(batch, message.Normalise([]byte(`{"data":{"door":"`+[]string{"open", "shut"}[n%2]+`"}}`), from, func(string) bool { return false })...)
	}
	if err := s.store.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	b := comeIn(t, s, shed)
	_, page := send(t, b, http.MethodGet, s.URL+"/value?entity=house:shed&reading=door", nil)
	code, _ := sendIt(t, s, b, "reading", "door")
	_, _, sent := openIt(t, s, code)
	for name, text := range map[string]string{"the page": page, "the moment": sent} {
		for _, want := range []string{"Too many changes to show", "The newest 60 rows; earlier ones are left out."} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q", name, want)
			}
		}
	}
	for span, want := range map[string]string{"": `"more":true`, "&from=2026-05-01T11:00:00Z": `"more":false`} {
		if _, body := send(t, b, http.MethodGet, s.URL+"/history/range?entity=house:shed&reading=door"+span, nil); !strings.Contains(body, want) {
			t.Errorf("range%s does not say %s", span, want)
		}
	}
}
