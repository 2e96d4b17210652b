package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"trellis/access"
	"trellis/mqttproxy"
)

// anotherService knows one key and answers everything else with this error.
type anotherService struct{ err error }

func (a anotherService) Verify(token string) (access.Grant, error) {
	if token == "good" {
		return a.Grant("k1")
	}
	return access.Grant{}, a.err
}

func (a anotherService) Grant(jti string) (access.Grant, error) {
	if jti != "k1" {
		return access.Grant{}, access.ErrKeyUnknown
	}
	return access.KeyGrant(access.Subject{Account: "acme", Region: "eu", Entity: "shed"}, "k1", time.Time{}), nil
}

func (anotherService) Ended(string) (time.Time, error) { return time.Time{}, nil }

func frontSite(t *testing.T, err error, agreed chan string) *site {
	return newSite(t, func(c *Config) {
		c.Keys = anotherService{err}
		var watched atomic.Bool
		c.Front = &Front{
			Agree: func(_ context.Context, g access.Grant) error { agreed <- g.KeyID; return nil },
			Watch: func(_ context.Context, g access.Grant, on bool) error {
				if agreed != nil {
					agreed <- fmt.Sprintf("%s %v", g.KeyID, on)
				}
				watched.Store(on)
				return nil
			},
			Watched: func(access.Grant) bool { return watched.Load() },
			Held: func(token string) (access.Grant, error) {
				if token != "held" {
					return access.Grant{}, access.ErrKeyUnknown
				}
				return anotherService{}.Grant("k1")
			},
			Listen: func(access.Grant) {},
		}
	})
}

func TestInFrontOfAnotherServiceDevicesAreSentThere(t *testing.T) {
	s := frontSite(t, access.ErrKeyUnknown, nil)
	for _, path := range []string{"/ws", "/api/claims"} {
		answer, body := send(t, s.browser(t), http.MethodGet, s.URL+path, nil, "Authorization", "Bearer good", "Accept", "application/json")
		var said struct{ Message, Reason string }
		if err := json.Unmarshal([]byte(body), &said); err != nil || answer.StatusCode != 421 || said.Reason != "elsewhere" || !strings.Contains(said.Message, "connect to that service itself") {
			t.Errorf("%s: %s %s", path, answer.Status, body)
		}
	}
	built := newSite(t, nil)
	if answer, _ := send(t, built.browser(t), http.MethodPost, built.URL+"/agree", url.Values{}, "Sec-Fetch-Site", "same-origin", "Origin", built.URL); answer.StatusCode != 404 {
		t.Errorf("a broker of our own asks for agreement: %s", answer.Status)
	}
}

func TestTheCheckClaimsNoMoreThanItKnowsInFrontOfAnotherService(t *testing.T) {
	s := frontSite(t, nil, nil)
	_, page := send(t, s.browser(t), http.MethodGet, s.URL+"/check", nil)
	if !strings.Contains(page, " data-front") || !strings.Contains(page, ">can be reached (") || !strings.Contains(page, "the service can be reached.") {
		t.Error("the page does not say that the service can be reached")
	}
	if strings.Contains(page, "inside this server") || strings.Contains(page, "messages come through") || strings.Contains(page, ">works (") {
		t.Error("the page says of another service's broker what nobody has tried")
	}
	built := newSite(t, nil)
	if _, page = send(t, built.browser(t), http.MethodGet, built.URL+"/check", nil); !strings.Contains(page, "inside this server") || strings.Contains(page, " data-front") {
		t.Error("a broker of our own is taken for another service's")
	}
}

func TestTheCheckDoesNotBlameDevicesForALinkThatIsDown(t *testing.T) {
	down := false
	now := time.Now()
	s := newSite(t, func(c *Config) {
		c.Keys = anotherService{access.ErrKeyUnknown}
		c.Now = func() time.Time { return now }
		c.Front = &Front{Link: func(g access.Grant) mqttproxy.State { return mqttproxy.State{Down: down && g.KeyID == "k1"} }}
	})
	shed := access.NewKey{Sub: "acme:eu:shed", JTI: "k1", Entity: "shed"}
	for n := range 12 {
		record(t, s, shed, fmt.Sprintf(`{"data":{"n":%d}}`, n), now.Add(time.Duration(n-60)*time.Minute))
	}
	b, own := s.browser(t), []string{"Sec-Fetch-Site", "same-origin", "Origin", s.URL}
	send(t, b, http.MethodPost, s.URL+"/session", url.Values{"key": {"good"}}, own...)
	says := func(path string) string {
		t.Helper()
		_, body := send(t, b, http.MethodPost, s.URL+path, nil, own...)
		return body
	}
	if seen, works := says("/check/seen"), says("/check/broker"); !strings.Contains(seen, `"silent"`) || !strings.Contains(works, `"works":true`) {
		t.Errorf("with a link that is up: %s %s", seen, works)
	}
	down = true
	if seen := says("/check/seen"); !strings.Contains(seen, `"state":"unknown"`) || strings.Contains(seen, "Quiet") || !strings.Contains(seen, "our link to the devices is down") || !strings.Contains(seen, "Last heard") {
		t.Errorf("with one that is down: %s", seen)
	}
	if works := says("/check/broker"); !strings.Contains(works, `"works":false`) {
		t.Errorf("with one that is down: %s", works)
	}
	_, stranger := send(t, s.browser(t), http.MethodPost, s.URL+"/check/broker", nil, own...)
	if !strings.Contains(stranger, `"works":true`) {
		t.Errorf("somebody else's link is down for a stranger: %s", stranger)
	}
}

func TestEveryFailureOfTheServiceHasItsSentence(t *testing.T) {
	for name, tt := range map[string]struct {
		err           error
		status        int
		words, reason string
	}{
		"away":        {fmt.Errorf("%w: refused", access.ErrServiceAway), 502, "is not answering", "service_away"},
		"certificate": {access.ErrServiceCertificate, 502, "certificate is not accepted", "service_certificate"},
		"limited":     {access.LimitedError{After: 30 * time.Second}, 429, "asked too often", "service_limited"},
		"shape":       {access.ErrClaims, 502, "do not understand", "service_answer"},
		"refused":     {access.ErrKeyUnknown, 401, "was not accepted", "key_unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			s := frontSite(t, tt.err, nil)
			form, own := url.Values{"key": {"bad"}}, []string{"Sec-Fetch-Site", "same-origin", "Origin", s.URL}
			answer, page := send(t, s.browser(t), http.MethodPost, s.URL+"/session", form, own...)
			if answer.StatusCode != tt.status || !strings.Contains(page, tt.words) || strings.Contains(page, "bad\"") {
				t.Errorf("the page: %s, without %q", answer.Status, tt.words)
			}
			answer, body := send(t, s.browser(t), http.MethodPost, s.URL+"/session", form, append(own, "Accept", "application/json")...)
			if answer.StatusCode != tt.status || !strings.Contains(body, tt.reason) {
				t.Errorf("a program: %s %s", answer.Status, body)
			}
			if after := answer.Header.Get("Retry-After"); tt.status == 429 && after != "30" {
				t.Errorf("Retry-After is %q", after)
			}
		})
	}
}

func TestOnlyTheHolderOfAKeyAgrees(t *testing.T) {
	agreed := make(chan string, 1)
	s := frontSite(t, access.ErrKeyUnknown, agreed)
	own := []string{"Sec-Fetch-Site", "same-origin", "Origin", s.URL, "Accept", "application/json"}
	b := s.browser(t)
	if answer, _ := send(t, b, http.MethodPost, s.URL+"/agree", url.Values{}, own...); answer.StatusCode != 401 || len(agreed) != 0 {
		t.Errorf("somebody agreed: %s", answer.Status)
	}
	send(t, b, http.MethodPost, s.URL+"/session", url.Values{"key": {"good"}}, own...)
	if answer, _ := send(t, b, http.MethodPost, s.URL+"/agree", url.Values{}, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"); answer.StatusCode != 403 || len(agreed) != 0 {
		t.Errorf("another site's page agreed: %s", answer.Status)
	}
	answer, _ := send(t, b, http.MethodPost, s.URL+"/agree", url.Values{}, own...)
	if answer.StatusCode != 204 || <-agreed != "k1" {
		t.Errorf("the holder agreed: %s", answer.Status)
	}
}

func TestOnlyTheHolderOfAKeyHasItWatched(t *testing.T) {
	told := make(chan string, 1)
	s := frontSite(t, access.ErrKeyUnknown, told)
	own := []string{"Sec-Fetch-Site", "same-origin", "Origin", s.URL}
	b := s.browser(t)
	yes := url.Values{"on": {"yes"}}
	if answer, _ := send(t, b, http.MethodPost, s.URL+"/watch", yes, append(own, "Accept", "application/json")...); answer.StatusCode != 401 || len(told) != 0 {
		t.Errorf("somebody: %s", answer.Status)
	}
	send(t, b, http.MethodPost, s.URL+"/session", url.Values{"key": {"good"}}, own...)
	if answer, _ := send(t, b, http.MethodPost, s.URL+"/watch", yes, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"); answer.StatusCode != 403 || len(told) != 0 {
		t.Errorf("another site's page: %s", answer.Status)
	}
	if answer, _ := send(t, b, http.MethodPost, s.URL+"/watch", url.Values{"on": {"perhaps"}}, own...); answer.StatusCode != 400 || len(told) != 0 {
		t.Errorf("neither on nor off: %s", answer.Status)
	}
	_, page := send(t, b, http.MethodGet, s.URL+"/", nil)
	if !strings.Contains(page, `role="switch" aria-checked="false"`) || !strings.Contains(page, "data-offer") {
		t.Error("the page offers nothing")
	}
	// A browser without scripts comes back to the board, which says what is true now.
	answer, page := send(t, b, http.MethodPost, s.URL+"/watch", yes, own...)
	if answer.StatusCode != 200 || answer.Request.URL.Path != "/" || <-told != "k1 true" || !strings.Contains(page, `role="switch" aria-checked="true"`) {
		t.Errorf("the holder turned it on: %s", answer.Status)
	}
	if strings.Contains(page, "data-offer") {
		t.Error("what is done already is offered")
	}
	answer, _ = send(t, b, http.MethodPost, s.URL+"/watch", url.Values{"on": {"no"}}, append(own, "Accept", "application/json")...)
	if answer.StatusCode != 204 || <-told != "k1 false" {
		t.Errorf("the holder turned it off: %s", answer.Status)
	}
	built := newSite(t, nil)
	if answer, _ := send(t, built.browser(t), http.MethodPost, built.URL+"/watch", yes, "Sec-Fetch-Site", "same-origin", "Origin", built.URL); answer.StatusCode != 404 {
		t.Errorf("a broker of our own: %s", answer.Status)
	}
}

func TestInFrontOfAnyBrokerTheKeysAreOurs(t *testing.T) {
	s := newSite(t, func(c *Config) {
		c.Front = &Front{Topics: []string{"home/{entity}/state"}, Send: "home/{entity}/set"}
		c.Operator = func(until time.Time) access.Grant {
			return access.Grant{Holder: access.OperatorName, Subscribe: []string{"home/+/state"}, Publish: []string{"$trellis/send/operator"}, Until: until}
		}
	})
	for _, path := range []string{"/ws", "/api/claims"} {
		answer, body := send(t, s.browser(t), http.MethodGet, s.URL+path, nil, "Authorization", "Bearer good", "Accept", "application/json")
		if answer.StatusCode != 421 || !strings.Contains(body, "connect to that broker itself") || strings.Contains(body, "another service") {
			t.Errorf("%s: %s %s", path, answer.Status, body)
		}
	}
	if answer, _ := send(t, s.browser(t), http.MethodPost, s.URL+"/agree", url.Values{}, "Sec-Fetch-Site", "same-origin", "Origin", s.URL); answer.StatusCode != 404 {
		t.Errorf("it asks for agreement: %s", answer.Status)
	}
	if _, page := send(t, s.browser(t), http.MethodGet, s.URL+"/", nil); !strings.Contains(page, "trellis key add") {
		t.Error("the sign-in page does not say where keys come from")
	}
}

func TestTheSignInPageSaysWhoseKeysItTakes(t *testing.T) {
	s := newSite(t, func(c *Config) {
		c.Keys = anotherService{}
		c.Front = &Front{Service: "app.example.com", Agree: func(context.Context, access.Grant) error { return nil }}
	})
	if _, page := send(t, s.browser(t), http.MethodGet, s.URL+"/", nil); !strings.Contains(page, "a key of app.example.com") || strings.Contains(page, "trellis key add") {
		t.Error("the sign-in page does not say whose keys it takes")
	}
}
