package main

import (
	"fmt"
	"io"
	"log/slog"
	"regexp"
)

// keyShape is what a key looks like, also where it is cut off or in the wrong place: in a topic, as a user name.
var keyShape = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}(\.[A-Za-z0-9_-]*)*`)

// newLog writes lines of text without keys in them. What others say may quote a key: a device can put it where it does not
// belong, and the broker inside and the standard library report what they were given.
func newLog(out io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level, ReplaceAttr: withoutKeys}))
}

func withoutKeys(_ []string, a slog.Attr) slog.Attr {
	if kind := a.Value.Kind(); kind != slog.KindString && kind != slog.KindAny {
		return a
	}
	text := a.Value.String()
	if e, is := a.Value.Any().(error); is {
		text = e.Error()
	} else if a.Value.Kind() == slog.KindAny {
		text = fmt.Sprintf("%+v", a.Value.Any())
	}
	if keyShape.MatchString(text) {
		return slog.String(a.Key, keyShape.ReplaceAllString(text, "[key]"))
	}
	return a
}
