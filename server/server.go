// Package server is everything that speaks HTTP: the pages, the claims, and the doors through which MQTT enters over
// WebSocket.
//
// It decides nothing about permissions: it turns a cookie or a key into an [access.Grant] and hands that on.
// Start at routes.go, the map of the site.
package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/history"
	"trellis/mqttproxy"
)

// Keys is what the server asks of the keys; *access.Keys is one.
type Keys interface {
	Verify(token string) (access.Grant, error)
	Grant(jti string) (access.Grant, error)
	Ended(jti string) (at time.Time, why error)
}

// Store keeps sign-ins and one-time codes, and knows the latest values; *history.Store is one.
type Store interface {
	scs.Store
	Hold(ctx context.Context, token, holder string) error
	Settings
	Buttons
	TakeCode(ctx context.Context, hash [32]byte) (bool, error)
	Values(ctx context.Context, wanted func(topic string) bool) ([]history.Value, error)
	Heard(ctx context.Context, of history.Speaker, most int) ([]time.Time, error)
	Signs(ctx context.Context, wanted func(topic string) bool) ([]history.Sign, error)
	Normal(ctx context.Context, boards ...string) (map[string]bool, error)
	SetNormal(ctx context.Context, board, entity string, normal bool) error
	LeaveLetter(ctx context.Context, l history.Letter, asked history.Leaving) (history.Letter, error)
	FindLetter(ctx context.Context, keyID, id string) (l history.Letter, there bool, err error)
	Unasked(ctx context.Context, keyID, topic string, limit int) ([][]byte, error)
}

// Pages runs the MQTT sessions of our own pages; *mqttproxy.Hub is one.
type Pages interface {
	Serve(ctx context.Context, carrier mqttproxy.Carrier, g access.Grant) mqttproxy.Reason
	EndSignIn(id string)
	Press(ctx context.Context, g access.Grant, topic string, payload []byte, handed func() error) error
	Listen(hear func(mqttproxy.Message))
}

// Outbox sends what programs have left in the Store; *mqttproxy.Outbox is one.
type Outbox interface {
	Wake(keyID string)
	Follow(id string) (done <-chan struct{}, leave func())
}

// Config says what a Server stands on. All but Front, Operator, Pretend and the last seven are required.
type Config struct {
	Keys      Keys
	Store     Store
	Past      Past
	Moments   Moments
	Pages     Pages
	Outbox    Outbox
	Devices   func(ctx context.Context, conn net.Conn, from netip.Addr) error // serves one device's MQTT connection and returns when it is over
	Healthy   func() error                                                    // nil, or why messages are not taken now
	Recording func(access.Grant) mqttproxy.Recording                          // whether what somebody sees is recorded; nil: it is
	Probe     func(context.Context) (time.Duration, error)                    // sends a message of ours through the broker and back; in front of another service it opens a connection
	JWKS      []byte                                                          // public halves of the signing keys
	Front     *Front                                                          // what is different in front of another broker; nil where the broker is ours
	Account   string                                                          // whose messages an operator sees
	Region    string

	Operator func(until time.Time) access.Grant // what an operator may do; nil means what is usual in the account's region
	Pretend  func() []string                    // topics on which pretend devices speak; nil: none do

	Counted   Counted        // what is told at /metrics
	Limits    Limits         // of pages
	Ways      []string       // that pages may go, best first; none means all
	PublicURL *url.URL       // the address people use; nil means whatever address they came by
	Proxies   []netip.Prefix // proxies whose X-Forwarded-For is believed; none means the socket's address
	Now       func() time.Time
	Log       *slog.Logger
}

// Server answers HTTP.
type Server struct {
	Config
	http      http.Server
	sessions  *scs.SessionManager
	limits    *limits
	senders   *senders
	pressers  *senders // by board
	presses   *presses
	pipes     *mqttproxy.Pipes
	checks    *mqttproxy.Pipes // of strangers
	probe     brokerProbe
	rhythms   *rhythms
	turns     *turns
	exporting exporting
	links     heldLinks
	tallies   tallies
	metrics   *metricsServer

	mu      sync.Mutex
	started bool
	closing bool
	doors   sync.WaitGroup // WebSocket connections that outlived their handler
	stop    context.CancelFunc
	ctx     context.Context // ends the doors; not a request's
}

// New makes a Server that is not listening yet.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Operator == nil {
		c.Operator = func(until time.Time) access.Grant { return access.OperatorGrant(c.Account, c.Region, until) }
	}
	s := &Server{Config: c, tallies: newTallies(), metrics: newMetricsServer(c.Log)}
	s.limits = newLimits(c.Now, cmp.Or(c.Limits.PerAddress, mqttproxy.PagesPerAddress))
	s.limits.met = func(limit string) { s.tallies.limited.WithLabelValues(limit).Inc() }
	s.senders, s.pressers = newSenders(c.Now, s.limits.met), newPressers(c.Now, s.limits.met)
	s.presses = newPresses(c.Now)
	s.presses.came = func(p history.Press, words string, at time.Time) {
		s.detach(func(ctx context.Context) { s.answered(context.WithoutCancel(ctx), p, words, at) })
	}
	c.Pages.Listen(s.presses.hear)
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.probe.send, s.probe.ctx = c.Probe, s.ctx
	s.rhythms = newRhythms(listener{c.Store.Heard, c.Past.Gaps}, c.Now, s.detach)
	s.turns = newTurns()
	s.sessions = newSessions(held{c.Store}, s.secure())
	s.pipes = s.newPipes()
	s.checks = s.newChecks()
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = clientAddress(c.Proxies)
	e.HTTPErrorHandler = s.answerError
	s.routes(e)
	s.http = http.Server{
		Handler: e,
		// Absolute limits on what a stranger may take his time with; an upgraded connection is free of them.
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
	}
	return s
}

// Serve answers on this listener until Close.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(l)
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// finishWithin is how long a request under way may take when the server stops. Somebody may send one byte a minute.
const finishWithin = 2 * time.Second

// Close stops listening, lets requests finish, ends the connections that came by WebSocket and waits for them until ctx ends.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.stop()
	s.pipes.Close() // their requests end by themselves then
	s.checks.Close()
	soon, cancel := context.WithTimeout(ctx, finishWithin)
	defer cancel()
	if s.http.Shutdown(soon) != nil {
		_ = s.http.Close() // somebody did not finish in time
	}
	_ = s.metrics.Close()
	over := make(chan struct{})
	go func() { // ends with the last connection, which ctx cannot make faster
		defer close(over)
		s.doors.Wait()
	}()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for WebSocket connections: %w", ctx.Err())
	}
}

// detach runs one upgraded connection beside its handler, so that the handler can return and give back its memory.
func (s *Server) detach(run func(ctx context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.doors.Go(func() { run(s.ctx) })
	return true
}

// secure says whether people come over https, so that cookies may insist on it.
func (s *Server) secure() bool { return s.PublicURL != nil && s.PublicURL.Scheme == "https" }

// clientAddress believes X-Forwarded-For only when it was written by a proxy that the operator named.
func clientAddress(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		options = append(options, echo.TrustIPRange(&net.IPNet{
			IP: p.Masked().Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}
