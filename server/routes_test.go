package server

import (
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
)

// A browser asks by OPTIONS before a page of another site may use what is for programs.
func TestPagesOfOtherSitesMayAskForAllThatIsForPrograms(t *testing.T) {
	s := newSite(t, nil)
	methods := map[string][]string{}
	for _, r := range s.server.http.Handler.(*echo.Echo).Routes() {
		methods[r.Path] = append(methods[r.Path], r.Method)
	}
	asked := 0
	for path, of := range methods {
		if !strings.HasPrefix(path, "/api/") {
			continue
		}
		if asked++; !slices.Contains(of, "OPTIONS") || len(of) < 2 {
			t.Errorf("%s: %v", path, of)
		}
	}
	if asked < 10 {
		t.Errorf("%d addresses are for programs", asked)
	}
}
