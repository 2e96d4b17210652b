package mqttproxy

import "testing"

func TestWhoReadsATopicIsToldWhatIsNotRecorded(t *testing.T) {
	h, source := newTestHub(t, Config{})
	reader, other := open(t, h, testGrant(), true), open(t, h, testGrant(), true)
	reader.subscribe(0, "acme/local/+/publish")
	other.subscribe(0, "acme/local/k1/messages")
	const topic = "acme/local/k1/publish"
	for range 100 { // told at once, and not for every message
		h.Unrecorded(topic)
	}
	if m := reader.message(); m.topic != sessionTopic || string(m.payload) != `{"unrecorded":true}` {
		t.Fatalf("the reader was told %s on %s", m.payload, m.topic)
	}
	source.deliver(Message{Topic: topic, Payload: []byte("a")})
	source.deliver(Message{Topic: "acme/local/k1/messages", Payload: []byte("b")})
	for p, want := range map[*page]string{reader: "a", other: "b"} {
		if m := p.message(); string(m.payload) != want {
			t.Errorf("then came %s on %s, want %q", m.payload, m.topic, want)
		}
		p.leave()
	}
}
