package server

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"trellis/mqttproxy"
)

// Limits bound what pages take. Zeros mean what mqttproxy has for them.
type Limits struct {
	Pages      int           // at once
	PerAddress int           // of them from one network
	PerKey     int           // of them with one key
	PageAway   time.Duration // how long the session of a page that is away is kept
}

// CheckWays refuses a plan that no page could follow.
func CheckWays(ways []string) error {
	if slices.Equal(ways, []string{wayDirect}) {
		return fmt.Errorf("%q leads past this server: name one to it as well", wayDirect)
	}
	for i, way := range ways {
		if way == wayDirect && i > 0 {
			return fmt.Errorf("%q is tried before the others: name it first", wayDirect)
		}
		if way != wayDirect && !slices.Contains(mqttproxy.Ways, way) {
			return fmt.Errorf("%q is no way that pages go: there are %s, %s", way, wayDirect, strings.Join(mqttproxy.Ways, ", "))
		}
		if slices.Contains(ways[:i], way) {
			return fmt.Errorf("%q is named twice", way)
		}
	}
	return nil
}

// plan is the ways to this server that pages may go, best first. Pages are told it and held to it.
func (s *Server) plan() []string {
	if len(s.Ways) == 0 {
		return mqttproxy.Ways
	}
	return slices.DeleteFunc(slices.Clone(s.Ways), func(way string) bool { return way == wayDirect })
}

// newPipes are the pipes of people's pages.
func (s *Server) newPipes() *mqttproxy.Pipes {
	return mqttproxy.NewPipes(mqttproxy.PipesConfig{
		Serve: s.servePage, Origins: s.ownOrigins(), Ways: s.plan(), Now: s.Now, Log: s.Log,
		Max: s.Limits.Pages, PerAddress: s.Limits.PerAddress, PerGrant: s.Limits.PerKey, Away: s.Limits.PageAway,
	})
}
