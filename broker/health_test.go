package broker

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// patient is a health whose world is made up.
type patient struct {
	*health
	mu           sync.Mutex
	stored, room error
}

func (p *patient) becomes(stored, room error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stored, p.room = stored, room
}

func (p *patient) is() (stored, room error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stored, p.room
}

func newPatient(t *testing.T) *patient {
	p := &patient{health: newHealth(t.TempDir(), slog.New(slog.DiscardHandler))}
	p.publish = func(context.Context) error { stored, _ := p.is(); return stored }
	p.health.room = func() error { _, room := p.is(); return room }
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() { defer close(over); p.run(ctx) }()
	t.Cleanup(func() { cancel(); <-over })
	return p
}

func (p *patient) isBroken() bool {
	select {
	case <-p.broken:
		return true
	default:
		return false
	}
}

var (
	errSticky = errors.New("write error")
	errNoRoom = errors.New("no space left on device")
)

func TestBrokenFires(t *testing.T) {
	full := &jetstream.APIError{ErrorCode: 10023}
	for name, tt := range map[string]struct {
		happens func(p *patient)
		broken  bool
		healthy error
	}{
		"not while nothing failed":    {func(*patient) { time.Sleep(time.Hour) }, false, nil},
		"not after a doubt":           {func(p *patient) { p.doubt(); time.Sleep(time.Hour) }, false, nil},
		"not while the disk is full":  {func(p *patient) { p.fail(errSticky, errNoRoom); time.Sleep(time.Hour) }, false, errNoRoom},
		"not while the store is full": {func(p *patient) { p.fail(full, nil); time.Sleep(time.Hour) }, false, full},
		"not at once":                 {func(p *patient) { p.fail(errSticky, nil); time.Sleep(29 * time.Second) }, false, errSticky},
		"not when it works again": {func(p *patient) {
			p.fail(errSticky, nil)
			time.Sleep(10 * time.Second)
			p.becomes(nil, nil)
			time.Sleep(time.Hour)
		}, false, nil},
		"not when beginning anew helps": {func(p *patient) {
			p.revive = func() error { p.becomes(nil, nil); return nil }
			p.fail(errSticky, errNoRoom)
			time.Sleep(time.Hour)
			p.becomes(errSticky, nil)
			time.Sleep(roomEvery + time.Millisecond)
		}, false, nil},
		"when there is room and nothing is taken": {func(p *patient) {
			p.fail(errSticky, errNoRoom)
			time.Sleep(time.Hour)
			p.becomes(errSticky, nil)
			time.Sleep(40 * time.Second)
		}, true, errSticky},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPatient(t)
				tt.happens(p)
				synctest.Wait()
				if got := p.isBroken(); got != tt.broken {
					t.Errorf("broken: %v", got)
				}
				if got := p.now(); !errors.Is(got, tt.healthy) || (got == nil) != (tt.healthy == nil) {
					t.Errorf("healthy: %v", got)
				}
			})
		})
	}
}

func TestAfterAFailedSyncNothingBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatient(t)
		p.revive = func() error { t.Error("it begins anew on files that cannot be believed"); return nil }
		said := &natsLog{log: p.log, doubt: p.doubt, unsynced: p.unsynced}
		said.Errorf("Filestore [%s] Critical write error: write 1.blk: no space left on device", stream)
		if err := p.trusted(); err != nil {
			t.Errorf("a failed write is no failed sync: %v", err)
		}
		p.becomes(errSticky, nil)
		said.Errorf("Filestore [%s] Critical write error: sync 1.blk: input/output error", stream)
		time.Sleep(time.Minute)
		p.becomes(nil, nil) // the next sync would succeed
		p.doubt()
		time.Sleep(time.Minute)
		if p.isBroken() || !errors.Is(p.now(), ErrUnsynced) || !errors.Is(p.takes(), ErrUnsynced) {
			t.Errorf("broken: %v; healthy: %v; takes: %v", p.isBroken(), p.now(), p.takes())
		}
	})
}

func TestASlowDiskIsNotABrokenOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatient(t)
		p.revive = func() error { t.Error("it begins anew though it goes on"); return nil }
		h := newHold(p.takes)
		p.slow = h.slow
		p.publish = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		p.doubt()
		time.Sleep(probeWithin - time.Second)
		h.stored(4 * time.Second)
		time.Sleep(time.Hour)
		if err := p.now(); err != nil {
			t.Error(err)
		}
	})
}

func (p *patient) fail(stored, room error) {
	p.becomes(stored, room)
	p.doubt()
}

func TestRoomIsFoundByWriting(t *testing.T) {
	dir := t.TempDir()
	if err := roomIn(dir); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if err := roomIn(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("room: %v", err)
	}
}

func TestAProbeIsStoredAndNoMessage(t *testing.T) {
	said := &lines{}
	h := start(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(said, nil)) })
	seen, stop := h.watch()
	defer stop()
	if err := h.b.engine.probe(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	d := h.login(shed)
	d.publish(shed.publishTopic(), "a message", 1)
	if got := h.book.hold(t, 1); got[0] != "a message" {
		t.Errorf("recorded %q", got)
	}
	if got := take(t, seen); got.payload != "a message" {
		t.Errorf("shown %+v", got)
	}
	h.untilAcknowledged()
	if err := h.b.Healthy(); err != nil || said.String() != "" {
		t.Error(err, said)
	}
}

func TestARecordThatTakesNothingIsNotHealthy(t *testing.T) {
	h := start(t)
	h.book.setBroken(true)
	h.login(shed).publish(shed.publishTopic(), "x", 1)
	await(t, func() bool { return errors.Is(h.b.Healthy(), errBook) })
	h.book.setBroken(false)
	await(t, func() bool { return h.b.Healthy() == nil })
	h.stop()
	if err := h.b.Healthy(); !errors.Is(err, ErrClosed) {
		t.Errorf("closed and %v", err)
	}
}

// TestAnEngineThatIsGoneIsFound: nats switches its JetStream off when the disk is full.
func TestAnEngineThatIsGoneIsFound(t *testing.T) {
	h := start(t)
	h.b.engine.nats.DisableJetStream()
	if err := h.b.Publish(t.Context(), shed.publishTopic(), nil, 1); err == nil {
		t.Error("it takes messages")
	}
	await(t, func() bool { return h.b.Healthy() != nil })
	await(t, func() bool { return h.b.Healthy() == nil })
	h.alive()
}

func await(t testing.TB, so func() bool) {
	t.Helper()
	for began := time.Now(); !so(); <-time.After(10 * time.Millisecond) {
		if time.Since(began) > 2*soon {
			t.Fatal("it does not come about")
		}
	}
}
