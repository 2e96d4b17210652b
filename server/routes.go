package server

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"trellis/static"
)

// routes is the map of the site.
func (s *Server) routes(e *echo.Echo) {
	e.Use(s.recovered, s.headers)

	// Pages, for people. Only this site's own pages may change anything.
	pages := e.Group("", s.ownOrigin)
	pages.GET("/", s.home)
	pages.POST("/session", s.signIn)
	pages.POST("/session/end", s.signOut)
	pages.GET("/enter", s.enter)
	pages.POST("/enter", s.takeCode)
	pages.GET("/check", s.check, s.reaching)
	pages.POST("/agree", s.agree)
	pages.POST("/watch", s.watch)
	s.pastRoutes(pages, "/history", s.byCookie)

	// MQTT over WebSocket: our own pages, and everybody else's devices and programs.
	e.GET("/live", s.live)
	e.GET("/ws", s.ours(s.devices))

	// The same for our pages where no WebSocket gets through: one pipe over plain requests.
	e.POST("/live/hello", s.liveHello)
	e.POST("/live/open", s.liveOpen)
	e.POST("/live/up", s.liveUp)
	e.POST("/live/down", s.liveDown)

	// How a page goes past us, where it may. The worker's script, and the check, may connect there; nothing else may.
	e.POST("/live/direct", s.liveDirect)

	// "Check my connection" asks these, for whoever comes: the ways to /live with an echo behind them, and what we know.
	checks := e.Group("/check", s.strangers)
	checks.GET("/live", s.checkLive)
	checks.POST("/live/hello", s.checkHello)
	checks.POST("/live/open", s.checkOpen)
	checks.POST("/live/up", s.checkUp)
	checks.POST("/live/down", s.checkDown)
	checks.POST("/seen", s.checkSeen)
	checks.POST("/broker", s.checkBroker)

	// Programs, from any origin: only a key counts there, never a cookie.
	programs := e.Group("", anyOrigin)
	programs.GET("/api/claims", s.ours(s.claims))
	programs.OPTIONS("/api/claims", noContent)
	programs.POST("/api/entities/messages", s.leaveMessage)
	programs.OPTIONS("/api/entities/messages", noContent)
	programs.GET("/api/entities/messages/:id", s.findMessage)
	programs.OPTIONS("/api/entities/messages/:id", noContent)
	programs.GET("/api/entities/check_messages", s.checkMessages)
	programs.OPTIONS("/api/entities/check_messages", noContent)
	s.pastRoutes(programs, "/api/history", s.byKey)
	programs.GET("/api/openapi.json", s.openAPI)
	programs.OPTIONS("/api/openapi.json", noContent)
	programs.GET("/.well-known/jwks.json", s.jwks)
	for path, tell := range map[string]echo.HandlerFunc{"/healthz": s.healthz, "/readyz": s.readyz} {
		programs.GET(path, tell)
		programs.HEAD(path, tell)
	}

	// What the browser downloads.
	e.GET("/static/*", echo.WrapHandler(static.Handler()))
	e.GET("/hub.js", echo.WrapHandler(static.Worker()), s.reaching)
	e.GET("/favicon.ico", func(c echo.Context) error { return c.Redirect(http.StatusFound, static.URL("favicon.svg")) })
}

// pastRoutes are what was said before.
func (s *Server) pastRoutes(g *echo.Group, at string, who granter) {
	g.GET(at+"/latest", s.historyLatest(who))
	g.GET(at+"/devices", s.historyDevices(who))
	g.GET(at+"/range", s.historyRange(who))
	g.GET(at+"/messages", s.historyMessages(who))
	g.GET(at+"/gaps", s.historyGaps(who))
	if at == "/api/history" {
		for _, what := range []string{"/latest", "/devices", "/range", "/messages", "/gaps"} {
			g.OPTIONS(at+what, noContent)
		}
	}
}

func noContent(c echo.Context) error { return c.NoContent(http.StatusNoContent) }

func (s *Server) jwks(c echo.Context) error {
	c.Response().Header().Set(echo.HeaderCacheControl, "public, max-age=300")
	return c.Blob(http.StatusOK, "application/jwk-set+json", s.JWKS)
}
