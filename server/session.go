package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/labstack/echo/v4"

	"trellis/access"
)

// sessionLife is how long a browser stays signed in.
const sessionLife = 30 * 24 * time.Hour

// Names of what a session holds: either the id of the key that was pasted (never the key), or that it is the operator's.
const (
	sessionKey      = "key"
	sessionPrint    = "print" // which key of that id, since a renewed one is another
	sessionOperator = "operator"
)

// newSessions keeps sessions in the store under a hash of the cookie's value, so that the store gives nobody a sign-in.
func newSessions(store scs.Store, secure bool) *scs.SessionManager {
	// Not scs.New: that starts a store in memory with a goroutine of its own, which nobody here asked for.
	m := &scs.SessionManager{
		Store: store, Codec: scs.GobCodec{}, HashTokenInStore: true, Lifetime: sessionLife,
		Cookie: scs.SessionCookie{Name: "trellis", Path: "/", HttpOnly: true, Persist: true, SameSite: http.SameSiteStrictMode},
	}
	if secure {
		m.Cookie.Name, m.Cookie.Secure = "__Host-trellis", true
	}
	return m
}

// held keeps with a session whose key signs in, for the store's bounds. The library hands on the context in which it keeps one.
type held struct{ Store }

// holderOf is where that context has the id of the key.
type holderOf struct{}

func (h held) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	if err := h.Commit(token, data, expiry); err != nil {
		return err
	}
	if id, is := ctx.Value(holderOf{}).(string); is {
		return h.Hold(ctx, token, id)
	}
	return nil
}

func (h held) FindCtx(_ context.Context, token string) ([]byte, bool, error) { return h.Find(token) }

func (h held) DeleteCtx(_ context.Context, token string) error { return h.Delete(token) }

// load finds the request's session. The middleware that comes with the library wraps the answer in a way that stops WebSocket upgrades.
func (s *Server) load(r *http.Request) (context.Context, error) {
	token := ""
	if cookie, err := r.Cookie(s.sessions.Cookie.Name); err == nil {
		token = cookie.Value
	}
	ctx, err := s.sessions.Load(r.Context(), token)
	if err != nil {
		return nil, fmt.Errorf("find session: %w", err)
	}
	return ctx, nil
}

// grant says what the visitor may do, asked anew each time, so that a withdrawn key is withdrawn here too.
func (s *Server) grant(r *http.Request) (access.Grant, error) {
	ctx, err := s.load(r)
	if err != nil {
		return access.Grant{}, err
	}
	if s.sessions.GetBool(ctx, sessionOperator) {
		g := s.Operator(s.sessions.Deadline(ctx))
		g.SignIn = s.signInID(ctx)
		return g, nil
	}
	jti := s.sessions.GetString(ctx, sessionKey)
	if jti == "" {
		return access.Grant{}, errSignedOut
	}
	g, err := s.Keys.Grant(jti)
	if err == nil && g.Print != s.sessions.GetString(ctx, sessionPrint) {
		return access.Grant{}, access.ErrKeyRevoked
	}
	g.SignIn = s.signInID(ctx)
	return g, err
}

// signInID tells one sign-in from another without being the cookie's value.
func (s *Server) signInID(ctx context.Context) string {
	token := s.sessions.Token(ctx)
	if token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("sign-in " + token))
	return hex.EncodeToString(sum[:8])
}

// begin signs the visitor in under a fresh cookie, whatever cookie came with the request.
func (s *Server) begin(c echo.Context, holds map[string]any) error {
	ctx, err := s.load(c.Request())
	if err != nil {
		return err
	}
	defer s.endSignIn(s.signInID(ctx)) // other tabs show what whoever was signed in before may see
	if err := s.sessions.RenewToken(ctx); err != nil {
		return fmt.Errorf("renew session: %w", err)
	}
	if err := s.sessions.Clear(ctx); err != nil {
		return fmt.Errorf("empty session: %w", err)
	}
	for name, value := range holds {
		s.sessions.Put(ctx, name, value)
	}
	token, expiry, err := s.sessions.Commit(context.WithValue(ctx, holderOf{}, holds[sessionKey]))
	if err != nil {
		return fmt.Errorf("keep session: %w", err)
	}
	s.sessions.WriteSessionCookie(ctx, c.Response(), token, expiry)
	return nil
}

// signIn takes a pasted access key. The session keeps the key's id alone.
func (s *Server) signIn(c echo.Context) error {
	// A key holds no white space; a terminal that wrapped it may have put some in.
	g, err := s.verify(c, strings.Join(strings.Fields(c.FormValue("key")), ""))
	if err == nil {
		err = s.begin(c, map[string]any{sessionKey: g.KeyID, sessionPrint: g.Print})
	}
	switch {
	case err == nil && wantsJSON(c) && s.direct(c.Request()) != nil:
		return c.JSON(http.StatusOK, heldKey{g.KeyID, g.Print}) // whoever has the key may use it directly
	case err == nil && wantsJSON(c):
		return c.NoContent(http.StatusNoContent)
	case err == nil:
		return c.Redirect(http.StatusSeeOther, "/")
	case wantsJSON(c):
		return err
	}
	p := problemOf(err)
	if errors.Is(err, access.ErrKeyMissing) {
		p.sentence = "Paste your access key first."
	}
	return s.signInPage(c, p)
}

// endSignIn ends the pages of a sign-in, and what they are about to become.
func (s *Server) endSignIn(id string) {
	s.Pages.EndSignIn(id)
	s.pipes.EndSignIn(id)
}

// signOut ends the session here and in the browser.
func (s *Server) signOut(c echo.Context) error {
	ctx, err := s.load(c.Request())
	if err != nil {
		return err
	}
	if id := s.signInID(ctx); id != "" { // nothing is written for a stranger
		defer s.endSignIn(id)
		if err := s.sessions.Destroy(ctx); err != nil {
			return fmt.Errorf("end session: %w", err)
		}
	}
	s.sessions.WriteSessionCookie(ctx, c.Response(), "", time.Time{})
	return c.Redirect(http.StatusSeeOther, "/")
}
