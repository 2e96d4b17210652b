package broker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"trellis/message"
)

func TestASlowRecordDoesNotHoldUpTheScreens(t *testing.T) {
	h := start(t)
	seen, stop := h.watch()
	defer stop()
	h.book.setBroken(true)
	d := h.login(shed)
	const n = 50
	for i := range n {
		d.publish(shed.publishTopic(), fmt.Sprint(i), byte(i%2))
	}
	got := map[string]int{}
	for range n {
		got[take(t, seen).payload]++
	}
	h.book.setBroken(false)
	h.book.hold(t, n)
	for payload, times := range got {
		if times != 1 {
			t.Errorf("%s shown %d times", payload, times)
		}
	}
	select {
	case again := <-seen:
		t.Errorf("shown again: %+v", again)
	default:
	}
}

// What waits for a slow record is recorded in few transactions: each costs a sync, and the same for each reading in it. What has to be delivered
// is taken in smaller ones, since those behind it wait for that.
func TestWhatWaitsIsRecordedTogether(t *testing.T) {
	for name, tt := range map[string]struct {
		payload     string
		n           int
		least, most int // times that the book is written in; the first batch is whatever had come
	}{
		"readings": {`{"n":%d}`, 3000, 1, 3},
		"letters":  {`{"for":"house:door","n":%d}`, 3 * largestDue, 3, 5},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, unpaced)
			seen, stop := h.watch()
			defer stop()
			h.book.setBroken(true)
			d := h.login(shed)
			for i := range tt.n {
				d.send(publishPacket(shed.publishTopic(), fmt.Appendf(nil, tt.payload, i), 0, 0, 0))
				for take(t, seen).topic != shed.publishTopic() { // a letter is shown to its reader too
				}
			}
			h.book.setBroken(false)
			for i, got := range h.book.hold(t, tt.n) {
				if got != fmt.Sprintf(tt.payload, i) {
					t.Fatalf("line %d is %s", i, got)
				}
			}
			h.book.mu.Lock()
			defer h.book.mu.Unlock()
			if h.book.times < tt.least || h.book.times > tt.most {
				t.Errorf("it was written in %d times", h.book.times)
			}
		})
	}
}

// What comes faster than it can be shown is counted too, and whose it was.
func TestWhatIsLostBeforeItIsShownIsCounted(t *testing.T) {
	var lost atomic.Int64
	h := start(t, unpaced, func(c *Config) {
		c.Lost = func(topic string) {
			if topic != shed.publishTopic() {
				t.Errorf("lost on %q", topic)
			}
			lost.Add(1)
		}
	})
	arrived := h.b.router.arrived
	arrived.mu.Lock()
	arrived.most = 100 << 10
	arrived.mu.Unlock()
	var shown atomic.Int64
	goOn := make(chan struct{})
	stop := h.b.Subscribe(func(string, message.Message) {
		<-goOn
		shown.Add(1)
	})
	defer stop()
	d := h.login(shed)
	n := 0
	for ; lost.Load() < 100; n++ {
		d.send(publishPacket(shed.publishTopic(), []byte("x"), 0, 0, 0))
	}
	close(goOn)
	await(t, func() bool { return shown.Load()+lost.Load() == int64(n) })
	h.book.hold(t, int(shown.Load()))
	if got := h.b.Stats().DroppedQoS0; got != uint64(lost.Load()) {
		t.Errorf("%d lost, %d counted", lost.Load(), got)
	}
}

func TestWhatWasNotRecordedIsRecordedAfterARestart(t *testing.T) {
	h := start(t, unpaced)
	lasting := func(c *connect) { c.clean = false }
	to := h.login(door, lasting)
	to.subscribe(1, door.messagesTopic())
	to.leave()
	h.book.setBroken(true)
	d := h.login(shed)
	const n = 600 // more than the recorder takes at once
	for i := range n {
		d.send(publishPacket(shed.publishTopic(), fmt.Appendf(nil, `{"for":"house:door","n":%d}`, i), 1, 0, uint16(i+1)))
	}
	for range n {
		d.await(typePuback)
	}
	h.stop()
	h.book.setBroken(false)
	h.open(unpaced)
	h.inOrder(n)
	to = h.login(door, lasting)
	for i := range n {
		if got, want := to.receive().payload, fmt.Sprintf(`{"for":"house:door","n":%d}`, i); got != want {
			t.Fatalf("received %s, want %s", got, want)
		}
	}
	to.quietNow()
}

func unpaced(c *Config) { c.Limits.Rate, c.Limits.Burst = 1e6, 1e6 }

func (h *house) inOrder(n int) {
	h.t.Helper()
	for i, got := range h.book.hold(h.t, n) {
		if want := fmt.Sprintf(`{"for":"house:door","n":%d}`, i); got != want {
			h.t.Fatalf("line %d is %s", i, got)
		}
	}
}

// TestACrashLosesNothingAcknowledged copies the folder of a running broker, which is what a kill leaves behind.
func TestACrashLosesNothingAcknowledged(t *testing.T) {
	h := start(t, unpaced, func(c *Config) { c.SyncEvery = 0 })
	h.book.setBroken(true)
	d := h.login(shed)
	const n = 400
	for i := range n {
		d.send(publishPacket(shed.publishTopic(), fmt.Appendf(nil, `{"for":"house:door","n":%d}`, i), 1, 0, uint16(i+1)))
	}
	for range n {
		d.await(typePuback)
	}
	after := &house{t: t, ring: h.ring, book: newBook(), dir: t.TempDir()}
	copyLiving(t, after.dir, h.dir)
	after.open()
	defer after.stop()
	after.inOrder(n)
	after.login(shed).publish(shed.publishTopic(), "on with it", 1)
	if got := after.book.hold(t, n+1)[n]; got != "on with it" {
		t.Errorf("recorded %s", got)
	}
}

// copyLiving copies a folder in which nats works. A file that it writes beside the one that it then takes the place of may be gone before it is
// read.
func copyLiving(t *testing.T, to, from string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		beside := strings.HasSuffix(path, ".tmp")
		if err != nil || d.IsDir() {
			if beside && errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return errors.Join(err, os.MkdirAll(filepath.Join(to, strings.TrimPrefix(path, from)), 0o755))
		}
		content, err := os.ReadFile(path)
		if beside && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return errors.Join(err, os.WriteFile(filepath.Join(to, strings.TrimPrefix(path, from)), content, 0o600))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestABrokenRecordIsSaidAtTheStart(t *testing.T) {
	h := start(t)
	h.book.setBroken(true)
	h.login(shed).publish(shed.publishTopic(), "x", 1)
	h.stop()
	_, err := open(context.Background(), Config{Dir: h.dir, Keys: h.ring, Record: h.book.record}, plainly)
	if !errors.Is(err, errBook) {
		t.Errorf("open: %v", err)
	}
	h.book.setBroken(false)
	h.open()
	h.book.hold(t, 1)
}

func TestIDsAreStableAndDistinct(t *testing.T) {
	h := start(t)
	d := h.login(shed)
	d.publish(shed.publishTopic(), `[{"a":1},{"b":2}]`, 1)
	d.publish(shed.publishTopic(), `{"c":3}`, 2)
	d.publish(shed.publishTopic(), `{"d":4}`, 0)
	h.book.hold(t, 4)
	h.book.mu.Lock()
	defer h.book.mu.Unlock()
	ids := map[string]bool{}
	for _, m := range h.book.lines {
		ids[m.ID] = true
		if m.Topic != shed.publishTopic() || m.Source != "acme:eu:shed" || m.Entity != "shed" || time.Since(m.Received) > time.Minute {
			t.Errorf("recorded %+v", m)
		}
	}
	if len(ids) != 4 || !ids[""] {
		t.Errorf("ids: %v", ids)
	}
}

func TestAMessageThatGoesRoundAndRoundEnds(t *testing.T) {
	h := start(t)
	to := h.login(door)
	to.subscribe(1, door.messagesTopic())
	d := h.login(shed)
	d.publish(shed.publishTopic(), `{"for":"house:door","hops":9}`, 1)
	d.publish(shed.publishTopic(), `{"for":"house:door","hops":8}`, 1)
	if got := to.receive(); got.payload != `{"for":"house:door","hops":8}` {
		t.Errorf("received %+v", got)
	}
	h.book.hold(t, 2)
	to.quietNow()
}

func TestAnAddresseeMayBeTheSender(t *testing.T) {
	h := start(t)
	d, second := h.login(shed), h.login(shed2, func(c *connect) { c.client += "#2" })
	d.subscribe(1, shed.messagesTopic())
	second.subscribe(2, shed2.messagesTopic())
	d.publish(shed.publishTopic(), `{"for":"shed"}`, 1)
	for _, one := range []*device{d, second} {
		if got := one.receive(); got.qos != 1 {
			t.Errorf("received %+v", got)
		}
		one.quietNow()
	}
}

func TestAFaultInOneMessageCostsThatMessage(t *testing.T) {
	h := start(t)
	d := h.login(shed)
	d.publish(shed.publishTopic(), `{"for":"panic"}`, 1)
	d.publish(shed.publishTopic(), "next", 1)
	if got := h.book.hold(t, 1); got[0] != "next" {
		t.Errorf("recorded %q", got)
	}
	if got := h.b.Stats().Panics; got == 0 {
		t.Error("not counted")
	}
}

func TestUndeliverablePayloadsDoNotBlock(t *testing.T) {
	h := start(t)
	big := make([]byte, h.b.router.maxPayload+1)
	h.b.router.deliver(context.Background(), context.Background(), []routed{{
		account: "acme", messages: []message.Message{{For: "shed", Payload: big}},
	}})
	if got := h.b.Stats().Undeliverable; got != 2 { // two keys
		t.Errorf("undeliverable: %d", got)
	}
}

func TestCloseWhileTheRecordFails(t *testing.T) {
	h := start(t)
	h.book.setBroken(true)
	d := h.login(shed)
	d.publish(shed.publishTopic(), "x", 1)
	d.publish(shed.publishTopic(), "y", 0)
	h.stop() // fails after ten seconds
}
