package mqttproxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestFirstPacketDecides(t *testing.T) {
	connectWith := func(flags byte, rest ...byte) []byte {
		body := append([]byte{0, 4, 'M', 'Q', 'T', 'T', 4, flags, 0, 0}, rest...)
		return append(appendHead(nil, 0x10, len(body)), body...)
	}
	for name, tt := range map[string]struct {
		sent   []byte
		answer []byte
		reason Reason
	}{
		"MQTT 3.1":                     {[]byte{0x10, 16, 0, 6, 'M', 'Q', 'I', 's', 'd', 'p', 3, 2, 0, 0, 0, 2, 'i', 'd'}, []byte{0x20, 2, 0, 1}, Protocol},
		"MQTT 5":                       {[]byte{0x10, 15, 0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 0, 0, 0, 2, 'i', 'd'}, []byte{0x20, 3, 0, 0x84, 0}, Protocol},
		"a will":                       {connectWith(0x06, 0, 1, 'a', 0, 1, 't', 0, 1, 'w'), []byte{0x20, 2, 0, 5}, NotAllowed},
		"no client id, not clean":      {connectWith(0x00, 0, 0), []byte{0x20, 2, 0, 2}, Protocol},
		"reserved flag":                {connectWith(0x03, 0, 1, 'a'), nil, Protocol},
		"password without user":        {connectWith(0x42, 0, 1, 'a', 0, 1, 'p'), nil, Protocol},
		"will details without a will":  {connectWith(0x22, 0, 1, 'a'), nil, Protocol},
		"bytes left over":              {connectWith(0x02, 0, 1, 'a', 9), nil, Protocol},
		"too short":                    {[]byte{0x10, 2, 0, 4}, nil, Protocol},
		"not UTF-8":                    {connectWith(0x02, 0, 1, 0xff), nil, Protocol},
		"another protocol":             {[]byte{0x10, 12, 0, 4, 'M', 'Q', 'T', 'X', 4, 2, 0, 0, 0, 0}, nil, Protocol},
		"SUBSCRIBE first":              {subscribePacket(1, 0, "a"), nil, Protocol},
		"HTTP":                         {[]byte("GET / HTTP/1.1\r\n"), nil, Protocol},
		"announces 256 MiB":            {[]byte{0x10, 0xff, 0xff, 0xff, 0x7f}, nil, TooBig},
		"announces one byte too many":  {appendHead(nil, 0x10, 8<<10+1), nil, TooBig},
		"length of five bytes":         {[]byte{0x10, 0xff, 0xff, 0xff, 0xff, 0x01}, nil, Protocol},
		"reserved bits in first byte":  {append([]byte{0x11}, connectPacket(0)[1:]...), nil, Protocol},
		"nothing but the end of bytes": {nil, nil, Lost},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := newTestHub(t, Config{})
			p := open(t, h, testGrant(), false)
			if tt.sent == nil {
				close(p.up)
			} else {
				p.say(tt.sent)
			}
			if got := <-p.ended; got != tt.reason {
				t.Errorf("ended with %v, want %v", got, tt.reason)
			}
			if !slices.Equal(p.got, tt.answer) {
				t.Errorf("answered % x, want % x", p.got, tt.answer)
			}
			if p.reason != tt.reason {
				t.Errorf("carrier was told %v", p.reason)
			}
		})
	}
}

func TestConnectTakesUserAndPasswordWithoutLooking(t *testing.T) {
	h, _ := newTestHub(t, Config{})
	p := open(t, h, testGrant(), false)
	body := []byte{0, 4, 'M', 'Q', 'T', 'T', 4, 0xc0, 0, 60, 0, 1, 'a', 0, 1, 'u', 0, 2, 0, 0xff}
	p.say(append(appendHead(nil, 0x10, len(body)), body...))
	if got := p.next(); got.kind != typeConnack || got.body[1] != 0 {
		t.Fatalf("got %+v", got)
	}
	if got := p.leave(); got != Done {
		t.Fatalf("ended with %v", got)
	}
}

func TestWhatEndsASession(t *testing.T) {
	for name, tt := range map[string]struct {
		sent   []byte
		reason Reason
	}{
		"second CONNECT":             {connectPacket(0), Protocol},
		"QoS 2":                      {publishPacket("acme/local/k1/publish", "x", 2, 1), Protocol},
		"PUBREL":                     {[]byte{0x62, 2, 0, 1}, Protocol},
		"CONNACK":                    {[]byte{0x20, 2, 0, 0}, Protocol},
		"type 15":                    {[]byte{0xf0, 0}, Protocol},
		"type 0":                     {[]byte{0x00, 0}, Protocol},
		"PINGREQ with a body":        {[]byte{0xc0, 1, 0}, Protocol},
		"DISCONNECT with flags":      {[]byte{0xe1, 0}, Protocol},
		"a PUBACK for nothing":       {[]byte{0x40, 2, 0, 1}, Protocol},
		"a PUBACK with id 0":         {[]byte{0x40, 2, 0, 0}, Protocol},
		"a PUBACK too long":          {[]byte{0x40, 3, 0, 1, 0}, Protocol},
		"SUBSCRIBE without flags":    {append([]byte{0x80}, subscribePacket(1, 0, "a")[1:]...), Protocol},
		"SUBSCRIBE with id 0":        {subscribePacket(0, 0, "a"), Protocol},
		"SUBSCRIBE without filter":   {[]byte{0x82, 2, 0, 1}, Protocol},
		"SUBSCRIBE cut after a":      {[]byte{0x82, 5, 0, 1, 0, 1, 'a'}, Protocol},
		"SUBSCRIBE at QoS 3":         {subscribePacket(1, 3, "a"), Protocol},
		"SUBSCRIBE to a#":            {subscribePacket(1, 0, "a#"), Protocol},
		"SUBSCRIBE to #/a":           {subscribePacket(1, 0, "#/a"), Protocol},
		"SUBSCRIBE to a+/b":          {subscribePacket(1, 0, "a+/b"), Protocol},
		"SUBSCRIBE to nothing":       {subscribePacket(1, 0, ""), Protocol},
		"SUBSCRIBE to 33 levels":     {subscribePacket(1, 0, strings.Repeat("a/", 32)+"a"), Protocol},
		"SUBSCRIBE to 33 filters":    {subscribePacket(1, 0, slices.Repeat([]string{"a"}, 33)...), Limit},
		"PUBLISH to a wildcard":      {publishPacket("acme/local/+/publish", "x", 0, 0), Protocol},
		"PUBLISH to nothing":         {publishPacket("", "x", 0, 0), Protocol},
		"PUBLISH with U+0000":        {publishPacket("a\x00b", "x", 0, 0), Protocol},
		"PUBLISH with a surrogate":   {publishPacket("a\xed\xa0\x80", "x", 0, 0), Protocol},
		"PUBLISH to a foreign":       {publishPacket("acme/local/k2/publish", "x", 1, 1), NotAllowed},
		"PUBLISH to $trellis":        {publishPacket(sessionTopic, "x", 0, 0), NotAllowed},
		"PUBLISH retained":           {append([]byte{0x31}, publishPacket("acme/local/k1/publish", "x", 0, 0)[1:]...), NotAllowed},
		"PUBLISH QoS 1 with id 0":    {publishPacket("acme/local/k1/publish", "x", 1, 0), Protocol},
		"PUBLISH QoS 0 and DUP":      {append([]byte{0x38}, publishPacket("acme/local/k1/publish", "x", 0, 0)[1:]...), Protocol},
		"PUBLISH too big":            {appendHead(nil, 0x30, 128<<10+1), TooBig},
		"PUBLISH shorter than topic": {[]byte{0x30, 3, 0, 9, 'a'}, Protocol},
		"DISCONNECT":                 {[]byte{0xe0, 0}, Done},
	} {
		t.Run(name, func(t *testing.T) {
			h, source := newTestHub(t, Config{})
			p := open(t, h, testGrant(), true)
			p.say(tt.sent)
			if got := <-p.ended; got != tt.reason {
				t.Errorf("ended with %v, want %v", got, tt.reason)
			}
			if len(source.taken) != 0 {
				t.Errorf("the source was given %v", source.taken)
			}
		})
	}
}

func TestSubscribeObeysTheGrant(t *testing.T) {
	h, source := newTestHub(t, Config{})
	p := open(t, h, testGrant(), true)
	codes := p.subscribe(2, "acme/local/k1/messages", "acme/#", "acme/local/k2/messages", "#", sessionTopic, "$SYS/#", "acme/local/+/publish", "acme/+/k1/messages")
	if want := []byte{1, 0x80, 0x80, 0x80, 1, 0x80, 1, 0x80}; !slices.Equal(codes, want) {
		t.Errorf("granted % x, want % x", codes, want)
	}
	source.deliver(Message{Topic: "acme/local/k2/messages", Payload: []byte("foreign")})
	source.deliver(Message{Topic: "acme/local/k1/messages", Payload: []byte("own")})
	if m := p.message(); string(m.payload) != "own" || m.qos != 1 || m.id == 0 || m.retain {
		t.Errorf("got %+v", m)
	}
	p.say([]byte{typeUnsubscribe<<4 | 2, 26, 0, 9, 0, 22}, []byte("acme/local/k1/messages"))
	if got := p.next(); got.kind != typeUnsuback || got.body[1] != 9 {
		t.Fatalf("got %+v", got)
	}
	source.deliver(Message{Topic: "acme/local/k1/messages", Payload: []byte("not wanted any more")})
	source.deliver(Message{Topic: "acme/local/x/publish", Payload: []byte("still wanted")})
	if m := p.message(); string(m.payload) != "still wanted" {
		t.Errorf("got %+v", m)
	}
	p.leave()
	if len(h.readers.exact) != 0 || len(h.readers.wild) != 0 || h.Stats().Sessions != 0 {
		t.Errorf("left behind: %+v", h.readers)
	}
}

func TestWhoReadsByTwoFiltersGetsAMessageOnceAndAtTheBetterQoS(t *testing.T) {
	h, source := newTestHub(t, Config{})
	p := open(t, h, testGrant(), true)
	p.subscribe(0, "acme/local/+/publish")
	p.subscribe(1, "acme/local/a/publish")
	for _, text := range []string{"1", "2"} {
		source.deliver(Message{Topic: "acme/local/a/publish", Payload: []byte(text)})
		if m := p.message(); string(m.payload) != text || m.qos != 1 {
			t.Errorf("got %+v", m)
		}
	}
	p.leave()
}

func TestPublishIsAcknowledgedAfterTheSourceAndInOrder(t *testing.T) {
	gate := make(chan struct{})
	source := &fakeSource{refuse: func(m publish) error {
		<-gate
		if string(m.payload) == "bad" {
			return errors.New("no")
		}
		return nil
	}}
	h, _ := newTestHub(t, Config{Source: source})
	p := open(t, h, testGrant(), true)
	for id, text := range []string{"a", "bad", "c"} {
		p.say(publishPacket("acme/local/k1/publish", text, 1, uint16(id+1)))
	}
	p.say([]byte{typePingreq << 4, 0})
	if got := p.next(); got.kind != typePingresp {
		t.Fatalf("before the source answered: %+v", got)
	}
	close(gate)
	if got := p.next(); got.kind != typePuback || got.body[1] != 1 {
		t.Fatalf("got %+v", got)
	}
	want := `{"refused":{"id":2,"sentence":"` + notTaken + `"}}`
	if m := p.message(); m.topic != sessionTopic || string(m.payload) != want {
		t.Fatalf("got %s %s", m.topic, m.payload)
	}
	if got := p.next(); got.kind != typePuback || got.body[1] != 3 {
		t.Fatalf("got %+v", got)
	}
	p.leave()
	if stats := h.Stats(); stats.Accepted != 2 || stats.Refused != 1 {
		t.Errorf("%+v", stats)
	}
}

func TestWhatWasReceivedBeforeTheEndIsStillHandedOn(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(*Hub, *page)
		want int
	}{
		"the page left":         {func(_ *Hub, p *page) { p.say([]byte{typeDisconnect << 4, 0}) }, 3},
		"the key was withdrawn": {func(h *Hub, _ *page) { h.EndKey("k1") }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			began, gate := make(chan struct{}, 3), make(chan struct{})
			source := &fakeSource{refuse: func(publish) error { began <- struct{}{}; <-gate; return nil }}
			h, _ := newTestHub(t, Config{Source: source})
			p := open(t, h, testGrant(), true)
			for range 3 {
				p.say(publishPacket("acme/local/k1/publish", "x", 0, 0))
			}
			<-began
			p.say([]byte{typePingreq << 4, 0})
			p.next() // all three have been read
			tt.end(h, p)
			<-p.over
			close(gate)
			<-p.ended
			if len(source.taken) != tt.want {
				t.Errorf("handed on %d, want %d", len(source.taken), tt.want)
			}
		})
	}
}

// TestChunksMayBeCutAnywhere sends one conversation cut at every byte, and one byte at a time.
func TestChunksMayBeCutAnywhere(t *testing.T) {
	var talk []byte
	for _, packet := range [][]byte{
		connectPacket(60), subscribePacket(1, 0, "acme/local/k1/messages"),
		publishPacket("acme/local/k1/publish", strings.Repeat("long ", 60), 1, 5), {typePingreq << 4, 0},
		publishPacket("acme/local/k1/publish", "", 0, 0), {typeDisconnect << 4, 0},
	} {
		talk = append(talk, packet...)
	}
	converse := func(t *testing.T, chunks ...[]byte) {
		h, source := newTestHub(t, Config{})
		p := open(t, h, testGrant(), false)
		p.say(chunks...)
		if got := <-p.ended; got != Done {
			t.Fatalf("ended with %v", got)
		}
		if len(source.taken) != 2 || len(source.taken[0].payload) != 300 || len(source.taken[1].payload) != 0 {
			t.Fatalf("handed on %v", source.taken)
		}
	}
	for i := range talk {
		converse(t, talk[:i:i], talk[i:])
	}
	var single [][]byte
	for i := range talk {
		single = append(single, talk[i:i+1])
	}
	converse(t, single...)
}

func TestAPacketOfTheFullSizeIsTaken(t *testing.T) {
	h, source := newTestHub(t, Config{})
	p := open(t, h, testGrant(), true)
	topic := "acme/local/k1/publish"
	p.say(publishPacket(topic, strings.Repeat("x", 128<<10-2-len(topic)), 0, 0))
	p.leave()
	if len(source.taken) != 1 {
		t.Fatal("not handed on")
	}
}

func TestAPanicEndsOnlyItsSession(t *testing.T) {
	source := &fakeSource{refuse: func(publish) error { panic("mistake") }}
	h, _ := newTestHub(t, Config{Source: source})
	bad, good := open(t, h, testGrant(), true), open(t, h, testGrant(), true)
	bad.say(publishPacket("acme/local/k1/publish", "x", 1, 1))
	if got := <-bad.ended; got != Fault {
		t.Errorf("ended with %v", got)
	}
	good.say([]byte{typePingreq << 4, 0})
	good.next()
	good.leave()
	if h.Stats().Panics != 1 {
		t.Error("not counted")
	}
}

func TestEveryReasonHasAName(t *testing.T) {
	for reason := range reasons {
		if strings.HasPrefix(reason.String(), "1") || strings.HasPrefix(reason.String(), "4") || len(reason.Words()) > 120 {
			t.Errorf("%d: %q %q", reason.Code(), reason, reason.Words())
		}
	}
	if got := fmt.Sprint(Reason(4999)); got != "session ended: 4999" {
		t.Error(got)
	}
}
