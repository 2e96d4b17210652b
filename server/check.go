package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/mqttproxy"
	"trellis/templates"
)

// check shows "Check my connection" to whoever comes. What the visitor's browser has to try is tried by the page's script,
// on the addresses under /check/.
func (s *Server) check(c echo.Context) error {
	page := templates.CheckPage{
		Ways: s.plan(), Broker: s.brokerHop(), Front: s.Front != nil, Service: s.ofService(), Seen: seen(c.Request()), Devices: s.devicesOf(c),
	}
	if d := s.direct(c.Request()); d != nil {
		page.Direct = d.Address.String()
	}
	if s.secure() {
		page.SecureHost = s.PublicURL.Host
	}
	page.Seen.Missing = nil // a browser that asks for a page sends nothing of ours
	return render(c, http.StatusOK, templates.Check(page))
}

// strangers stands before what anybody may ask without signing in: only our own pages, and not too often.
func (s *Server) strangers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !s.checks.Own(c.Response(), c.Request()) {
			return nil
		}
		if s.limits.check(c.RealIP()) != nil {
			s.checks.Refuse(c.Response(), mqttproxy.Limit)
			return nil
		}
		return next(c)
	}
}

// What one address, and all strangers together, may have open at once. One check opens two, which stay for some ten seconds
// after it, and a school sits behind one address.
const (
	checksOfAddress = 24
	checksInAll     = 200
)

// newChecks are the pipes of strangers. Nothing is behind them but an echo.
func (s *Server) newChecks() *mqttproxy.Pipes {
	return mqttproxy.NewPipes(mqttproxy.PipesConfig{
		Serve: func(carrier mqttproxy.Carrier, _ access.Grant) bool {
			return s.detach(func(ctx context.Context) { mqttproxy.Echo(ctx, carrier) })
		},
		Origins: s.ownOrigins(), Ways: s.plan(), Now: s.Now, Log: s.Log,
		Max: checksInAll, PerAddress: checksOfAddress, Buffered: 16 << 20,
		Away: 10 * time.Second, Life: 90 * time.Second, Remember: 2 * time.Second, StreamFor: 30 * time.Second, PollFor: 10 * time.Second,
	})
}

// checkLive is /live for a stranger's WebSocket.
func (s *Server) checkLive(c echo.Context) error {
	socket, err := s.checks.Accept(c.Response(), c.Request())
	if err != nil {
		return nil // Accept has answered
	}
	v := s.stranger(c)
	if !s.detach(func(ctx context.Context) { s.checks.Carry(ctx, socket, v) }) {
		socket.End(mqttproxy.Restart)
	}
	return nil
}

// stranger is whoever asks, and is nobody: a pipe of a stranger is found by its id alone, which nobody can guess.
func (s *Server) stranger(c echo.Context) mqttproxy.Visitor {
	return mqttproxy.Visitor{Address: network(c.RealIP()).String()}
}

func (s *Server) checkHello(c echo.Context) error {
	s.checks.Hello(c.Response(), c.Request())
	return nil
}

func (s *Server) checkOpen(c echo.Context) error {
	s.checks.Open(c.Response(), c.Request(), s.stranger(c))
	return nil
}

func (s *Server) checkUp(c echo.Context) error {
	s.checks.Up(c.Response(), c.Request(), s.stranger(c))
	return nil
}

func (s *Server) checkDown(c echo.Context) error {
	s.checks.Down(c.Response(), c.Request(), s.stranger(c))
	return nil
}

// checkSeen tells a page how its own request came here and, if somebody is signed in, what was heard of their devices.
func (s *Server) checkSeen(c echo.Context) error {
	return c.JSON(http.StatusOK, struct {
		T int64 `json:"t"` // our clock in milliseconds
		templates.Seen
		Devices *templates.DevicesHeard `json:"devices,omitempty"`
	}{s.Now().UnixMilli(), seen(c.Request()), s.devicesOf(c)})
}

// checkBroker tells whether the broker works, and no more: why it does not is in the log.
func (s *Server) checkBroker(c echo.Context) error {
	hop := s.brokerHop()
	// Somebody who is signed in depends on one link of many: it may be down while the broker answers others.
	if g, err := s.grant(c.Request()); err == nil && s.linkDown(g) {
		hop.Works = false
	}
	return c.JSON(http.StatusOK, map[string]any{"works": hop.Works, "ms": float64(hop.Took.Microseconds()) / 1000})
}

// devicesOf is nil for a stranger. A page that looks for faults is shown whatever else is broken.
func (s *Server) devicesOf(c echo.Context) *templates.DevicesHeard {
	g, err := s.grant(c.Request())
	if errors.Is(err, errSignedOut) || keyRefused(err) {
		return nil
	}
	var devices *templates.DevicesHeard
	if err == nil {
		devices, err = s.heard(c.Request().Context(), g)
	}
	if err != nil {
		s.Log.Warn("the check goes on without devices", "err", err)
		return nil
	}
	return devices
}

func (s *Server) brokerHop() templates.Hop {
	took, err := s.probe.ask()
	if err == nil {
		err = s.Healthy() // a message may come back and the record take none
	}
	return templates.Hop{Works: err == nil, Took: took}
}

const (
	probeWithin = 2 * time.Second
	probeHolds  = 2 * time.Second
)

// brokerProbe asks the broker for everybody who asks us. Strangers may press the button as often as they like, so one
// message of ours answers for all of two seconds.
type brokerProbe struct {
	send func(context.Context) (time.Duration, error)
	ctx  context.Context // the server's, not a request's: the answer is for others too

	mu   sync.Mutex // held while the message is on its way, so that others wait for the same one
	at   time.Time
	took time.Duration
	err  error
}

func (p *brokerProbe) ask() (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at.IsZero() || time.Since(p.at) > probeHolds {
		ctx, cancel := context.WithTimeout(p.ctx, probeWithin)
		defer cancel()
		p.took, p.err = p.send(ctx)
		p.at = time.Now()
	}
	return p.took, p.err
}

// sentByCheck are the headers that a page sends with its requests to /live; a proxy may take them off.
var sentByCheck = []string{"X-Trellis-Session", "X-Pos", "X-Ack", "X-Mode", "X-Nonce"}

// seen says how a request came here: by names only, since what these headers say may name a person's address.
func seen(r *http.Request) templates.Seen {
	found := templates.Seen{Protocol: r.Proto, Added: []string{}, Missing: []string{}}
	for name := range r.Header {
		if addedByProxy(name) {
			found.Added = append(found.Added, name)
		}
	}
	slices.Sort(found.Added)
	found.Added = found.Added[:min(len(found.Added), 20)]
	for _, name := range sentByCheck {
		if r.Header.Get(name) == "" {
			found.Missing = append(found.Missing, name)
		}
	}
	return found
}

// Headers that proxies, filters and the networks of content providers put into requests: whole names and beginnings.
var (
	proxyHeaders  = []string{"Via", "Forwarded", "Age", "Cdn-Loop", "Client-Ip", "True-Client-Ip", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Imforwards", "X-Iws-Via", "X-Request-Id", "X-Amzn-Trace-Id", "X-Varnish"}
	proxyFamilies = []string{"X-Forwarded-", "Proxy-", "X-Proxy-", "X-Cache", "X-Bluecoat-", "X-Envoy-", "X-Original-", "X-Azure-", "X-Zscaler-", "Cf-", "Fastly-"}
)

func addedByProxy(name string) bool {
	if len(name) > 40 || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return false // whoever sent that wanted to see it on a page
	}
	return slices.Contains(proxyHeaders, name) ||
		slices.ContainsFunc(proxyFamilies, func(family string) bool { return strings.HasPrefix(name, family) })
}
