package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"trellis/access"
)

// Front is what is different where the keys and the broker are another service's.
type Front struct {
	// Agree notes that the holder of a key agrees that we log in to the broker as the entity itself, which ends a device's connection.
	Agree func(ctx context.Context, g access.Grant) error

	Direct *Direct // how pages go to the service's broker themselves; nil where they cannot
}

// ours is for what only a server with a broker of its own can do; others say where to go.
func (s *Server) ours(handle echo.HandlerFunc) echo.HandlerFunc {
	if s.Front == nil {
		return handle
	}
	return func(echo.Context) error { return errElsewhere }
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
