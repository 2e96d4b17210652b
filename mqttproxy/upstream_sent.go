package mqttproxy

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// departures are the messages at QoS 1 that one connection has sent and the broker has not acknowledged. The client library keeps each of
// them as long as the connection lasts, however soon whoever sent it stops waiting.
type departures struct {
	mu    sync.Mutex
	all   []*departure
	bytes int
}

type departure struct {
	since time.Time
	size  int
	token mqtt.Token // nil until the library has it
}

// acknowledged says whether the broker has the message; departures.mu is held.
func (d *departure) acknowledged() bool {
	if d.token == nil {
		return false
	}
	select {
	case <-d.token.Done():
		return d.token.Error() == nil
	default:
		return false
	}
}

// clear lets go of what was acknowledged; s.mu is held.
func (s *departures) clear() {
	s.all = slices.DeleteFunc(s.all, func(d *departure) bool {
		if !d.acknowledged() {
			return false
		}
		s.bytes -= d.size
		return true
	})
}

// begin notes a message before it is sent. It gives nil if too many are not acknowledged.
func (s *departures) begin(size, most, mostBytes int) *departure {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	if len(s.all) >= most || (s.bytes > 0 && s.bytes+size > mostBytes) {
		return nil
	}
	d := &departure{since: time.Now(), size: size}
	s.all, s.bytes = append(s.all, d), s.bytes+size
	return d
}

// handed notes that the library has the message.
func (s *departures) handed(d *departure, token mqtt.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.token = token
}

// left says whether a message is not acknowledged.
func (s *departures) left(d *departure) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !d.acknowledged()
}

// any says whether something that was sent after this time is not acknowledged.
func (s *departures) any(after time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.all, func(d *departure) bool { return d.since.After(after) && !d.acknowledged() })
}

// publish hands a message to the broker, and at QoS 1 waits until the broker has it. A broker that is silent about it for too long is given
// up, whether or not anybody still waits: nothing else would free what the library keeps.
func (c *upstreamConn) publish(ctx context.Context, topic string, payload []byte, qos byte) error {
	if c.over() { // which the link has not seen yet
		return errLinkDown
	}
	if qos == 0 {
		return c.settled(ctx, c.client.Publish(topic, qos, false, payload))
	}
	up := c.link.up
	var d *departure
	room := soon(ctx, func() bool {
		d = c.sent.begin(len(payload), up.Waiting, up.WaitBytes)
		return d != nil || c.over()
	})
	switch {
	case !room:
		return errCrowded
	case d == nil:
		return errLinkDown
	}
	late := time.AfterFunc(up.Silence, func() {
		if c.sent.left(d) {
			c.end(errNoPubAnswer)
		}
	})
	token := c.client.Publish(topic, qos, false, payload)
	c.sent.handed(d, token)
	err := c.settled(ctx, token)
	if err == nil {
		late.Stop()
	}
	return err
}

func (c *upstreamConn) over() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

// settled waits for the end of a message that was sent.
func (c *upstreamConn) settled(ctx context.Context, token mqtt.Token) error {
	select {
	case <-token.Done():
		switch err := token.Error(); {
		case errors.Is(err, mqtt.ErrNotConnected): // the library knows before we do, and has not taken it
			return errLinkDown
		case err != nil:
			return unsureError{err}
		}
		return nil
	case <-c.gone: // the token of a lost connection may never be completed
		return unsureError{c.cause}
	case <-ctx.Done():
		return unsureError{ctx.Err()}
	}
}
