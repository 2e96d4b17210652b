package broker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fullness is a disk of which somebody says how it is.
type fullness struct{ atomic.Bool }

func (f *fullness) room() error {
	if f.Load() {
		return ErrFull
	}
	return nil
}

func TestNothingIsAcknowledgedWhileTheDiskIsFullAndTheConnectionStays(t *testing.T) {
	var disk fullness
	h := start(t, func(c *Config) { c.Room = disk.room })
	seen, stop := h.watch()
	defer stop()
	d := h.login(shed)
	disk.Store(true)
	for id := range uint16(3) {
		d.send(publishPacket(shed.publishTopic(), fmt.Append(nil, "waits ", id), 1+byte(id%2), 0, id+1))
	}
	d.publish(shed.publishTopic(), "goes on", 0)
	d.send([]byte{typePingreq << 4, 0})
	d.await(typePingresp)
	if got := take(t, seen); got.payload != "goes on" {
		t.Errorf("shown %+v", got)
	}
	if len(d.held) > 0 {
		t.Errorf("while the disk is full it says %v", d.held)
	}
	if err := h.b.Publish(t.Context(), shed.publishTopic(), nil, 1); !errors.Is(err, ErrFull) {
		t.Errorf("a page's message: %v", err)
	}
	disk.Store(false)
	for _, kind := range []byte{typePuback, typePubrec, typePuback} {
		d.await(kind)
	}
	d.send(idPacket(typePubrel, 2, 2))
	d.await(typePubcomp)
	if got := h.book.hold(t, 4); !slices.Contains(got, "waits 0") || !slices.Contains(got, "waits 1") || !slices.Contains(got, "waits 2") {
		t.Errorf("recorded %q", got)
	}
}

// TestADeviceThatGoesOnSendingWaitsItself: what waits is bounded, and nothing of it is lost.
func TestADeviceThatGoesOnSendingWaitsItself(t *testing.T) {
	var disk fullness
	h := start(t, func(c *Config) { c.Room = disk.room })
	d := h.login(shed)
	disk.Store(true)
	const n = 150
	var sending sync.WaitGroup
	sending.Go(func() {
		for id := range uint16(n) {
			d.send(publishPacket(shed.publishTopic(), []byte(strings.Repeat("x", 1000)), 1, 0, id+1))
		}
	})
	await(t, func() bool { return h.b.hold.held() > mostHeld-2000 })
	if got := h.b.hold.held(); got > mostHeld {
		t.Errorf("%d bytes wait", got)
	}
	disk.Store(false)
	for range n {
		d.await(typePuback)
	}
	sending.Wait()
	h.book.hold(t, n)
	if got := h.b.hold.held(); got != 0 {
		t.Errorf("%d bytes still wait", got)
	}
}

// TestWhoLeavesWhileTheDiskIsFullLeavesNothingBehind.
func TestWhoLeavesWhileTheDiskIsFullLeavesNothingBehind(t *testing.T) {
	var disk fullness
	h := start(t, func(c *Config) { c.Room = disk.room })
	d := h.login(shed)
	disk.Store(true)
	d.send(publishPacket(shed.publishTopic(), []byte("lost"), 1, 0, 1))
	await(t, func() bool { return h.b.hold.held() > 0 })
	d.leave()
	await(t, func() bool { return h.b.hold.held() == 0 })
	disk.Store(false)
	h.login(shed).publish(shed.publishTopic(), "kept", 1)
	if got := h.book.hold(t, 1); got[0] != "kept" {
		t.Errorf("recorded %q", got)
	}
}

func (h *hold) held() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bytes
}

// TestEveryQoS0PublishIsRecordedOrCounted: the record stands still for longer than its queue lasts.
func TestEveryQoS0PublishIsRecordedOrCounted(t *testing.T) {
	var lost atomic.Int64
	h := start(t, func(c *Config) {
		c.Limits.Rate, c.Limits.Burst = 1e6, 1e6
		c.Lost = func(topic string) {
			if topic != shed.publishTopic() {
				t.Errorf("lost on %q", topic)
			}
			lost.Add(1)
		}
	})
	seen, stop := h.watch()
	defer stop()
	h.book.setBroken(true)
	queue := h.b.router.queue
	queue.mu.Lock()
	queue.most = 1 << 20
	queue.mu.Unlock()
	d := h.login(shed)
	n := 0
	for ; lost.Load() < 500; n++ { // of these the queue and one batch have the rest
		d.send(publishPacket(shed.publishTopic(), []byte("x"), 0, 0, 0))
		take(t, seen) // it is shown all the same
	}
	await(t, func() bool { return lost.Load() == int64(h.b.Stats().DroppedQoS0) }) // it is told before it is counted
	if got := lost.Load(); n > 5000 {
		t.Errorf("%d of %d lost, %d counted", got, n, h.b.Stats().DroppedQoS0)
	}
	h.book.setBroken(false)
	h.book.hold(t, n-int(lost.Load()))
	queue.mu.Lock()
	defer queue.mu.Unlock()
	if queue.bytes != 0 || len(queue.all) != 0 {
		t.Errorf("%d bytes and %d publishes are queued still", queue.bytes, len(queue.all))
	}
}

func TestAnswersAreCountedHoweverTheyAreCut(t *testing.T) {
	long := publishPacket("home/local/shed/messages", []byte(strings.Repeat("@P", 200)), 1, 0, 7) // bytes that would begin answers
	all := slices.Concat([]byte{typePingresp << 4, 0}, idPacket(typePuback, 0, 1), long, idPacket(typePubrec, 0, 2), idPacket(typePubrel, 2, 3), idPacket(typePubcomp, 0, 4))
	for size := 1; size <= len(all); size++ {
		var a answers
		n := 0
		for part := range slices.Chunk(all, size) {
			n += a.in(part)
		}
		if n != 3 {
			t.Fatalf("in parts of %d bytes there are %d answers", size, n)
		}
	}
}

// TestNatsIsHandedWhatItStoresInHalfASecond.
func TestNatsIsHandedWhatItStoresInHalfASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHold(func() error { return nil })
		one, other := &session{}, &session{}
		begin := func() (n int) {
			for h.begin(one, false) {
				n++
			}
			return n
		}
		if n := begin(); n != mostUnderWay {
			t.Errorf("%d may be under way at first", n)
		}
		time.Sleep(8 * time.Second) // half a second for each
		h.answers(one, mostUnderWay)
		if n := begin(); n != 1 {
			t.Errorf("%d may be under way on a slow disk", n)
		}
		h.add(other, 0, 10)
		time.Sleep(time.Millisecond)
		h.answers(one, 1)
		if h.begin(one, false) {
			t.Error("whoever has not waited comes first")
		}
		if turn := h.next(); len(turn) != 1 || turn[0] != other || !h.begin(other, true) {
			t.Errorf("it is the turn of %v", turn)
		}
		for range mostUnderWay { // it is fast again
			h.begin(one, false)
			h.answers(one, 1)
		}
		h.forget(other)
		if n := begin(); n != mostUnderWay {
			t.Errorf("%d may be under way on a fast disk again", n)
		}
		h.forget(one)
		if h.underWay != 0 || len(h.asked) != 0 {
			t.Errorf("%d are under way of nobody", h.underWay)
		}
	})
}

// TestWhoLeavesHasEverythingHandedOver: more at once than nats is handed at once.
func TestWhoLeavesHasEverythingHandedOver(t *testing.T) {
	h := start(t)
	d := h.login(shed)
	const n = 10 * mostUnderWay
	var all []byte
	for id := range uint16(n) {
		all = append(all, publishPacket(shed.publishTopic(), fmt.Append(nil, id), 1, 0, id+1)...)
	}
	d.send(append(all, typeDisconnect<<4, 0))
	h.book.hold(t, n)
}
