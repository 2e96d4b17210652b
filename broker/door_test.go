package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trellis/access"
)

// silent is a connection that says nothing, from an address; why gives the reason for its end.
func (h *house) silent(from string) (why chan error) {
	h.t.Helper()
	_, far := tcpPair(h.t)
	why = make(chan error, 1)
	before := h.entered(from)
	go func() { why <- h.b.ServeFrom(context.Background(), far, netip.MustParseAddr(from)) }()
	await(h.t, func() bool { return len(why) > 0 || h.entered(from) > before })
	return why
}

func (h *house) entered(from string) (n int) {
	h.b.door.mu.Lock()
	defer h.b.door.mu.Unlock()
	for v := range h.b.door.visits {
		if v.address == netip.MustParseAddr(from) {
			n++
		}
	}
	return n
}

func TestHalfOpenConnectionsAreCountedByNetwork(t *testing.T) {
	for name, tt := range map[string]struct {
		first, second string
		shared        bool
	}{
		"the same IPv4 address":     {"192.0.2.1", "192.0.2.1", true},
		"the same, written as IPv6": {"192.0.2.1", "::ffff:192.0.2.1", true},
		"another IPv4 address":      {"192.0.2.1", "192.0.2.2", false},
		"the same /64":              {"2001:db8::1", "2001:db8::ffff:2", true},
		"another /64":               {"2001:db8::1", "2001:db8:0:1::1", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, func(c *Config) { c.Limits.HalfOpenAddress = 1 })
			h.silent(tt.first)
			why := h.silent(tt.second)
			if got := len(why) > 0 && errors.Is(<-why, ErrTooMany); got != tt.shared {
				t.Errorf("refused: %v", got)
			}
		})
	}
}

func TestTwentyHalfOpenConnectionsFromOneAddress(t *testing.T) {
	h := start(t)
	for range 20 {
		if why := h.silent("192.0.2.1"); len(why) > 0 {
			t.Fatal(<-why)
		}
	}
	if err := <-h.silent("192.0.2.1"); !errors.Is(err, ErrTooMany) {
		t.Errorf("the next: %v", err)
	}
}

func TestTheOldestHalfOpenConnectionGivesWay(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.HalfOpen = 2 })
	first, second := h.silent("192.0.2.1"), h.silent("192.0.2.2")
	h.login(shed)
	if err := <-first; !errors.Is(err, ErrCrowdedOut) {
		t.Errorf("the oldest: %v", err)
	}
	h.silent("192.0.2.3")
	if len(second) > 0 {
		t.Errorf("a newer one: %v", <-second)
	}
	h.silent("192.0.2.4")
	if err := <-second; !errors.Is(err, ErrCrowdedOut) {
		t.Errorf("the next oldest: %v", err)
	}
}

func TestRefusalsInTheLog(t *testing.T) {
	said := &lines{}
	h := start(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(said, nil)) })
	wrong := shed.connect()
	wrong.key = "key-wrong"
	for range 3 {
		h.dial().connect(wrong)
	}
	silly := h.dial()
	silly.send([]byte{0xc0, 0})
	silly.closed()
	elsewhere := shed.connect()
	elsewhere.client = "somebody"
	for range 2 {
		h.dial().connect(elsewhere)
	}
	h.stop() // sums up
	for sentence, want := range map[string]int{
		"connection refused":             2, // those with a good key
		"connections refused to strang":  1,
		"refused=4":                      1,
		ErrLogin.sentence + ":3":         1,
		ErrNoConnect.sentence + ":1":     1,
		"grant.holder=shed grant.key=k1": 2,
	} {
		if got := strings.Count(said.String(), sentence); got != want {
			t.Errorf("%q is said %d times, want %d: %s", sentence, got, want, said)
		}
	}
}

func TestStrangersAreSummedUpEveryMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said := &lines{}
		s := &strangers{log: slog.New(slog.NewTextHandler(said, nil))}
		ctx, cancel := context.WithCancel(context.Background())
		over := make(chan struct{})
		go func() { defer close(over); s.run(ctx) }()
		for i := range 10 {
			s.refused(fmt.Errorf("%w: %d", ErrTopic, i)) // what a stranger sent is no part of the sum
		}
		s.refused(errors.New("anything"))
		time.Sleep(time.Hour)
		if got := strings.Count(said.String(), "\n"); got != 1 {
			t.Errorf("%d lines: %s", got, said)
		}
		if !strings.Contains(said.String(), ErrTopic.sentence+":10") {
			t.Errorf("said %s", said)
		}
		cancel()
		<-over
	})
}

func TestWhoSpeaksIsTheOperatorOnlyByName(t *testing.T) {
	h := start(t)
	to := h.login(door)
	to.subscribe(1, door.messagesTopic())
	for _, topic := range []string{"acme/eu/gone/publish", "acme/eu/" + access.OperatorName + "/publish"} {
		if err := h.b.Publish(t.Context(), topic, []byte(`{"for":"house:door","from":"`+topic+`"}`), 1); err != nil {
			t.Fatal(err)
		}
	}
	h.book.hold(t, 2)
	h.book.mu.Lock()
	sources := []string{h.book.lines[0].Source, h.book.lines[1].Source}
	h.book.mu.Unlock()
	if sources[0] != "acme:eu:unknown" || sources[1] != "acme:eu:operator" {
		t.Errorf("recorded from %q", sources)
	}
	if got := to.receive(); !strings.Contains(got.payload, "operator") {
		t.Errorf("received %+v", got)
	}
	to.quietNow()
}

func TestAConsumerThatIsGoneIsMadeAgain(t *testing.T) {
	h := start(t)
	seen, stop := h.watch()
	defer stop()
	d := h.login(shed)
	d.publish(shed.publishTopic(), "before", 1)
	take(t, seen)
	h.book.hold(t, 1)
	h.untilAcknowledged()
	s, err := h.b.engine.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	all := s.ListConsumers(t.Context())
	for info := range all.Info() {
		if err := s.DeleteConsumer(t.Context(), info.Name); err != nil {
			t.Fatal(err)
		}
	}
	// Each of the two is made again in its own time, and nats keeps a publish only for those that are there: the one the
	// watcher sees first may come before the recorder is back.
	await(t, func() bool {
		d.publish(shed.publishTopic(), "after", 1)
		return len(seen) > 0 && h.book.count() > 1
	})
}
