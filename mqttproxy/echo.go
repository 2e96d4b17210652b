package mqttproxy

import (
	"context"
	"errors"
	"time"
)

const (
	maxEcho  = 64 << 10    // bytes that one echo sends back in all
	echoFor  = time.Minute // how long it lasts, whatever comes
	echoRoom = 4 << 10
)

// Echo sends what comes on a carrier back there, for a page that looks at which ways are open. It needs no sign-in, so it
// is short and small. It returns when it is over: ended by the page, by ctx, after a minute or when it has sent all it may.
func Echo(ctx context.Context, c Carrier) Reason {
	ctx, cancel := context.WithTimeoutCause(ctx, echoFor, Done)
	defer cancel()
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { c.End(causeOf(ctx)); close(ended) })
	reason := echo(c)
	if stop() {
		c.End(reason)
	} else {
		<-ended
		reason = causeOf(ctx)
	}
	return reason
}

func echo(c Carrier) Reason {
	room := make([]byte, echoRoom)
	for left := maxEcho; left > 0; {
		n, err := c.Receive(room[:min(left, len(room))])
		if err != nil {
			return endOf(err)
		}
		if err := c.Send(room[:n], time.Now().Add(echoFor)); err != nil {
			return endOf(err)
		}
		left -= n
	}
	return Limit
}

// endOf is the Reason in an error; without one the carrier broke, or its time was over.
func endOf(err error) Reason {
	if reason, ok := errors.AsType[Reason](err); ok {
		return reason
	}
	return Lost
}
