package server

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"trellis/templates"
)

// CodeHash is what the store keeps of a one-time code.
func CodeHash(code string) [32]byte {
	return sha256.Sum256([]byte("operator code " + strings.ToUpper(strings.TrimSpace(code))))
}

// enter shows the operator's way in. The code stands behind the # of the link, so it reaches no log on its way, and a
// preview of the link spends nothing: only the form does.
func (s *Server) enter(c echo.Context) error {
	return render(c, http.StatusOK, templates.Enter(templates.EnterPage{}))
}

// takeCode exchanges a one-time code for a session.
func (s *Server) takeCode(c echo.Context) error {
	err := s.spend(c)
	switch {
	case err == nil && wantsJSON(c):
		return c.NoContent(http.StatusNoContent)
	case err == nil:
		return c.Redirect(http.StatusSeeOther, "/")
	case wantsJSON(c) || problemOf(err).status >= 500:
		return err
	}
	p := problemOf(err)
	return render(c, p.status, templates.Enter(templates.EnterPage{Refused: p.sentence}))
}

func (s *Server) spend(c echo.Context) (err error) {
	defer func() { s.countRefusal(err) }()
	if err := s.limits.ask(c.RealIP()); err != nil {
		return err
	}
	good, err := s.Store.TakeCode(c.Request().Context(), CodeHash(c.FormValue("code")))
	if err != nil {
		return fmt.Errorf("take one-time code: %w", err)
	}
	if g, err := s.grant(c.Request()); !good && err == nil && g.KeyID == "" {
		return nil // the operator came by an old link and is signed in already
	}
	if !good {
		if limited := s.limits.guess(c.RealIP()); limited != nil {
			return limited
		}
		return errCode
	}
	return s.begin(c, map[string]any{sessionOperator: true})
}
