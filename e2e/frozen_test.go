package e2e

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"trellis/e2e/wire"
)

const (
	frozenFor = 11 * time.Second // longer than nats waits by itself for somebody who does not read
	frozenAll = 4                // servers: whether one is caught while it writes is chance
)

// A machine can stand still for a while: a snapshot is taken of it, its memory is swapped, somebody presses Ctrl-Z.
func TestServerThatWasFrozenGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a minute")
	}
	var loads sync.WaitGroup
	var all []*server
	for range frozenAll {
		s := start(t, "--sync", "1s")
		k := s.addKey("shed")
		all = append(all, s)
		begun := make(chan struct{})
		begin := sync.OnceFunc(func() { close(begun) })
		for n := range 2 * publishers {
			c := s.device(k, fmt.Sprintf("#%d", n))
			loads.Go(func() { load(c, k.topic("publish"), fmt.Sprint(n), begin) })
		}
		select {
		case <-begun:
		case <-time.After(prompt):
			t.Fatal("nothing is acknowledged")
		}
		must(t, s.Process.Signal(syscall.SIGSTOP))
		t.Cleanup(func() { _ = s.Process.Signal(syscall.SIGCONT) })
	}
	<-time.After(frozenFor) // it is the time itself that must not matter
	for _, s := range all {
		must(t, s.Process.Signal(syscall.SIGCONT))
	}
	loads.Wait()
	for _, s := range all {
		k := s.addKey("barn")
		d := s.device(k, "")
		must(t, d.Subscribe(1, k.topic("messages")))
		must(t, d.Publish(wire.Message{Topic: k.topic("publish"), QoS: 1, Payload: to("barn", `{"led":"on"}`)}))
		if m, err := d.Receive(prompt); err != nil {
			t.Errorf("after it stood still nothing comes through: %s, %v", m.Payload, err)
		}
	}
}
