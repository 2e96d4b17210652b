//go:build linux

package broker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// smallDisk is a folder on a disk of its own of so many MiB.
func smallDisk(t testing.TB, size int) (dir string, fill func(), empty func()) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", size)); err != nil {
		t.Skipf("a disk that can be full needs the right to mount one (root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	filler := filepath.Join(dir, "somebody else's")
	fill = func() {
		f, err := os.OpenFile(filler, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		for _, size := range []int{1 << 20, 1 << 12} {
			for err = nil; err == nil; {
				_, err = f.Write(make([]byte, size))
			}
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("fill the disk: %v", err)
		}
	}
	return dir, fill, func() {
		if err := os.Remove(filler); err != nil {
			t.Error(err)
		}
	}
}

// TestTheStoreBeginsAnewAfterAFullDisk: nats has then hit the end of the disk, after which it takes nothing any more by itself.
func TestTheStoreBeginsAnewAfterAFullDisk(t *testing.T) {
	dir, fill, empty := smallDisk(t, 24)
	h := start(t, func(c *Config) { c.Dir = filepath.Join(dir, "jetstream") })
	seen, stop := h.watch()
	defer stop()
	stays := h.login(door)
	stays.publish(door.publishTopic(), "before", 1)
	take(t, seen)
	fill()
	d := h.login(shed)
	for d.id < 100 { // the file that nats is writing may have room left
		d.id++
		d.send(publishPacket(shed.publishTopic(), []byte(strings.Repeat("x", 1000)), 1, 0, d.id))
	}
	await(t, func() bool { return h.b.Healthy() != nil })
	empty()
	await(t, func() bool { return h.b.Healthy() == nil })
	stays.publish(door.publishTopic(), "after", 1)
	// Behind what was stored last. Watcher and recorder look whether they can go on every ten seconds at least.
	late := time.After(2*retryLongest + soon)
	for shown := ""; shown != "after"; {
		select {
		case got := <-seen:
			shown = got.payload
		case <-late:
			t.Fatal("it is not shown")
		}
	}
	for !slices.Contains(h.book.hold(t, 0), "after") {
		select {
		case <-h.book.grown:
		case <-late:
			t.Fatal("it is not recorded")
		}
	}
}
