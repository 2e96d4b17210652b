package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestLossesAreToldOnceAMinuteAndOnlyWhenThereAreAny(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		var behind atomic.Uint64
		ctx, cancel := context.WithCancel(t.Context())
		told := make(chan struct{})
		go func() {
			defer close(told)
			tellLosses(ctx, slog.New(slog.NewTextHandler(&out, nil)), func() losses { return losses{PagesBehind: behind.Load()} })
		}()
		time.Sleep(5*lossesEvery + time.Second)
		synctest.Wait()
		if out.Len() > 0 {
			t.Errorf("told of nothing: %s", out.String())
		}
		behind.Store(12)
		time.Sleep(3 * lossesEvery)
		synctest.Wait()
		cancel()
		<-told
		if said := out.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "not_shown_on_slow_pages=12") {
			t.Errorf("told %q, want one line", said)
		}
	})
}
