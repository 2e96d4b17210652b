package mqttproxy

import (
	"regexp"
	"testing"
)

// Who reads these has never heard of MQTT: there is a link to the devices, and a service that a key belongs to.
func TestNoSentenceForPeopleNamesABroker(t *testing.T) {
	said := []string{lateError{}.Sentence(), unsureError{}.Sentence()}
	for _, why := range Whys {
		if why != WhyAway && why.Words() == "" {
			t.Errorf("nothing is said of %q", why)
		}
		said = append(said, why.Words())
	}
	for reason := range reasons {
		said = append(said, reason.Words())
	}
	technical := regexp.MustCompile(`(?i)broker|mqtt|topic|publish`)
	for _, sentence := range said {
		if found := technical.FindString(sentence); found != "" {
			t.Errorf("%q is said in %q", found, sentence)
		}
	}
}
