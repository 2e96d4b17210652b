package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/mqttproxy"
)

// liveHello answers anybody's page of ours: it says how long a round trip takes, and nothing else.
func (s *Server) liveHello(c echo.Context) error {
	if s.pipes.Own(c.Response(), c.Request()) {
		s.pipes.Hello(c.Response(), c.Request())
	}
	return nil
}

// liveOpen makes a pipe for the visitor.
func (s *Server) liveOpen(c echo.Context) error {
	if !s.pipes.Own(c.Response(), c.Request()) {
		return nil
	}
	if s.limits.open(c.RealIP()) != nil {
		s.pipes.Refuse(c.Response(), mqttproxy.Limit)
		return nil
	}
	return s.visitor(c, s.pipes.Open)
}

// liveUp takes bytes for a pipe.
func (s *Server) liveUp(c echo.Context) error {
	if !s.pipes.Own(c.Response(), c.Request()) {
		return nil
	}
	return s.visitor(c, s.pipes.Up)
}

// liveDown hands a pipe's bytes out.
func (s *Server) liveDown(c echo.Context) error {
	if !s.pipes.Own(c.Response(), c.Request()) {
		return nil
	}
	return s.visitor(c, s.pipes.Down)
}

// visitor finds out who asks, anew for each request, and hands that on.
func (s *Server) visitor(c echo.Context, then func(http.ResponseWriter, *http.Request, mqttproxy.Visitor)) error {
	g, err := s.grant(c.Request())
	switch {
	case err == nil:
		then(c.Response(), c.Request(), s.visitorOf(c, g))
		return nil
	case errors.Is(err, errSignedOut), keyRefused(err):
		s.pipes.Refuse(c.Response(), refusal(err))
		return nil
	}
	return err
}

// visitorOf is who asks, in the words of the pipes.
func (s *Server) visitorOf(c echo.Context, g access.Grant) mqttproxy.Visitor {
	return mqttproxy.Visitor{Grant: g, Session: g.SignIn, Address: network(c.RealIP()).String()}
}

// refusal is the close code for somebody who may not come in.
func refusal(err error) mqttproxy.Reason {
	if errors.Is(err, errSignedOut) {
		return mqttproxy.SignedOut
	}
	return mqttproxy.Refused
}

// servePage runs a page's session beside the request that brought its first bytes.
func (s *Server) servePage(carrier mqttproxy.Carrier, g access.Grant) bool {
	return s.detach(func(ctx context.Context) { s.Pages.Serve(ctx, carrier, g) })
}
