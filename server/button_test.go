package server

import (
	"maps"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the machine that runs this may have no zones

	"trellis/access"
	"trellis/history"
)

func TestAButtonIsPressedInItsHours(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		when, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for name, tt := range map[string]struct {
		from, to string
		zone     string
		when     time.Time
		want     bool
	}{
		"by day":                                {"07:00", "22:00", "UTC", at("2026-05-01T12:00:00Z"), true},
		"at its first minute":                   {"07:00", "22:00", "UTC", at("2026-05-01T07:00:00Z"), true},
		"at its end":                            {"07:00", "22:00", "UTC", at("2026-05-01T22:00:00Z"), false},
		"across midnight, before":               {"22:00", "06:00", "UTC", at("2026-05-01T23:30:00Z"), true},
		"across midnight, after":                {"22:00", "06:00", "UTC", at("2026-05-01T05:59:59Z"), true},
		"across midnight, by day":               {"22:00", "06:00", "UTC", at("2026-05-01T12:00:00Z"), false},
		"in a zone ahead":                       {"07:00", "22:00", "Asia/Tokyo", at("2026-05-01T22:30:00Z"), true},
		"in a zone behind":                      {"07:00", "22:00", "America/New_York", at("2026-05-01T10:30:00Z"), false},
		"winter in Berlin":                      {"07:00", "22:00", "Europe/Berlin", at("2026-01-15T06:30:00Z"), true},
		"summer in Berlin":                      {"07:00", "22:00", "Europe/Berlin", at("2026-07-15T05:30:00Z"), true},
		"the hour that spring leaves out":       {"02:00", "03:00", "Europe/Berlin", time.Date(2026, 3, 29, 1, 59, 0, 0, berlin).Add(time.Minute), false},
		"the hour that autumn has twice, first": {"02:00", "03:00", "Europe/Berlin", at("2026-10-25T00:30:00Z"), true},
		"and second":                            {"02:00", "03:00", "Europe/Berlin", at("2026-10-25T01:30:00Z"), true},
		"and after":                             {"02:00", "03:00", "Europe/Berlin", at("2026-10-25T02:30:00Z"), false},
		"always":                                {"", "", "", at("2026-10-25T02:30:00Z"), true},
	} {
		t.Run(name, func(t *testing.T) {
			var b history.Button
			form := map[string]string{"from": tt.from, "to": tt.to, "zone": tt.zone}
			if err := readHours(func(name string) string { return form[name] }, &b); err != nil {
				t.Fatal(err)
			}
			if got := within(b, tt.when); got != tt.want {
				t.Errorf("%s: %v", tt.when, got)
			}
		})
	}
}

func TestWhatAnOwnerMayMake(t *testing.T) {
	good := map[string]string{"label": " Water  the beds ", "entity": "home:local:soil", "data": ` {"seconds": 20} `, "risk": "plain"}
	numbered := map[string]string{"number": "yes", "name": "seconds", "min": "5", "max": "60", "step": "0.1", "start": "20", "unit": "s"}
	long := strings.Repeat("x", 5000)
	for name, tt := range map[string]struct {
		change map[string]string
		fine   bool
		check  func(b history.Button) bool
	}{
		"plain": {nil, true, func(b history.Button) bool {
			return b.Label == "Water the beds" && b.Entity == "soil" && b.Data == `{"seconds":20}`
		}},
		"a word":                         {map[string]string{"data": "blink"}, true, func(b history.Button) bool { return b.Data == `"blink"` && b.Risk == riskPlain }},
		"a word that matters":            {map[string]string{"data": "open"}, true, func(b history.Button) bool { return b.Risk == riskConfirm }},
		"switching":                      {map[string]string{"data": `{"pump_state":true}`}, true, func(b history.Button) bool { return b.Risk == riskConfirm }},
		"a label that matters":           {map[string]string{"label": "Unlock it", "undo": "yes"}, true, func(b history.Button) bool { return b.Risk == riskConfirm && !b.Undo }},
		"what matters, knowingly":        {map[string]string{"label": "Lamp ON", "knowing": "yes"}, true, func(b history.Button) bool { return b.Risk == riskPlain }},
		"a word inside another":          {map[string]string{"label": "Onward, lonely offer"}, true, func(b history.Button) bool { return b.Risk == riskPlain }},
		"with undo":                      {map[string]string{"undo": "yes"}, true, func(b history.Button) bool { return b.Undo }},
		"a number":                       {numbered, true, func(b history.Button) bool { return b.Number.Step == 0.1 && b.Number.Start == 20 }},
		"the number alone":               {merged(numbered, "name", "", "data", ""), true, func(b history.Button) bool { return b.Data == "" }},
		"a number in a word":             {merged(numbered, "data", "word"), false, nil},
		"a number without a name":        {merged(numbered, "name", ""), false, nil},
		"a step of nothing":              {merged(numbered, "step", "0"), false, nil},
		"a step backwards":               {merged(numbered, "step", "-1"), false, nil},
		"the largest below the smallest": {merged(numbered, "max", "4"), false, nil},
		"a start that cannot be chosen":  {merged(numbered, "start", "20.05"), false, nil},
		"a million steps too many":       {merged(numbered, "step", "0.000001"), false, nil},
		"without an end":                 {merged(numbered, "max", "Inf"), false, nil},
		"no label":                       {map[string]string{"label": " "}, false, nil},
		"a long label":                   {map[string]string{"label": strings.Repeat("ä", 41)}, false, nil},
		"a label with a bell":            {map[string]string{"label": "ding\a"}, false, nil},
		"a label that turns around":      {map[string]string{"label": "gate\u202Enepo"}, false, nil},
		"nothing to tell":                {map[string]string{"data": ""}, false, nil},
		"much to tell":                   {map[string]string{"data": long}, false, nil},
		"half of JSON":                   {map[string]string{"data": `{"a":`}, false, nil},
		"a long device":                  {map[string]string{"entity": long}, false, nil},
		"an unknown risk":                {map[string]string{"risk": "none"}, false, nil},
		"often":                          {map[string]string{"most": "3", "per": "3600"}, true, func(b history.Button) bool { return b.Most == 3 && b.Per == 3600 }},
		"never":                          {map[string]string{"most": "0", "per": "3600"}, false, nil},
		"in a fortnight":                 {map[string]string{"most": "3", "per": "1209600"}, false, nil},
		"half of the hours":              {map[string]string{"from": "07:00"}, false, nil},
		"an hour that is none":           {map[string]string{"from": "07:00", "to": "25:00"}, false, nil},
		"a zone that is none":            {map[string]string{"from": "07:00", "to": "22:00", "zone": "../../etc/passwd"}, false, nil},
		"the server's own zone":          {map[string]string{"from": "07:00", "to": "22:00", "zone": "Local"}, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			form := maps.Clone(good)
			maps.Copy(form, tt.change)
			b, err := readButton(func(name string) string { return form[name] }, access.OperatorGrant("home", "local", time.Time{}))
			switch {
			case (err == nil) != tt.fine:
				t.Errorf("%+v, %v", b, err)
			case tt.fine && !tt.check(b):
				t.Errorf("%+v %+v", b, b.Number)
			}
		})
	}
}

func merged(form map[string]string, more ...string) map[string]string {
	form = maps.Clone(form)
	for i := 0; i < len(more); i += 2 {
		form[more[i]] = more[i+1]
	}
	return form
}

func TestAnOwnerMakesChangesAndRemovesButtonsWithoutScripts(t *testing.T) {
	s := newSite(t, nil)
	b := s.holder(t, "shed")
	form := url.Values{"label": {"Blink"}, "data": {"blink"}, "risk": {"plain"}}
	answer, page := send(t, b, "POST", s.URL+"/buttons", form)
	if answer.StatusCode != 200 || answer.Request.URL.Path != "/" || !strings.Contains(page, ">Blink</button>") {
		t.Fatalf("made: %s", answer.Status)
	}
	all, err := s.store.Buttons(t.Context(), "home:local:shed")
	if err != nil || len(all) != 1 || all[0].Entity != "shed" {
		t.Fatalf("%+v %v", all, err)
	}
	form.Set("id", all[0].ID)
	form.Set("version", "1")
	form.Set("label", "Blink twice")
	if _, page = send(t, b, "POST", s.URL+"/buttons", form); !strings.Contains(page, ">Blink twice</button>") {
		t.Error("the change is not on the page")
	}
	if answer, _ = send(t, b, "POST", s.URL+"/buttons", form, "Accept", "application/json"); answer.StatusCode != 409 {
		t.Errorf("changed from an older page: %s", answer.Status)
	}
	form.Set("label", "")
	if answer, page = send(t, b, "POST", s.URL+"/buttons", form); answer.StatusCode != 422 || !strings.Contains(page, "Give the button a name") {
		t.Errorf("without a label: %s", answer.Status)
	}
	other := s.holder(t, "barn")
	for _, path := range []string{"/buttons/move", "/buttons/remove"} {
		if answer, _ := send(t, other, "POST", s.URL+path, url.Values{"id": {all[0].ID}, "to": {"up"}}, "Accept", "application/json"); answer.StatusCode != 404 {
			t.Errorf("%s of another board: %s", path, answer.Status)
		}
	}
	press := url.Values{"button": {all[0].ID}, "version": {"2"}, "press": {aPress}}
	if answer, page = send(t, b, "POST", s.URL+"/press", press); answer.Request.URL.Path != "/" || !strings.Contains(page, "Accepted ") || !strings.Contains(page, "Who pressed what") {
		t.Errorf("pressed: %s at %s", answer.Status, answer.Request.URL)
	}
	if _, page = send(t, b, "POST", s.URL+"/buttons/remove", url.Values{"id": {all[0].ID}}); strings.Contains(page, ">Blink twice</button>") {
		t.Error("it is there after it was removed")
	}
}

func TestWhatSwitchesOrOpensIsKnownByItsWords(t *testing.T) {
	for data, want := range map[string]bool{
		`{"cmd":"turnOn"}`: true, `{"gateOpen":1}`: true, `"unlocked"`: true, `{"doorOPEN":1}`: true, `{"IOReset":1}`: true, `"opening"`: true, `"stopped"`: true,
		`{"turn":"on"}`: true, `{"method":"Switch.Set","params":{"id":0}}`: true, `{"method":"Cover.Open"}`: true, `{"relay1":"on"}`: true, // Shelly
		`{"POWER1":"TOGGLE"}`: true, `{"PowerOnState":1}`: true, `{"ShutterClose1":""}`: true, `"Restart 1"`: true, // Tasmota
		`{"state":"ON"}`: true, `{"state_l1":"TOGGLE"}`: true, `{"state":"UNLOCK"}`: true, `"poweroff"`: true, `"onoff"`: true, // Zigbee2MQTT and others
		`{"setpoint":19}`: false, `"blink"`: false, `{"position":40}`: false, `{"brightness":120,"color":{"x":0.3}}`: false, `{"song":"once"}`: false,
		`{"tone":"alarm"}`: false, `{"soffit":1}`: false, `"clockwise"`: false, `{"station":3}`: false, `{"onset":3}`: false,
	} {
		if got := matters(history.Button{Label: "Gate", Data: data}); got != want {
			t.Errorf("%s matters: %v", data, got)
		}
		if got := matters(history.Button{Label: strings.Trim(data, `"{}`), Data: `"x"`}); got != want {
			t.Errorf("the label %s matters: %v", data, got)
		}
	}
}

func TestNoFormIsOnAPageThatReloadsItself(t *testing.T) {
	s := newSite(t, nil)
	b := s.holder(t, "shed")
	reloads := regexp.MustCompile(`http-equiv="refresh"`)
	forms := regexp.MustCompile(`<details id="making"[^>]*data-fold="made"( open)?>`)
	if _, page := send(t, b, "GET", s.URL+"/", nil); !reloads.MatchString(page) || forms.MatchString(page) || !strings.Contains(page, `<noscript><p><a href="/?change=buttons#making">`) {
		t.Error("a page that reloads itself shows the owner's forms, or no way to them")
	}
	if _, page := send(t, b, "GET", s.URL+"/?change=buttons", nil); reloads.MatchString(page) || forms.FindString(page) == "" || !strings.Contains(forms.FindString(page), " open") {
		t.Error("the page with the owner's forms reloads itself, or hides them")
	}
}
