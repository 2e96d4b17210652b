package server

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"trellis/access"
	"trellis/history"
	"trellis/mqttproxy"
	"trellis/templates"
)

var boardNow = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// boardSite is a server at a fixed time, with a key and its holder's browser.
func boardSite(t *testing.T, change func(*Config)) (*site, access.NewKey, *http.Client) {
	t.Helper()
	s := newSite(t, func(c *Config) {
		c.Now = func() time.Time { return boardNow }
		if change != nil {
			change(c)
		}
	})
	key := s.key(t, "shed")
	return s, key, signedIn(t, s, key.Key)
}

// speak records what an entity says every 5 minutes, until so long ago.
func speak(t *testing.T, s *site, key access.NewKey, entity, data string, silent time.Duration) {
	t.Helper()
	for n := range 40 {
		record(t, s, key, fmt.Sprintf(`{"entity":%q,"data":%s}`, entity, data), boardNow.Add(-silent-time.Duration(39-n)*5*time.Minute))
	}
}

func pageOf(t *testing.T, s *site, b *http.Client) string {
	t.Helper()
	answer, page := send(t, b, http.MethodGet, s.URL+"/", nil)
	if answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	}
	return page
}

func sentenceOf(page string) string {
	_, after, _ := strings.Cut(page, "<h1 data-summary")
	_, after, _ = strings.Cut(after, ">")
	words, _, _ := strings.Cut(after, "</h1>")
	return words
}

func groupOf(t *testing.T, page, entity string) string {
	t.Helper()
	_, after, found := strings.Cut(page, `data-group="`+entity+`"`)
	if !found {
		t.Fatalf("the page has no group of %q", entity)
	}
	group, _, _ := strings.Cut(after, "</section>")
	return group
}

func TestTheFirstPageSaysWhoIsQuiet(t *testing.T) {
	s, key, b := boardSite(t, nil)
	speak(t, s, key, "home:climate", `{"temperature":21}`, time.Minute)
	speak(t, s, key, "home:pump", `{"flow":3}`, 9*time.Minute)
	speak(t, s, key, "home:zone", `{"flow":3}`, 22*time.Minute)
	page := pageOf(t, s, b)
	if got := sentenceOf(page); got != "1 of 3 is quiet: Zone, since 11:38." {
		t.Errorf("the sentence is %q", got)
	}
	for entity, want := range map[string][]string{
		"home:climate": {`data-look="live"`, "Live (usually every 5 min)", "Live ·", `data-usual="300000"`, "data-help hidden"},
		"home:pump":    {`data-look="old"`, "Last heard 9 min ago (usually every 5 min)", "data-help hidden"},
		"home:zone":    {`data-look="quiet"`, "Quiet since 11:38 (usually every 5 min)", "Quiet ·", "What can I do?", "Last message was normal"},
	} {
		group := groupOf(t, page, entity)
		for _, words := range want {
			if !strings.Contains(group, words) {
				t.Errorf("%s: no %q in %s", entity, words, group)
			}
		}
	}
	if zone, climate := strings.Index(page, `data-group="home:zone"`), strings.Index(page, `data-group="home:climate"`); zone > climate {
		t.Error("what is quiet does not come first")
	}
}

func TestAHeartbeatIsASignOfLifeThoughItBringsNoValue(t *testing.T) {
	s, key, b := boardSite(t, nil)
	speak(t, s, key, "home:zone", `{"flow":3}`, 32*time.Minute)
	for n := range 6 {
		record(t, s, key, `{"msg_type":"heartbeat","entity":"home:zone","data":{}}`, boardNow.Add(-time.Duration(27-5*n)*time.Minute))
	}
	page := pageOf(t, s, b)
	if got := sentenceOf(page); got != "Everything is as usual." {
		t.Errorf("the sentence is %q", got)
	}
	if group := groupOf(t, page, "home:zone"); !strings.Contains(group, "Live (usually every 5 min)") || !strings.Contains(group, ">32 min ago<") {
		t.Error("the device is not live, or its value not old:", group)
	}
}

func TestHealthIsFoldedAwayUntilLittleIsLeft(t *testing.T) {
	s, key, b := boardSite(t, nil)
	beat := func(free int) {
		record(t, s, key, fmt.Sprintf(`{"msg_type":"heartbeat","data":{"mem_free":%d,"mem_total":512000,"disk_free":9000000000,"disk_size":16000000000}}`, free), boardNow)
	}
	record(t, s, key, `{"data":{"temperature":21}}`, boardNow)
	beat(214000)
	main, more, _ := strings.Cut(groupOf(t, pageOf(t, s, b), "shed"), "data-more")
	if strings.Contains(main, "mem_free") || !strings.Contains(more, ">Memory<") || !strings.Contains(more, ">214<") || !strings.Contains(more, ">kB left<") || !strings.Contains(more, "42 % of 512 kB") || strings.Contains(more, "mem_total") {
		t.Error("what is about the device is not folded away as its health:", more)
	}
	beat(12000)
	page := pageOf(t, s, b)
	main, _, _ = strings.Cut(groupOf(t, page, "shed"), "data-more")
	if !strings.Contains(main, `data-attention="low: 12 kB left"`) || !strings.Contains(main, "2 % of 512 kB") {
		t.Error("little memory is folded away:", main)
	}
	if got := sentenceOf(page); got != "Shed memory is low: 12 kB left." {
		t.Errorf("the sentence is %q", got)
	}
}

func TestFactsOfASilence(t *testing.T) {
	s, key, b := boardSite(t, nil)
	speak(t, s, key, "home:zone", `{"flow":3,"battery":8}`, 22*time.Minute)
	speak(t, s, key, "home:pump", `{"flow":3,"mem_free":12000,"mem_total":512000}`, 22*time.Minute)
	speak(t, s, key, "barn:door", `{"flow":3}`, 40*time.Minute)
	speak(t, s, key, "barn:lamp", `{"flow":3}`, time.Minute)
	page := pageOf(t, s, b)
	for entity, want := range map[string][]string{
		"home:zone": {"Both devices in this place went quiet in the same minute: probably the Wi-Fi or power there.", "Battery said 8 %."},
		"home:pump": {"Both devices in this place", "Memory was low: 12 kB left."},
		"barn:door": {"Last message was normal: it said nothing of a low battery or little memory."},
	} {
		group := groupOf(t, page, entity)
		for _, words := range want {
			if !strings.Contains(group, "<li>"+words) {
				t.Errorf("%s: %q is not said: %s", entity, words, group)
			}
		}
	}
	if group := groupOf(t, page, "barn:door"); strings.Contains(group, "in this place") {
		t.Error("somebody who speaks is counted as quiet")
	}
}

func TestNothingIsSaidOfThePlaceOfDevicesWithoutOne(t *testing.T) {
	s, key, b := boardSite(t, nil)
	for _, entity := range []string{"greenhouse", "caravan", "home:zone", "home:pump"} {
		speak(t, s, key, entity, `{"flow":3}`, 22*time.Minute)
	}
	hidden := history.Setting{Board: "home:local:shed", Entity: "home:pump", Field: history.SettingHidden, Value: "yes"}
	if err := s.store.PutSettings(t.Context(), []history.Setting{hidden}); err != nil {
		t.Fatal(err)
	}
	page := pageOf(t, s, b)
	if !strings.Contains(groupOf(t, page, "caravan"), "Last message was normal") || strings.Contains(page, "in this place") {
		t.Error("devices that share no place, or are hidden, are said to have gone quiet together")
	}
}

func TestSilenceIsTaughtToBeNormalAndTakenBack(t *testing.T) {
	s, key, b := boardSite(t, nil)
	speak(t, s, key, "home:zone", `{"flow":3}`, 22*time.Minute)
	teach := func(entity, normal string) int {
		answer, _ := send(t, b, http.MethodPost, s.URL+"/normal", url.Values{"entity": {entity}, "normal": {normal}}, ownPage(s)...)
		return answer.StatusCode
	}
	if status := teach("home:zone", "yes"); status != http.StatusOK && status != http.StatusNoContent {
		t.Fatal(status)
	}
	page := pageOf(t, s, b)
	group := groupOf(t, page, "home:zone")
	if got := sentenceOf(page); got != "Everything is as usual." || !strings.Contains(group, "Reports only when something happens") || !strings.Contains(group, "Its silence is not normal any more") {
		t.Errorf("%q: %s", got, group)
	}
	teach("home:zone", "no")
	if got := sentenceOf(pageOf(t, s, b)); got != "Zone is quiet since 11:38." {
		t.Errorf("taken back: %q", got)
	}
	if a, c := teach("made-up", "yes"), teach("home:zone", "perhaps"); a != http.StatusNotFound || c != http.StatusBadRequest {
		t.Errorf("a device that is not there: %d; an answer that is none: %d", a, c)
	}
	foreign, _ := send(t, b, http.MethodPost, s.URL+"/normal", url.Values{"entity": {"home:zone"}, "normal": {"yes"}}, "Sec-Fetch-Site", "cross-site")
	stranger, _ := send(t, s.browser(t), http.MethodPost, s.URL+"/normal", url.Values{"entity": {"home:zone"}, "normal": {"yes"}}, ownPage(s)...)
	if foreign.StatusCode != http.StatusForbidden || stranger.StatusCode != http.StatusUnauthorized {
		t.Errorf("another site's page: %d, a stranger: %d", foreign.StatusCode, stranger.StatusCode)
	}
}

func TestNobodyIsQuietBecauseWeCouldNotHear(t *testing.T) {
	s, key, b := boardSite(t, nil)
	speak(t, s, key, "home:zone", `{"flow":3}`, 62*time.Minute)
	began := boardNow.Add(-61 * time.Minute)
	if err := s.store.BeginGap(t.Context(), "", "stopped", began); err != nil {
		t.Fatal(err)
	}
	if err := s.store.EndGap(t.Context(), "", "stopped", boardNow.Add(-5*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got := sentenceOf(pageOf(t, s, b)); got != "Everything is as usual." {
		t.Errorf("after six minutes in which we could hear: %q", got)
	}
}

func TestALostLinkOfOursIsPrinted(t *testing.T) {
	s, key, b := boardSite(t, func(c *Config) {
		c.Front = &Front{Broker: "broker.example", Topics: []string{"home/{entity}"}, Link: func(access.Grant) mqttproxy.State {
			return mqttproxy.State{Down: true, Since: boardNow.Add(-3 * time.Minute)}
		}}
	})
	speak(t, s, key, "home:zone", `{"flow":3}`, 22*time.Minute)
	page := pageOf(t, s, b)
	if got := sentenceOf(page); got != "We lost our link to broker.example at 11:57. Values below are from then." {
		t.Errorf("the sentence is %q", got)
	}
	if group := groupOf(t, page, "home:zone"); !strings.Contains(group, `data-look="unknown"`) || !strings.Contains(group, "Not known right now") || strings.Contains(group, "Quiet") {
		t.Error("the device is blamed:", group)
	}
}

// Down and since when are one answer: a link that comes up in between was never down since no time.
func TestALinkThatComesUpWhileAPageIsPrintedIsSaidAsItWas(t *testing.T) {
	since, down := boardNow.Add(-3*time.Minute), true
	s := &Server{Config: Config{Front: &Front{Link: func(access.Grant) mqttproxy.State {
		defer func() { down = false }()
		if down {
			return mqttproxy.State{Down: true, Since: since}
		}
		return mqttproxy.State{}
	}}}}
	if link := s.linkOf(access.Grant{}); !link.Down || !link.Since.Equal(since) {
		t.Errorf("the link is said to be %+v", link)
	}
}

func TestNothingIsSaidOfARhythmThatIsNotKnown(t *testing.T) {
	s, key, b := boardSite(t, nil)
	for n := range 20 {
		record(t, s, key, `{"data":{"t":1}}`, boardNow.Add(-time.Hour+time.Duration(n)*7*time.Second))
	}
	page := pageOf(t, s, b)
	if group := groupOf(t, page, "shed"); strings.Contains(group, "usually") || !strings.Contains(group, `data-look="old"`) || !strings.Contains(group, "Last heard") {
		t.Error("a few values in a row are called a rhythm:", group)
	}
	if got := sentenceOf(page); got != "How often Shed speaks is not known yet: nothing since 11:02." {
		t.Errorf("the sentence is %q", got)
	}
}

func TestCardsAreDrawnFromTheRecord(t *testing.T) {
	s, key, b := boardSite(t, nil)
	for n := range 24 {
		record(t, s, key, fmt.Sprintf(`{"data":{"level":%d,"word":"a"}}`, n), boardNow.Add(-time.Duration(24-n)*10*time.Minute))
	}
	page := pageOf(t, s, b)
	card := cardOf(t, page, "level")
	for _, want := range []string{`data-step="300000"`, `data-span="21600000"`, "over the last 6 hours: from 0 to 23", `data-trend="rising"`, `class="graph-line" d="M`} {
		if !strings.Contains(card, want) {
			t.Errorf("no %q in %s", want, card)
		}
	}
	if strings.Contains(cardOf(t, page, "word"), `d="M`) {
		t.Error("words are drawn as numbers")
	}
}

func TestTheNewestValueOfTwoTopicsWins(t *testing.T) {
	made := &madeCard{}
	values := []history.Value{ // as they came
		{Topic: "a", About: "shed", Reading: "level", Value: 2.0, At: boardNow},
		{Topic: "b", About: "shed", Reading: "level", Value: 1.0, At: boardNow.Add(-time.Hour)},
	}
	for _, v := range slices.Backward(values) {
		made.take(v, changing{})
	}
	if made.Value != "2" || !slices.Equal(made.topics, []string{"b", "a"}) {
		t.Errorf("%q of %v", made.Value, made.topics)
	}
}

func TestOrderAndSentenceAgreeWithTheOwner(t *testing.T) {
	cards := []templates.Card{{Entity: "a", At: boardNow}, {Entity: "b", At: boardNow}, {Entity: "c", At: boardNow}}
	p := templates.BoardPage{}
	p.Arrange(cards, map[string]templates.Device{"c": {Rank: 1}, "b": {Hidden: true, Heard: boardNow.Add(-time.Hour), Quiet: time.Minute}}, boardNow)
	if got := fmt.Sprint(p.Groups[0].Entity, p.Groups[1].Entity, p.Groups[2].Entity); got != "cab" || p.Summary != "2 values from 2 devices." {
		t.Errorf("%s, %q", got, p.Summary)
	}
}
