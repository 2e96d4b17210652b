package server

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"trellis/static"
)

// routes is the map of the site: a group for each noun, of the file that is named after it or in the group's comment.
func (s *Server) routes(e *echo.Echo) {
	e.Use(s.recovered, s.headers)

	// Pages, for people. Only this site's own pages may change anything.
	pages := e.Group("", s.ownOrigin)
	s.signInRoutes(pages)
	s.boardRoutes(pages)
	s.buttonRoutes(pages)
	s.valueRoutes(pages)
	s.momentRoutes(pages)
	pages.GET("/happened", s.happenedPage)
	s.pastRoutes(pages, "/history", s.byCookie)

	s.checkRoutes(e, pages)
	s.liveRoutes(e)
	s.programRoutes(e.Group("", anyOrigin))

	// What the browser downloads.
	e.GET("/static/*", echo.WrapHandler(static.Handler()))
	e.GET("/hub.js", echo.WrapHandler(static.Worker()), s.reaching)
	e.GET("/favicon.ico", func(c echo.Context) error { return c.Redirect(http.StatusFound, static.URL("favicon.svg")) })
}

// signInRoutes let people in and out: with a key (session.go), or with the operator's link (enter.go).
func (s *Server) signInRoutes(pages *echo.Group) {
	pages.POST("/session", s.signIn)
	pages.POST("/session/end", s.signOut)
	pages.GET("/enter", s.enter)
	pages.POST("/enter", s.takeCode)
}

// boardRoutes are the board, and what its owner decides there (settings.go, devices.go, front.go).
func (s *Server) boardRoutes(pages *echo.Group) {
	pages.GET("/", s.home)
	pages.GET("/settings", s.settings)
	pages.POST("/settings", s.changeSettings)
	pages.POST("/normal", s.normal)
	pages.POST("/agree", s.agree)
	pages.POST("/watch", s.watch)
}

// buttonRoutes are the buttons that an owner makes (button.go), and what becomes of a press (press.go).
func (s *Server) buttonRoutes(pages *echo.Group) {
	pages.POST("/buttons", s.putButton)
	pages.POST("/buttons/move", s.moveButton)
	pages.POST("/buttons/remove", s.removeButton)
	pages.POST("/press", s.press)
	pages.POST("/press/undo", s.undo)
	pages.GET("/press/:id", s.pressNow)
}

// valueRoutes are the page of one value.
func (s *Server) valueRoutes(pages *echo.Group) {
	pages.GET("/value", s.value)
}

// momentRoutes are the links to moments: sent from the page of a value, opened by whoever has the link.
func (s *Server) momentRoutes(pages *echo.Group) {
	pages.POST("/value/moment", s.sendMoment)
	pages.POST("/value/moment/withdraw", s.withdrawMoment)
	pages.GET("/moment", s.momentDoor)
	pages.POST("/moment", s.openMoment)
	pages.GET("/moment/:id", s.moment)
}

// pastRoutes are what was said before (history.go, happened.go, export.go): for pages under one address, for programs under another.
func (s *Server) pastRoutes(g *echo.Group, at string, who granter) {
	g.GET(at+"/latest", s.historyLatest(who))
	g.GET(at+"/devices", s.historyDevices(who))
	g.GET(at+"/range", s.historyRange(who))
	g.GET(at+"/messages", s.historyMessages(who))
	g.GET(at+"/gaps", s.historyGaps(who))
	g.GET(at+"/happened", s.historyHappened(who))
	g.GET(at+"/export", s.historyExport(who))
	g.GET(at+"/presses", s.historyPresses(who))
}

// checkRoutes are "Check my connection", for whoever comes: the page, the ways to /live with an echo behind them, and what we know.
func (s *Server) checkRoutes(e *echo.Echo, pages *echo.Group) {
	pages.GET("/check", s.check, s.reaching)
	checks := e.Group("/check", s.strangers)
	checks.GET("/live", s.checkLive)
	checks.POST("/live/hello", s.checkHello)
	checks.POST("/live/open", s.checkOpen)
	checks.POST("/live/up", s.checkUp)
	checks.POST("/live/down", s.checkDown)
	checks.POST("/seen", s.checkSeen)
	checks.POST("/broker", s.checkBroker)
}

// liveRoutes are MQTT: our own pages by WebSocket (live.go) or by plain requests where none gets through (pipe.go), or past us (direct.go), and everybody
// else's devices and programs.
func (s *Server) liveRoutes(e *echo.Echo) {
	e.GET("/live", s.live)
	e.POST("/live/hello", s.liveHello)
	e.POST("/live/open", s.liveOpen)
	e.POST("/live/up", s.liveUp)
	e.POST("/live/down", s.liveDown)
	e.POST("/live/direct", s.liveDirect) // the worker's script, and the check, may connect to what that names; nothing else may
	e.GET("/ws", s.ours(s.devices))
}

// programRoutes are for programs, from any origin: only a key counts there, never a cookie. The files are claims.go, outbox.go and health.go.
func (s *Server) programRoutes(programs *echo.Group) {
	programs.GET("/api/claims", s.ours(s.claims))
	programs.POST("/api/entities/messages", s.leaveMessage)
	programs.GET("/api/entities/messages/:id", s.findMessage)
	programs.GET("/api/entities/check_messages", s.checkMessages)
	s.pastRoutes(programs, "/api/history", s.byKey)
	programs.GET("/api/openapi.json", s.openAPI)
	for _, asked := range []string{
		"/api/claims", "/api/entities/messages", "/api/entities/messages/:id", "/api/entities/check_messages", "/api/openapi.json",
		"/api/history/latest", "/api/history/devices", "/api/history/range", "/api/history/messages", "/api/history/gaps", "/api/history/happened",
		"/api/history/export", "/api/history/presses",
	} {
		programs.OPTIONS(asked, noContent) // a browser asks first whether a page of another site may
	}
	programs.GET("/.well-known/jwks.json", s.jwks)
	for path, tell := range map[string]echo.HandlerFunc{"/healthz": s.healthz, "/readyz": s.readyz} {
		programs.GET(path, tell)
		programs.HEAD(path, tell)
	}
}

func noContent(c echo.Context) error { return c.NoContent(http.StatusNoContent) }

func (s *Server) jwks(c echo.Context) error {
	c.Response().Header().Set(echo.HeaderCacheControl, "public, max-age=300")
	return c.Blob(http.StatusOK, "application/jwk-set+json", s.JWKS)
}
