package server

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/mqttproxy"
)

// wayDirect leads past this server, to another service's broker.
const wayDirect = "direct"

// Direct is how pages go to the service's broker themselves, with a key that they have and this server never gives them.
type Direct struct {
	Address *url.URL                                        // of its MQTT over WebSocket
	Lend    func(g access.Grant) (client string, err error) // gives a client id for that, or says why this Grant should come to us
	Renew   func(g access.Grant, client string) error       // is told that a page is there that uses it, or says why it may not
}

// origin is what the content policy of whoever connects there has to name.
func (d *Direct) origin() string { return d.Address.Scheme + "://" + d.Address.Host }

// direct is how the page that sends this request may go past us; nil where there is no such way. An address on this machine is one only
// for pages on this machine: on any other it would lead to a stranger, with the key.
func (s *Server) direct(r *http.Request) *Direct {
	if s.Front == nil || s.Front.Direct == nil || (len(s.Ways) > 0 && !slices.Contains(s.Ways, wayDirect)) {
		return nil
	}
	if access.ThisMachine(s.Front.Direct.Address.Hostname()) && !access.ThisMachine(s.nameOf(r)) {
		return nil
	}
	return s.Front.Direct
}

// nameOf is the host under which people reach us.
func (s *Server) nameOf(r *http.Request) string {
	if s.PublicURL != nil {
		return s.PublicURL.Hostname()
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		return r.Host
	}
	return host
}

// waysOf is plan for the page that sends this request, the way past us included.
func (s *Server) waysOf(r *http.Request) []string {
	if s.direct(r) == nil {
		return s.plan()
	}
	return append([]string{wayDirect}, s.plan()...)
}

// reaching lets an answer's page or script connect to the service's broker, where that may be.
func (s *Server) reaching(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if d := s.direct(c.Request()); d != nil {
			c.Response().Header().Set("Content-Security-Policy", policyFor(d.origin()))
		}
		return next(c)
	}
}

// heldKey is what a page is told of the key that it signed in with: enough to know it again.
type heldKey struct {
	User  string `json:"user"`
	Print string `json:"print"`
}

// passage says to a page how to go past us, or why not. The key is none of it.
type passage struct {
	Nonce   string `json:"nonce"`
	T       int64  `json:"t"`
	Why     string `json:"why,omitempty"`     // "shared": others need our link, ask later; "never": no page is let in, or no longer
	Address string `json:"address,omitempty"` // where to connect
	Client  string `json:"client,omitempty"`  // as whom
	*heldKey
}

// maxAsk bounds what a page says when it asks.
const maxAsk = 2 << 10

// liveDirect tells the holder of a key how to go to the broker directly. A page that is there already only says that it still is.
func (s *Server) liveDirect(c echo.Context) error {
	w, r := c.Response(), c.Request()
	if !s.pipes.Own(w, r) {
		return nil
	}
	if s.Front == nil {
		return echo.ErrNotFound
	}
	if s.limits.open(c.RealIP()) != nil {
		s.pipes.Refuse(w, mqttproxy.Limit)
		return nil
	}
	g, err := s.grant(r)
	switch {
	case errors.Is(err, errSignedOut), keyRefused(err):
		s.pipes.Refuse(w, refusal(err))
		return nil
	case err != nil:
		return err
	case g.KeyID == "": // the operator: whoever signed in with a key is not here any more
		s.pipes.Refuse(w, mqttproxy.SignedOut)
		return nil
	}
	var asked struct{ Nonce, Client string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAsk)).Decode(&asked); err != nil || len(asked.Nonce) > 64 {
		return echo.NewHTTPError(http.StatusBadRequest, "That is no question that this page asks.")
	}
	return c.JSON(http.StatusOK, s.pass(s.direct(r), g, asked.Nonce, asked.Client))
}

// pass answers; d is nil where nothing leads past us, which a page that is there already has to hear as well.
func (s *Server) pass(d *Direct, g access.Grant, nonce, there string) passage {
	p := passage{Nonce: nonce, T: s.Now().UnixMilli(), heldKey: &heldKey{g.KeyID, g.Print}}
	client, err := "", mqttproxy.ErrInsisted
	switch {
	case d != nil && there != "":
		err = d.Renew(g, there)
	case d != nil:
		client, err = d.Lend(g)
	}
	switch {
	case errors.Is(err, mqttproxy.ErrInsisted):
		p.Why = "never"
	case err != nil:
		p.Why = "shared"
	case client != "":
		p.Address, p.Client = d.Address.String(), client
	}
	return p
}
