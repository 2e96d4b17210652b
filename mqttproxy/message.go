package mqttproxy

// Message is one message on its way to the pages.
type Message struct {
	Topic   string
	Payload []byte   // must not be changed after it was handed over: every reader shares it
	Parts   []string // names of what it holds; those who join later are sent the last message of every (topic, part)
}

// packet is a Message encoded once as an MQTT PUBLISH, shared by all its readers and never changed.
type packet struct {
	topic string
	wire  []byte  // the whole packet as a reader at QoS 0 gets it
	head  int     // length of the fixed header in wire
	head1 [5]byte // the fixed header for QoS 1: two bytes more remain, for the packet id
	len1  int

	seq          uint64  // place in the order of all messages
	parts        int     // how many parts of its topic it is the last message of; guarded by Hub.mu, as are the links
	older, newer *packet // neighbours among the kept messages
}

func newPacket(m Message) *packet {
	remaining := 2 + len(m.Topic) + len(m.Payload)
	p := &packet{topic: m.Topic, wire: make([]byte, 0, 5+remaining)}
	p.wire = appendHead(p.wire, typePublish<<4, remaining)
	p.head = len(p.wire)
	p.wire = append(appendString(p.wire, m.Topic), m.Payload...)
	p.len1 = len(appendHead(p.head1[:0], typePublish<<4|1<<1, remaining+2))
	return p
}

// size is the most bytes that the packet takes on the wire.
func (p *packet) size() int { return len(p.wire) + 3 }

// appendTo adds the packet as one reader is to get it.
func (p *packet) appendTo(b []byte, out outgoing) []byte {
	start := len(b)
	if out.qos == 0 {
		b = append(b, p.wire...)
	} else {
		body := p.wire[p.head:]
		id := 2 + len(p.topic)
		b = append(b, p.head1[:p.len1]...)
		b = append(b, body[:id]...)
		b = append(b, byte(out.id>>8), byte(out.id))
		b = append(b, body[id:]...)
	}
	if out.retain {
		b[start] |= 1
	}
	return b
}
