package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Limits of script per page, packed with brotli: what a phone on a slow network downloads before it is live.
const (
	// The board and the worker; 7,000 of it are the pipe with its three carriers and the ladder, without which bad networks
	// see nothing live and every change of networks is a new session. 5,300 are the line past the server: it is a session of
	// its own, and a page has to make of messages there what the server makes of them here. Another 5,600 are what keys of real
	// devices mean: names, units, what is a card and what is not. 1,500 are how devices look and what is said of them.
	viewerLimit    = 44_700
	developerLimit = 55_100 // the same with the developer view and all else that comes later, such as what draws graphs, and 2,300 to tell of a silence
	valueLimit     = 43_500 // the page of one value and the worker, which it shares with the board; 200 are axes in the unit that is shown
	checkLimit     = 10_000 // the check of the connection, which people open when their network is bad
)

// weigh adds up what a page loads, fails when that passes a limit, and prints the sums.
func weigh(page, hub bundled) error {
	m, err := page.report()
	if err != nil {
		return err
	}
	sizes := map[string]int{}
	raw := map[string]int{}
	for _, f := range append(page.files, hub.files...) {
		if ext := filepath.Ext(f.Path); ext == ".js" || ext == ".css" {
			sizes[filepath.Base(f.Path)], raw[filepath.Base(f.Path)] = len(packBrotli(f.Contents)), len(f.Contents)
		}
	}
	viewer, developer := sizes["hub.js"], sizes["hub.js"]
	for _, name := range loaded(m, "web/src/board.ts", false) {
		viewer += sizes[name]
	}
	for _, name := range loaded(m, "web/src/board.ts", true) {
		developer += sizes[name]
	}
	check := 0
	for _, name := range loaded(m, "web/src/check.ts", true) {
		check += sizes[name]
	}
	for name, size := range sizes {
		fmt.Printf("%-28s %7d bytes, %6d packed\n", name, raw[name], size)
	}
	fmt.Printf("script of the board: %d packed (limit %d); with the developer view: %d (limit %d); of the check: %d (limit %d)\n",
		viewer, viewerLimit, developer, developerLimit, check, checkLimit)
	if viewer > viewerLimit || developer > developerLimit || check > checkLimit {
		return fmt.Errorf("scripts outgrew their limit: board %d of %d, developer %d of %d, check %d of %d bytes",
			viewer, viewerLimit, developer, developerLimit, check, checkLimit)
	}
	return nil
}

// loaded lists the scripts that an entry pulls in; later also those that come in when they are asked for.
func loaded(m metafile, entry string, later bool) []string {
	var names []string
	seen := map[string]bool{}
	var follow func(path string)
	follow = func(path string) {
		if seen[path] || !strings.HasSuffix(path, ".js") {
			return
		}
		seen[path] = true
		names = append(names, filepath.Base(path))
		for _, i := range m.Outputs[path].Imports {
			if i.Kind != "dynamic-import" || later {
				follow(i.Path)
			}
		}
	}
	for path, output := range m.Outputs {
		if output.EntryPoint == entry {
			follow(path)
		}
	}
	return names
}

// weighValue does the same for the page of one value, which is bundled by itself.
func weighValue(value, hub bundled) error {
	sum := 0
	for _, f := range slices.Concat(value.files, hub.files) {
		name := filepath.Base(f.Path)
		if filepath.Ext(name) == ".js" && !strings.HasPrefix(name, "moment-") {
			sum += len(packBrotli(f.Contents))
		}
	}
	fmt.Printf("script of the page of one value: %d packed (limit %d)\n", sum, valueLimit)
	if sum > valueLimit {
		return fmt.Errorf("scripts outgrew their limit: one value %d of %d bytes", sum, valueLimit)
	}
	return nil
}
