package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/mqttproxy"
)

// Front is what is different where the keys and the broker are another service's.
type Front struct {
	// Agree notes that the holder of a key agrees that we log in to the broker as the entity itself, which ends a device's connection.
	Agree func(ctx context.Context, g access.Grant) error

	Link  func(access.Grant) mqttproxy.State // how the link is that this Grant depends on
	Links func() mqttproxy.UplinksStats      // how all of them are, and what they did
	Asked func() access.Asked                // how it went with asking the service about keys; nil where keys are not asked about
}

// ours is for what only a server with a broker of its own can do; others say where to go.
func (s *Server) ours(handle echo.HandlerFunc) echo.HandlerFunc {
	if s.Front == nil {
		return handle
	}
	return func(echo.Context) error { return errElsewhere }
}

// linkDown says whether nothing can be known of this Grant's devices now, because our own link to their broker is down.
func (s *Server) linkDown(g access.Grant) bool {
	return s.Front != nil && s.Front.Link != nil && s.Front.Link(g).Down
}

// agree takes the answer of a key's holder to the question whether we may take the device's place.
func (s *Server) agree(c echo.Context) error {
	if s.Front == nil {
		return echo.ErrNotFound
	}
	g, err := s.grant(c.Request())
	if err == nil && g.KeyID == "" {
		err = errNoKey
	}
	if err == nil {
		err = s.Front.Agree(c.Request().Context(), g)
	}
	switch {
	case err != nil:
		return err
	case wantsJSON(c):
		return c.NoContent(http.StatusNoContent)
	}
	return c.Redirect(http.StatusSeeOther, "/")
}

// errNoKey says that an operator was asked what only a key's holder can answer.
var errNoKey = errors.Join(errSignedOut, errors.New("only the holder of a key can agree to that"))
