package templates

import (
	"strings"
	"testing"
)

func TestALabelInASentenceKeepsTheCapitalsThatItNeeds(t *testing.T) {
	for label, want := range map[string]string{
		"Temperature": "temperature", "By the window": "by the window", "CO2": "CO2", "CO2 Lab at Anna's": "CO2 Lab at Anna's", "Öl": "öl", "": "",
	} {
		if got := inSentence(label); got != want {
			t.Errorf("%q: %q, want %q", label, got, want)
		}
	}
}

// The head of a page is the first that is read of how new it is: it must be what layout.templ does.
func TestWithoutScriptsThePageSaysHowItComesByNewerValues(t *testing.T) {
	for name, page := range BoardExamples {
		drawn := draw(t, Board(page))
		reloads := strings.Contains(drawn, `<noscript><meta http-equiv="refresh" content="30"></noscript>`)
		if reloads == page.Changing.On {
			t.Errorf("%s: it reloads by itself: %v", name, reloads)
		}
		if strings.Contains(drawn, "<noscript>Refreshes every 30 s</noscript>") != reloads || strings.Contains(drawn, "<noscript>Reload for newer values</noscript>") == reloads ||
			strings.Contains(drawn, "also reloads by itself every 30 seconds") != reloads {
			t.Errorf("%s says otherwise than that it reloads by itself: %v", name, reloads)
		}
	}
	if drawn := draw(t, Value(ValueExamples["value"])); !strings.Contains(drawn, "<noscript>Reload for newer values</noscript>") || strings.Contains(drawn, "http-equiv") {
		t.Error("the page of a value does not say that it stays as it is")
	}
}
