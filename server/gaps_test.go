package server

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trellis/access"
	"trellis/history"
	"trellis/mqttproxy"
)

// operatorOf signs the operator in.
func operatorOf(t *testing.T, s *site) *http.Client {
	t.Helper()
	if err := s.store.PutCode(t.Context(), CodeHash("ABC"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	b := s.browser(t)
	send(t, b, http.MethodPost, s.URL+"/enter", url.Values{"code": {"ABC"}})
	return b
}

// deafSite stands in front of a service. A device spoke every five minutes to a key to which nobody has listened since 09:00; it is 12:00 now.
func deafSite(t *testing.T) (s *site, key access.NewKey) {
	t.Helper()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s = newSite(t, func(c *Config) {
		c.Now = func() time.Time { return now }
		c.Front = &Front{
			Service: "app.example.com", Agree: func(context.Context, access.Grant) error { return nil },
			Watched: func(access.Grant) bool { return false }, Link: func(access.Grant) mqttproxy.State { return mqttproxy.State{} },
		}
	})
	key = s.key(t, "house:shed")
	for n := range 24 * 12 {
		record(t, s, key, `{"data":{"temp_c":20}}`, now.Add(time.Duration(n-24*12)*5*time.Minute-3*time.Hour))
	}
	if err := s.store.BeginGap(t.Context(), key.JTI, history.GapUnheard, now.Add(-3*time.Hour)); err != nil {
		t.Fatal(err)
	}
	return s, key
}

// An operator hears with each key, so what a key could not hear is no device's silence on the operator's board either.
func TestAnOperatorCallsNobodyQuietToWhomNobodyListened(t *testing.T) {
	s, _ := deafSite(t)
	b := operatorOf(t, s)
	knowsRhythm(t, s, b)
	if got := sentenceOf(pageOf(t, s, b)); got != "Everything is as usual." {
		t.Errorf("the board says %q", got)
	}
	_, page := send(t, b, http.MethodGet, s.URL+"/value?entity=house:shed&reading=temp_c", nil)
	if strings.Contains(page, "Quiet (usually") || !strings.Contains(page, "s server did not listen: pages were closed, or went past it,") {
		t.Error("the page of the value says that the device was quiet, or does not say that nobody listened")
	}
	_, body := send(t, b, http.MethodGet, s.URL+"/history/range?entity=house:shed&reading=temp_c", nil)
	if !strings.Contains(body, `"gaps":[{"reason":"unheard","began":"2026-05-01T09:00:00Z","ended":null}]`) {
		t.Error("the chart is not told of the gap:", body[max(0, len(body)-200):])
	}
	_, body = send(t, b, http.MethodGet, s.URL+"/history/gaps?entity=house:shed", nil)
	if !strings.Contains(body, `"gaps":[{"reason":"unheard","began":"2026-05-01T09:00:00Z","ended":null}]`) {
		t.Error("programs are told that the device was quiet, or not that nobody listened:", body)
	}
}

// What it means that a device is usually heard so often is learned without the times in which nobody listened.
func TestAnOperatorLearnsRhythmsAsTheKeyDoes(t *testing.T) {
	s, key := deafSite(t)
	topic := "home/local/" + key.JTI + "/publish"
	operator := access.OperatorGrant("home", "local", time.Time{})
	if got := s.server.listens(operator, topic); got != key.JTI {
		t.Errorf("the operator hears %s by %q", topic, got)
	}
}

func TestGapsAreKnownOfAsManyKeysAsThereAre(t *testing.T) {
	began := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	gaps := gapsOf{
		read: func(context.Context, string, time.Time) ([]history.Gap, error) {
			return []history.Gap{{Began: began}}, nil
		},
		whose: func(topic string) string { return topic }, known: map[string][]history.Gap{},
	}
	for n := range 300 {
		if got, err := gaps.of(t.Context(), fmt.Sprint("key", n)); err != nil || len(got) != 1 {
			t.Fatalf("%d gaps of key %d, %v: our own outage would be told as its silence", len(got), n, err)
		}
	}
}

// A device that speaks on two topics could not be heard where neither could.
func TestGapsOfBothAreThoseInWhichNothingCouldBeHeard(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 5, 1, 12, minute, 0, 0, time.UTC) }
	stopped, unheard := history.GapStopped, history.GapUnheard
	for name, tt := range map[string]struct{ a, b, want []history.Gap }{
		"only one": {[]history.Gap{{Reason: unheard, Began: at(1), Ended: at(9)}}, nil, nil},
		"in part": {
			[]history.Gap{{Reason: unheard, Began: at(1), Ended: at(9)}}, []history.Gap{{Began: at(0), Ended: at(2)}, {Began: at(5), Ended: at(20)}},
			[]history.Gap{{Reason: unheard, Began: at(1), Ended: at(2)}, {Reason: unheard, Began: at(5), Ended: at(9)}},
		},
		"both last":         {[]history.Gap{{Reason: unheard, Began: at(10)}}, []history.Gap{{Began: at(20)}}, []history.Gap{{Reason: unheard, Began: at(20)}}},
		"one lasts":         {[]history.Gap{{Reason: unheard, Began: at(10)}}, []history.Gap{{Began: at(20), Ended: at(30)}}, []history.Gap{{Reason: unheard, Began: at(20), Ended: at(30)}}},
		"everybody's twice": {[]history.Gap{{Reason: stopped, Began: at(1), Ended: at(9)}}, []history.Gap{{Reason: stopped, Began: at(1), Ended: at(9)}}, []history.Gap{{Reason: stopped, Began: at(1), Ended: at(9)}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, gapsOfBoth(tt.a, tt.b, at(59))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Of one device programs are told when it was silent itself, beside the times in which it could not be heard.
func TestTheGapsOfADeviceHaveItsOwnSilences(t *testing.T) {
	s, now, shed, gate := absence(t, nil) // the shed is silent from 13:40 to 14:30
	knowsRhythm(t, s, comeIn(t, s, shed))
	knowsRhythm(t, s, comeIn(t, s, gate))
	const path = "/api/history/gaps"
	gaps := func(key access.NewKey, query string) string {
		t.Helper()
		answer, body := send(t, s.browser(t), http.MethodGet, s.URL+path+"?"+query, nil, "Authorization", "Bearer "+key.Key)
		holdTo(t, path, answer, body)
		return body
	}
	const none, silent = `"gaps":[],"learning":false`, `"gaps":[{"reason":"quiet","began":"2026-05-01T13:40:00Z","ended":"2026-05-01T14:30:00Z"}],"learning":false`
	for name, tt := range map[string]struct {
		key   access.NewKey
		query string
		says  string
	}{
		"of its day":                  {shed, "entity=shed", silent},
		"of all that the key hears":   {shed, "", none},
		"of another's device":         {gate, "entity=shed", none},
		"of one that spoke":           {gate, "entity=gate", none},
		"begun before":                {shed, "entity=shed&from=2026-05-01T14:00:00Z", silent},
		"before it":                   {shed, "entity=shed&to=2026-05-01T13:41:00Z", none},
		"after it":                    {shed, "entity=shed&from=2026-05-01T14:31:00Z", none},
		"as it lasts":                 {shed, "entity=shed&to=2026-05-01T14:05:00Z", `"gaps":[{"reason":"quiet","began":"2026-05-01T13:40:00Z","ended":null}]`},
		"of more than is looked at":   {shed, "entity=shed&from=2020-01-01T00:00:00Z", "no more than 31 days"},
		"backwards":                   {shed, "entity=shed&from=2026-05-01T14:00:00Z&to=2026-05-01T13:00:00Z", "from must be before to"},
		"of all, however long it was": {shed, "from=2020-01-01T00:00:00Z", none},
	} {
		if body := gaps(tt.key, tt.query); !strings.Contains(body, tt.says) {
			t.Errorf("%s: %s", name, body)
		}
	}

	for _, err := range []error{
		s.store.BeginGap(t.Context(), "", history.GapStopped, now.Add(-40*time.Minute)), // 14:20
		s.store.EndGap(t.Context(), "", history.GapStopped, now.Add(-35*time.Minute)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	const cut = `"gaps":[{"reason":"quiet","began":"2026-05-01T13:40:00Z","ended":"2026-05-01T14:20:00Z"},` +
		`{"reason":"stopped","began":"2026-05-01T14:20:00Z","ended":"2026-05-01T14:25:00Z"}]`
	if body := gaps(shed, "entity=shed"); !strings.Contains(body, cut) {
		t.Errorf("a silence that runs into a gap of ours: %s", body)
	}
	send(t, comeIn(t, s, shed), http.MethodPost, s.URL+"/normal", url.Values{"entity": {"shed"}, "normal": {"yes"}}, ownPage(s)...)
	if body := gaps(shed, "entity=shed"); strings.Contains(body, "quiet") {
		t.Errorf("what is normal for it is told: %s", body)
	}
}

// manyGaps is the past of a server whose link came and went in the last hours more often than is read.
type manyGaps struct {
	Past
	from time.Time
}

func (p manyGaps) Gaps(context.Context, string, time.Time, time.Time) (all []history.Gap, err error) {
	for n := range history.MaxGaps {
		began := p.from.Add(time.Duration(n) * time.Second)
		all = append(all, history.Gap{Reason: history.GapUpstream, Began: began, Ended: began.Add(time.Millisecond)})
	}
	return all, nil
}

func TestWhereGapsAreNotReadNobodyWasQuiet(t *testing.T) {
	s, now, b := valueSite(t, nil)
	knowsRhythm(t, s, b)
	told := func() string {
		_, body := send(t, b, http.MethodGet, s.URL+"/history/gaps?entity=house:shed&from="+now.Add(-24*time.Hour).Format(time.RFC3339), nil)
		return body
	}
	if body := told(); !strings.Contains(body, `"quiet"`) {
		t.Fatalf("the silence of an hour is not told: %s", body)
	}
	s.server.Past = manyGaps{s.server.Past, now.Add(-time.Hour)}
	if body := told(); strings.Contains(body, `"quiet"`) || strings.Contains(body, gapUnread) || strings.Count(body, `"upstream"`) != history.MaxGaps {
		t.Errorf("of a time whose gaps are not read it is told: %.300s", body)
	}
}
