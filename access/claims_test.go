package access

import (
	"errors"
	"strings"
	"testing"
)

func TestClaimsAreReadAsDocumented(t *testing.T) {
	for name, tt := range map[string]struct {
		body, account, entity, id string
	}{
		"as the page shows it":        {`{"sub":"acme:eu:shed","jti":"k1"}`, "acme", "shed", "k1"},
		"a prefix with colons":        {`{"sub":"acme:eu:smart_home:living_room:lamp","jti":"k1"}`, "acme", "smart_home:living_room:lamp", "k1"},
		"members that nobody said of": {`{"sub":"acme:eu:shed","jti":"k1","iat":1,"scope":{"a":[1]},"exp":null}`, "acme", "shed", "k1"},
		"an end that is no number":    {`{"sub":"acme:eu:shed","jti":"k1","exp":"tomorrow"}`, "acme", "shed", "k1"},
		"letters of their own":        {`{"sub":"acmé.io:eu west:Büro 1","jti":"a.b=c"}`, "acmé.io", "Büro 1", "a.b=c"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := ParseClaims([]byte(tt.body))
			if err != nil || c.Subject.Account != tt.account || c.Subject.Entity != tt.entity || c.KeyID != tt.id {
				t.Errorf("read %+v, %v", c, err)
			}
		})
	}
	c, err := ParseClaims([]byte(`{"sub":"acme:eu:shed","jti":"k1","exp":1900000000}`))
	if err != nil || c.Until.Unix() != 1900000000 {
		t.Errorf("the end is %v, %v", c.Until, err)
	}
}

func TestClaimsOfAnotherShapeAreRefused(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":                   ``,
		"a page":                    `<!doctype html><title>Sign in to this network</title>`,
		"a list":                    `[{"sub":"acme:eu:shed","jti":"k1"}]`,
		"null":                      `null`,
		"no jti":                    `{"sub":"acme:eu:shed"}`,
		"no sub":                    `{"jti":"k1"}`,
		"two parts":                 `{"sub":"acme:shed","jti":"k1"}`,
		"an empty part":             `{"sub":"acme::shed","jti":"k1"}`,
		"an empty entity":           `{"sub":"acme:eu:","jti":"k1"}`,
		"a jti that is more topics": `{"sub":"acme:eu:shed","jti":"a/b"}`,
		"a jti that is a wildcard":  `{"sub":"acme:eu:shed","jti":"+"}`,
		"an account of the broker":  `{"sub":"$SYS:eu:shed","jti":"k1"}`,
		"a region with a wildcard":  `{"sub":"acme:#:shed","jti":"k1"}`,
		"a jti that is a number":    `{"sub":"acme:eu:shed","jti":7}`,
		"the operator's name":       `{"sub":"acme:eu:shed","jti":"operator"}`,
		"the operator as an entity": `{"sub":"acme:eu:operator","jti":"k1"}`,
		"a name with a line break":  `{"sub":"acme:eu:sh\ned","jti":"k1"}`,
		"bytes that are no text":    "{\"sub\":\"acme:eu:sh\xffed\",\"jti\":\"k1\"}",
		"an endless name":           `{"sub":"acme:eu:` + strings.Repeat("x", 300) + `","jti":"k1"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := ParseClaims([]byte(body)); !errors.Is(err, ErrClaims) {
				t.Errorf("read %+v, %v", c, err)
			}
		})
	}
}

// FuzzClaims: whatever a service answers, what is taken from it makes a Grant for exactly two topics.
func FuzzClaims(f *testing.F) {
	for _, seed := range []string{`{"sub":"acme:eu:shed:1","jti":"k1","exp":1e300}`, `{"sub":"a:b:c","jti":"#"}`, `{"sub":"a:b","jti":""}`, `[`, `{"sub":["a"]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ParseClaims(body)
		if err != nil {
			if !errors.Is(err, ErrClaims) {
				t.Errorf("refused for %v", err)
			}
			return
		}
		g := KeyGrant(c.Subject, c.KeyID, c.Until)
		for _, topic := range append(g.Publish, g.Subscribe...) {
			if strings.Count(topic, "/") != 3 || strings.ContainsAny(topic, "+#") || strings.HasPrefix(topic, "$") {
				t.Errorf("%q makes the topic %q", body, topic)
			}
		}
		if again, err := parseForeign(c.Subject.String()); err != nil || again != c.Subject {
			t.Errorf("%+v written and read again is %+v, %v", c.Subject, again, err)
		}
	})
}
