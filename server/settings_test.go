package server

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"trellis/history"
	"trellis/templates"
)

// wishFor sends one change as a page's script does, and gives what is set from then on, or the reason of a refusal.
func wishFor(t *testing.T, s *site, b *http.Client, words ...string) (all []templates.Wish, reason string) {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(words); i += 2 {
		form.Set(words[i], words[i+1])
	}
	_, body := send(t, b, http.MethodPost, s.URL+"/settings", form, "Accept", "application/json", "Sec-Fetch-Site", "same-origin", "Origin", s.URL)
	var answer struct {
		Settings []templates.Wish
		Reason   string
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v: %.300s", err, body)
	}
	return answer.Settings, answer.Reason
}

// operator is a browser in which the operator has signed in.
func operator(t *testing.T, s *site) *http.Client {
	t.Helper()
	b := s.browser(t)
	if err := s.store.PutCode(t.Context(), CodeHash("code"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if answer, page := send(t, b, http.MethodPost, s.URL+"/enter", url.Values{"code": {"code"}}); answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status, page)
	}
	return b
}

func TestASettingIsOfItsBoardAlone(t *testing.T) {
	s, key, shed := boardSite(t, nil)
	gate := s.key(t, "gate")
	record(t, s, key, `{"data":{"temperature":21.5}}`, boardNow)
	record(t, s, gate, `{"data":{"temperature":9}}`, boardNow)
	house, other := operator(t, s), signedIn(t, s, gate.Key)

	wishFor(t, s, house, "entity", "shed", "do", "change", "name", "Garden shed")
	wishFor(t, s, house, "entity", "gate", "do", "change", "name", "Front gate")
	wishFor(t, s, house, "entity", "shed", "reading", "temperature", "do", "change", "name", "Air", "unit", "°F")
	if page := pageOf(t, s, shed); !strings.Contains(page, "Garden shed") || !strings.Contains(cardOf(t, page, "temperature"), ">70.7</output>") {
		t.Error("the operator's settings are not those of the boards below:", cardOf(t, page, "temperature"))
	}
	all, _ := wishFor(t, s, shed, "entity", "shed", "reading", "temperature", "do", "change", "name", "Roof")
	if len(all) != 2 || all[1].Name != "Roof" || all[1].Unit != "°F" {
		t.Errorf("a field of its own takes the others away, or what is another's is told: %+v", all)
	}
	if page := pageOf(t, s, house); !strings.Contains(cardOf(t, page, "temperature"), "data-label") || strings.Contains(page, "Roof") {
		t.Error("the operator sees what is set below")
	}
	if page := pageOf(t, s, other); strings.Contains(page, "Garden shed") || !strings.Contains(page, "Front gate") {
		t.Error("another key sees what is not its own")
	}
	wishFor(t, s, house, "entity", "gate", "reading", "temperature", "do", "change", "name", "Safe")
	if _, body := send(t, shed, http.MethodGet, s.URL+"/history/range?entity=gate&reading=temperature", nil); !strings.Contains(body, `"label":"Temperature"`) {
		t.Errorf("another's value has the name that the operator gave it: %s", body)
	}
	if err := s.store.AddButtons(t.Context(), key.Sub, history.Button{ID: "other", Label: "Open", Entity: "gate", Risk: riskPlain, Data: "1"}); err != nil {
		t.Fatal(err)
	}
	if page := pageOf(t, s, shed); !strings.Contains(page, ">Open<") || strings.Contains(page, "Front gate") {
		t.Error("a button for a device that is not heard has the name that the operator gave it")
	}
	// What is taken back here is as it comes, whatever is set above; and then as it is set above.
	all, _ = wishFor(t, s, shed, "entity", "shed", "reading", "temperature", "do", "change", "unit", "")
	if all[1].Unit != "" || all[1].Name != "Roof" {
		t.Errorf("the unit was not taken back: %+v", all)
	}
	all, _ = wishFor(t, s, shed, "entity", "shed", "reading", "temperature", "do", "reset")
	if all[1].Unit != "°F" || all[1].Name != "Air" {
		t.Errorf("after a reset: %+v", all)
	}
}

func TestChangesOfTwoPeopleAreBothKept(t *testing.T) {
	s, key, one := boardSite(t, nil)
	record(t, s, key, `{"data":{"temperature":21.5}}`, boardNow)
	two := signedIn(t, s, key.Key)
	// Both printed their page before either changed something, and send all fields, as without scripts.
	printed := []string{"entity", "shed", "reading", "temperature", "do", "change", "was_name", "", "was_unit", "", "was_high", "", "in", "°C"}
	wishFor(t, s, one, append(slices.Clone(printed), "name", "Roof", "unit", "", "high", "")...)
	all, _ := wishFor(t, s, two, append(slices.Clone(printed), "name", "", "unit", "°F", "high", "30")...)
	if len(all) != 1 || all[0].Name != "Roof" || all[0].Unit != "°F" || all[0].High == nil || *all[0].High != 30 {
		t.Errorf("one change is lost: %+v", all)
	}
}

func TestWhatCannotBeSetIsRefused(t *testing.T) {
	s, key, b := boardSite(t, nil)
	record(t, s, key, `{"data":{"temperature":21.5,"door":"open"}}`, boardNow)
	record(t, s, s.key(t, "gate"), `{"data":{"temperature":9}}`, boardNow)
	wishFor(t, s, b, "entity", "shed", "reading", "temperature", "do", "change", "low", "5", "in", "°C")
	for name, tt := range map[string]struct {
		words  []string
		reason string
	}{
		"another's device":       {[]string{"entity", "gate", "do", "change", "name", "Mine"}, "not_heard"},
		"another's value":        {[]string{"entity", "gate", "reading", "temperature", "do", "hide"}, "not_heard"},
		"what was never said":    {[]string{"entity", "shed", "reading", "nothing", "do", "hide"}, "not_heard"},
		"nobody":                 {[]string{"do", "hide"}, "not_heard"},
		"nothing that there is":  {[]string{"entity", "shed", "do", "explode"}, "change"},
		"a long name":            {[]string{"entity", "shed", "do", "change", "name", strings.Repeat("ö", 61)}, "setting_name"},
		"a name turned around":   {[]string{"entity", "shed", "do", "change", "name", "a\u202eb"}, "setting_name"},
		"a name that is no text": {[]string{"entity", "shed", "do", "change", "name", "a\xff"}, "setting_name"},
		"a long unit":            {[]string{"entity", "shed", "reading", "temperature", "do", "change", "unit", strings.Repeat("x", 17)}, "setting_unit"},
		"seven digits":           {[]string{"entity", "shed", "reading", "temperature", "do", "change", "digits", "7"}, "setting_digits"},
		"minus one digit":        {[]string{"entity", "shed", "reading", "temperature", "do", "change", "digits", "-1"}, "setting_digits"},
		"a limit in words":       {[]string{"entity", "shed", "reading", "temperature", "do", "change", "high", "hot"}, "setting_limit"},
		"a limit with a comma":   {[]string{"entity", "shed", "reading", "temperature", "do", "change", "high", "1,013"}, "setting_limit"},
		"a limit without end":    {[]string{"entity", "shed", "reading", "temperature", "do", "change", "high", "1e999"}, "setting_limit"},
		"limits the wrong way":   {[]string{"entity", "shed", "reading", "temperature", "do", "change", "high", "4", "in", "°C"}, "setting_limits"},
		"a limit of a word":      {[]string{"entity", "shed", "reading", "door", "do", "change", "high", "4"}, "setting_word"},
		"a unit of a device":     {[]string{"entity", "shed", "do", "change", "unit", "m"}, "setting_word"},
	} {
		if _, reason := wishFor(t, s, b, tt.words...); reason != tt.reason {
			t.Errorf("%s: %q, want %q", name, reason, tt.reason)
		}
	}
	all, _ := wishFor(t, s, b, "entity", "shed", "reading", "temperature", "do", "change", "low", "5", "in", "°C")
	if len(all) != 1 || all[0].Name != "" || all[0].Hidden {
		t.Errorf("something refused was kept: %+v", all)
	}
}

func TestOnlyOurOwnPagesChangeABoard(t *testing.T) {
	s, key, b := boardSite(t, nil)
	record(t, s, key, `{"data":{"temperature":21.5}}`, boardNow)
	hide := url.Values{"entity": {"shed"}, "do": {"hide"}}
	foreign, _ := send(t, b, http.MethodPost, s.URL+"/settings", hide, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
	stranger, _ := send(t, s.browser(t), http.MethodPost, s.URL+"/settings", hide, "Accept", "application/json")
	if foreign.StatusCode != http.StatusForbidden || stranger.StatusCode != http.StatusUnauthorized {
		t.Errorf("another site is answered %s, a stranger %s", foreign.Status, stranger.Status)
	}
	send(t, b, http.MethodGet, s.URL+"/settings?"+hide.Encode(), nil)
	_, body := send(t, b, http.MethodGet, s.URL+"/settings", nil, "Accept", "application/json")
	if !strings.Contains(body, `"settings":[]`) {
		t.Error("something was changed:", body)
	}
	if secret, _ := send(t, s.browser(t), http.MethodGet, s.URL+"/settings", nil, "Accept", "application/json"); secret.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger who asks is answered %s", secret.Status)
	}
}

// orderOf gives the readings of a page in their order.
func orderOf(page string) (all []string) {
	for _, part := range strings.Split(page, `data-reading="`)[1:] {
		if name, _, _ := strings.Cut(part, `"`); name != "" && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

func TestThingsAreMovedPastWhatIsHidden(t *testing.T) {
	s, key, b := boardSite(t, nil)
	record(t, s, key, `{"data":{"alpha":1,"beta":2,"delta":3,"gamma":4,"rssi":-60}}`, boardNow)
	for _, entity := range []string{"one", "two"} {
		record(t, s, key, `{"entity":"`+entity+`","data":{"level":1}}`, boardNow)
	}
	expect := func(after string, want ...string) {
		t.Helper()
		if got := orderOf(groupOf(t, pageOf(t, s, b), "shed")); !slices.Equal(got[:4], want) {
			t.Errorf("after %s: %v, want %v", after, got, want)
		}
	}
	move := func(reading, way string) {
		t.Helper()
		wishFor(t, s, b, "entity", "shed", "reading", reading, "do", way)
	}
	move("alpha", "up")
	expect("moving the first one up", "alpha", "beta", "delta", "gamma")
	move("gamma", "down")
	expect("moving the last one down, past what is about the device", "alpha", "beta", "delta", "gamma")
	move("gamma", "up")
	expect("moving one up", "alpha", "beta", "gamma", "delta")
	wishFor(t, s, b, "entity", "shed", "reading", "beta", "do", "hide")
	move("gamma", "up")
	expect("moving one past one that is hidden", "gamma", "alpha", "beta", "delta")
	record(t, s, key, `{"data":{"aaa":1}}`, boardNow)
	if got := orderOf(groupOf(t, pageOf(t, s, b), "shed")); !slices.Equal(got[:5], []string{"gamma", "alpha", "beta", "delta", "aaa"}) {
		t.Errorf("what is new does not come last: %v", got)
	}
	wishFor(t, s, b, "entity", "two", "do", "up")
	page := pageOf(t, s, b)
	if strings.Index(page, `data-group="two"`) > strings.Index(page, `data-group="shed"`) {
		t.Error("a device was not moved up")
	}
	if all, _ := wishFor(t, s, b, "do", "order"); len(all) != 1 || !all[0].Hidden {
		t.Errorf("the order was not taken back, or more than that: %+v", all)
	}
}

func TestWhoMovesWhatIsAtTheEndHearsThat(t *testing.T) {
	s, key, b := boardSite(t, nil)
	record(t, s, key, `{"data":{"alpha":1,"beta":2}}`, boardNow)
	for move, want := range map[string]string{"alpha up": "It stands first already.", "beta down": "It stands last already.", "beta up": "Saved."} {
		reading, way, _ := strings.Cut(move, " ")
		_, body := send(t, b, http.MethodPost, s.URL+"/settings", url.Values{"entity": {"shed"}, "reading": {reading}, "do": {way}},
			"Accept", "application/json", "Sec-Fetch-Site", "same-origin", "Origin", s.URL)
		if !strings.Contains(body, `"said":"`+want+`"`) {
			t.Errorf("%s: %s", move, body)
		}
		wishFor(t, s, b, "do", "order")
	}
	answer, page := send(t, b, http.MethodPost, s.URL+"/settings", url.Values{"entity": {"shed"}, "reading": {"alpha"}, "do": {"up"}})
	if !strings.Contains(page, "It stands first already.") || strings.Contains(page, "Saved.") {
		t.Errorf("without scripts it is not said at %s", answer.Request.URL)
	}
}

func TestHiddenThingsAreListed(t *testing.T) {
	s, key, b := boardSite(t, nil)
	record(t, s, key, `{"data":{"temperature":21.5,"humidity":60}}`, boardNow)
	record(t, s, key, `{"entity":"old_probe","data":{"level":1}}`, boardNow)
	wishFor(t, s, b, "entity", "shed", "reading", "humidity", "do", "hide")
	wishFor(t, s, b, "entity", "old_probe", "do", "hide")
	page := pageOf(t, s, b)
	for _, want := range []string{"Hidden: 2", "Shed: Humidity", "<span>Old probe</span>", "1 value from Shed."} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q: %s", want, sentenceOf(page))
		}
	}
	answer, page := send(t, b, http.MethodPost, s.URL+"/settings", url.Values{"entity": {"old_probe"}, "reading": {""}, "do": {"show"}, "back": {"board"}})
	if answer.Request.URL.RequestURI() != "/" || !strings.Contains(page, "Hidden: 1") || strings.Contains(page, "data-change-of") {
		t.Errorf("it ends at %s", answer.Request.URL)
	}
}

func TestWithoutScriptsAChangeEndsAtWhatWasChanged(t *testing.T) {
	s, key, b := boardSite(t, nil)
	record(t, s, key, `{"data":{"soil moisture":60}}`, boardNow)
	for _, tt := range []struct{ reading, do, said, place string }{
		{"soil moisture", "up", "first", "of-shed/soil moisture"},
		{"", "down", "last", "of-shed"},
		{"soil moisture", "hide", "saved", "of-shed"},
	} {
		answer, page := send(t, b, http.MethodPost, s.URL+"/settings", url.Values{"entity": {"shed"}, "reading": {tt.reading}, "do": {tt.do}})
		if at := answer.Request.URL; answer.Request.Method != http.MethodGet || at.RequestURI() != "/?change="+tt.said || at.Fragment != tt.place {
			t.Errorf("%+v: it ends at %s", tt, at)
		}
		if !strings.Contains(page, `id="`+tt.place+`"`) {
			t.Errorf("%+v: there is no such place", tt)
		}
	}
}

func TestTheCheckNamesDevicesAsTheirOwnerDoes(t *testing.T) {
	s, key, b := boardSite(t, nil)
	record(t, s, key, `{"data":{"temperature":21.5}}`, boardNow)
	record(t, s, key, `{"entity":"old_probe","data":{"level":1}}`, boardNow)
	wishFor(t, s, b, "entity", "shed", "do", "change", "name", "Garden shed")
	wishFor(t, s, b, "entity", "old_probe", "do", "hide")
	_, page := send(t, b, http.MethodGet, s.URL+"/check", nil)
	if !strings.Contains(page, "Garden shed") || strings.Contains(page, "Old probe") || !strings.Contains(page, "1 device heard.") {
		t.Error("the check knows nothing of the owner's wishes")
	}
}

func TestProgramsReadWhatPeopleRead(t *testing.T) {
	s, key, b := boardSite(t, nil)
	record(t, s, key, `{"data":{"temperature":21.5}}`, boardNow)
	wishFor(t, s, b, "entity", "shed", "reading", "temperature", "do", "change", "name", "Roof", "unit", "°F", "digits", "2")
	answer, body := send(t, s.browser(t), http.MethodGet, s.URL+"/api/history/latest", nil, "Authorization", "Bearer "+key.Key)
	for _, want := range []string{`"label":"Roof"`, `"value":21.5`, `"shown":"70.70"`, `"unit":"°F"`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	holdTo(t, "/api/history/latest", answer, body)
}

func TestAFullBoardSaysSo(t *testing.T) {
	s, key, b := boardSite(t, nil)
	record(t, s, key, `{"data":{"temperature":21.5}}`, boardNow)
	s.server.Store = fullStore{s.server.Store}
	if _, reason := wishFor(t, s, b, "entity", "shed", "do", "hide"); reason != "settings_full" {
		t.Errorf("reason %q", reason)
	}
}

type fullStore struct{ Store }

func (fullStore) PutSettings(context.Context, []history.Setting) error {
	return history.ErrSettingsFull
}
