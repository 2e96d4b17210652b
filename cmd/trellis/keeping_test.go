package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"trellis/access"
	"trellis/broker"
	"trellis/history"
	"trellis/message"
	"trellis/mqttproxy"
)

func keepingIn(t *testing.T) *keeping {
	t.Helper()
	dir := t.TempDir()
	store, err := history.Open(t.Context(), dir, history.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return newKeeping(dir, store, slog.New(slog.DiscardHandler))
}

func TestRoomIsCalledFullBeforeTheDiskIs(t *testing.T) {
	free := uint64(0)
	r := &room{measure: func(string) (uint64, uint64, error) { return free, 64 << 20, nil }}
	is := func(mib uint64, want error) {
		t.Helper()
		free, r.looked = mib<<20, time.Time{}
		if got := r.check(); !errors.Is(got, want) {
			t.Errorf("with %d of 64 MiB free: %v", mib, got)
		}
	}
	is(20, nil)
	is(8, nil)
	is(7, broker.ErrFull)
	is(9, broker.ErrFull) // somebody who frees little and writes it again would have it change all the time
	is(10, nil)
	is(9, nil)
	r.measure = func(string) (uint64, uint64, error) { return 0, 0, errors.ErrUnsupported }
	is(0, nil)
}

func TestAFullDiskIsSaidAtOnceAndIsAGap(t *testing.T) {
	ctx, k := t.Context(), keepingIn(t)
	now := time.Now().UTC().Truncate(time.Millisecond)
	after := func(d time.Duration) time.Time { return now.Add(d) }
	says := func(at time.Time, unwell error, want string) {
		t.Helper()
		k.look(at, unwell)
		k.write(ctx)
		if got := k.Recording(access.Grant{}); got.Why != want || (want == "") != got.Since.IsZero() {
			t.Errorf("after %v it says %+v, want %q", at.Sub(now), got, want)
		}
	}
	broken := errors.New("a sync failed")
	says(now, nil, "")
	says(after(time.Second), broken, "") // it may pass
	says(after(2*time.Second), nil, "")
	says(after(3*time.Second), errors.Join(broker.ErrFull, broken), history.GapFull)
	says(after(63*time.Second), broken, history.GapFull) // until it is sure that the one is over and the other is not
	says(after(64*time.Second), nil, "")
	says(after(65*time.Second), broken, "")
	says(after(69*time.Second), broken, history.GapFailing)
	says(after(200*time.Second), broker.ErrClosed, "")
	says(after(201*time.Second), errors.Join(broker.ErrFull, broker.ErrUnsynced), mqttproxy.NotSynced)
	gaps, err := k.store.Gaps(ctx, "", now.Add(-time.Hour), now.Add(time.Hour))
	if err != nil || len(gaps) != 3 {
		t.Fatal(gaps, err)
	}
	if g := gaps[0]; g.Reason != history.GapFull || !g.Began.Equal(after(3*time.Second)) || !g.Ended.Equal(after(64*time.Second)) {
		t.Errorf("the first gap is %+v", g)
	}
	if g := gaps[1]; g.Reason != history.GapFailing || !g.Began.Equal(after(65*time.Second)) || !g.Ended.Equal(after(200*time.Second)) {
		t.Errorf("the second gap is %+v", g)
	}
	if g := gaps[2]; g.Reason != history.GapFailing || !g.Began.Equal(after(201*time.Second)) || !g.Ended.IsZero() {
		t.Errorf("the third gap is %+v", g)
	}
}

func TestNothingIsRecordedOnAFullDisk(t *testing.T) {
	k := keepingIn(t)
	k.room.measure = func(string) (uint64, uint64, error) { return 0, 1 << 30, nil }
	batch := []message.Message{{Payload: []byte("{}"), Origin: message.Origin{Topic: "a", Received: time.Now()}}}
	if err := k.record(t.Context(), batch); err != nil {
		t.Errorf("a start may use what is kept free: %v", err)
	}
	k.took.Store(true)
	if err := k.record(t.Context(), batch); !errors.Is(err, broker.ErrFull) {
		t.Errorf("recorded: %v", err)
	}
	if err := k.healthy(func() error { return nil })(); !errors.Is(err, broker.ErrFull) {
		t.Errorf("healthy: %v", err)
	}
}

func TestEverybodyIsToldOnlyOfWhatTheyMayHear(t *testing.T) {
	ctx, k := context.Background(), keepingIn(t)
	shed := access.KeyGrant(access.Subject{Account: "home", Region: "local", Entity: "shed"}, "k1", time.Time{})
	door := access.KeyGrant(access.Subject{Account: "home", Region: "local", Entity: "door"}, "k2", time.Time{})
	for range 12 {
		k.tally.note(shed.Subject.PublishTopic("k1"))
	}
	if got := k.Recording(shed); got.Lost != 0 {
		t.Errorf("told %d before it is time", got.Lost)
	}
	k.tally.flush(ctx, k.store)
	if got := k.Recording(shed); got.Lost != 12 || got.From.IsZero() || got.To.Before(got.From) {
		t.Errorf("the shed is told %+v", got)
	}
	if got := k.Recording(door); got.Lost != 0 || !got.From.IsZero() {
		t.Errorf("the door is told %+v", got)
	}
	again := newKeeping(k.room.dir, k.store, k.log) // the next start
	if err := again.tally.remember(ctx, k.store); err != nil {
		t.Fatal(err)
	}
	if got := again.Recording(shed); got != k.Recording(shed) {
		t.Errorf("after a start it is told %+v, before it %+v", got, k.Recording(shed))
	}
}

// What cannot be written down is told all the same, and written later, once.
func TestATallyThatCannotBeWrittenWaits(t *testing.T) {
	k := keepingIn(t)
	broken, cancel := context.WithCancel(t.Context())
	cancel()
	now := time.Now()
	for range 3 {
		k.tally.note("a")
		k.tally.flushed = time.Time{}
		k.tally.flush(broken, k.store)
	}
	if got := k.tally.told["a"][0].N; got != 3 {
		t.Errorf("told %d", got)
	}
	for range 2 {
		k.tally.flushed = time.Time{}
		k.tally.flush(t.Context(), k.store)
	}
	found, err := k.store.Unrecorded(t.Context(), nil, now.Add(-time.Hour), now.Add(time.Hour))
	n := int64(0)
	for _, u := range found {
		n += u.N
	}
	if err != nil || n != 3 {
		t.Errorf("written: %v, %v", found, err)
	}
}

func TestWhatWasLostIsToldForADayAndNotLonger(t *testing.T) {
	k := keepingIn(t)
	began := time.Now().UTC().Add(-7 * 23 * time.Hour)
	shed := access.KeyGrant(access.Subject{Account: "home", Region: "local", Entity: "shed"}, "k1", time.Time{})
	for n := range 8 { // the last one now
		at := began.Add(time.Duration(n) * 23 * time.Hour)
		k.tally.fresh.add(history.Unrecorded{Topic: shed.Subject.PublishTopic("k1"), First: at, Last: at, N: 100})
		k.tally.flushed = time.Time{}
		if err := k.store.NoteUnrecorded(t.Context(), k.tally.tell(at)); err != nil {
			t.Fatal(err)
		}
		clear(k.tally.unwritten)
	}
	got := k.Recording(shed)
	if day := began.Add(6 * 23 * time.Hour); got.Lost != 200 || got.From.Before(day) {
		t.Errorf("told %+v, of which 200 are of the last day", got)
	}
	again := newKeeping(k.room.dir, k.store, k.log)
	if err := again.tally.remember(t.Context(), k.store); err != nil {
		t.Fatal(err)
	}
	if after := again.Recording(shed); after.Lost != got.Lost {
		t.Errorf("after a start it is told %d, before it %d", after.Lost, got.Lost)
	}
}

func TestATallyIsBounded(t *testing.T) {
	all, at := lost{}, time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for hour := range 200 {
		for topic := range tallyTopics + 50 {
			at := at.Add(time.Duration(hour) * time.Hour)
			all.add(history.Unrecorded{Topic: fmt.Sprint(topic), First: at, Last: at, N: 1})
		}
	}
	n := int64(0)
	for _, u := range all.all() {
		n += u.N
	}
	if hours := len(all.all()); hours > (tallyTopics+1)*tallyHours || n != 200*(tallyTopics+50) || !all["7"][0].First.Equal(at) {
		t.Errorf("%d hours with %d messages, the first of %v", hours, n, all["7"][0].First)
	}
}

// A broker that is closed gives up what it could not record, and says so when all else has ended.
func TestWhatAStopLosesIsWrittenDown(t *testing.T) {
	k := keepingIn(t)
	var out bytes.Buffer
	began := time.Now()
	k.tally.flushed = began.Add(time.Hour) // it is not time
	k.tally.note("a")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.watch(ended, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if found, err := k.store.Unrecorded(t.Context(), nil, began.Add(-time.Hour), began.Add(time.Hour)); err != nil || len(found) != 1 || found[0].N != 1 {
		t.Errorf("written: %v, %v", found, err)
	}
	dropped := uint64(0)
	tellLosses(ended, slog.New(slog.NewTextHandler(&out, nil)), func() losses { dropped++; return losses{QoS0Unrecorded: dropped} })
	if !strings.Contains(out.String(), "qos0_not_recorded=2") {
		t.Errorf("logged: %q", out.String())
	}
}
