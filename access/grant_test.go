package access

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var shed = Subject{Account: "acme", Region: "local", Entity: "shed"}

func TestMatches(t *testing.T) {
	for name, tt := range map[string]struct {
		filter, topic string
		want          bool
	}{
		"same":                            {"a/b/c", "a/b/c", true},
		"other level":                     {"a/b/c", "a/b/d", false},
		"shorter topic":                   {"a/b/c", "a/b", false},
		"longer topic":                    {"a/b", "a/b/c", false},
		"same beginning only":             {"a/b", "a/bc", false},
		"case counts":                     {"a/B", "a/b", false},
		"plus for one level":              {"a/+/c", "a/b/c", true},
		"plus for an empty level":         {"a/+/c", "a//c", true},
		"plus not for two":                {"a/+/c", "a/b/b/c", false},
		"plus last":                       {"a/+", "a/b", true},
		"plus last not for its parent":    {"a/+", "a", false},
		"plus alone":                      {"+", "a", true},
		"plus alone not for two":          {"+", "a/b", false},
		"plus twice for a leading slash":  {"+/+", "/a", true},
		"hash for all":                    {"#", "a/b/c", true},
		"hash for levels below":           {"a/#", "a/b/c", true},
		"hash for the parent itself":      {"a/#", "a", true},
		"hash not for a neighbour":        {"a/#", "ab/c", false},
		"plus and hash":                   {"+/b/#", "a/b/c/d", true},
		"hash not for a hidden topic":     {"#", "$SYS/load", false},
		"plus not for a hidden topic":     {"+/load", "$SYS/load", false},
		"hidden topic by its name":        {"$SYS/#", "$SYS/load", true},
		"dollar inside a topic is plain":  {"a/+", "a/$b", true},
		"plus inside a level is no match": {"a/b+", "a/bc", false},
		"nothing and nothing":             {"", "", true},
		"nothing and a slash":             {"", "/", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Matches(tt.filter, tt.topic); got != tt.want {
				t.Errorf("Matches(%q, %q) = %v, want %v", tt.filter, tt.topic, got, tt.want)
			}
		})
	}
}

func TestCovers(t *testing.T) {
	for name, tt := range map[string]struct {
		given, asked string
		want         bool
	}{
		"same":                               {"a/b/c", "a/b/c", true},
		"other":                              {"a/b/c", "a/b/d", false},
		"plus given, a name asked":           {"a/+/c", "a/b/c", true},
		"plus given, plus asked":             {"a/+/c", "a/+/c", true},
		"a name given, plus asked":           {"a/b/c", "a/+/c", false},
		"plus given, hash asked":             {"a/+", "a/#", false},
		"plus given, two levels asked":       {"a/+", "a/b/c", false},
		"hash given, all asked":              {"#", "#", true},
		"hash given, plus asked":             {"#", "+/+", true},
		"hash given, its parent asked":       {"a/#", "a", true},
		"hash given, levels below asked":     {"a/#", "a/+/c/#", true},
		"levels below given, hash asked":     {"a/+/c/#", "a/#", false},
		"a name given, its subtree asked":    {"a", "a/#", false},
		"hash given, hidden topics asked":    {"#", "$SYS/#", false},
		"plus given, hidden topics asked":    {"+/load", "$SYS/load", false},
		"hidden topics given and asked":      {"$SYS/#", "$SYS/load", true},
		"shared subscription asked":          {"a/#", "$share/group/a/b", false},
		"plus given, plus inside a level":    {"a/+/c", "a/b+/c", false},
		"plus given, hash inside a level":    {"a/+/c", "a/#b/c", false},
		"plus given, hash in the middle":     {"a/+/c", "a/#/c", false},
		"hash in the middle asked of a hash": {"a/#", "a/#/c", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := covers(tt.given, tt.asked); got != tt.want {
				t.Errorf("covers(%q, %q) = %v, want %v", tt.given, tt.asked, got, tt.want)
			}
		})
	}
}

func TestGrants(t *testing.T) {
	type may struct{ subscribe, receive, publish bool }
	key := KeyGrant(shed, "K1", time.Time{})
	operator := OperatorGrant("acme", "local", time.Time{})
	for name, tt := range map[string]struct {
		grant Grant
		topic string
		want  may
	}{
		"key, its messages":             {key, "acme/local/K1/messages", may{true, true, false}},
		"key, what it publishes":        {key, "acme/local/K1/publish", may{true, true, true}},
		"key, another key's messages":   {key, "acme/local/K2/messages", may{}},
		"key, another key's publish":    {key, "acme/local/K2/publish", may{}},
		"key, another region":           {key, "acme/far/K1/messages", may{}},
		"key, another account":          {key, "other/local/K1/messages", may{}},
		"key, below its messages":       {key, "acme/local/K1/messages/x", may{}},
		"key, above its messages":       {key, "acme/local/K1", may{}},
		"key, a longer name":            {key, "acme/local/K1/messagesx", may{}},
		"key, leading slash":            {key, "/acme/local/K1/messages", may{}},
		"key, trailing slash":           {key, "acme/local/K1/messages/", may{}},
		"key, other case":               {key, "acme/local/k1/messages", may{}},
		"key, hidden topics":            {key, "$SYS/broker", may{}},
		"key, nothing":                  {key, "", may{}},
		"operator, any key's publish":   {operator, "acme/local/K1/publish", may{true, true, false}},
		"operator, its own":             {operator, "acme/local/operator/publish", may{true, true, true}},
		"operator, somebody's messages": {operator, "acme/local/K1/messages", may{}},
		"operator, another account":     {operator, "other/local/K1/publish", may{}},
		"operator, another region":      {operator, "acme/far/K1/publish", may{}},
		"nobody":                        {Grant{}, "acme/local/K1/publish", may{}},
	} {
		t.Run(name, func(t *testing.T) {
			g := tt.grant
			if got := (may{g.MaySubscribe(tt.topic), g.MayReceive(tt.topic), g.MayPublish(tt.topic)}); got != tt.want {
				t.Errorf("%q: got %+v, want %+v", tt.topic, got, tt.want)
			}
		})
	}
}

func TestWildcardsReachNoFurtherThanTheGrant(t *testing.T) {
	key := KeyGrant(shed, "K1", time.Time{})
	operator := OperatorGrant("acme", "local", time.Time{})
	for _, filter := range []string{
		"#", "+", "+/+/+/+", "acme/#", "acme/local/#", "acme/local/K1/#", "acme/local/K1/+", "acme/local/+/messages", "+/local/K1/messages",
		"acme/+/K1/messages", "acme/local/K1/messages/#", "$share/g/acme/local/K1/messages", "$SYS/#", "/#", "acme/local/+/+",
		"acme/local/K1/messages/+", "acme/local/K1/mess+", "acme/local/#/messages", "",
	} {
		if key.MaySubscribe(filter) {
			t.Errorf("a key may subscribe to %q", filter)
		}
		if operator.MaySubscribe(filter) {
			t.Errorf("the operator may subscribe to %q", filter)
		}
	}
	if !operator.MaySubscribe("acme/local/+/publish") {
		t.Error("the operator may not subscribe to all that is published")
	}
	if key.MaySubscribe("acme/local/+/publish") {
		t.Error("a key may subscribe to all that is published")
	}
}

func TestGrantEnds(t *testing.T) {
	end := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		until, at time.Time
		want      bool
	}{
		"before":     {end, end.Add(-1), false},
		"exactly at": {end, end, true},
		"after":      {end, end.Add(1), true},
		"no end":     {time.Time{}, end, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (Grant{Until: tt.until}).Ended(tt.at); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestLogsNameNoSecret(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	log.Info("made", "grant", KeyGrant(shed, "K1", time.Time{}), "key", NewKey{Sub: shed.String(), JTI: "K1", Key: "canary"})
	if text := out.String(); strings.Contains(text, "canary") || !strings.Contains(text, "K1") {
		t.Errorf("log: %s", text)
	}
}

// FuzzMatches holds the two halves of the ACL together: who may subscribe to a filter may receive all it matches.
func FuzzMatches(f *testing.F) {
	for _, seed := range [][3]string{
		{"#", "$SYS/#", "$SYS/x"}, {"a/+/c", "a/b/c", "a/b/c"}, {"a/#", "a", "a"}, {"+/+", "/+", "/"}, {"a/+", "a/+", "a/"},
		{"", "", ""}, {"#", "+", "a"}, {"#/x", "a/b", "a/b"}, {"+/#", "a/#", "a"}, {"$a/+", "$a/#", "$a"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, given, asked, topic string) {
		if covers(given, asked) && Matches(asked, topic) && !Matches(given, topic) {
			t.Errorf("%q covers %q, which matches %q; but it does not match that itself", given, asked, topic)
		}
		if !strings.ContainsAny(topic, "+#") && !Matches(topic, topic) {
			t.Errorf("%q does not match itself", topic)
		}
	})
}
