package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Patience is how long a client waits for an answer that should come at once; long, because test machines are busy.
const Patience = 10 * time.Second

// Client is one MQTT session seen from the device's side. It has no goroutine: it reads when it is asked to.
type Client struct {
	net.Conn
	Present bool // the server kept a session for us

	in    *bufio.Reader
	id    uint16
	inbox []Message // came while something else was awaited
}

// notices is where the server tells a page what concerns only its own session, at a moment of its own.
const notices = "$trellis/session"

// RefusedError is a CONNACK other than 0.
type RefusedError struct{ Code byte }

func (e *RefusedError) Error() string { return fmt.Sprintf("login refused with code %d", e.Code) }

// ErrSubscription says that the server answered a SUBSCRIBE with a failure.
var ErrSubscription = errors.New("subscription refused")

// Dial opens the connection for mqtt://host:port and ws://host:port/path alike.
func Dial(ctx context.Context, address string) (net.Conn, error) {
	if strings.HasPrefix(address, "ws://") {
		socket, _, err := DialSocket(ctx, address, nil)
		if err != nil {
			return nil, err
		}
		return socket, nil
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(address, "mqtt://"))
}

// Open dials and logs in.
func Open(ctx context.Context, address string, login Login) (*Client, error) {
	conn, err := Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	client, err := OpenOn(conn, login)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return client, nil
}

// OpenOn logs in on a connection that is already there.
func OpenOn(conn net.Conn, login Login) (*Client, error) {
	c := &Client{Conn: conn, in: bufio.NewReaderSize(conn, 4096)}
	if err := c.Send(login.Packet()); err != nil {
		return nil, fmt.Errorf("send CONNECT: %w", err)
	}
	answer, err := c.Packet(Patience)
	if err != nil {
		return nil, fmt.Errorf("await CONNACK: %w", err)
	}
	if answer.Kind != CONNACK || len(answer.Body) != 2 {
		return nil, fmt.Errorf("await CONNACK: packet of kind %d with %d bytes: %w", answer.Kind, len(answer.Body), ErrPacket)
	}
	if answer.Body[1] != 0 {
		return nil, &RefusedError{answer.Body[1]}
	}
	c.Present = answer.Body[0]&1 == 1
	return c, nil
}

// Send writes bytes as they are.
func (c *Client) Send(packet []byte) error {
	_ = c.SetWriteDeadline(time.Now().Add(Patience))
	_, err := c.Write(packet)
	return err
}

// Packet reads the next packet, whatever it is, and acknowledges nothing.
func (c *Client) Packet(within time.Duration) (Packet, error) {
	_ = c.SetReadDeadline(time.Now().Add(within))
	return ReadPacket(c.in)
}

// Buffered says how many bytes can be read without waiting for the network.
func (c *Client) Buffered() int { return c.in.Buffered() }

// Subscribe subscribes and waits for the answer.
func (c *Client) Subscribe(qos byte, filters ...string) error {
	c.id++
	if err := c.Send(Subscribe(c.id, qos, filters...)); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	answer, err := c.await(SUBACK, c.id)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	for _, code := range answer.Body[2:] {
		if code == 0x80 {
			return ErrSubscription
		}
	}
	return nil
}

// Publish sends a message and, above QoS 0, waits until the server has it.
func (c *Client) Publish(m Message) error {
	c.id++
	m.ID = c.id
	if err := c.Send(m.Packet()); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	var err error
	switch m.QoS {
	case 1:
		_, err = c.await(PUBACK, m.ID)
	case 2:
		if _, err = c.await(PUBREC, m.ID); err != nil {
			break
		}
		if err = c.Send(Ack(PUBREL, m.ID)); err != nil {
			break
		}
		_, err = c.await(PUBCOMP, m.ID)
	}
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

// Ping sends a PINGREQ and waits for the answer: by then the server has read everything sent before.
func (c *Client) Ping() error {
	if err := c.Send(Bare(PINGREQ)); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	_, err := c.await(PINGRESP, 0)
	return err
}

// Receive waits for the next message and acknowledges it. What it tells a page unasked of its record is left out:
// it comes at a moment of its own, and browser tests look at it.
func (c *Client) Receive(within time.Duration) (Message, error) {
	until := time.Now().Add(within)
	for len(c.inbox) == 0 {
		if err := c.step(time.Until(until), nil); err != nil {
			return Message{}, err
		}
	}
	m := c.inbox[0]
	c.inbox = c.inbox[1:]
	return m, nil
}

// Waiting says how many messages have come that nobody has received yet.
func (c *Client) Waiting() int { return len(c.inbox) }

// Leave says goodbye and closes.
func (c *Client) Leave() {
	_ = c.Send(Bare(DISCONNECT))
	_ = c.Close()
}

// Ended waits until the server has closed the connection and says how. A connection that stays open is an error of its own.
func (c *Client) Ended(within time.Duration) (reason error, err error) {
	until := time.Now().Add(within)
	for {
		err := c.step(time.Until(until), nil)
		var slow net.Error
		switch {
		case errors.As(err, &slow) && slow.Timeout():
			return nil, fmt.Errorf("still open after %v", within)
		case err != nil:
			return err, nil
		}
	}
}

// await reads until the answer with this id has come.
func (c *Client) await(kind byte, id uint16) (Packet, error) {
	until := time.Now().Add(Patience)
	var answer Packet
	for answer.Kind == 0 {
		err := c.step(time.Until(until), func(p Packet) {
			if p.Kind == kind && p.ID() == id {
				answer = p
			}
		})
		if err != nil {
			return Packet{}, fmt.Errorf("await packet of kind %d: %w", kind, err)
		}
	}
	return answer, nil
}

// step reads one packet: messages go to the inbox, acknowledged; anything else to other.
func (c *Client) step(within time.Duration, other func(Packet)) error {
	p, err := c.Packet(within)
	if err != nil {
		return err
	}
	switch p.Kind {
	case PUBLISH:
		m, err := p.Message()
		if err != nil {
			return err
		}
		if m.Topic == notices && bytes.HasPrefix(m.Payload, []byte(`{"record":`)) {
			return nil
		}
		c.inbox = append(c.inbox, m)
		switch m.QoS {
		case 1:
			return c.Send(Ack(PUBACK, m.ID))
		case 2:
			return c.Send(Ack(PUBREC, m.ID))
		}
	case PUBREL:
		return c.Send(Ack(PUBCOMP, p.ID()))
	default:
		if other != nil {
			other(p)
		}
	}
	return nil
}
