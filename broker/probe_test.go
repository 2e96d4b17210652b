package broker

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestAProbeComesBackAndNobodySeesIt(t *testing.T) {
	h := start(t)
	seen, stop := h.watch()
	defer stop()
	for range 3 {
		if took, err := h.b.Probe(t.Context()); err != nil || took <= 0 || took > soon {
			t.Errorf("it took %v: %v", took, err)
		}
	}
	h.login(shed).publish(shed.publishTopic(), "a message", 1)
	if got := take(t, seen); got.payload != "a message" {
		t.Errorf("shown %+v", got)
	}
	h.untilAcknowledged()
	if left := len(h.b.router.probes.waiting); left != 0 {
		t.Errorf("%d probes are still waited for", left)
	}
}

func TestAProbeOfAnEngineThatIsGoneFailsAndIsLookedInto(t *testing.T) {
	h := start(t)
	h.b.engine.nats.DisableJetStream()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if _, err := h.b.Probe(ctx); err == nil {
		t.Error("it came back")
	}
	await(t, func() bool { return h.b.Healthy() != nil })
}

func TestAProbeIsNotWaitedForLonger(t *testing.T) {
	h := start(t)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := h.b.Probe(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
