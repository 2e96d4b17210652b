package mqttproxy

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The headers of a pipe's requests. An id is never in an address: those end up in logs.
const (
	headerSession = "X-Trellis-Session"
	headerPos     = "X-Pos" // up: position of the body's first byte; down: how far the page has come
	headerAck     = "X-Ack" // up: how far the page has come in the other direction
	headerMode    = "X-Mode"
	headerNonce   = "X-Nonce"
)

// answer is the body of every answer but a stream's. Proxies strip headers that they do not know; bodies they leave alone.
type answer struct {
	ID     string   `json:"id,omitempty"`
	Nonce  string   `json:"nonce,omitempty"`
	Up     int64    `json:"up"`             // bytes received from the page, in order
	Down   int64    `json:"down"`           // bytes sent to it so far
	T      int64    `json:"t"`              // our clock in milliseconds
	Ways   []string `json:"ways,omitempty"` // that pages may go, best first
	Code   int      `json:"code,omitempty"`
	Reason string   `json:"reason,omitempty"`
	Words  string   `json:"words,omitempty"`
}

// denial is an answer other than yes.
type denial struct {
	status int
	code   Reason
	reason string // a fixed word for programs and tests
	words  string // empty means the Reason's own
}

var (
	refusedRestart   = denial{http.StatusServiceUnavailable, Restart, "restart", ""}
	refusedSignedOut = denial{http.StatusForbidden, SignedOut, "signed out", ""}
	refusedAddress   = denial{http.StatusTooManyRequests, TooManyOfAddress, "too_many_of_address", ""}
	refusedGrant     = denial{http.StatusTooManyRequests, TooManyOfKey, "too_many_of_key", ""}
	refusedAll       = denial{http.StatusServiceUnavailable, TooMany, "too_many", ""}
	refusedBytes     = denial{http.StatusServiceUnavailable, TooManyBytes, "too_many_bytes", ""}
	refusedFast      = denial{http.StatusTooManyRequests, TooFast, "too_fast", ""}
	refusedUploads   = denial{http.StatusTooManyRequests, Limit, "too_many_uploads", ""}
	refusedUnknown   = denial{http.StatusNotFound, Gone, "unknown", ""}
	refusedElsewhere = denial{http.StatusMisdirectedRequest, Gone, "elsewhere", ""}
	refusedWay       = denial{http.StatusForbidden, 0, "way_off", "This server does not let its pages go this way."}
	refusedOrigin    = denial{http.StatusForbidden, NotAllowed, "foreign_origin", "This address may only be used by this server's own pages."}
	refusedPos       = denial{http.StatusBadRequest, Protocol, "bad_position", ""}
	refusedGap       = denial{http.StatusConflict, 0, "gap", ""}
	refusedMode      = denial{http.StatusBadRequest, Protocol, "bad_mode", ""}
	refusedLarge     = denial{http.StatusRequestEntityTooLarge, TooBig, "too_large", ""}
	refusedEncoding  = denial{http.StatusUnsupportedMediaType, Protocol, "encoded", ""}
	refusedBroken    = denial{http.StatusBadRequest, 0, "broken_upload", ""}
)

// Refuse answers no for a reason that is known before there is a visitor: Refused, SignedOut or Limit.
func (s *Pipes) Refuse(w http.ResponseWriter, why Reason) {
	status := http.StatusForbidden
	if why == Limit {
		status = http.StatusTooManyRequests
	}
	s.refuse(w, nil, denial{status, why, why.String(), ""})
}

// Own says whether a request comes from one of our own pages; otherwise it has been answered.
func (s *Pipes) Own(w http.ResponseWriter, r *http.Request) bool {
	if !SameOrigin(r, s.config.Origins) {
		s.refuse(w, nil, refusedOrigin)
		return false
	}
	return true
}

// Hello answers with what it was asked: the page learns how long a round trip takes, and that no login page of a hotel
// answers in our place. It also learns which ways there are.
func (s *Pipes) Hello(w http.ResponseWriter, r *http.Request) {
	s.reply(w, http.StatusOK, s.hello(r))
}

func (s *Pipes) hello(r *http.Request) answer {
	nonce := r.Header.Get(headerNonce)
	return answer{Nonce: nonce[:min(len(nonce), 64)], T: s.now(), Ways: s.config.Ways}
}

// offers says whether pages may go this way; otherwise the request has been answered.
func (s *Pipes) offers(w http.ResponseWriter, way string) bool {
	if !slices.Contains(s.config.Ways, way) {
		s.refuse(w, nil, refusedWay)
		return false
	}
	return true
}

// Open makes a pipe for this visitor and answers with its id, and as Hello does.
func (s *Pipes) Open(w http.ResponseWriter, r *http.Request, v Visitor) {
	p, refused := s.open(v)
	if refused != nil {
		s.refuse(w, nil, *refused)
		return
	}
	a := s.hello(r)
	a.ID = p.id
	s.reply(w, http.StatusOK, a)
}

// Up takes bytes of the page. The same upload may come twice; one with a gap before it is told where to go on.
func (s *Pipes) Up(w http.ResponseWriter, r *http.Request, v Visitor) {
	p, refused := s.lookup(r.Header.Get(headerSession), v)
	if refused != nil {
		s.refuse(w, nil, *refused)
		return
	}
	if !slices.Contains(s.config.Ways, wayPoll) && !s.offers(w, wayStream) {
		return
	}
	if !p.beginUpload() {
		s.limited.note(&refusedUploads)
		s.refuse(w, p, refusedUploads)
		return
	}
	defer p.endUpload()
	pos, posOK := parsePos(r.Header.Get(headerPos))
	ack, ackOK := parsePos(r.Header.Get(headerAck))
	if !posOK || !ackOK || !p.acknowledge(ack) {
		s.refuse(w, p, refusedPos)
		return
	}
	body, refused := readUpload(w, r)
	if refused != nil {
		s.refuse(w, p, *refused)
		return
	}
	if p.tooFast(len(body)) {
		p.End(TooFast)
		s.refuse(w, p, refusedFast)
		return
	}
	ok := p.upload(r.Context(), pos, body)
	if reason, over := p.ended(); over {
		s.refuse(w, p, denial{http.StatusGone, reason, reason.String(), ""})
		return
	}
	if !ok {
		s.refuse(w, p, refusedGap)
		return
	}
	p.begin()
	up, down := p.positions()
	s.reply(w, http.StatusOK, answer{Up: up, Down: down, T: s.now()})
}

// readUpload reads a whole body; a part of one is not taken, since nobody knows where it was cut.
func readUpload(w http.ResponseWriter, r *http.Request) ([]byte, *denial) {
	if r.Header.Get("Content-Encoding") != "" {
		return nil, &refusedEncoding
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &refusedLarge
	case err != nil:
		return nil, &refusedBroken
	}
	return body, nil
}

// refuse answers no, and why; with a pipe also how far it is.
func (s *Pipes) refuse(w http.ResponseWriter, p *pipe, why denial) {
	a := answer{T: s.now(), Code: why.code.Code(), Reason: why.reason, Words: why.words}
	if a.Words == "" {
		a.Words = why.code.Words()
	}
	if p != nil {
		a.Up, a.Down = p.positions()
	}
	if why.status == http.StatusTooManyRequests || (why.status == http.StatusServiceUnavailable && why.code != Restart) {
		w.Header().Set("Retry-After", "10")
	}
	s.config.Log.Debug("request of a pipe refused", "status", why.status, "reason", why.reason)
	s.reply(w, why.status, a)
}

func (s *Pipes) reply(w http.ResponseWriter, status int, a answer) {
	body, err := json.Marshal(a)
	if err != nil {
		http.Error(w, "", http.StatusInternalServerError) // cannot be: numbers and words
		return
	}
	plainHeaders(w.Header())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // who does not hear asks again
}

// plainHeaders ask everybody on the way to hand the answer on as it is and at once.
func plainHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
}

func (s *Pipes) now() int64 { return s.config.Now().UnixMilli() }

// longestPos is the largest whole number that JavaScript counts to without a mistake.
const longestPos = 1<<53 - 1

// parsePos reads a position: decimal digits in one way only.
func parsePos(text string) (int64, bool) {
	if text == "" || len(text) > 16 || (text[0] == '0' && len(text) > 1) || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n <= longestPos
}

// until is the shorter of two waits.
func until(a, b time.Time) time.Duration {
	if b.Before(a) {
		a = b
	}
	return time.Until(a)
}
