package main

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestTheLogHoldsNoKey(t *testing.T) {
	const key = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhY21lOmV1OnNoZWQifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
	var out strings.Builder
	newLog(&out, slog.LevelDebug).With("with", key).Info("says "+key, "text", "home/"+key+"/publish", "err", errors.New(key),
		"any", struct{ User string }{key}, "cut", key[:30], slog.Group("in", "side", key), "n", 7)
	if strings.Contains(out.String(), "eyJ") || strings.Contains(out.String(), "c2ln") {
		t.Errorf("a key, or part of one, is in %s", out.String())
	}
	if !strings.Contains(out.String(), "home/[key]/publish") || !strings.Contains(out.String(), "n=7") {
		t.Errorf("too much was taken out: %s", out.String())
	}
}
