package mqttproxy

import (
	"context"
	"time"
)

// What a packet costs of the rate that a page has.
const (
	costSmall     = 1
	costSubscribe = 5 // its answer may be many messages
)

// handle does what one packet asks for. An error is the Reason to end.
func (s *session) handle(ctx context.Context, p inbound) error {
	if !s.connected.Load() {
		return s.connect(p)
	}
	switch p.kind {
	case typePublish:
		return s.publish(ctx, p)
	case typePuback:
		return s.puback(p)
	case typeSubscribe:
		return s.subscribe(p)
	case typeUnsubscribe:
		return s.unsubscribe(p)
	case typePingreq:
		if p.flags != 0 || len(p.body) != 0 {
			return Protocol
		}
		s.pace(costSmall)
		s.say([]byte{typePingresp << 4, 0})
		return nil
	case typeDisconnect:
		if p.flags != 0 || len(p.body) != 0 {
			return Protocol
		}
		return Done
	default: // a second CONNECT, QoS 2, or what only a server may send
		return Protocol
	}
}

// connect answers the CONNECT. Nothing else writes yet, so the answer goes out from here.
func (s *session) connect(p inbound) error {
	c, err := readConnect(p)
	if err != nil {
		return err
	}
	answer, reason := connack(c)
	if reason != 0 {
		s.send(answer)
		return reason
	}
	if c.keepAlive > 0 {
		s.keepAlive.Store(int64(time.Duration(c.keepAlive) * time.Second * 3 / 2))
	}
	s.say(answer)
	s.connected.Store(true)
	s.hub.greetLink(s)
	return nil
}

// connack gives the answer to a CONNECT, in the form that the page's version defines, and the reason to end if it is a refusal.
func connack(c connect) ([]byte, Reason) {
	switch {
	case c.level == 5 && c.protocol == "MQTT":
		return []byte{typeConnack << 4, 3, 0, 0x84, 0}, Protocol // unsupported protocol version
	case c.level != 4:
		return []byte{typeConnack << 4, 2, 0, 1}, Protocol // unacceptable protocol version
	case c.client == "" && !c.clean:
		return []byte{typeConnack << 4, 2, 0, 2}, Protocol // identifier rejected
	case c.will:
		return []byte{typeConnack << 4, 2, 0, 5}, NotAllowed // not authorized
	}
	return []byte{typeConnack << 4, 2, 0, 0}, 0
}

func (s *session) subscribe(p inbound) error {
	id, wanted, err := readFilters(p)
	if err != nil {
		return err
	}
	s.pace(costSubscribe)
	codes := make([]byte, len(wanted), len(wanted)+1)
	for i, a := range wanted {
		codes[i] = min(a.qos, 1)
		if a.filter != sessionTopic && !s.grant.MaySubscribe(a.filter) {
			codes[i] = subackRefused
		}
	}
	s.hub.join(s, id, wanted, codes)
	s.need() // not before: what waits there for the page comes at once
	return nil
}

func (s *session) unsubscribe(p inbound) error {
	id, wanted, err := readFilters(p)
	if err != nil {
		return err
	}
	s.pace(costSubscribe)
	s.hub.unjoin(s, wanted)
	s.say(appendAck(nil, typeUnsuback, id))
	return nil
}

func (s *session) puback(p inbound) error {
	id, err := readPuback(p)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == 0 || id > window || s.inflight&(1<<(id-1)) == 0 {
		return Protocol
	}
	s.inflight &^= 1 << (id - 1)
	s.wake()
	return nil
}

// pace keeps the page to its rate by not listening for a while.
func (s *session) pace(cost int) {
	wait := s.rate.take(s.hub.clock(), cost, s.hub.config.Rate, s.hub.config.Burst)
	if wait == 0 {
		return
	}
	s.hold(func() {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.done:
		}
	})
}

// hold waits without listening; the page's silence meanwhile is ours.
func (s *session) hold(wait func()) {
	s.held.Store(true)
	wait()
	s.heard.Store(int64(s.hub.clock()))
	s.held.Store(false)
}

// publish takes a message from the page. The Source gets a session's messages one after the other, which keeps their
// order; up to UnackedUp may wait for that, then we stop listening. All have PublishIn from when they arrived.
func (s *session) publish(ctx context.Context, p inbound) error {
	s.need()
	m, err := readPublish(p)
	if err != nil {
		return err
	}
	if m.retain || !s.grant.MayPublish(m.topic) {
		return NotAllowed
	}
	s.pace(costSmall)
	m.payload, m.came = append([]byte(nil), m.payload...), s.came
	for {
		room := s.submit(ctx, m)
		if room == nil {
			return nil
		}
		s.hold(func() {
			select {
			case <-room:
			case <-s.done:
			}
		})
	}
}

// submit queues m for the Source. If there is no room it returns a channel that is closed when there is.
func (s *session) submit(ctx context.Context, m publish) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil
	}
	if len(s.up) >= s.hub.config.UnackedUp {
		if s.room == nil {
			s.room = make(chan struct{})
		}
		return s.room
	}
	s.up = append(s.up, m)
	if !s.upBusy {
		s.upBusy = true
		s.workers.Go(func() { s.publishUp(ctx) })
	}
	return nil
}

// publishUp hands the page's messages to the Source until none waits. What was received before the page went is still
// handed on, but nothing of a key that was withdrawn.
func (s *session) publishUp(ctx context.Context) {
	defer s.survive(ctx)
	for m, ok := s.nextUp(false); ok; m, ok = s.nextUp(true) {
		err := s.handUp(ctx, m)
		switch {
		case err != nil:
			s.hub.refused.Add(1)
			s.hub.config.Log.WarnContext(ctx, "message of a page refused", "grant", s.grant, "err", err)
			s.say(refusedNotice(m.id, err))
		case m.qos == 1:
			s.hub.accepted.Add(1)
			s.say(appendAck(nil, typePuback, m.id))
		default:
			s.hub.accepted.Add(1)
		}
	}
}

// handUp hands on one message, if it is still time for it: what somebody pressed must not happen when he has given it up.
func (s *session) handUp(ctx context.Context, m publish) error {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), m.came.Add(s.hub.config.PublishIn))
	defer cancel()
	if ctx.Err() != nil {
		return lateError{}
	}
	return s.hub.config.Source.Publish(ctx, m.topic, m.payload, m.qos)
}

// lateError says that a message was not sent because those before it took all of its time.
type lateError struct{}

func (lateError) Error() string { return "those before it took too long, it was not sent" }

// Sentence is for the person who sent it.
func (lateError) Sentence() string {
	return "Our link to the devices was too slow with what you sent before, so this was not sent. Please try again."
}

// nextUp gives the message to hand on next; finished says that the one before is dealt with.
func (s *session) nextUp(finished bool) (publish, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if finished {
		s.up = s.up[1:]
	}
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
	if len(s.up) == 0 || (s.over && s.reason == Refused) {
		s.up, s.upBusy = nil, false
		return publish{}, false
	}
	return s.up[0], true
}
