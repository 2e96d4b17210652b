package demo

import (
	"net"
	"sync"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// heard is one publish that reached the fake broker.
type heard struct {
	client, topic string
	qos           byte
	payload       []byte
}

// fakeBroker speaks as much MQTT as a device can notice. It knows no sessions: what is sent to a client that is
// not there is lost.
type fakeBroker struct {
	t        *testing.T
	listener net.Listener
	logins   map[string]Login // by client id
	heard    chan heard
	ready    chan string // client ids that have subscribed
	serving  sync.WaitGroup

	mu      sync.Mutex
	mute    bool // no answer to a CONNECT
	stopped bool
	conns   map[string]net.Conn // by client id
}

// startBroker listens on a free port, or again on the one given.
func startBroker(t *testing.T, address string, logins map[string]Login) *fakeBroker {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	b := &fakeBroker{
		t: t, listener: l, logins: map[string]Login{},
		heard: make(chan heard, 10000), ready: make(chan string, 100), conns: map[string]net.Conn{},
	}
	for _, login := range logins {
		b.logins[login.Sub] = login
	}
	b.serving.Go(b.accept)
	t.Cleanup(b.stop)
	return b
}

func (b *fakeBroker) address() string { return b.listener.Addr().String() }

// stop ends every connection as a crash would.
func (b *fakeBroker) stop() {
	b.listener.Close()
	b.mu.Lock()
	b.stopped = true
	for _, conn := range b.conns {
		conn.Close()
	}
	b.mu.Unlock()
	b.serving.Wait()
}

func (b *fakeBroker) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.serving.Go(func() {
			defer conn.Close()
			b.serve(conn)
		})
	}
}

// serve is one connection.
func (b *fakeBroker) serve(conn net.Conn) {
	b.remember("", conn)
	first, err := packets.ReadPacket(conn)
	connect, ok := first.(*packets.ConnectPacket)
	if err != nil || !ok || b.isMute(conn) {
		return
	}
	ack := packets.NewControlPacket(packets.Connack).(*packets.ConnackPacket)
	id := connect.ClientIdentifier
	if login := b.logins[id]; login.JTI != connect.Username || login.Key != string(connect.Password) || connect.ProtocolVersion != 4 {
		ack.ReturnCode = packets.ErrRefusedNotAuthorised
	}
	b.remember(id, conn)
	if ack.Write(conn) != nil || ack.ReturnCode != 0 {
		return
	}
	for {
		p, err := packets.ReadPacket(conn)
		if err != nil || !b.answer(conn, id, p) {
			return
		}
	}
}

// remember keeps the connection so that it can be written to and broken.
func (b *fakeBroker) remember(id string, conn net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id == "" {
		id = conn.RemoteAddr().String()
	}
	b.conns[id] = conn
	if b.stopped { // it was taken just before the listener closed
		conn.Close()
	}
}

// isMute waits for the other side to go away, if the broker is one that never answers.
func (b *fakeBroker) isMute(conn net.Conn) bool {
	b.mu.Lock()
	mute := b.mute
	b.mu.Unlock()
	if mute {
		b.ready <- "mute"
		_, _ = conn.Read(make([]byte, 1))
	}
	return mute
}

// answer replies to one packet and says whether to go on.
func (b *fakeBroker) answer(conn net.Conn, id string, p packets.ControlPacket) bool {
	switch p := p.(type) {
	case *packets.SubscribePacket:
		ack := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
		ack.MessageID, ack.ReturnCodes = p.MessageID, p.Qoss
		b.ready <- id + " " + p.Topics[0]
		return ack.Write(conn) == nil
	case *packets.PublishPacket:
		ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
		ack.MessageID = p.MessageID
		b.heard <- heard{id, p.TopicName, p.Qos, p.Payload}
		return ack.Write(conn) == nil
	case *packets.PingreqPacket:
		return packets.NewControlPacket(packets.Pingresp).Write(conn) == nil
	case *packets.DisconnectPacket:
		b.ready <- "goodbye " + id
		return false
	}
	return true
}

// send delivers a message to a client.
func (b *fakeBroker) send(id, topic, payload string) {
	b.t.Helper()
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload = topic, []byte(payload)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := p.Write(b.conns[id]); err != nil {
		b.t.Errorf("send to %s: %v", id, err)
	}
}
