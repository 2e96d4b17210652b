package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"trellis/history"
)

func TestDevicesOfOneNameAreToldApart(t *testing.T) {
	s := newSite(t, func(c *Config) { c.Now = func() time.Time { return boardNow } })
	home := s.key(t, "home")
	for _, entity := range []string{"home:attic:probe", "home:cellar:probe", "home:lamp"} {
		record(t, s, home, `{"entity":"`+entity+`","data":{"state":"on"}}`, boardNow.Add(-30*time.Minute))
		record(t, s, home, `{"entity":"`+entity+`","data":{"state":"off"}}`, boardNow.Add(-20*time.Minute))
	}
	one := history.Setting{Board: home.Sub, Entity: "home:cellar:probe", Field: history.SettingName, Value: "Sump"}
	b := comeIn(t, s, home)
	_, page := send(t, b, http.MethodGet, s.URL+"/happened", nil)
	for _, want := range []string{"Probe (Home, attic)", "Probe (Home, cellar)", "Lamp"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(page, "Lamp (") {
		t.Error("a name that one device has is said with its place")
	}
	if err := s.store.PutSettings(t.Context(), []history.Setting{one}); err != nil {
		t.Fatal(err)
	}
	if _, page = send(t, b, http.MethodGet, s.URL+"/happened", nil); strings.Contains(page, "Probe (") || !strings.Contains(page, "Sump") {
		t.Error("names that are told apart already are said with their places")
	}
}
