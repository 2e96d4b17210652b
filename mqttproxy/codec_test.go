package mqttproxy

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"
)

func TestEncodedOnceForAllReaders(t *testing.T) {
	for name, size := range map[string]int{"empty": 0, "one length byte, two for QoS 1": 123, "two": 124, "three": 20_000, "two, three for QoS 1": 16_379} {
		t.Run(name, func(t *testing.T) {
			payload := bytes.Repeat([]byte{'x'}, size)
			p := newPacket(Message{Topic: "ab", Payload: payload})
			for _, out := range []outgoing{{}, {retain: true}, {qos: 1, id: 0x1234}, {qos: 1, id: 1, retain: true}} {
				wire := p.appendTo([]byte("before"), out)[6:]
				got, rest, ok, err := cut(wire, 1<<20)
				if err != nil || !ok || len(rest) != 0 || len(wire) > p.size() {
					t.Fatalf("%+v: %v %v, %d left", out, ok, err, len(rest))
				}
				m, err := readPublish(got)
				if err != nil || m.topic != "ab" || !bytes.Equal(m.payload, payload) || m.qos != out.qos || m.id != out.id || m.retain != out.retain {
					t.Errorf("%+v became %+v, %v", out, m, err)
				}
			}
		})
	}
}

// FuzzCut holds the reader of packets to its promises for any bytes: no panic, nothing taken that did not arrive.
func FuzzCut(f *testing.F) {
	f.Add(connectPacket(0))
	f.Add(subscribePacket(1, 1, "a/+", "#"))
	f.Add(publishPacket("a", "b", 1, 2))
	f.Add([]byte{0x10, 0xff, 0xff, 0xff, 0x7f})
	f.Add([]byte{0x82, 5, 0, 1, 0, 1, 'a'})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, rest, ok, err := cut(b, 1000)
		if ok && (len(p.body) > 1000 || 2+len(p.body)+len(rest) > len(b) || err != nil) {
			t.Fatalf("%d of body and %d left out of %d, %v", len(p.body), len(rest), len(b), err)
		}
		if !ok {
			return
		}
		_, errConnect := readConnect(p)
		m, errPublish := readPublish(p)
		_, filters, errFilters := readFilters(p)
		_, errPuback := readPuback(p)
		for _, err := range []error{errConnect, errPublish, errFilters, errPuback} {
			if _, isReason := errors.AsType[Reason](err); err != nil && !isReason {
				t.Fatalf("%v is no Reason", err)
			}
		}
		if errPublish == nil && (m.qos > 1 || !plainTopic(m.topic)) {
			t.Fatalf("took %+v", m)
		}
		if errFilters == nil && (len(filters) == 0 || len(filters) > maxFilters) {
			t.Fatalf("took %d filters", len(filters))
		}
	})
}

// FuzzSession gives a session any bytes after its CONNECT, cut in two: it must end, without a panic, and publish only what
// the Grant permits.
func FuzzSession(f *testing.F) {
	f.Add(publishPacket("acme/local/k1/publish", "x", 1, 1), 5)
	f.Add(append(subscribePacket(1, 1, "acme/local/+/publish"), typePingreq<<4, 0), 1)
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		source := &fakeSource{}
		h := NewHub(Config{Source: source, Rate: 1e6, Burst: 1e6})
		carrier := newFakeCarrier()
		at = max(0, min(at, len(b)))
		carrier.up <- connectPacket(0)
		for _, chunk := range [][]byte{b[:at:at], b[at:]} {
			if len(chunk) > 0 {
				carrier.up <- chunk
			}
		}
		close(carrier.up)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if reason := h.Serve(ctx, carrier, testGrant()); reason == Fault || reason == Restart {
			t.Fatalf("ended with %v", reason)
		}
		for _, m := range source.taken {
			if !testGrant().MayPublish(m.topic) {
				t.Fatalf("published to %q", m.topic)
			}
		}
	})
}
