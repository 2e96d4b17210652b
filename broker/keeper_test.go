package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// small is a store of which messages may take 4 MiB, and of which the keeper frees what is above 3 down to 2.5.
func small(c *Config) { c.Limits.MaxStore = 8 << 20 }

// collect has an absent session collect n messages of 100 KiB.
func (h *house) collect(n int) {
	h.t.Helper()
	absent := h.login(door, persistent(0))
	absent.subscribe(1, door.publishTopic())
	absent.leave()
	d := h.login(door)
	for i := range n {
		d.publish(door.publishTopic(), big(i), 1)
	}
	d.leave()
}

func big(i int) string { return fmt.Sprintf("%4d", i) + strings.Repeat("x", 100<<10) }

func (h *house) stored() jetstream.StreamState {
	h.t.Helper()
	s, err := h.b.engine.js.Stream(context.Background(), stream)
	if err != nil {
		h.t.Fatal(err)
	}
	return s.CachedInfo().State
}

func TestWhatWaitsTooLongMakesRoomAndIsCounted(t *testing.T) {
	said := &lines{}
	h := start(t, small, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(said, nil)) })
	const n = 34
	h.collect(n)
	h.book.hold(t, n)
	h.untilAcknowledged()
	if err := h.b.keeper.tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	dropped := int(h.b.Stats().Unclaimed)
	state := h.stored()
	if dropped == 0 || int(state.Msgs) != n-dropped || state.Bytes > 5<<19 || state.Bytes < 1<<20 {
		t.Fatalf("dropped %d, left %d with %d bytes", dropped, state.Msgs, state.Bytes)
	}
	if want := fmt.Sprintf("dropped=%d sessions=1", dropped); !strings.Contains(said.String(), want) {
		t.Errorf("the log does not say %q: %s", want, said)
	}
	back := h.login(door, persistent(0))
	for i := dropped; i < n; i++ {
		if got := back.receive().payload; got != big(i) {
			t.Fatalf("received %.4s, want %d", got, i)
		}
	}
	back.quietNow()
}

// untilAcknowledged waits until the recorder has nothing more to do.
func (h *house) untilAcknowledged() {
	h.t.Helper()
	for {
		c, err := h.b.engine.js.Consumer(h.t.Context(), stream, recorderName)
		if err != nil {
			h.t.Fatal(err)
		}
		if i := c.CachedInfo(); i.NumAckPending == 0 && i.NumPending == 0 {
			return
		}
	}
}

func TestTheKeeperDropsNothingThatIsNotRecorded(t *testing.T) {
	said := &lines{}
	h := start(t, small, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(said, nil)) })
	const recorded, n = 1, 34
	h.collect(recorded)
	h.book.hold(t, recorded)
	h.untilAcknowledged()
	h.book.setBroken(true)
	h.collect(n - recorded)
	for range 2 {
		if err := h.b.keeper.tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.stored().Msgs; got != n-recorded {
		t.Errorf("%d of %d left", got, n-recorded)
	}
	if got := strings.Count(said.String(), "the record is far behind"); got != 1 {
		t.Errorf("said %d times", got)
	}
	h.book.setBroken(false)
	h.book.hold(t, n)
}

func TestAFullStoreTakesMessagesAndLogins(t *testing.T) {
	h := start(t, small)
	h.collect(60) // 6 MB, of which the store takes 4 at once
	if got := h.stored().Bytes; got > 4<<20 {
		t.Errorf("holds %d bytes", got)
	}
	h.login(shed, persistent(0)).publish(shed.publishTopic(), "on with it", 2)
	h.alive()
}

func TestAStoreFullerThanAllowedStarts(t *testing.T) {
	for name, before := range map[string]func(*house){
		"it was allowed more":       func(*house) {},
		"its streams had no limits": (*house).unbound,
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			before(h)
			h.collect(60)
			h.stop()
			h.open(func(c *Config) { c.Limits.MaxStore = 4 << 20 })
			if got := h.stored().Bytes; got > 2<<20 {
				t.Errorf("holds %d bytes", got)
			}
			h.alive()
			back := h.login(door, persistent(0))
			if got := back.receive(); len(got.payload) < 100<<10 {
				t.Errorf("received %.20s", got.payload)
			}
		})
	}
}

// unbound makes the streams what nats makes of them by itself.
func (h *house) unbound() {
	h.t.Helper()
	for _, name := range []string{stream, incomingTwoStream} {
		s, err := h.b.engine.js.Stream(h.t.Context(), name)
		if err != nil {
			h.t.Fatal(err)
		}
		c := s.CachedInfo().Config
		c.MaxBytes, c.MaxAge = -1, 0
		if _, err := h.b.engine.js.UpdateStream(h.t.Context(), c); err != nil {
			h.t.Fatal(err)
		}
	}
}

func TestAMessageThatCannotBeDeliveredDoesNotHoldUpTheRecord(t *testing.T) {
	h := start(t)
	r := h.b.router
	r.patience = 0 // what it is after half a minute of refusals; nothing has been published yet
	c, err := h.b.engine.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	tight := c.CachedInfo().Config
	tight.MaxMsgSize = 2000
	if _, err := h.b.engine.js.UpdateStream(t.Context(), tight); err != nil {
		t.Fatal(err)
	}
	long := `{"for":"shed","x":"` + strings.Repeat("x", 3000) + `"}`
	d := h.login(door)
	d.publish(door.publishTopic(), long, 0)
	h.book.hold(t, 1)
	d.publish(door.publishTopic(), "next", 0)
	if got := h.book.hold(t, 2); got[1] != "next" {
		t.Errorf("recorded %.20q", got)
	}
	h.stop()
	if got := h.b.Stats().Undeliverable; got != 2 { // two keys
		t.Errorf("undeliverable: %d", got)
	}
}

func TestOnlyOurOwnLimitsCountAsFull(t *testing.T) {
	for err, want := range map[error]bool{
		fmt.Errorf("x: %w", &jetstream.APIError{ErrorCode: 10023}): true,
		&jetstream.APIError{ErrorCode: 10077}:                      false,
		errors.New("no space left on device"):                      false,
	} {
		if got := storeFull(err); got != want {
			t.Errorf("storeFull(%v) = %v", err, got)
		}
	}
}
