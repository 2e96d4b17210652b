package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"trellis/access"
	"trellis/message"
)

func TestTakeOverEndsTheOlderConnection(t *testing.T) {
	for name, second := range map[string]key{"by the same key": shed, "by another key of the entity": shed2} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			seen, stop := h.watch()
			defer stop()
			older := h.login(shed, withWill(shed))
			newer := h.login(second)
			older.closed()
			newer.publish(second.publishTopic(), "newer", 1)
			if got := take(t, seen); got.payload != "newer" {
				t.Errorf("shown %+v: a will fired", got)
			}
			newer.quietNow()
		})
	}
}

// nats jails a client id for a second when one connection had to take it over from another, which happens by itself when a
// device comes back before nats has seen the end of its last connection.
func TestWhoComesBackWhileTheLastOneLingersInsideIsLetIn(t *testing.T) {
	h := start(t)
	lingering(h)
	h.login(shed).publish(shed.publishTopic(), "here", 1)
}

func TestWhoIsNotWantedAnyMoreThrowsNobodyOut(t *testing.T) {
	h := start(t)
	living := lingering(h)
	c, grant := shed.connect(), access.KeyGrant(shed.sub, shed.jti, time.Time{})
	if _, answer, err := h.b.engine.open(t.Context(), grant, c, c.innerID(grant), func() bool { return false }); err == nil {
		t.Errorf("let in: %x", answer)
	}
	living.quietNow()
}

// lingering has the shed's session be taken over inside, behind the gate's back, and gives the newer connection.
func lingering(h *house) (newer *device) {
	h.t.Helper()
	c, grant := shed.connect(), access.KeyGrant(shed.sub, shed.jti, time.Time{})
	for range 2 {
		conn, answer, err := h.b.engine.dial(h.t.Context(), grant, c, c.innerID(grant))
		if err != nil || answer[3] != 0 {
			h.t.Fatalf("CONNACK %x, %v", answer, err)
		}
		h.t.Cleanup(func() { conn.Close() })
		newer = &device{t: h.t, conn: conn, in: source{from: conn}}
	}
	return newer
}

func withWill(k key) func(*connect) {
	return func(c *connect) {
		c.will = &will{topic: []byte(k.publishTopic()), payload: []byte("gone"), qos: 1}
	}
}

func TestWill(t *testing.T) {
	for name, tt := range map[string]struct {
		end   func(*house, *device)
		fires bool
	}{
		"lost":              {func(_ *house, d *device) { d.conn.Close() }, true},
		"breaks a rule":     {func(_ *house, d *device) { d.send([]byte{0xf0, 0}) }, true},
		"takes its leave":   {func(_ *house, d *device) { d.leave() }, false},
		"its key is ended":  {func(h *house, d *device) { h.b.EndKey(shed.jti); d.closed() }, false},
		"ended in a packet": {endedInPacket, false},
		"the server stops":  {func(h *house, d *device) { h.stop(); d.closed(); h.open() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			d := h.login(shed, withWill(shed))
			tt.end(h, d)
			if tt.fires {
				h.book.hold(t, 1)
			}
			h.alive()
			want := []string{"are you there"}
			if tt.fires {
				want = []string{"gone", "are you there"}
			}
			if got := h.book.hold(t, len(want)); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("recorded %q, want %q", got, want)
			}
		})
	}
}

// endedInPacket ends the key when nats might have seen half of a PUBLISH.
func endedInPacket(h *house, d *device) {
	whole := publishPacket(shed.publishTopic(), make([]byte, 20_000), 0, 0, 0)
	d.send(whole[:15_000])
	h.b.EndKey(shed.jti)
	d.closed()
}

func TestEndKeyEndsEverySessionWithinASecond(t *testing.T) {
	h := start(t)
	first := h.login(shed)
	second := h.login(shed, func(c *connect) { c.client += "#2" })
	bystander := h.login(door)
	h.ring.end(shed, access.ErrKeyRevoked)
	began := time.Now()
	h.b.EndKey(shed.jti)
	first.closed()
	second.closed()
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %v", took)
	}
	bystander.publish(door.publishTopic(), "still here", 1)
	if got := h.dial().connect(shed.connect()); got != 5 {
		t.Errorf("CONNACK %d", got)
	}
}

func TestASessionEndsWithItsGrant(t *testing.T) {
	h := start(t)
	until := time.Now().Add(2 * time.Second)
	h.ring.until = until
	h.login(shed).closed()
	if now := time.Now(); now.Before(until) {
		t.Errorf("ended %v before its time", until.Sub(now))
	}
}

func TestAPersistentSessionGetsWhatCameMeanwhileInOrder(t *testing.T) {
	for name, restart := range map[string]bool{"the server stayed": false, "the server was restarted": true} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			lasting := func(c *connect) { c.clean = false }
			to := h.login(door, lasting)
			to.subscribe(1, door.messagesTopic())
			to.leave()
			from := h.login(shed)
			const n = 300
			for i := range n {
				from.publish(shed.publishTopic(), fmt.Sprintf(`{"for":"house:door","n":%d}`, i), 1)
			}
			h.book.hold(t, n)
			if restart {
				h.stop()
				h.open()
			}
			to = h.login(door, lasting)
			for i := range n {
				if got, want := to.receive().payload, fmt.Sprintf(`{"for":"house:door","n":%d}`, i); got != want {
					t.Fatalf("received %s, want %s", got, want)
				}
			}
			to.quietNow()
		})
	}
}

func TestASecondKeyOfAnEntityDoesNotInheritTheQueue(t *testing.T) {
	h := start(t)
	lasting := func(c *connect) { c.clean = false }
	first := h.login(shed, lasting)
	first.subscribe(1, shed.messagesTopic())
	first.leave()
	h.login(door).publish(door.publishTopic(), `{"for":"shed"}`, 1)
	h.book.hold(t, 1)
	second := h.login(shed2, lasting)
	second.quietNow()
	second.leave()
	if got := h.login(shed, lasting).receive(); got.topic != shed.messagesTopic() {
		t.Errorf("received %+v", got)
	}
}

func TestRetained(t *testing.T) {
	h := start(t)
	d := h.login(shed)
	d.publishFlags(shed.publishTopic(), "last", 1, 1)
	d.leave()
	want := delivery{topic: shed.publishTopic(), payload: "last", qos: 1, retained: true}
	await(t, func() bool { return slices.Equal(h.greeting(), []delivery{want}) })
	d = h.login(shed)
	d.publishFlags(shed.publishTopic(), "", 1, 1)
	d.leave()
	await(t, func() bool { return len(h.greeting()) == 0 })
}

// greeting is what somebody who comes now is told on subscribing. Nats learns of a retained message by its own stream, a
// moment after it has acknowledged it.
func (h *house) greeting() (all []delivery) {
	h.t.Helper()
	d := h.login(shed)
	defer d.leave()
	d.subscribe(1, shed.publishTopic())
	d.send([]byte{typePingreq << 4, 0})
	d.await(typePingresp)
	for _, p := range d.held {
		if got, _ := p.delivery(); p.kind == typePublish {
			all = append(all, got)
		}
	}
	return all
}

func TestEverySubscriberGetsOneCopy(t *testing.T) {
	h := start(t)
	var all []*device
	for i := range 6 {
		d := h.login(door, func(c *connect) { c.client = fmt.Sprintf("%s#%d", c.client, i) })
		d.subscribe(byte(i%3), door.messagesTopic(), door.publishTopic())
		all = append(all, d)
	}
	from := h.login(shed)
	for qos := range byte(3) {
		from.publish(shed.publishTopic(), fmt.Sprintf(`{"for":"house:door","n":%d}`, qos), qos)
	}
	h.book.hold(t, 3)
	for i, d := range all {
		got := map[string]byte{}
		for range 3 {
			m := d.receive()
			got[m.payload] = m.qos
		}
		for n := range 3 {
			qos, ok := got[fmt.Sprintf(`{"for":"house:door","n":%d}`, n)]
			if !ok || qos != min(byte(i%3), 1) {
				t.Errorf("subscriber at QoS %d: message %d came = %v, at QoS %d", i%3, n, ok, qos)
			}
		}
		d.quietNow()
	}
}

func TestPagesPublishLikeDevices(t *testing.T) {
	h := start(t)
	watcher := h.login(shed)
	watcher.subscribe(1, shed.publishTopic())
	plain := h.login(shed, func(c *connect) { c.client += "#0" })
	plain.subscribe(0, shed.publishTopic())
	ctx := context.Background()
	for qos := range byte(2) {
		if err := h.b.Publish(ctx, shed.publishTopic(), []byte{'0' + qos}, qos); err != nil {
			t.Fatal(err)
		}
		if got := watcher.receive(); got.payload != string('0'+qos) || got.qos != qos {
			t.Errorf("received %+v", got)
		}
		if got := plain.receive(); got.payload != string('0'+qos) || got.qos != 0 {
			t.Errorf("received %+v", got)
		}
	}
	if err := h.b.Publish(ctx, "acme/eu/operator/publish", []byte("hello"), 1); err != nil {
		t.Fatal(err)
	}
	h.book.hold(t, 3)
	h.book.mu.Lock()
	all := slices.Clone(h.book.lines)
	h.book.mu.Unlock()
	if !slices.ContainsFunc(all, func(m message.Message) bool { // in any order: QoS 0 goes another way
		return m.Source == "acme:eu:operator" && m.Topic == "acme/eu/operator/publish"
	}) {
		t.Errorf("recorded %+v", all)
	}
	for topic, want := range map[string]error{"acme/eu/k1/messages": ErrTopic, "acme/eu/+/publish": ErrTopic, "$MQTT/x": ErrTopic} {
		if err := h.b.Publish(ctx, topic, nil, 1); !errors.Is(err, want) {
			t.Errorf("Publish(%q) = %v", topic, err)
		}
	}
	if err := h.b.Publish(ctx, shed.publishTopic(), make([]byte, 200<<10), 1); !errors.Is(err, ErrPacketTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestServeConnOverAPipe(t *testing.T) {
	h := start(t)
	near, far := net.Pipe()
	over := make(chan error, 1)
	go func() { over <- h.b.ServeConn(context.Background(), far) }()
	d := &device{t: t, conn: near, in: source{from: near}}
	if got := d.connect(shed.connect()); got != 0 {
		t.Fatalf("CONNACK %d", got)
	}
	d.publish(shed.publishTopic(), "over a pipe", 1)
	d.leave()
	if err := <-over; err != nil {
		t.Errorf("reason: %v", err)
	}
}
