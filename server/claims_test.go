package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"trellis/access"
)

// described is the part of openapi.json that the handlers are held to.
type described struct {
	Paths map[string]map[string]struct {
		Responses map[string]struct {
			Headers map[string]struct{ Required bool }
			Content map[string]json.RawMessage
		}
	}
}

// holdTo checks one answer against the description: its status must be there, its headers, its type and its body.
func holdTo(t *testing.T, path string, answer *http.Response, body string) {
	t.Helper()
	var d described
	if err := json.Unmarshal(openAPIFile, &d); err != nil {
		t.Fatal(err)
	}
	status := strconv.Itoa(answer.StatusCode)
	method := strings.ToLower(answer.Request.Method)
	response, there := d.Paths[path][method].Responses[status]
	if !there {
		t.Fatalf("%s is not a described answer of %s: %s", status, path, body)
	}
	for name, h := range response.Headers {
		if h.Required && answer.Header.Get(name) == "" {
			t.Errorf("%s %s: header %s is missing", path, status, name)
		}
	}
	kind, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";")
	if _, there := response.Content[kind]; !there {
		t.Fatalf("%s %s: content type %q is not described", path, status, kind)
	}
	at := "openapi.json#/paths/" + strings.NewReplacer("/", "~1", "{", "%7B", "}", "%7D").Replace(path) + "/" + method + "/responses/" + status + "/content/" + strings.ReplaceAll(kind, "/", "~1") + "/schema"
	schema := compile(t, at)
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		t.Fatalf("not JSON: %s", body)
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%s %s: %v", path, status, err)
	}
}

func compile(t *testing.T, at string) *jsonschema.Schema {
	t.Helper()
	file, err := jsonschema.UnmarshalJSON(bytes.NewReader(openAPIFile))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("openapi.json", file); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(at)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestClaimsAreAsDescribed(t *testing.T) {
	s := newSite(t, nil)
	good, gone := s.key(t, "smart_home:living_room:temp_sensor"), s.key(t, "shed")
	short, err := s.keys.Add(t.Context(), access.Subject{Account: "home", Region: "local", Entity: "loft"}, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.keys.Revoke(t.Context(), gone.JTI); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		authorization string
		status        int
		reason        string
	}{
		"a good key":           {"Bearer " + good.Key, 200, ""},
		"the scheme in small":  {"bearer " + good.Key, 200, ""},
		"a key with an end":    {"Bearer " + short.Key, 200, ""},
		"no key":               {"", 401, "key_missing"},
		"another scheme":       {"Basic " + good.Key, 401, "key_missing"},
		"an unknown key":       {"Bearer nonsense", 401, "key_unknown"},
		"a key cut short":      {"Bearer " + good.Key[:len(good.Key)-1], 401, "key_unknown"},
		"a key that was ended": {"Bearer " + gone.Key, 403, "key_revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			answer, body := send(t, s.browser(t), "GET", s.URL+"/api/claims", nil, "Authorization", tt.authorization, "Origin", "https://elsewhere.example")
			if answer.StatusCode != tt.status || !strings.Contains(body, tt.reason) {
				t.Errorf("%d %s, want %d %s", answer.StatusCode, body, tt.status, tt.reason)
			}
			if answer.Header.Get("Access-Control-Allow-Origin") != "*" || answer.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("pages of other sites should be answered, without credentials")
			}
			holdTo(t, "/api/claims", answer, body)
		})
	}
}

func TestAKeyInTheAddressDoesNotCount(t *testing.T) {
	s := newSite(t, nil)
	key := s.key(t, "shed")
	if answer, _ := send(t, s.browser(t), "GET", s.URL+"/api/claims?key="+key.Key+"&access_token="+key.Key, nil); answer.StatusCode != 401 {
		t.Errorf("%d, want 401", answer.StatusCode)
	}
}

func TestGuessingIsLimitedAndGoodKeysAreNot(t *testing.T) {
	s := newSite(t, func(c *Config) {
		still := time.Now()
		c.Now = func() time.Time { return still }
	})
	key := s.key(t, "shed")
	b := s.browser(t)
	for i := range guessBurst {
		if answer, _ := send(t, b, "GET", s.URL+"/api/claims", nil, "Authorization", "Bearer guess"); answer.StatusCode != 401 {
			t.Fatalf("guess %d: %d", i, answer.StatusCode)
		}
	}
	answer, body := send(t, b, "GET", s.URL+"/api/claims", nil, "Authorization", "Bearer guess")
	if answer.StatusCode != 429 || !strings.Contains(body, "Rate Limit Exceeded") {
		t.Errorf("one guess more: %d %s", answer.StatusCode, body)
	}
	holdTo(t, "/api/claims", answer, body)
	if answer, _ := send(t, b, "GET", s.URL+"/api/claims", nil, "Authorization", "Bearer "+key.Key); answer.StatusCode != 200 {
		t.Errorf("a good key beside the guesses: %d", answer.StatusCode)
	}
}

func TestPublicKeysAreAsDescribed(t *testing.T) {
	s := newSite(t, nil)
	answer, body := send(t, s.browser(t), "GET", s.URL+"/.well-known/jwks.json", nil)
	holdTo(t, "/.well-known/jwks.json", answer, body)
}

func TestLimitsRememberABoundedNumberOfAddresses(t *testing.T) {
	now := time.Now()
	l := newLimits(func() time.Time { return now }, 200)
	for i := range maxAddresses + 5000 {
		if err := l.ask("10." + strconv.Itoa(i>>16) + "." + strconv.Itoa(i>>8&255) + "." + strconv.Itoa(i&255)); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.seen) > maxAddresses {
		t.Errorf("%d addresses kept", len(l.seen))
	}
	for range askBurst {
		_ = l.ask("2001:db8::1")
	}
	if l.ask("2001:db8::ffff:1") == nil {
		t.Error("addresses of one household's network should share a limit")
	}
}
