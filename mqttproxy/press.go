package mqttproxy

import (
	"context"
	"errors"
	"fmt"
	"net"

	"trellis/access"
)

// NotSentError says that what somebody pressed was not sent, and will not be.
type NotSentError struct{ cause error }

// NotSent says why something was not sent.
func NotSent(cause error) error { return NotSentError{cause} }

func (e NotSentError) Error() string { return fmt.Sprintf("not sent: %v", e.cause) }

func (e NotSentError) Unwrap() error { return e.cause }

// RefusedError says that what somebody pressed can be sent to nobody, in a sentence for the person if there is one.
type RefusedError struct {
	cause error
	Words string
}

func (e RefusedError) Error() string { return fmt.Sprintf("refused: %v", e.cause) }

func (e RefusedError) Unwrap() error { return e.cause }

// prompt is a Source behind a network, which may hold back what was written to it and hand it over minutes later.
type prompt interface {
	Reachable
	// Answers returns nil when the broker has answered on the connection of this Grant now.
	Answers(ctx context.Context, g access.Grant) error
	// Cut ends that connection and takes back what the broker has not taken of it.
	Cut(g access.Grant)
}

// Press sends what somebody has pressed before ctx is over, or never. It returns nil when the broker has it; [NotSentError] or [RefusedError]
// when it was not sent; any other error says that nobody knows. handed is told right before it is sent, and may forbid it by an error.
//
// A broker that is frozen takes bytes for which it has no time, and reads them when it wakes: so it has to answer something else first.
func (h *Hub) Press(ctx context.Context, g access.Grant, topic string, payload []byte, handed func() error) error {
	source := h.config.Source
	g.SignIn = "" // not the page's own need: one that goes past this server keeps its session with the broker
	if links, is := source.(Links); is {
		defer links.Need(g)()
	}
	if reachable, is := source.(Reachable); is {
		if err := reachable.Ready(ctx, g); err != nil {
			return NotSentError{err}
		}
	}
	quick, is := source.(prompt)
	if is {
		if err := quick.Answers(ctx, g); err != nil {
			return NotSentError{err}
		}
	}
	if err := ctx.Err(); err != nil {
		return NotSentError{err}
	}
	if err := handed(); err != nil {
		return NotSentError{err}
	}
	if err := ctx.Err(); err != nil { // to note it took too long
		return NotSentError{err}
	}
	err := source.Publish(ctx, topic, payload, 1)
	if err != nil && is && ctx.Err() != nil {
		quick.Cut(g) // what waits in our own machine to be sent goes with it
	}
	return pressError(err)
}

func pressError(err error) error {
	var said interface{ Sentence() string }
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errLinkDown), errors.Is(err, errCrowded):
		return NotSentError{err}
	case (isFinal(err) || isUntaken(err)) && errors.As(err, &said):
		return RefusedError{err, said.Sentence()}
	}
	return err
}

// isUntaken says whether the Source has taken nothing of this message, though it may take the same another time.
func isUntaken(err error) bool {
	var untaken interface{ Untaken() bool }
	return errors.As(err, &untaken) && untaken.Untaken()
}

// Listen has every message told to hear, which must not wait. There is one listener.
func (h *Hub) Listen(hear func(Message)) { h.ear.Store(&hear) }

// aliveFilter is asked to be forgotten, though nobody has asked to hear it: the broker has to answer that.
const aliveFilter = "trellis/alive"

// Answers returns nil when the broker has answered on the connection of this Grant. One that ends meanwhile says nothing of the next, which is
// asked too; of a third, nobody is: a broker that hangs up whenever it is asked would take us for two.
func (u *Uplinks) Answers(ctx context.Context, g access.Grant) error {
	filter := aliveFilter
	if g.KeyID != "" && u.House == nil {
		filter = g.Subject.MessagesTopic(g.KeyID) + "/alive" // a topic of its own, in case somebody looks
	}
	for again := false; ; again = true {
		c, err := u.connected(ctx, g)
		if err != nil {
			return err
		}
		if err = c.answers(ctx, filter); err == nil || again || ctx.Err() != nil {
			return err
		}
	}
}

// answers returns nil when the broker has answered, and else not before the connection or ctx is over.
func (c *upstreamConn) answers(ctx context.Context, filter string) error {
	token := c.client.Unsubscribe(filter)
	select {
	case <-token.Done():
		if token.Error() == nil {
			return nil
		}
	case <-c.gone:
	case <-ctx.Done():
		return ctx.Err()
	}
	select { // the library says that it is over before we know why
	case <-c.gone:
		return c.cause
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Cut ends the connection of this Grant, and with it what the broker has not taken.
func (u *Uplinks) Cut(g access.Grant) {
	if c := u.connOf(g); c != nil {
		c.drop()
		c.end(errNoPubAnswer)
	}
}

func (u *Uplinks) connOf(g access.Grant) *upstreamConn {
	l := u.linkFor(g)
	if l == nil {
		return nil
	}
	return l.current()
}

// drop has the operating system throw away what it has not sent when the connection is closed: else it goes on sending that for minutes.
func (c *upstreamConn) drop() {
	if c.net == nil {
		return
	}
	for conn := c.net.Conn; conn != nil; {
		switch at := conn.(type) {
		case *net.TCPConn:
			_ = at.SetLinger(0)
			return
		case interface{ NetConn() net.Conn }:
			conn = at.NetConn()
		case interface{ UnderlyingConn() net.Conn }:
			conn = at.UnderlyingConn()
		default:
			return
		}
	}
}
