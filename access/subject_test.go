package access

import (
	"errors"
	"strings"
	"testing"
)

func TestParseSubject(t *testing.T) {
	long := strings.Repeat("x", 64)
	for name, tt := range map[string]struct {
		text string
		want Subject
		ok   bool
	}{
		"three parts":              {"acme:local:shed", shed, true},
		"entity with colons":       {"acme:local:home:room:temp_1", Subject{"acme", "local", "home:room:temp_1"}, true},
		"all permitted letters":    {"A-z_0:9:-", Subject{"A-z_0", "9", "-"}, true},
		"64 letters":               {long + ":" + long + ":" + long, Subject{long, long, long}, true},
		"65 letters":               {"acme:local:" + long + "x", Subject{}, false},
		"two parts":                {"acme:local", Subject{}, false},
		"nothing":                  {"", Subject{}, false},
		"empty account":            {":local:shed", Subject{}, false},
		"empty region":             {"acme::shed", Subject{}, false},
		"empty entity":             {"acme:local:", Subject{}, false},
		"the operator's name":      {"acme:local:operator", Subject{}, false},
		"plus":                     {"acme:local:+", Subject{}, false},
		"hash":                     {"acme:#:shed", Subject{}, false},
		"slash":                    {"acme/x:local:shed", Subject{}, false},
		"dollar":                   {"$SYS:local:shed", Subject{}, false},
		"dots":                     {"acme:..:shed", Subject{}, false},
		"space":                    {"acme:local:my shed", Subject{}, false},
		"line end":                 {"acme:local:shed\n", Subject{}, false},
		"NUL":                      {"acme:local:shed\x00", Subject{}, false},
		"letters beyond ASCII":     {"acme:local:schüppchen", Subject{}, false},
		"text direction override":  {"acme:local:\u202eshed", Subject{}, false},
		"not UTF-8":                {"acme:local:\xff", Subject{}, false},
		"NATS wildcard":            {"acme:local:>", Subject{}, false},
		"a hash that marks a twin": {"acme:local:shed#2", Subject{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseSubject(tt.text)
			if got != tt.want || (err == nil) != tt.ok || (err != nil && !errors.Is(err, ErrSubject)) {
				t.Errorf("ParseSubject(%q) = %+v, %v", tt.text, got, err)
			}
		})
	}
}

func TestTopicsOfASubject(t *testing.T) {
	if got := shed.PublishTopic("K1"); got != "acme/local/K1/publish" {
		t.Error(got)
	}
	if got := shed.MessagesTopic("K1"); got != "acme/local/K1/messages" {
		t.Error(got)
	}
}

func FuzzParseSubject(f *testing.F) {
	for _, seed := range []string{"acme:local:shed", "a:b:c:d", "::", "a:b:operator", "a/b:c:+", "a:b:\u202e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sub, err := ParseSubject(text)
		if err != nil {
			return
		}
		if sub.String() != text {
			t.Errorf("%q became %q", text, sub)
		}
		topic := sub.PublishTopic("K1")
		if strings.Count(topic, "/") != 3 || strings.ContainsAny(topic, "+#$ \x00") || !Matches("+/+/K1/publish", topic) {
			t.Errorf("%q makes the topic %q", text, topic)
		}
		if !KeyGrant(sub, "K1", noEnd).MayPublish(topic) {
			t.Errorf("the holder of %q may not publish to %q", text, topic)
		}
	})
}
