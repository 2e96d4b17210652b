package main

import (
	"time"

	"trellis/server"
)

// pageLimits are the flags about people's pages: how many there may be, and how they reach us.
type pageLimits struct {
	PageAway           time.Duration `name:"page-away" help:"How long the session of a page is kept that has lost its connection." default:"60s"`
	MaxPages           int           `name:"max-pages" help:"Pages that may be open at once." default:"20000"`
	MaxPagesPerAddress int           `name:"max-pages-per-address" help:"The same from one network: an address, or the /64 of an IPv6 address." default:"200"`
	MaxPagesPerKey     int           `name:"max-pages-per-key" help:"The same with one access key." default:"256"`
	Ways               []string      `help:"The ways that pages may go, best first; direct leads past this server, with --upstream." default:"direct,socket,stream,poll" placeholder:"LIST"`
}

// longestAway bounds --page-away: all that time a page's messages are kept in memory.
const longestAway = 10 * time.Minute

func (l pageLimits) check() error {
	if l.PageAway < time.Second || l.PageAway > longestAway {
		return wrongUse("--page-away=%s: should be between 1s and %s", l.PageAway, longestAway)
	}
	for name, value := range map[string]int{
		"max-pages": l.MaxPages, "max-pages-per-address": l.MaxPagesPerAddress, "max-pages-per-key": l.MaxPagesPerKey,
	} {
		if value < 1 {
			return wrongUse("--%s=%d: should be at least 1", name, value)
		}
	}
	if len(l.Ways) == 0 {
		return wrongUse("--ways: name at least one")
	}
	if err := server.CheckWays(l.Ways); err != nil {
		return wrongUse("--ways: %w", err)
	}
	return nil
}

func (l pageLimits) limits() server.Limits {
	return server.Limits{Pages: l.MaxPages, PerAddress: l.MaxPagesPerAddress, PerKey: l.MaxPagesPerKey, PageAway: l.PageAway}
}
