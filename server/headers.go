package server

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/labstack/echo/v4"

	"trellis/mqttproxy"
)

// policy is the content policy of every page: scripts, styles and connections of this site only, nothing inline.
var policy = policyFor("")

// policyFor is policy for an answer that may connect to another origin besides; [Server.reaching] says which those are.
func policyFor(origin string) string {
	return strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "font-src 'self'",
		strings.TrimSpace("connect-src 'self' " + origin), "worker-src 'self'", "manifest-src 'self'", "base-uri 'none'", "form-action 'self'",
		"frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types trellis",
	}, "; ")
}

// headers go with every answer; a handler that may be cached says so itself.
func (s *Server) headers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "same-origin") // no-referrer would make browsers say Origin: null on our own forms
		h.Set("X-Content-Type-Options", "nosniff")
		if s.secure() { // over plain http browsers only complain of it
			h.Set("Cross-Origin-Opener-Policy", "same-origin")
		}
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		h.Set(echo.HeaderCacheControl, "no-store")
		return next(c)
	}
}

// anyOrigin lets pages of other sites ask, without credentials: nothing here looks at a cookie.
func anyOrigin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key")
		h.Set("Access-Control-Allow-Methods", "GET, POST")
		h.Set("Access-Control-Expose-Headers", "Retry-After, Location")
		h.Set("Access-Control-Max-Age", "600")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		return next(c)
	}
}

// maxForm is the largest form or body that a stranger may send.
const maxForm = 16 << 10

// ownOrigin refuses what another site's page sends here with our visitor's cookie.
func (s *Server) ownOrigin(next echo.HandlerFunc) echo.HandlerFunc {
	var cross http.CrossOriginProtection
	if s.PublicURL != nil {
		if err := cross.AddTrustedOrigin(s.PublicURL.Scheme + "://" + s.PublicURL.Host); err != nil {
			panic(fmt.Sprintf("public url %q was not checked: %v", s.PublicURL, err))
		}
	}
	return func(c echo.Context) error {
		r := c.Request()
		if err := cross.Check(r); err != nil {
			return fmt.Errorf("%w: %v", errForeignOrigin, err)
		}
		if !s.originIsOurs(r) {
			return errForeignOrigin
		}
		if r.Header.Get("Content-Encoding") != "" {
			return echo.NewHTTPError(http.StatusUnsupportedMediaType, "Send the form as it is, not compressed.")
		}
		r.Body = http.MaxBytesReader(c.Response(), r.Body, maxForm)
		return next(c)
	}
}

// originIsOurs compares scheme, host and port where a browser names an origin at all; the standard check looks at the
// host alone.
func (s *Server) originIsOurs(r *http.Request) bool {
	if r.Header.Get("Origin") == "" || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	return mqttproxy.SameOrigin(r, s.ownOrigins())
}

// ownOrigins are the origins that are ours besides the one a request was addressed to: a proxy in front may have taken the
// https off.
func (s *Server) ownOrigins() []string {
	if s.PublicURL == nil {
		return nil
	}
	return []string{s.PublicURL.Scheme + "://" + strings.ToLower(s.PublicURL.Host)}
}

// recovered keeps one broken request from ending the server, and the panic's text from a stranger.
func (s *Server) recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // the standard library compares it so
				s.tallies.panics.Inc()
				s.Log.Error("a request panicked", "route", c.Path(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				err = echo.NewHTTPError(http.StatusInternalServerError)
			} else if p != nil {
				panic(p)
			}
		}()
		return next(c)
	}
}
