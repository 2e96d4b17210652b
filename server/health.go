package server

import (
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/mqttproxy"
)

// What /healthz and /readyz say in their status, the first that is true.
const (
	statusStopping = "stopping"
	statusFailing  = "failing"
	statusStarting = "starting"
	statusOK       = "ok"
)

// health is the answer of both: openapi.json describes it. Anybody may ask, so it says how many of something there are and names nobody.
type health struct {
	Status  string        `json:"status"`
	Message string        `json:"message,omitempty"` // for a person; none where all is well
	Record  string        `json:"record"`            // whether messages are taken and recorded
	Why     string        `json:"why,omitempty"`     // a fixed word for what keeps them from it, where it is known: full, unsynced
	Broker  string        `json:"broker"`            // inside, or upstream: somebody else's
	Links   *linksHealth  `json:"links,omitempty"`   // to that broker
	Claims  *claimsHealth `json:"claims,omitempty"`  // of that service
}

// linksHealth says how the links to somebody else's broker are. Each that is wanted is up, connecting or down.
type linksHealth struct {
	Wanted     int            `json:"wanted"`
	Up         int            `json:"up"`
	Connecting int            `json:"connecting"`
	Down       int            `json:"down"`
	DownSince  *time.Time     `json:"down_since,omitempty"` // of the one that has been down longest
	Why        map[string]int `json:"why"`                  // how many are down for what; see mqttproxy.Why
}

// claimsHealth says what came of it when the service was last asked about a key.
type claimsHealth struct {
	Last string     `json:"last"`
	At   *time.Time `json:"at,omitempty"`
}

// notAsked is said of a service that was not asked yet.
const notAsked = "not_asked"

var healthSentences = map[string]string{
	statusStopping: "This server is stopping. It is back in a moment, if it was told to restart.",
	statusFailing:  "Messages are not taken or recorded now. Why that is stands in the log.",
	statusStarting: "This server is starting.",
}

// recordSentences say what is wrong with the disk, by the words of mqttproxy.Recording.
var recordSentences = map[string]string{
	"full":              "Messages are not taken or recorded now: the disk is full. As soon as it has room, that goes on by itself.",
	mqttproxy.NotSynced: "Messages are not taken or recorded now: the disk failed to keep what was written. Check it, then start this server again.",
}

// Ready says that everything has started, so that visitors may be sent here.
func (s *Server) Ready() {
	if err := s.resumePresses(); err != nil {
		s.Log.Error("answers to what was pressed before are not awaited", "err", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = true
}

// phase is how far the server is with starting or stopping; empty while it is doing neither.
func (s *Server) phase() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return statusStopping
	case !s.started:
		return statusStarting
	}
	return ""
}

// healthNow looks. recorded says whether messages are taken and recorded.
func (s *Server) healthNow() (h health, recorded bool) {
	recorded = s.Healthy() == nil
	h = health{Status: statusOK, Record: "ok", Broker: "inside"}
	if !recorded {
		h.Record, h.Status = "failing", statusFailing
	}
	if phase := s.phase(); phase == statusStopping || (phase != "" && recorded) {
		h.Status = phase
	}
	h.Message = healthSentences[h.Status]
	if !recorded && s.Recording != nil {
		why := s.Recording(access.Grant{}).Why
		if said, known := recordSentences[why]; known {
			h.Why = why
			if h.Status == statusFailing {
				h.Message = said
			}
		}
	}
	if s.Front == nil {
		return h, recorded
	}
	h.Broker = "upstream"
	if s.Front.Links != nil {
		h.Links = linksOf(s.links.now(s.Front.Links))
	}
	if s.Front.Asked != nil {
		h.Claims = claimsOf(s.Front.Asked())
	}
	return h, recorded
}

func linksOf(links mqttproxy.UplinksStats) *linksHealth {
	h := &linksHealth{Wanted: links.Links, Up: links.Up, Connecting: links.Connecting, Why: map[string]int{}}
	for why, n := range links.Down {
		h.Down += n
		h.Why[why.Word()] = n
	}
	if !links.DownSince.IsZero() {
		since := links.DownSince.UTC().Truncate(time.Second)
		h.DownSince = &since
	}
	return h
}

func claimsOf(asked access.Asked) *claimsHealth {
	if asked.Last == access.AnswerNone {
		return &claimsHealth{Last: notAsked}
	}
	at := asked.At.UTC().Truncate(time.Second)
	return &claimsHealth{Last: string(asked.Last), At: &at}
}

// healthz is for whoever restarts the server when it does not do its work: 503 while messages are not taken or recorded.
func (s *Server) healthz(c echo.Context) error {
	h, recorded := s.healthNow()
	return c.JSON(statusIf(recorded), h)
}

// readyz is for whoever sends visitors here: 503 too while the server starts or stops. That another service's broker is away is no
// reason to send them elsewhere: a page then shows the last values, and says so.
func (s *Server) readyz(c echo.Context) error {
	h, _ := s.healthNow()
	return c.JSON(statusIf(h.Status == statusOK), h)
}

func statusIf(well bool) int {
	if well {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

// linksHold is for how long what was found of all links answers for everybody who asks: strangers may, as often as they like.
const linksHold = 200 * time.Millisecond

// heldLinks remembers how the links are for a moment.
type heldLinks struct {
	mu    sync.Mutex
	at    time.Time
	known mqttproxy.UplinksStats
}

func (l *heldLinks) now(ask func() mqttproxy.UplinksStats) mqttproxy.UplinksStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at.IsZero() || time.Since(l.at) > linksHold {
		l.known, l.at = ask(), time.Now()
	}
	return l.known
}
