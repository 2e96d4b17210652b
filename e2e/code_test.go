package e2e

import (
	"bytes"
	"context"
	"html"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"trellis/e2e/wire"
)

var snippet = regexp.MustCompile(`(?s)<code id="code-([a-z]+)"[^>]*>(.*?)</code>`)

// snippets are the programs on the page of a value, as somebody copies them.
func (b *browser) snippets(entity, reading string) map[string]string {
	b.t.Helper()
	page := b.do("GET", "/value?"+url.Values{"entity": {entity}, "reading": {reading}}.Encode(), "")
	if page.StatusCode != 200 {
		b.t.Fatalf("the page of %s: %s", reading, page.Status)
	}
	found := map[string]string{}
	for _, m := range snippet.FindAllStringSubmatch(page.body, -1) {
		found[m[1]] = html.UnescapeString(m[2])
	}
	return found
}

// runCode runs a program with the key in its environment, as its first lines say.
func runCode(t *testing.T, k key, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "KEY="+k.Key, "PYTHONIOENCODING=utf-8")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, errs.String())
	}
	return out.String()
}

// watchCurl puts a curl before the real one that notes in a file what it was given.
func watchCurl(t *testing.T, file string) {
	t.Helper()
	real, err := exec.LookPath("curl")
	must(t, err)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "curl"), []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" >'"+file+"'\nexec '"+real+"' \"$@\"\n"), 0o755))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// Names that would break out of a program's quotes, were they ever put there as they are.
const hostileReading = `t"'$(touch pwned)\` + "`x`"

func TestTheProgramsOnThePageRun(t *testing.T) {
	s := start(t)
	k := s.addKey("greenhouse")
	device := s.device(k, "")
	must(t, device.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: []byte(`{"data":{"temp_c":21.75,"door":"half \"open\"",` +
		`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(hostileReading) + `":4.5}}`)}))
	must(t, device.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: []byte(`{"data":{"temp_c":22.5}}`)}))
	for until := time.Now().Add(prompt); len(recorded(t, s.data, k.topic("publish"), 2)) < 2; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) { // what is acknowledged is kept, and recorded a moment later
			t.Fatal("it is not recorded")
		}
	}
	b := s.browser()
	b.signIn(k)
	for reading, want := range map[string]struct {
		past   []string // each with its time
		newest string
	}{
		"temp_c":       {[]string{"21.75", "22.5"}, "22.5"},
		"door":         {[]string{`half "open"`}, `"half \"open\""`},
		hostileReading: {[]string{"4.5"}, "4.5"},
	} {
		code := b.snippets(k.Entity, reading)
		dir := t.TempDir()
		file := func(name, text string) string {
			at := filepath.Join(dir, name)
			must(t, os.WriteFile(at, []byte(text), 0o644))
			return at
		}
		t.Run("curl "+reading[:1], func(t *testing.T) {
			arguments := file("arguments", "")
			watchCurl(t, arguments)
			if out := runCode(t, k, "sh", file("read.sh", code["curl"])); !printed(t, out, "time,received,value\n", ",", want.past) {
				t.Errorf("it printed %s", out)
			}
			if given, err := os.ReadFile(arguments); err != nil || !bytes.Contains(given, []byte("/api/history/export")) || bytes.Contains(given, []byte(k.Key)) {
				t.Errorf("every user of the computer can read what curl was given: %s (%v)", given, err)
			}
		})
		t.Run("Python "+reading[:1], func(t *testing.T) {
			if out := runCode(t, k, "python3", file("read.py", code["python"])); !printed(t, out, "", " ", want.past) {
				t.Errorf("it printed %s", out)
			}
		})
		t.Run("JavaScript "+reading[:1], func(t *testing.T) {
			if out := runCode(t, k, "node", file("read.mjs", code["javascript"])); !printed(t, out, "", " ", want.past) {
				t.Errorf("it printed %s", out)
			}
		})
		t.Run("Arduino "+reading[:1], func(t *testing.T) {
			if out := runArduino(t, k, dir, code["arduino"]); strings.TrimSpace(out) != want.newest {
				t.Errorf("it printed %s, want %s", out, want.newest)
			}
		})
		if _, err := os.Stat("pwned"); err == nil {
			t.Error("what a device chose as a name ran")
		}
	}
	if strings.Contains(b.seen.String(), k.Key) {
		t.Error("a page holds the key")
	}
}

// printed says whether a program has printed a head and a line for each value, oldest first, each with its time in front.
func printed(t *testing.T, out, head, between string, values []string) bool {
	t.Helper()
	lines, whole := strings.CutPrefix(out, head)
	rows := strings.Split(strings.TrimSpace(lines), "\n")
	for i, row := range rows {
		at, rest, _ := strings.Cut(row, between)
		if _, err := time.Parse(time.RFC3339Nano, at); err != nil || i >= len(values) {
			return false
		}
		if between == "," { // CSV writes a quote twice
			rest = strings.ReplaceAll(rest, `""`, `"`)
		}
		whole = whole && strings.Contains(rest, values[i])
	}
	return whole && len(rows) == len(values)
}

// runArduino builds the program for this machine, with stand-ins for the network of an ESP32, and runs it once.
func runArduino(t *testing.T, k key, dir, code string) string {
	t.Helper()
	if _, err := exec.LookPath("g++"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no g++ here, so the program for Arduino cannot be built; e2e/need installs one")
		}
		t.Skip("there is no g++ here, so the program for Arduino was not built; e2e/need installs one")
	}
	secrets := "#define WIFI_NAME \"w\"\n#define WIFI_PASSWORD \"p\"\n#define KEY \"" + k.Key + "\"\n"
	for name, text := range map[string]string{"sketch.ino": code, "secrets.h": secrets} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	program := filepath.Join(dir, "sketch")
	build := exec.Command("g++", "-std=c++17", "-Wall", "-Werror", "-I", "testdata/arduino", "-I", dir, "-o", program, "testdata/arduino/main.cpp")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("it does not build: %v\n%s", err, out)
	}
	return runCode(t, k, program)
}
