package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNumbersAreNotToldToEverybody(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, open := file("good", "0123456789abcdef\n"), file("open", "0123456789abcdef\n")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		metrics
		wrong string // words of the refusal
	}{
		"not at all":                       {metrics{}, ""},
		"this machine":                     {metrics{Metrics: "127.0.0.1:0"}, ""},
		"this machine in the newer way":    {metrics{Metrics: "[::1]:0"}, ""},
		"this machine by name":             {metrics{Metrics: "localhost:0"}, ""},
		"every address":                    {metrics{Metrics: ":0"}, "needs --metrics-token-file"},
		"every address, said aloud":        {metrics{Metrics: "0.0.0.0:0"}, "needs --metrics-token-file"},
		"another of this machine's":        {metrics{Metrics: "192.0.2.1:9464"}, "needs --metrics-token-file"},
		"a name":                           {metrics{Metrics: "trellis.example:9464"}, "needs --metrics-token-file"},
		"every address, with a token":      {metrics{Metrics: ":0", MetricsTokenFile: good}, ""},
		"no port":                          {metrics{Metrics: "127.0.0.1"}, "should be host:port"},
		"a token and nothing to tell":      {metrics{MetricsTokenFile: good}, "needs --metrics"},
		"no such file":                     {metrics{Metrics: ":0", MetricsTokenFile: dir + "/none"}, "no such file"},
		"a folder":                         {metrics{Metrics: ":0", MetricsTokenFile: dir}, "is a directory"},
		"a token that others can read":     {metrics{Metrics: ":0", MetricsTokenFile: open}, "can be read by others (mode 0644): make it 0600"},
		"an empty token":                   {metrics{Metrics: ":0", MetricsTokenFile: file("empty", "\n")}, "16 letters or more"},
		"a token that is soon guessed":     {metrics{Metrics: ":0", MetricsTokenFile: file("short", "0123456789abcde")}, "16 letters or more"},
		"what is no token":                 {metrics{Metrics: ":0", MetricsTokenFile: file("words", "a file of something else")}, "16 letters or more"},
		"a file that is longer than it is": {metrics{Metrics: ":0", MetricsTokenFile: file("long", strings.Repeat("x", longestToken+1))}, "16 letters or more"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.check()
			if tt.wrong == "" {
				if err != nil {
					t.Fatal(err)
				}
				l, err := tt.open()
				if err != nil {
					t.Skip("this machine has no such address:", err)
				}
				if (l == nil) != (tt.Metrics == "") {
					t.Errorf("it listens at %v", l)
				}
				if l != nil {
					_ = l.Close()
				}
				return
			}
			var usage usageError
			if !errors.As(err, &usage) || !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("%v, want %q", err, tt.wrong)
			}
		})
	}
}
