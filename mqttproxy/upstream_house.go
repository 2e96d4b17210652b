package mqttproxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"trellis/access"
)

// House is one login for everybody, with a broker that knows no keys of ours. Its link is held from [Uplinks.Hold] on.
type House struct {
	ClientID string
	User     string                 // empty: the broker asks for none
	Secret   func() (string, error) // the password, asked for at every connect; nil: none
	Filters  []string               // what is listened to, each asked for alone
}

// houseErrand is the link of a House.
type houseErrand struct {
	up *Uplinks
	*House

	mu   sync.Mutex
	last map[string]bool // whether each filter was granted when it was last answered
}

func (h *houseErrand) who() slog.Attr { return slog.String("client_id", h.ClientID) }

func (*houseErrand) begun(*uplink) {}

// left is never needed: nobody but the operator knows when the session is not wanted any more.
func (*houseErrand) left(context.Context, *uplink) {}

func (*houseErrand) arrived(a *Arrival) {
	if len(a.Payload) > MaxKept && !a.Sent {
		a.Cut, a.Payload = len(a.Payload), nil
	}
}

// hears says of every topic that it may be an echo: where things are sent to, others may listen and so may we.
func (h *houseErrand) hears(topic string) (asked, echo bool) {
	for _, filter := range h.Filters {
		if access.Matches(filter, topic) {
			return true, true
		}
	}
	return false, false
}

func (h *houseErrand) login() (as login, release func(), err error) {
	as = login{id: h.ClientID, user: h.User}
	if h.Secret != nil {
		if as.secret, err = h.Secret(); err != nil {
			return as, nil, fmt.Errorf("%w: the password cannot be read: %w", errLogin, err)
		}
	}
	return as, func() {}, nil
}

// listen asks for one filter after the other. One that is refused keeps no other from being heard.
func (h *houseErrand) listen(ctx context.Context, _ *uplink, c *upstreamConn) error {
	heard := 0
	for _, filter := range h.Filters {
		granted, err := c.subscribe(ctx, filter)
		switch {
		case errors.Is(err, errDropped) && !h.had(filter): // what was granted before is no reason to hang up: that is a fight
			return fmt.Errorf("%w for %q: %s", errHangsUp, filter, err.Error())
		case err != nil:
			return err
		case granted:
			heard++
		}
		h.tell(filter, granted)
	}
	if heard == 0 {
		return errNotListen
	}
	return ctx.Err()
}

// had says whether the broker has let us hear this before.
func (h *houseErrand) had(filter string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last[filter]
}

// tell notes the broker's answer, and says so in the log where it refuses, or has changed its mind.
func (h *houseErrand) tell(filter string, granted bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before, answered := h.last[filter]
	h.last[filter] = granted
	switch {
	case answered && before == granted:
	case !granted:
		h.up.Log.Warn("the broker does not let us hear this topic; the others go on", "topic", filter)
	case answered:
		h.up.Log.Info("the broker lets us hear this topic again", "topic", filter)
	}
}

// hangsUpTimes is how often a broker must have hung up at a question before it is taken for its answer.
const hangsUpTimes = 3

// refused needs no asking: there is one login, and who gave it to us can correct it.
func (h *houseErrand) refused(_ context.Context, err error, wait time.Duration, failures int) (Why, time.Duration) {
	rarely := h.up.FightPause + rand.N(h.up.FightPause/8+1)
	switch {
	case errors.Is(err, errNotListen):
		return WhyTopics, rarely
	case errors.Is(err, errHangsUp) && failures+1 < hangsUpTimes:
		return WhyAway, wait
	case errors.Is(err, errHangsUp):
		return WhyTopics, rarely
	}
	return WhyLogin, rarely
}

func (*houseErrand) word(w Why) Why {
	if w == WhyTaken {
		return WhyTwin
	}
	return w
}

// Hold opens the House's link, which stays until Close.
func (u *Uplinks) Hold() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.House == nil || u.closed || u.links[""] != nil {
		return
	}
	u.open("", &houseErrand{up: u, House: u.House, last: map[string]bool{}}, &echoes{asSent: true})
}

// Send sends something to any topic by the House's link; show is what people here are shown of it, once, whether or not the broker brings
// it back to us. At QoS 1 it returns nil when the broker has acknowledged the message. Nothing is kept to be sent later.
func (u *Uplinks) Send(ctx context.Context, topic string, payload []byte, qos byte, show Arrival) (err error) {
	defer func() { u.counts.published(qos, err) }()
	u.mu.Lock()
	l := u.links[""]
	u.mu.Unlock()
	if l == nil {
		return fmt.Errorf("send to the broker: %w", errLinkDown)
	}
	return l.send(ctx, topic, payload, qos, show)
}
