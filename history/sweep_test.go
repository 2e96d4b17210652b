package history

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSweepKeepsTheLatestAndOfEachItsShare(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{KeepMessages: 100})
	mustAppend(t, s, publish("door", "acme/local/DOOR/publish", `{"open":true}`))
	mustAppend(t, s, batchOf("A", 3*sweepRows)...)
	mustAppend(t, s, publish("pond", "acme/local/POND/publish", `{"level":1}`))
	mustAppend(t, s, batchOf("B", 150)...)
	before := latest(t, s)
	for range 2 {
		if err := s.sweep(context.Background()); err != nil {
			t.Fatal(err)
		}
		for topic, want := range map[string]int{"": 100, "A": 49, "B": 49, "DOOR": 1, "POND": 1} {
			if n := count(t, s, "messages WHERE topic LIKE 'acme/local/"+topic+"%'"); n != want {
				t.Errorf("%d messages of %q after the sweep, want %d", n, topic, want)
			}
		}
	}
	if diff := cmp.Diff(before, latest(t, s)); diff != "" || len(before) != 4 {
		t.Errorf("%d latest: %s", len(before), diff)
	}
	found, err := s.Recent(context.Background(), nil, 1000)
	if err != nil || len(found) != 100 || string(found[0].Payload) != `{"data":{"t":149}}` {
		t.Errorf("%d recent messages, %v", len(found), err)
	}
	// What is nobody's latest any more counts like the rest.
	mustAppend(t, s, publish("door2", "acme/local/DOOR/publish", `{"open":false}`))
	s.keep = 4
	if err := s.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, "messages WHERE uid = 'door'"); n != 0 || count(t, s, "messages") != 4 {
		t.Error("a message that is nobody's latest any more was kept")
	}
}

func TestSweepKeepsTheFileSmall(t *testing.T) {
	s := openStore(t, t.TempDir(), Config{KeepBytes: 1 << 20})
	mustAppend(t, s, publish("door", "acme/local/DOOR/publish", `{"open":true}`))
	wide := `{"t":1,"text":"` + strings.Repeat("x", 4000) + `"}`
	for i := range 1000 {
		mustAppend(t, s, publish(fmt.Sprint("wide", i), "acme/local/A/publish", wide))
	}
	if used, err := s.used(context.Background()); err != nil || used < 4<<20 {
		t.Fatalf("%d bytes, %v: too little to be swept", used, err)
	}
	if err := s.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	used, err := s.used(context.Background())
	if err != nil || used > 1<<20 {
		t.Errorf("%d bytes are left, %v", used, err)
	}
	if n := count(t, s, "messages WHERE uid = 'door' OR uid = 'wide999'"); n != 2 {
		t.Error("the newest message of a reading was removed")
	}
	// What may not be removed must not make the sweep go round for ever.
	s.keepBytes = 1
	if err := s.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestSweepRunsUntilItsContextEnds(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(context.Background(), dir, Config{KeepMessages: 1, Sync: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- s.Sweep(ctx) }()
		mustAppend(t, s, batchOf("A", 10)...)
		time.Sleep(sweepEvery + time.Second) // of the test's own clock
		synctest.Wait()
		if n := count(t, s, "messages"); n != 1 {
			t.Errorf("%d messages, want 1", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAFloodTakesRoomFromNobodyElse(t *testing.T) {
	var log bytes.Buffer
	s := openStore(t, t.TempDir(), Config{KeepBytes: 2 << 20, Log: slog.New(slog.NewTextHandler(&log, nil))})
	mustAppend(t, s, batchOf("QUIET", 200)...) // the oldest of all
	wide := `{"t":1,"text":"` + strings.Repeat("x", 4000) + `"}`
	flood := batchOf("FLOOD", 1000)
	for i := range flood {
		flood[i].Payload = []byte(`{"data":` + wide + `}`)
	}
	mustAppend(t, s, flood...)
	for range 2 {
		if err := s.sweep(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, s, "messages WHERE topic = 'acme/local/QUIET/publish'"); n != 200 {
		t.Errorf("%d of 200 messages of the quiet one are left", n)
	}
	used, err := s.used(context.Background())
	if err != nil || used > 2<<20 || used < 1<<20 {
		t.Errorf("%d bytes are left, %v", used, err)
	}
	text := log.String()
	if strings.Count(text, "\n") != 1 || !strings.Contains(text, "most_from=acme/local/FLOOD/publish") || !strings.Contains(text, "topics=1") {
		t.Errorf("the log says %q, want one line about the flood", text)
	}
}

func TestLevelLeavesTheSmallAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		sizes []int64
		goal  int64
		want  int64
	}{
		"room for all":            {[]int64{3, 1, 2}, 6, math.MaxInt64},
		"the largest gives":       {[]int64{100, 1, 2}, 13, 10},
		"the large give the same": {[]int64{100, 1, 50}, 21, 10},
		"no room at all":          {[]int64{3, 1}, -5, 0},
		"nobody":                  {nil, 5, math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			if got := level(tt.sizes, tt.goal); got != tt.want {
				t.Errorf("level = %d, want %d", got, tt.want)
			}
		})
	}
}

func TestSweepDoesNotWaitWhenMuchWasRecorded(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(context.Background(), dir, Config{KeepMessages: 1})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- s.Sweep(ctx) }()
		started := time.Now()
		many := batchOf("A", 10)
		for i := range many {
			many[i].Payload = make([]byte, sweepAfter/10+1)
		}
		mustAppend(t, s, many...)
		synctest.Wait()
		if n := count(t, s, "messages"); n != 1 || time.Since(started) > 0 {
			t.Errorf("%d messages after %v, want 1 at once", n, time.Since(started))
		}
		cancel()
		if err := errors.Join(<-done, s.Close()); err != nil {
			t.Error(err)
		}
	})
}

// The sweep waits for a reader here for as long as the test likes.
func TestALongSweepDoesNotDelaySafety(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(context.Background(), dir, Config{Sync: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		busy := make([]*sql.Conn, readers)
		for i := range busy {
			if busy[i], err = s.read.Conn(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- s.Sweep(ctx) }()
		time.Sleep(sweepEvery + time.Millisecond) // of the test's own clock
		mustAppend(t, s, publish("1", shed, `{"words":"found in the file"}`))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		file, err := os.ReadFile(filepath.Join(dir, fileName))
		if err != nil || !bytes.Contains(file, []byte("found in the file")) {
			t.Errorf("what was recorded is in the log only: %v", err)
		}
		for _, c := range busy {
			err = errors.Join(err, c.Close())
		}
		cancel()
		if err := errors.Join(err, <-done, s.Close()); err != nil {
			t.Error(err)
		}
	})
}
