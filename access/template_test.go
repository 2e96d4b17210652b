package access

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestWhomATopicIsAbout(t *testing.T) {
	for name, tt := range map[string]struct{ templates, topic, entity, reading string }{
		"a level":                             {"home/{entity}/state", "home/kitchen/state", "kitchen", "state"},
		"the last level":                      {"zigbee2mqtt/{entity}", "zigbee2mqtt/Living room lamp", "Living room lamp", ""},
		"the first level":                     {"{entity}/sensor/+/state", "esp-1/sensor/temperature/state", "esp-1", "sensor.temperature"},
		"a level with colons":                 {"ble/{entity}", "ble/AA:BB:CC", "AA:BB:CC", ""},
		"what is behind it":                   {"home/{entity}/#", "home/kitchen/air/temperature", "kitchen", "air.temperature"},
		"nothing behind it":                   {"home/{entity}/#", "home/kitchen", "kitchen", ""},
		"the rest of the topic":               {"sensors/{entity...}", "sensors/kitchen/air", "kitchen:air", ""},
		"no rest":                             {"sensors/{entity...}", "sensors", "", ""},
		"no level names it":                   {"home/#", "home/kitchen/air", "home:kitchen:air", ""},
		"no wildcard either":                  {"weather/outside", "weather/outside", "weather:outside", ""},
		"the first that fits":                 {"home/{entity}/state #", "home/kitchen/state", "kitchen", "state"},
		"the last that fits":                  {"home/{entity}/state #", "home/kitchen", "home:kitchen", ""},
		"none that fits":                      {"home/{entity}/state", "home/kitchen/set", "", ""},
		"an empty level":                      {"home/{entity}/state", "home//state", "", ""},
		"a level of the broker's own":         {"#", "$SYS/broker/uptime", "", ""},
		"the broker's own, named":             {"$SYS/broker/{entity}", "$SYS/broker/uptime", "uptime", ""},
		"signs that cannot be printed":        {"home/{entity}", "home/a\x1bb", "", ""},
		"a name that is too long":             {"home/{entity}", "home/" + strings.Repeat("x", 257), "", ""},
		"a name that is no text":              {"home/{entity}", "home/\xff", "", ""},
		"only colons where the levels are":    {"#", "//", "", ""},
		"a closing state, and nothing before": {"{entity}/#", "a/state", "a", "state"},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := ParseTemplates(strings.Fields(tt.templates))
			if err != nil {
				t.Fatal(err)
			}
			entity, reading, ok := all.Name(tt.topic)
			if entity != tt.entity || reading != tt.reading || ok != (tt.entity != "") {
				t.Errorf("%q is about %q, %q, %v; want %q, %q", tt.topic, entity, reading, ok, tt.entity, tt.reading)
			}
		})
	}
}

func TestTemplatesThatCannotBe(t *testing.T) {
	for name, tt := range map[string]struct{ templates, words string }{
		"none":                           {"", "at least one"},
		"the entity twice":               {"a/{entity}/{entity}", "twice"},
		"a part of a level":              {"a/x-{entity}", "as a whole level"},
		"another word in braces":         {"a/{name}", "as a whole level"},
		"something behind the rest":      {"a/{entity...}/state", "nothing can stand behind it"},
		"something behind #":             {"a/#/b", "nothing can stand behind it"},
		"a wildcard inside a level":      {"a/b+", "whole levels"},
		"a shared subscription":          {"$share/g/home/{entity}", "away from others"},
		"our own":                        {"$trellis/{entity}", "kept for"},
		"signs that cannot be printed":   {"a\x00b", "no topic"},
		"twice the same":                 {"a/{entity} a/{entity}", "named twice"},
		"twice the same filter":          {"a/{entity} a/+", "named twice"},
		"never reached":                  {"# home/{entity}/state", "never reached"},
		"a level that two names live on": {"home/{entity}/# home/+/{entity}/#", "name another entity"},
		"two names for one topic":        {"home/{entity}/state home/+/{entity}", "name another entity"},
		"two names, one with wildcards":  {"+/{entity} home/#/x", "behind it"},
		"the same level, another rest":   {"a/{entity}/b a/{entity...} +/a/{entity}", "name another entity"},
		"too many":                       {strings.Join(numbered(17), " "), "at most 16"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseTemplates(strings.Split(tt.templates, " "))
			if tt.templates == "" {
				_, err = ParseTemplates(nil)
			}
			if err == nil || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("it is told %v, want something of %q", err, tt.words)
			}
		})
	}
}

func numbered(n int) (all []string) {
	for i := range n {
		all = append(all, "t"+string(rune('a'+i)))
	}
	return all
}

func TestAKeyHearsItsEntityAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		templates, entity string
		want              []string
	}{
		"every template filled":         {"home/{entity}/state tele/{entity}/SENSOR", "shed", []string{"home/shed/state", "tele/shed/SENSOR"}},
		"what is behind it":             {"home/{entity}/#", "shed", []string{"home/shed/#"}},
		"the rest, level by level":      {"sensors/{entity...}", "shed:air", []string{"sensors/shed/air"}},
		"the whole topic":               {"weather/# home/{entity}", "weather:outside", []string{"weather/outside", "home/weather:outside"}},
		"not of the whole topic":        {"weather/#", "shed", nil},
		"not what goes by another name": {"home/{entity}/state #", "home:shed:state", []string{"home/home:shed:state/state"}},
		"nothing for what is no name":   {"home/{entity}/#", "+", nil},
		"nothing for more than a name":  {"home/{entity}/#", "a/b", nil},
		"nothing for everything":        {"home/{entity...}", "#", nil},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := ParseTemplates(strings.Fields(tt.templates))
			if err != nil {
				t.Fatal(err)
			}
			if got := all.Of(tt.entity); !slices.Equal(got, tt.want) {
				t.Errorf("%q hears %q, want %q", tt.entity, got, tt.want)
			}
		})
	}
}

func TestABrokerIsAskedForNothingTwice(t *testing.T) {
	all, err := ParseTemplates([]string{"home/{entity}/state", "home/{entity}/#", "tele/+", "$SYS/#"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := all.Filters(), []string{"home/+/#", "tele/+", "$SYS/#"}; !slices.Equal(got, want) {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

func TestWhereSomethingIsSentTo(t *testing.T) {
	send, err := ParseSendTemplate("home/{entity}/set")
	if err != nil {
		t.Fatal(err)
	}
	if topic, err := send.Fill("Living room lamp"); err != nil || topic != "home/Living room lamp/set" {
		t.Errorf("sent to %q, %v", topic, err)
	}
	deep, err := ParseSendTemplate("cmnd/{entity...}")
	if err != nil {
		t.Fatal(err)
	}
	if topic, err := deep.Fill("shed:air"); err != nil || topic != "cmnd/shed/air" {
		t.Errorf("sent to %q, %v", topic, err)
	}
	first, err := ParseSendTemplate("{entity}/set")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "a/b", "+", "#", "a+", "a\x00b", "\xff", strings.Repeat("x", 257), "$SYS"} {
		if topic, err := first.Fill(name); !errors.Is(err, ErrNotInTopic) {
			t.Errorf("%q is sent to %q, %v", name, topic, err)
		}
	}
	for _, text := range []string{"home/set", "home/+/{entity}", "home/{entity}/#", "", "a/{entity}/{entity}"} {
		if _, err := ParseSendTemplate(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
