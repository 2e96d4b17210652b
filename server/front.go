package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/mqttproxy"
)

// Front is what is different where the broker is another's: that of a service, whose the keys are too, or any broker, which knows no keys;
// they are this server's own then.
type Front struct {
	Service string   // host of the service whose keys people sign in with; empty for any broker
	Broker  string   // host of any broker; empty for a service's
	Topics  []string // templates of what is heard from any broker, for the operator; none for a service's
	Send    string   // and of where something can be sent to; empty if nothing can

	// Agree is for a service's broker; nil for any other. It notes that the holder of a key agrees that we log in to the broker as the entity itself, which ends a device's connection.
	Agree func(ctx context.Context, g access.Grant) error
	// Watch has the connection of a key held whether or not anybody is here, or not any more.
	Watch func(ctx context.Context, g access.Grant, watched bool) error
	// Watched says whether it is.
	Watched func(g access.Grant) bool
	// Held knows a key that is held here, for when the service itself does not answer.
	Held func(token string) (access.Grant, error)
	// Listen takes up the connection of a key for a while.
	Listen func(g access.Grant)

	Link   func(access.Grant) mqttproxy.State // how the link is that this Grant depends on
	Links  func() mqttproxy.UplinksStats      // how all of them are, and what they did
	Asked  func() access.Asked                // how it went with asking the service about keys; nil where keys are not asked about
	Direct *Direct                            // how pages go to the service's broker themselves; nil where they cannot
}

// ofService says whether the keys are another service's.
func (s *Server) ofService() bool { return s.Front != nil && s.Front.Agree != nil }

// ours is for what only a server with a broker of its own can do; others say where to go.
func (s *Server) ours(handle echo.HandlerFunc) echo.HandlerFunc {
	if s.Front == nil {
		return handle
	}
	if s.Front.Agree == nil {
		return func(echo.Context) error { return errOtherBroker }
	}
	return func(echo.Context) error { return errElsewhere }
}

// linkDown says whether nothing can be known of this Grant's devices now, because our own link to their broker is down.
func (s *Server) linkDown(g access.Grant) bool { return s.linkState(g).Down }

// linkState is how our own link for this Grant is. With the broker inside there is none to be down.
func (s *Server) linkState(g access.Grant) mqttproxy.State {
	if s.Front == nil || s.Front.Link == nil {
		return mqttproxy.State{}
	}
	return s.Front.Link(g)
}

// agree takes the answer of a key's holder to the question whether we may take the device's place.
func (s *Server) agree(c echo.Context) error {
	return s.byHolder(c, func(g access.Grant) error { return s.Front.Agree(c.Request().Context(), g) })
}

// watch takes the wish of a key's holder that we listen when no page is open, or do not.
func (s *Server) watch(c echo.Context) error {
	return s.byHolder(c, func(g access.Grant) error {
		on := c.FormValue("on")
		if on != "yes" && on != "no" {
			return errChoice
		}
		return s.Front.Watch(c.Request().Context(), g, on == "yes")
	})
}

// byHolder does what only the holder of a key of another service can ask for. It ends on the board.
func (s *Server) byHolder(c echo.Context, do func(access.Grant) error) error {
	if !s.ofService() {
		return echo.ErrNotFound
	}
	g, err := s.grant(c.Request())
	if err == nil && g.KeyID == "" {
		err = errNoKey
	}
	if err == nil {
		err = do(g)
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
var errNoKey = errors.New("only the holder of a key can ask for that")
