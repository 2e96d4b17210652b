package server

import (
	_ "embed"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"trellis/access"
)

// openAPIFile describes the interface for programs; claims_test.go holds the handlers to it.
//
//go:embed openapi.json
var openAPIFile []byte

func (s *Server) openAPI(c echo.Context) error {
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, openAPIFile)
}

// claimsAnswer is the documented answer: flat, with at least sub and jti.
type claimsAnswer struct {
	Sub     string `json:"sub"`
	JTI     string `json:"jti"`
	Account string `json:"account"`
	Region  string `json:"region"`
	Entity  string `json:"entity"`
	Exp     int64  `json:"exp,omitempty"`
}

// claims says whom a key stands for.
func (s *Server) claims(c echo.Context) error {
	g, err := s.verify(c, bearer(c.Request()))
	if err != nil {
		return err
	}
	answer := claimsAnswer{
		Sub: g.Subject.String(), JTI: g.KeyID,
		Account: g.Subject.Account, Region: g.Subject.Region, Entity: g.Subject.Entity,
	}
	if !g.Until.IsZero() {
		answer.Exp = g.Until.Unix()
	}
	return c.JSON(http.StatusOK, answer)
}

// bearer reads the key out of the header and from nowhere else: never out of an address.
func bearer(r *http.Request) string {
	scheme, key, _ := strings.Cut(r.Header.Get(echo.HeaderAuthorization), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(key)
}

// verify asks about a key. Wrong ones count against the address they come from, and all refusals where they are told.
func (s *Server) verify(c echo.Context, key string) (access.Grant, error) {
	g, err := s.asked(c, key)
	s.countRefusal(err)
	return g, err
}

// asked is verify for whoever may let the visitor in all the same, and counts the refusal when not.
func (s *Server) asked(c echo.Context, key string) (access.Grant, error) {
	if err := s.limits.ask(c.RealIP()); err != nil {
		return access.Grant{}, err
	}
	g, err := s.Keys.Verify(key)
	if err == nil {
		return g, nil
	}
	if errors.Is(err, access.ErrKeyUnknown) {
		if limited := s.limits.guess(c.RealIP()); limited != nil {
			return access.Grant{}, limited
		}
	}
	return access.Grant{}, err
}

// countRefusal counts what somebody wanted to come in with and could not, by the word that the error table has for it.
func (s *Server) countRefusal(err error) {
	if err != nil {
		s.tallies.refused.WithLabelValues(problemOf(err).reason).Inc()
	}
}
