package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const (
	patience      = 10 * time.Second // for a connection, and for each acknowledgement
	goodbye       = 500              // milliseconds for the last packets at the end of a session
	firstWait     = 500 * time.Millisecond
	longestWait   = 30 * time.Second
	answersATick  = 10 // more than a person asks; a loop with another answering machine stays a trickle
	waitingOrders = 16
)

var (
	errNoAnswer = errors.New("the broker did not acknowledge in time")
	errLost     = errors.New("connection lost")
)

// device is one pretend device. All fields but one are fixed once made.
type device struct {
	kind
	login  Login
	house  *greenhouse
	broker string
	rhythm time.Duration // the greenhouse's rhythm, not yet the device's own
	stored []measured    // what it has not told yet of the time before; owned by run
	log    *slog.Logger
}

// run holds one session after another until ctx ends.
//
// The client's own reconnecting is not used: it sleeps without being able to be woken, so a device would outlive Run
// by up to half a minute, and it has no jitter, so all devices of a restarted server would come back at once.
func (d *device) run(ctx context.Context) {
	for wait := firstWait; ctx.Err() == nil; wait = min(2*wait, longestWait) {
		began := time.Now()
		err := d.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > longestWait {
			wait = firstWait
		}
		again := firstWait/2 + rand.N(wait)
		d.log.WarnContext(ctx, "demo device will connect again", "reason", err, "in", again)
		pauseFor(ctx, again)
	}
}

func pauseFor(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// session is one connection, from dialling to its end; it returns when nothing of it is left.
func (d *device) session(ctx context.Context) error {
	s := &session{device: d, lost: make(chan error, 1), letters: make(chan letter, waitingOrders)}
	s.client = mqtt.NewClient(s.options(ctx))
	err := wait(context.WithoutCancel(ctx), s.client.Connect()) // bounded by the dialler, which ctx ends
	if s.guard != nil {
		s.guard()
	}
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer s.client.Disconnect(goodbye)
	if err := wait(ctx, s.client.Subscribe(d.login.topic("messages"), 1, nil)); err != nil {
		return fmt.Errorf("listen for commands: %w", err)
	}
	return s.live(ctx)
}

// session is the state of one connection. A client is never used for a second one.
type session struct {
	*device
	client  mqtt.Client
	lost    chan error
	letters chan letter
	guard   func() bool // written while connecting, read after

	last     *world // what was reported; owned by live, as the next is
	answered int    // since the last tick
}

func (s *session) options(ctx context.Context) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions().AddBroker("tcp://" + s.broker)
	o.SetClientID(s.login.Sub).SetUsername(s.login.JTI).SetPassword(s.login.Key)
	o.SetProtocolVersion(4).SetCleanSession(true).SetKeepAlive(30 * time.Second)
	o.SetAutoReconnect(false).SetConnectRetry(false)
	o.SetConnectTimeout(patience).SetWriteTimeout(patience)
	o.SetStore(mqtt.NewOrderedMemoryStore())
	o.SetCustomOpenConnectionFn(func(to *url.URL, _ mqtt.ClientOptions) (net.Conn, error) { return s.dial(ctx, to.Host) })
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { s.lost <- err })
	// The default handler takes everything: what a subscription's own handler would miss is what came before the SUBACK.
	o.SetDefaultPublishHandler(s.receive)
	return o
}

// dial opens the socket, and closes it if ctx ends before the login is answered.
func (s *session) dial(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: patience}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s.guard = context.AfterFunc(ctx, func() { conn.Close() })
	return conn, nil
}

// receive runs inside the client, which stands still until it returns: it must never wait.
func (s *session) receive(_ mqtt.Client, m mqtt.Message) {
	l, ok := open(m.Payload(), s.login.Sub)
	if !ok {
		return
	}
	select {
	case s.letters <- l:
	default:
		s.log.Warn("demo device has too many commands waiting, one dropped", "from", l.from)
	}
}

// live reports and obeys until the connection or ctx ends.
func (s *session) live(ctx context.Context) error {
	tick := time.NewTicker(max(s.every(s.rhythm), time.Millisecond))
	defer tick.Stop()
	s.log.InfoContext(ctx, "demo device is connected")
	err := s.tellStored(ctx)
	if err == nil {
		err = s.tell(ctx)
	}
	for err == nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case cause := <-s.lost:
			return fmt.Errorf("%w: %w", errLost, cause)
		case <-tick.C:
			s.answered = 0
			err = s.tell(ctx)
		case l := <-s.letters:
			err = s.obeyLetter(ctx, l)
		}
	}
	return err
}

// tellStored tells what was measured before anybody listened. What the broker has acknowledged is not told again in the next session.
func (s *session) tellStored(ctx context.Context) error {
	for len(s.stored) > 0 {
		if err := s.sendOf(ctx, s.stored[0].said, s.stored[0].at, letter{}); err != nil {
			return fmt.Errorf("report what was stored: %w", err)
		}
		s.stored = s.stored[1:]
	}
	return nil
}

// tell reports whatever there is to say since the last time.
func (s *session) tell(ctx context.Context) error {
	var says []said
	s.house.visit(func(w *world) {
		says = s.report(w, s.last)
		now := *w
		s.last = &now
	})
	for _, one := range says {
		if err := s.send(ctx, one, letter{}); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}

// obeyLetter does what was asked, answers who asked, and shows at once what it changed.
func (s *session) obeyLetter(ctx context.Context, l letter) error {
	if s.answered++; s.answered > answersATick {
		return nil
	}
	var did outcome
	var text string
	s.house.visit(func(w *world) { did, text = s.answer(w, l.order) })
	reply := said{kind: "publish", data: map[string]string{"answer": text}}
	if err := s.send(ctx, reply, l); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if did != done {
		return nil
	}
	s.last = nil // so that the door speaks too when it is asked
	return s.tell(ctx)
}

// send publishes at QoS 1 and waits until the broker has it.
func (s *session) send(ctx context.Context, one said, to letter) error {
	return s.sendOf(ctx, one, s.house.now(), to)
}

// sendOf does so with what was measured at another time.
func (s *session) sendOf(ctx context.Context, one said, at time.Time, to letter) error {
	payload, err := envelop(one, at, to)
	if err != nil {
		return err
	}
	return wait(ctx, s.client.Publish(s.login.topic("publish"), 1, false, payload))
}

// wait is for a token: those of a connection that ends may never be completed.
func wait(ctx context.Context, token mqtt.Token) error {
	timer := time.NewTimer(2 * patience)
	defer timer.Stop()
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return errNoAnswer
	}
}
