package server

import (
	"context"
	"errors"
	"net/netip"

	"github.com/labstack/echo/v4"

	"trellis/mqttproxy"
)

// live is the door for our own pages: the cookie says who it is, so only our own pages may open it. A WebSocket carries a
// pipe, or plain MQTT.
func (s *Server) live(c echo.Context) error {
	g, refused := s.grant(c.Request())
	if refused != nil && !errors.Is(refused, errSignedOut) && !keyRefused(refused) {
		return refused
	}
	socket, err := s.pipes.Accept(c.Response(), c.Request(), "mqtt")
	if err != nil {
		return nil // Accept has answered
	}
	v := s.visitorOf(c, g) // now: the request does not outlive this handler
	serve := func(ctx context.Context) { s.Pages.Serve(ctx, socket, g) }
	switch {
	case refused != nil: // a browser is told nothing of a refused upgrade, so this comes as a close code
		serve = func(context.Context) { socket.End(refusal(refused)) }
	case socket.Subprotocol() == mqttproxy.PipeSubprotocol:
		serve = func(ctx context.Context) { s.pipes.Carry(ctx, socket, v) }
	}
	if !s.detach(serve) {
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
