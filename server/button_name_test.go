package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// The owner who mistypes a device's name is told when he saves it, and not by a press that nobody gets.
func TestAButtonForANameThatNobodyHasSaysSo(t *testing.T) {
	s, key, b := boardSite(t, nil)
	record(t, s, key, `{"entity":"kitchen","data":{"temp_c":21}}`, boardNow)
	operator := operatorOf(t, s)
	const unheard = "Nobody has been heard under this name"
	for n, tt := range []struct {
		who    *http.Client
		entity string
		status int
		says   string
	}{
		{operator, "kitchen", 303, ""},
		{operator, "Kitchen", 303, unheard + " yet. Did you mean kitchen?"},
		{operator, "home:local:garage", 303, unheard + " yet."},
		{operator, "home:eu:garage", 303, unheard + " yet."},
		{operator, "my kitchen", 422, "No device can have this name"},
		{operator, "operator", 422, "No device can have this name"},
		{b, "KITCHEN", 303, unheard + " on this board yet. Did you mean kitchen?"},
	} {
		form := url.Values{"label": {fmt.Sprint("Light ", n)}, "entity": {tt.entity}, "data": {"on"}, "risk": {"confirm"}}
		answer, said := send(t, noRedirect(tt.who), http.MethodPost, s.URL+"/buttons", form)
		if answer.StatusCode != tt.status {
			t.Fatalf("%s: %s %s", tt.entity, answer.Status, said)
		}
		if tt.status == 303 {
			_, said = send(t, tt.who, http.MethodGet, s.URL+"/", nil)
			_, said, _ = strings.Cut(said, fmt.Sprintf(">Light %d…<", n))
			said, _, _ = strings.Cut(said, "</li>")
		}
		if tt.says == "" && strings.Contains(said, unheard) || !strings.Contains(said, tt.says+"<") && !strings.Contains(said, tt.says+",") {
			t.Errorf("%s: %q is not said: %s", tt.entity, tt.says, said)
		}
	}
}

func noRedirect(b *http.Client) *http.Client {
	stays := *b
	stays.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &stays
}
