package main

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// settingRow is a row of the table of settings: flag, environment, default.
var settingRow = regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| `([A-Z_]+)` \\| ([^|]*?) ?\\|")

// commandRow is a row of the table of commands.
var commandRow = regexp.MustCompile("(?m)^\\| `trellis ([^`]+)` \\|")

// theDocs reads docs/running.md.
func theDocs(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/running.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func commandLine() *kong.Application {
	return newParser(&commands{}, console{io.Discard, io.Discard}, func(int) {}).Model
}

func flagsOf(n *kong.Node) map[string]*kong.Flag {
	all := map[string]*kong.Flag{}
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			if f.Name != "help" {
				all[f.Name] = f
			}
		}
	}
	return all
}

// shownDefaults are those that the table says in words, since they are no text of ours.
var shownDefaults = map[string]string{
	"data": "`./data`", "broker-client-id": "`trellis-` and a name of this folder", "demo": "off", "broker-plain": "off",
}

func TestTheTableOfSettingsIsThatOfTheFlags(t *testing.T) {
	docs, root := theDocs(t), commandLine()
	var serve map[string]*kong.Flag
	for _, child := range root.Children {
		if child.Name == "serve" {
			serve = flagsOf(child)
		}
	}
	for _, row := range settingRow.FindAllStringSubmatch(docs, -1) {
		name, environment, usual := row[1], row[2], row[3]
		f, is := serve[name]
		if !is {
			t.Errorf("--%s is in the table, and no flag of serve", name)
			continue
		}
		delete(serve, name)
		if len(f.Envs) != 1 || f.Envs[0] != environment {
			t.Errorf("--%s is called %v in the environment, and %s in the table", name, f.Envs, environment)
		}
		want, has := shownDefaults[name]
		switch {
		case has && usual != want, !has && f.Default != "" && usual != "`"+f.Default+"`", !has && f.Default == "" && usual != "" && usual != "none":
			t.Errorf("--%s is %q without being said, and %s in the table", name, f.Default, usual)
		}
	}
	for name := range serve {
		t.Errorf("--%s is a flag of serve, and not in the table", name)
	}
}

func TestTheTableOfCommandsHasTheirFlags(t *testing.T) {
	docs, root := theDocs(t), commandLine()
	settings := map[string]bool{}
	for _, row := range settingRow.FindAllStringSubmatch(docs, -1) {
		settings[row[1]] = true
	}
	rows := map[string]string{}
	flag := regexp.MustCompile(`--[a-z-]+`)
	for _, row := range commandRow.FindAllStringSubmatch(docs, -1) {
		var words []string
		for _, word := range strings.Fields(row[1]) {
			if word != strings.ToLower(word) || strings.HasPrefix(word, "[") {
				break
			}
			words = append(words, word)
		}
		rows[strings.Join(words, " ")] = row[1]
	}
	for _, leaf := range root.Leaves(true) {
		name := strings.TrimPrefix(leaf.FullPath(), "trellis ")
		row, there := rows[name]
		if !there {
			t.Errorf("trellis %s is not in the table", name)
			continue
		}
		delete(rows, name)
		own := flagsOf(leaf)
		for _, said := range flag.FindAllString(row, -1) {
			if own[strings.TrimPrefix(said, "--")] == nil {
				t.Errorf("trellis %s has no %s", name, said)
			}
		}
		for f := range own {
			if !settings[f] && !strings.Contains(row, "--"+f) {
				t.Errorf("trellis %s has --%s, and its row does not say so", name, f)
			}
		}
	}
	for name := range rows {
		t.Errorf("trellis %s is in the table, and no command", name)
	}
}
