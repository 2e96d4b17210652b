package server

import (
	"context"
	"errors"
	"net/netip"

	"github.com/labstack/echo/v4"

	"trellis/mqttproxy"
)

// live is the door for our own pages: the cookie says who it is, so only our own pages may open it.
func (s *Server) live(c echo.Context) error {
	g, refused := s.grant(c.Request())
	if refused != nil && !errors.Is(refused, errSignedOut) && !keyRefused(refused) {
		return refused
	}
	socket, err := mqttproxy.Accept(c.Response(), c.Request(), mqttproxy.Options{
		Subprotocols: []string{"mqtt"},
		Origins:      s.ownOrigins(),
	})
	if err != nil {
		return nil // Accept has answered
	}
	started := s.detach(func(ctx context.Context) {
		if refused != nil {
			// A browser is told nothing of a refused upgrade, so the refusal comes as a close code.
			reason := mqttproxy.Refused
			if errors.Is(refused, errSignedOut) {
				reason = mqttproxy.SignedOut
			}
			socket.End(reason)
			return
		}
		s.Pages.Serve(ctx, socket, g)
	})
	if !started {
		socket.End(mqttproxy.Restart)
	}
	return nil
}

// devices is the door for devices and programs of any origin: only the key in their CONNECT counts.
func (s *Server) devices(c echo.Context) error {
	r := c.Request()
	socket, err := mqttproxy.Accept(c.Response(), r, mqttproxy.Options{
		Subprotocols: []string{"mqtt", "mqttv3.1"},
		AnyOrigin:    true,
	})
	if err != nil {
		return nil // Accept has answered
	}
	address, _ := netip.ParseAddr(c.RealIP()) // behind a proxy not the socket's; none means no limit by address
	log := s.Log
	started := s.detach(func(ctx context.Context) {
		if err := s.Devices(ctx, socket, address); err != nil {
			log.DebugContext(ctx, "device connection over", "door", "websocket", "address", address, "reason", err)
		}
	})
	if !started {
		socket.End(mqttproxy.Restart)
	}
	return nil
}
