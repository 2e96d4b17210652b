package message

import (
	"testing"
	"time"
)

func TestWhatAnotherServiceDelivers(t *testing.T) {
	shed := Origin{Topic: "acme/eu/k1/messages", Received: time.Now(), Hearer: Hearer{Entity: "shed", Path: "acme:eu:shed"}}
	for name, tt := range map[string]struct{ payload, about, source string }{
		"readings of whoever tells us":        {`{"data":{"t":1},"source":"acme:eu:barn","dest":"shed"}`, "barn", "acme:eu:barn"},
		"addressed by our path":               {`{"data":{"t":1},"source":"acme:eu:barn:door","entity":"acme:eu:shed"}`, "barn:door", "acme:eu:barn:door"},
		"a probe behind a gateway":            {`{"data":{"t":1},"source":"acme:eu:gate","entity":"probe-7","dest":"shed"}`, "probe-7", "acme:eu:gate"},
		"a sender with a bare name":           {`{"data":{"t":1},"source":"barn"}`, "barn", "barn"},
		"without a sender":                    {`{"data":{"t":1}}`, "", ""},
		"bare data":                           {`21.5`, "", ""},
		"what a person sent":                  {`{"data":{"led":"on"},"source":"acme:eu:phone","dest":"shed","context":{"by":"page"}}`, "", "acme:eu:phone"},
		"what an operator sent":               {`{"data":{"led":"on"},"source":"acme:eu:operator","dest":"shed"}`, "", "acme:eu:operator"},
		"our own copy of what we sent":        {`{"data":{"led":"on"},"source":"acme:eu:shed","entity":"shed"}`, "", "acme:eu:shed"},
		"a source that is no text":            {`{"data":{"t":1},"source":7}`, "", ""},
		"about the sender, by its whole path": {`{"data":{"t":1},"source":"acme:eu:barn","entity":"acme:eu:barn"}`, "barn", "acme:eu:barn"},
	} {
		t.Run(name, func(t *testing.T) {
			m := Normalise([]byte(tt.payload), shed, func(string) bool { return true })[0]
			if m.About != tt.about || m.Source != tt.source {
				t.Errorf("about %q from %q, want %q from %q", m.About, m.Source, tt.about, tt.source)
			}
		})
	}
	m := Normalise([]byte(`{"data":1,"source":"acme:eu:barn"}`), Origin{Source: "acme:eu:shed", Entity: "shed"}, func(string) bool { return false })[0]
	if m.Source != "acme:eu:shed" {
		t.Errorf("a device of ours made itself %q", m.Source)
	}
}
