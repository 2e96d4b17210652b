package broker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

const soon = 5 * time.Second

// device is a small MQTT client for tests: it sends what it is told, right or wrong, and reads what comes.
type device struct {
	t    testing.TB
	conn net.Conn
	in   source
	id   uint16
	held []packet // read while waiting for another type
}

type packet struct {
	header
	body []byte
}

func (h *house) dial() *device {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.address)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	return &device{t: h.t, conn: conn, in: source{from: conn}}
}

// login connects as a key's holder and wants to be let in.
func (h *house) login(k key, change ...func(*connect)) *device {
	h.t.Helper()
	d := h.dial()
	c := k.connect()
	for _, f := range change {
		f(&c)
	}
	if code := d.connect(c); code != 0 {
		h.t.Fatalf("CONNACK %d for %s", code, k.jti)
	}
	return d
}

func (d *device) send(b []byte) {
	d.conn.SetWriteDeadline(time.Now().Add(soon))
	d.conn.Write(b) // a broken pipe shows when reading
}

func (d *device) connect(c connect) byte {
	d.t.Helper()
	d.send(c.encode(c.client, c.user, c.key))
	p := d.await(typeConnack)
	return p.body[1]
}

func (d *device) read(within time.Duration) (packet, error) {
	d.conn.SetReadDeadline(time.Now().Add(within))
	h, err := d.in.header()
	if err != nil {
		return packet{}, err
	}
	body, err := d.in.appendAll(nil, h.length)
	return packet{h, body}, err
}

// await reads until a packet of this type comes and keeps the others for later.
func (d *device) await(kind byte) packet {
	d.t.Helper()
	for i, p := range d.held {
		if p.kind == kind {
			d.held = append(d.held[:i:i], d.held[i+1:]...)
			return p
		}
	}
	for {
		p, err := d.read(soon)
		if err != nil {
			d.t.Fatalf("waiting for packet type %d: %v", kind, err)
		}
		if p.kind == kind {
			return p
		}
		d.held = append(d.held, p)
	}
}

// publishPacket builds a PUBLISH; id counts only where qos is not 0.
func publishPacket(topic string, payload []byte, qos, flags byte, id uint16) []byte {
	body := appendField(nil, []byte(topic))
	if qos > 0 {
		body = binary.BigEndian.AppendUint16(body, id)
	}
	body = append(body, payload...)
	return append(appendHeader(nil, typePublish, flags|qos<<1, len(body)), body...)
}

func idPacket(kind, flags byte, id uint16) []byte {
	return binary.BigEndian.AppendUint16(appendHeader(nil, kind, flags, 2), id)
}

// publish sends and waits until the broker has it.
func (d *device) publish(topic, payload string, qos byte) {
	d.t.Helper()
	d.publishFlags(topic, payload, qos, 0)
}

func (d *device) publishFlags(topic, payload string, qos, flags byte) {
	d.t.Helper()
	d.id++
	d.send(publishPacket(topic, []byte(payload), qos, flags, d.id))
	switch qos {
	case 1:
		d.await(typePuback)
	case 2:
		d.await(typePubrec)
		d.send(idPacket(typePubrel, 2, d.id))
		d.await(typePubcomp)
	}
}

func (d *device) subscribe(qos byte, filters ...string) []byte {
	d.t.Helper()
	d.id++
	body := binary.BigEndian.AppendUint16(nil, d.id)
	for _, f := range filters {
		body = append(appendField(body, []byte(f)), qos)
	}
	d.send(append(appendHeader(nil, typeSubscribe, 2, len(body)), body...))
	return d.await(typeSuback).body[2:]
}

type delivery struct {
	topic, payload string
	qos            byte
	retained       bool
}

// receive waits for a PUBLISH and acknowledges it.
func (d *device) receive() delivery {
	d.t.Helper()
	p := d.await(typePublish)
	got, id := p.delivery()
	switch got.qos {
	case 1:
		d.send(idPacket(typePuback, 0, id))
	case 2:
		d.send(idPacket(typePubrec, 0, id))
		d.await(typePubrel)
		d.send(idPacket(typePubcomp, 0, id))
	}
	return got
}

func (p packet) delivery() (delivery, uint16) {
	f := fields{rest: p.body}
	got := delivery{topic: string(f.field()), qos: p.flags >> 1 & 3, retained: p.flags&1 != 0}
	var id uint16
	if got.qos > 0 {
		id = f.uint16()
	}
	got.payload = string(f.rest)
	return got, id
}

// quietNow checks that nothing is on its way: what a PINGREQ is answered by comes next.
func (d *device) quietNow() {
	d.t.Helper()
	d.send([]byte{typePingreq << 4, 0})
	d.await(typePingresp)
	for _, p := range d.held {
		if p.kind == typePublish {
			got, _ := p.delivery()
			d.t.Errorf("unexpected message %+v", got)
		}
	}
	d.held = nil
}

// closed waits for the server to close and gives what it said before.
func (d *device) closed() []byte {
	d.t.Helper()
	d.conn.SetReadDeadline(time.Now().Add(soon))
	var said bytes.Buffer
	said.Write(d.in.unread)
	if _, err := io.Copy(&said, d.conn); errors.Is(err, net.ErrClosed) || isTimeout(err) {
		d.t.Fatalf("not closed by the server: %v", err)
	}
	return said.Bytes()
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func (d *device) leave() {
	d.send([]byte{typeDisconnect << 4, 0})
	d.closed()
}

const (
	typeSuback   = 9
	typeUnsuback = 11
	typePingresp = 13
)
