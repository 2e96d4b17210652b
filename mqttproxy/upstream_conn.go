package mqttproxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// What can end a connection to the upstream broker, or keep it from coming to be.
var (
	errIDRefused   = errors.New("the broker refuses the client id, or does not say what it refuses")
	errLogin       = errors.New("the broker refuses user name or password")
	errNotListen   = errors.New("the broker does not let us hear the key's messages")
	errDropped     = errors.New("the broker, or somebody on the way, ended the connection")
	errNoSubAnswer = errors.New("the broker does not answer a subscription")
	errTooMuch     = errors.New("the broker sends more than it may before the rest is acknowledged")
	errHangsUp     = errors.New("the broker ends the connection when it is asked")
	errNoPubAnswer = errors.New("the broker does not acknowledge a message")
	errMidSend     = errors.New("a message from here was not acknowledged yet")
	errHeldByOther = errors.New("another key of the same entity holds its one connection")
)

const goodbye = 250 // milliseconds for a DISCONNECT to get out

// upstreamConn is one connection of the client library. A client is never used for a second one: reuse is known to race.
type upstreamConn struct {
	link   *uplink
	client mqtt.Client
	net    *guarded    // set while connecting, as is cut
	cut    func() bool // undoes that the end of the context closes the network
	once   sync.Once
	gone   chan struct{} // closed when it is over
	cause  error         // why; read after gone
	sent   departures
}

// connect opens a connection with this login, or says what kept it from opening.
func (l *uplink) connect(ctx context.Context, as login, clean bool) (*upstreamConn, error) {
	var failed error
	for _, address := range l.up.Addresses {
		c := &upstreamConn{link: l, gone: make(chan struct{})}
		c.client = mqtt.NewClient(c.options(ctx, address, as, clean))
		err := c.login(ctx)
		if err == nil {
			return c, nil
		}
		c.end(err)
		c.client.Disconnect(goodbye)
		if failed = errors.Join(failed, err); !errors.Is(err, packets.ErrorNetworkError) || ctx.Err() != nil {
			return nil, err // the broker has spoken: another way to it changes nothing
		}
	}
	return nil, failed
}

func (c *upstreamConn) options(ctx context.Context, to *url.URL, as login, clean bool) *mqtt.ClientOptions {
	up := c.link.up
	o := mqtt.NewClientOptions().AddBroker(to.String())
	o.SetClientID(as.id).SetUsername(as.user).SetPassword(as.secret)
	// 4, said aloud: else a refused login is tried a second time as MQTT 3.1.
	o.SetProtocolVersion(4).SetCleanSession(clean).SetKeepAlive(up.PingEvery).SetPingTimeout(up.Silence)
	// Its own reconnecting has no jitter, waits up to ten minutes, and forgets subscriptions. Ours makes a new client.
	o.SetAutoReconnect(false).SetConnectRetry(false)
	o.SetConnectTimeout(up.ConnectIn).SetWriteTimeout(up.WriteIn)
	o.SetStore(mqtt.NewOrderedMemoryStore())
	o.SetOrderMatters(true).SetAutoAckDisabled(true)
	o.SetDefaultPublishHandler(c.receive) // what comes before a SUBACK would have no other handler
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { c.end(lostFor(err)) })
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
		conn, err := up.dial(ctx, to)
		if err != nil {
			return nil, err
		}
		c.cut = context.AfterFunc(ctx, func() { _ = conn.Close() })
		c.net = &guarded{Conn: conn, in: bufio.NewReaderSize(conn, 4096), frame: framing{most: up.MaxPacket},
			answer: up.ConnectIn, silence: up.Silence, writeIn: up.WriteIn}
		if up.House != nil {
			c.net.pause = func() { c.pause(ctx) }
		}
		return c.net, nil
	})
	return o
}

// login waits for the CONNACK. The dialler and the guard bound how long that takes; ctx cuts it short.
func (c *upstreamConn) login(ctx context.Context) error {
	token := c.client.Connect()
	<-token.Done()
	if c.cut != nil {
		c.cut()
	}
	err := token.Error()
	switch {
	case errors.Is(err, packets.ErrorRefusedIDRejected), errors.Is(err, packets.ErrorRefusedNotAuthorised):
		return fmt.Errorf("%w: %w", errIDRefused, err)
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword):
		return fmt.Errorf("%w: %w", errLogin, err)
	case err != nil:
		return fmt.Errorf("connect upstream: %w", err)
	}
	return ctx.Err()
}

// lostFor tells a connection that somebody ended from one that we gave up.
func lostFor(err error) error {
	if errors.Is(err, errUpstreamPacket) || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the connection to the broker was given up: %w", err)
	}
	return fmt.Errorf("%w: %w", errDropped, err)
}

// dial opens the connection below MQTT.
func (u *Uplinks) dial(ctx context.Context, to *url.URL) (net.Conn, error) {
	if to.Scheme == "wss" || to.Scheme == "ws" {
		return mqtt.NewWebsocket(to.String(), u.TLS.Clone(), u.ConnectIn, nil, nil)
	}
	ctx, cancel := context.WithTimeout(ctx, u.ConnectIn)
	defer cancel()
	if to.Scheme == "mqtt" {
		return new(net.Dialer).DialContext(ctx, "tcp", to.Host)
	}
	dialer := tls.Dialer{Config: u.TLS.Clone()}
	return dialer.DialContext(ctx, "tcp", to.Host)
}

// end notes why the connection is over, once, and takes the network away from it.
func (c *upstreamConn) end(cause error) {
	c.once.Do(func() {
		c.cause = cause
		close(c.gone)
		if c.net != nil {
			_ = c.net.Close()
		}
	})
}

// close says goodbye where that can still be heard, and lets go of the client.
func (c *upstreamConn) close() {
	c.client.Disconnect(goodbye)
	c.end(errDropped)
}

// subscribe asks for one topic, after every connect: no library and no broker is trusted to remember. granted is false if the
// broker said no.
func (c *upstreamConn) subscribe(ctx context.Context, topic string) (granted bool, err error) {
	token := c.client.Subscribe(topic, 1, nil)
	timer := time.NewTimer(c.link.up.ConnectIn)
	defer timer.Stop()
	select {
	case <-token.Done():
	case <-c.gone:
		return false, c.cause
	case <-ctx.Done():
		return false, ctx.Err()
	case <-timer.C:
		return false, errNoSubAnswer
	}
	if err := token.Error(); err != nil {
		return false, fmt.Errorf("%w: %w", errDropped, err)
	}
	answer, is := token.(*mqtt.SubscribeToken)
	return is && answer.Result()[topic] <= 1, nil
}

// pause keeps from reading while too much waits to be made safe. Some brokers send all that they kept for us at once (mosquitto
// after a restart), and hanging up would only have them begin again.
func (c *upstreamConn) pause(ctx context.Context) {
	for room := c.link.inbox.crowded(); room != nil; room = c.link.inbox.crowded() {
		select {
		case <-room:
		case <-c.gone:
			return
		case <-ctx.Done():
			return
		}
	}
}

// receive runs inside the client, which stands still until it returns, pings included: it never waits.
func (c *upstreamConn) receive(_ mqtt.Client, m mqtt.Message) {
	l := c.link
	a, wanted := l.wanted(Arrival{Topic: m.Topic(), Payload: m.Payload(), At: time.Now(), Retained: m.Retained()})
	switch {
	case !wanted && m.Qos() == 0:
		return
	case !wanted:
		a = Arrival{} // only to be acknowledged in its turn
	default:
		l.arrived(&a)
	}
	if m.Qos() > 0 {
		a.ack = m.Ack
	}
	if !l.inbox.put(a, m.Qos()) {
		c.end(errTooMuch) // what is not acknowledged comes again
	}
}
