package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"trellis/access"
)

const (
	startWithin  = 20 * time.Second
	answerWithin = 10 * time.Second // nats's CONNACK; creating its streams the first time is part of it
	jailedFor    = time.Second      // as nats has it
	maxDials     = 4                // of one session inside, see open
	tokenLives   = 10 * time.Second
	ackWait      = 10 * time.Second // after it nats sends an unacknowledged QoS 1 message again

	// nats hangs up on whom it cannot write to for so long, our own connection included. That is for the gate to judge: a machine
	// that stood still for its ten seconds would come back without us.
	writeWithin = 24 * time.Hour

	// nats hangs up on whom it could not answer for so long. A disk that becomes slow first has to store what is under way, see hold.
	storeWithin = time.Minute
)

// engine is the nats-server inside. Its only listener is a random loopback port for MQTT that takes nothing but tokens.
type engine struct {
	nats    *server.Server
	options *server.Options
	tokens  *tokens
	address string

	conn *nats.Conn // our own, in process
	js   jetstream.JetStream

	closing sync.Once
	over    chan struct{} // closed when nats has stopped
}

func startEngine(dir string, syncEvery time.Duration, l Limits, h *health, log *slog.Logger) (*engine, error) {
	e := &engine{tokens: newTokens(), over: make(chan struct{})}
	opts := natsOptions(dir, syncEvery, l)
	e.options = natsOptions(dir, syncEvery, l) // nats changes the others
	opts.CustomClientAuthentication = e.tokens
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("prepare nats: %w", err)
	}
	e.nats = s
	said := &natsLog{log: log, doubt: h.doubt, unsynced: h.unsynced}
	s.SetLoggerV2(said, false, false, false)
	s.Start()
	if !s.ReadyForConnections(startWithin) {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("start nats in %s: %w", dir, said.failure())
	}
	e.address = fmt.Sprintf("127.0.0.1:%d", opts.MQTT.Port)
	e.conn, err = nats.Connect("", nats.InProcessServer(s), nats.UserInfo(insideUser, e.tokens.inside),
		nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { h.doubt() }), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("nats reports", "error", err)
		}))
	if err == nil {
		e.js, err = jetstream.New(e.conn)
	}
	if err != nil {
		_ = e.close(context.Background())
		return nil, fmt.Errorf("reach nats: %w", err)
	}
	return e, nil
}

func natsOptions(dir string, syncEvery time.Duration, l Limits) *server.Options {
	return &server.Options{
		ServerName: "trellis", // part of how sessions are stored: must stay the same
		DontListen: true,
		NoSigs:     true,
		NoLog:      false,

		JetStream:          true,
		StoreDir:           dir,
		JetStreamMaxStore:  l.MaxStore,
		JetStreamMaxMemory: l.MaxMemory,
		SyncAlways:         syncEvery == 0,
		SyncInterval:       syncEvery,
		// Each subscription of a device at QoS 1 or 2 is a consumer. nats allows 1,000 by itself; ours are bounded by
		// Connections and Filters.
		JetStreamLimits: server.JSLimitOpts{DefaultMaxConsumers: -1},

		WriteDeadline: writeWithin,

		MaxPayload: int32(max(1<<20, 4*l.MaxPacket)),
		MaxPending: int64(max(32<<20, 2*l.InFlight*l.MaxPacket)),
		MaxConn:    l.Connections + l.HalfOpen + 8,
		MaxSubs:    0,

		MQTT: server.MQTTOpts{
			Host:                      "127.0.0.1",
			Port:                      server.RANDOM_PORT,
			ConsumerInactiveThreshold: l.SessionAge,
			AckWait:                   ackWait,
			JSAPITimeout:              storeWithin,
			MaxAckPending:             uint16(l.InFlight),
		},
	}
}

// wake opens one MQTT session, since nats makes the streams of its MQTT side only with the first of them, and the router
// must be listening on them before a device can publish.
func (e *engine) wake(ctx context.Context) error {
	if err := e.hello(ctx, "wake"); err != nil {
		return fmt.Errorf("wake the MQTT side of nats: %w", err)
	}
	return nil
}

// hello opens a clean session and leaves it again, which ends whatever nats keeps for that client.
func (e *engine) hello(ctx context.Context, client string) error {
	conn, answer, err := e.open(ctx, access.Grant{}, connect{clean: true}, client, func() bool { return true })
	if err != nil {
		return err
	}
	defer conn.Close()
	if answer[3] != 0 {
		return fmt.Errorf("CONNACK %d", answer[3])
	}
	_, err = conn.Write([]byte{typeDisconnect << 4, 0})
	return err
}

// open is dial, again for as long as wanted where nats hung up without a word. It does so, a second late, to whoever comes within a second after
// another had to take over their client id, and nats may still hold a connection whose device has left and comes back: that is no reason to turn the
// device away. What nats refuses for most other reasons it refuses at once. No try begins after the time that one answer may take.
func (e *engine) open(ctx context.Context, g access.Grant, c connect, client string, wanted func() bool) (*net.TCPConn, [4]byte, error) {
	for tries, first := 1, time.Now(); ; tries++ {
		began := time.Now()
		conn, answer, err := e.dial(ctx, g, c, client)
		jailed := err != nil && time.Since(began) >= jailedFor*9/10 && time.Since(first) < answerWithin
		if !jailed || tries == maxDials || ctx.Err() != nil || !wanted() {
			return conn, answer, err
		}
	}
}

// dial opens an MQTT session inside and gives nats's CONNACK, whatever it says.
func (e *engine) dial(ctx context.Context, g access.Grant, c connect, client string) (*net.TCPConn, [4]byte, error) {
	var answer [4]byte
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", e.address)
	if err != nil {
		return nil, answer, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	user := or(g.KeyID, client)
	token, forget := e.tokens.issue(user, g)
	defer forget()
	conn.SetDeadline(time.Now().Add(answerWithin))
	if _, err = conn.Write(c.encode(client, user, token)); err == nil {
		_, err = io.ReadFull(conn, answer[:])
	}
	if err == nil && (answer[0] != typeConnack<<4 || answer[1] != 2) {
		err = errors.New("nats answered with something else than a CONNACK")
	}
	if err != nil {
		conn.Close()
		return nil, answer, err
	}
	conn.SetDeadline(time.Time{})
	return conn.(*net.TCPConn), answer, nil
}

// revive has nats begin anew with what is on the disk, as a new start would, while sessions of devices stay: after a failed
// write it refuses everything or has switched its JetStream off, even when the disk has room again.
func (e *engine) revive() error {
	if err := e.nats.ShutdownJetStream(); err != nil {
		return fmt.Errorf("stop the store of nats: %w", err)
	}
	o := e.options
	err := e.nats.EnableJetStream(&server.JetStreamConfig{
		StoreDir: o.StoreDir, MaxMemory: o.JetStreamMaxMemory, MaxStore: o.JetStreamMaxStore,
		SyncAlways: o.SyncAlways, SyncInterval: o.SyncInterval, Strict: !o.NoJetStreamStrict,
	})
	if err != nil {
		return fmt.Errorf("start the store of nats again: %w", err)
	}
	return nil
}

// close stops nats. It takes leave of each session by itself, which is slow with a thousand of them and cannot be cut
// short. When ctx ends first, nats goes on stopping: the program may exit, since everything acknowledged is on disk and
// the next start tidies up, or call close again to wait for the rest.
func (e *engine) close(ctx context.Context) error {
	e.closing.Do(func() {
		if e.conn != nil {
			e.conn.Close()
		}
		go func() {
			defer close(e.over)
			e.nats.Shutdown()
			e.nats.WaitForShutdown()
		}()
	})
	select {
	case <-e.over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop nats: %w", ctx.Err())
	}
}

// natsLog hands on what nats says. It cannot hold a key: nats never sees one.
type natsLog struct {
	log      *slog.Logger
	doubt    func()       // an error may mean that a device's message was not stored
	unsynced func(string) // nats cannot sync what it has written
	last     atomic.Pointer[string]
}

// failedSync is how nats says that: it tells nobody otherwise, and whoever waits for an acknowledgement waits in vain.
const failedSync = "write error: sync "

func (n *natsLog) failure() error {
	if last := n.last.Load(); last != nil {
		return errors.New(*last)
	}
	return errors.New("it was not ready in time")
}

func (n *natsLog) note(level slog.Level, format string, v []any) {
	text := fmt.Sprintf(format, v...)
	if level >= slog.LevelError {
		n.last.Store(&text)
		if strings.Contains(text, failedSync) {
			n.unsynced(text)
		}
		n.doubt()
	}
	n.log.Log(context.Background(), level, "nats says", "text", strings.TrimSpace(text))
}

func (n *natsLog) Noticef(format string, v ...any) { n.note(slog.LevelDebug, format, v) }
func (n *natsLog) Warnf(format string, v ...any)   { n.note(slog.LevelWarn, format, v) }
func (n *natsLog) Fatalf(format string, v ...any)  { n.note(slog.LevelError, format, v) }
func (n *natsLog) Errorf(format string, v ...any)  { n.note(slog.LevelError, format, v) }
func (n *natsLog) Debugf(string, ...any)           {}
func (n *natsLog) Tracef(string, ...any)           {}
