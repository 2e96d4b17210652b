package broker

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"trellis/access"
)

func FuzzConnect(f *testing.F) {
	c := shed.connect()
	f.Add(c.encode(c.client, c.user, c.key))
	c.will = &will{topic: []byte(shed.publishTopic()), payload: []byte("gone"), qos: 2, retain: true}
	f.Add(c.encode(c.client, c.user, c.key))
	f.Add([]byte{0x10, 0xff, 0xff, 0xff, 0x7f})
	limits := Limits{}.withDefaults()
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := readConnect(&source{from: bytes.NewReader(in)}, limits)
		slow, slowErr := readConnect(&source{from: iotest.OneByteReader(bytes.NewReader(in))}, limits)
		if (err == nil) != (slowErr == nil) || c.client != slow.client || c.key != slow.key {
			t.Fatalf("in one piece: %v, in many: %v", err, slowErr)
		}
		if err != nil {
			return
		}
		if !utf8.ValidString(c.client) || !utf8.ValidString(c.user) {
			t.Fatalf("accepted %q, %q", c.client, c.user)
		}
		again, err := readConnect(&source{from: bytes.NewReader(c.encode(c.client, c.user, c.key))}, Limits{MaxConnect: 16 << 10})
		if err != nil || again.client != c.client || again.keepAlive != c.keepAlive || (again.will == nil) != (c.will == nil) {
			t.Fatalf("written and read again: %+v, %v", again, err)
		}
	})
}

// FuzzPacket feeds a session whatever a device may send and looks at what nats would get: only whole, legal packets of
// the granted topics.
func FuzzPacket(f *testing.F) {
	f.Add(publishPacket(shed.publishTopic(), []byte("x"), 1, 0, 1))
	f.Add(publishPacket(door.publishTopic(), []byte("x"), 0, 0, 0))
	f.Add([]byte{0x82, 6, 0, 1, 0, 1, '#', 0})
	f.Add([]byte{0xc0, 0, 0xe0, 0})
	upstream, nats := loopback(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		s := newSession(newLine(quietConn{}), Limits{Rate: 1e9, Burst: 1e9}.withDefaults(), newHold(func() error { return nil }))
		s.source.from, s.upstream = bytes.NewReader(in), upstream
		s.grant = access.KeyGrant(shed.sub, shed.jti, time.Time{})
		s.holdsWill = true // so that nats gets whole packets only
		if s.pumpUp() == nil && len(in) < 2 {
			t.Fatal("took its leave without a DISCONNECT")
		}
		upstream.Write([]byte{0xff}) // no packet: marks the end
		nats.SetReadDeadline(time.Now().Add(soon))
		checkUpstream(t, &source{from: nats})
	})
}

func checkUpstream(t *testing.T, nats *source) {
	for {
		first, err := nats.some(1)
		if err != nil {
			t.Fatal(err)
		}
		if first[0] == 0xff {
			return
		}
		nats.unread = append(first, nats.unread...)
		h, err := nats.header()
		if err != nil {
			t.Fatal(err)
		}
		body, err := nats.appendAll(nil, h.length)
		if err != nil {
			t.Fatal(err)
		}
		p := fields{rest: body}
		switch h.kind {
		case typePublish:
			if topic := string(p.field()); topic != shed.publishTopic() {
				t.Fatalf("PUBLISH on %q", topic)
			}
		case typeSubscribe:
			for p.uint16(); len(p.rest) > 0; p.uint8() {
				if filter := string(p.field()); filter != refusedFilter && filter != shed.messagesTopic() && filter != shed.publishTopic() {
					t.Fatalf("SUBSCRIBE to %q", filter)
				}
			}
		}
	}
}

// quietConn is a device that is there and does nothing.
type quietConn struct{ net.Conn }

func (quietConn) Close() error { return nil }

func loopback(f testing.TB) (near *net.TCPConn, far net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err == nil {
		far, err = l.Accept()
	}
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { conn.Close(); far.Close() })
	return conn.(*net.TCPConn), far
}

// FuzzTopics holds the topic rules against each other.
func FuzzTopics(f *testing.F) {
	for _, s := range []string{"", "a", "a/b", "#", "+/a", "a+", "a/#/b", "$SYS/#", "a\x00", "\xff", strings.Repeat("/", 40)} {
		f.Add(s)
	}
	limits := Limits{}.withDefaults()
	grant := access.KeyGrant(shed.sub, shed.jti, time.Time{})
	f.Fuzz(func(t *testing.T, s string) {
		name, filter := limits.topicName([]byte(s)), topicFilter([]byte(s))
		if name && !filter {
			t.Errorf("%q is a topic and no filter", s)
		}
		if name && (!utf8.ValidString(s) || strings.ContainsAny(s, "+#\x00")) {
			t.Errorf("%q passed as a topic", s)
		}
		if grant.MayPublish(s) && !name {
			t.Errorf("%q is granted and no topic", s)
		}
		if grant.MaySubscribe(s) && (!filter || strings.ContainsAny(s, "+#")) {
			t.Errorf("%q is granted as a filter", s)
		}
		if subject, ok := subjectOf(s); ok && strings.ContainsAny(subject, " \t\r\n>/+#") {
			t.Errorf("%q became the subject %q", s, subject)
		}
	})
}
