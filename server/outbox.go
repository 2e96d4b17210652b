package server

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/history"
	"trellis/message"
)

// What a program may ask for.
const (
	maxMessage   = 128 << 10 // bytes, as over MQTT
	expiresIn    = time.Hour // unless the program says something else
	maxExpires   = 24 * time.Hour
	maxOnce      = 255
	mostMessages = 1000 // in one answer
	someMessages = 100
	settleIn     = 5 * time.Second // how long an answer waits for a broker of our own
)

var (
	errExpires     = errors.New("expires is no time that a message may wait")
	errOnce        = errors.New("the idempotency key has a form that is not taken")
	errLimit       = errors.New("limit is no number of messages")
	errNoMessage   = errors.New("no message with this id was sent with this key")
	errOnlyShows   = errors.New("nothing can be sent from here")
	errNotRecorded = errors.New("what is delivered to a key is not recorded here")
)

// left says how a message fares that a program has left.
type left struct {
	ID    string     `json:"id"`
	State string     `json:"state"`
	Until time.Time  `json:"until"`
	Done  *time.Time `json:"done,omitempty"`
}

func leftOf(l history.Letter) left {
	out := left{ID: l.ID, State: l.State.String(), Until: l.Until.UTC().Truncate(time.Millisecond)}
	if !l.Done.IsZero() {
		done := l.Done.UTC().Truncate(time.Millisecond)
		out.Done = &done
	}
	return out
}

// leaveMessage takes a message of a program, keeps it, and only then answers. It is sent by the outbox.
func (s *Server) leaveMessage(c echo.Context) error {
	g, err := s.sender(c)
	if err == nil {
		err = s.senders.take(g.KeyID)
	}
	if err != nil {
		return err
	}
	l, asked, err := s.readMessage(c, g)
	if err != nil {
		return err
	}
	if l, err = s.Store.LeaveLetter(c.Request().Context(), l, asked); err != nil {
		return err
	}
	s.Outbox.Wake(g.KeyID)
	if !s.ofService() {
		l = s.settled(c, l) // our own broker takes it at once, unless it is in trouble; so does another that is there
	}
	c.Response().Header().Set(echo.HeaderLocation, "/api/entities/messages/"+url.PathEscape(l.ID))
	return c.JSON(http.StatusAccepted, leftOf(l))
}

// readMessage checks all that a program sent before any of it is kept.
func (s *Server) readMessage(c echo.Context, g access.Grant) (l history.Letter, asked history.Leaving, err error) {
	r := c.Request()
	if r.Header.Get("Content-Encoding") != "" {
		return l, asked, echo.NewHTTPError(http.StatusUnsupportedMediaType, "Send the message as it is, not compressed.")
	}
	payload, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, maxMessage))
	if err != nil {
		return l, asked, fmt.Errorf("read message: %w", err)
	}
	if err := message.Check(payload); err != nil {
		return l, asked, err
	}
	within, err := expiry(c.QueryParams())
	if err != nil {
		return l, asked, err
	}
	if asked.Once, err = once(r.Header.Values("Idempotency-Key")); err != nil {
		return l, asked, err
	}
	asked.Digest = sha256.Sum256(append(strconv.AppendInt(nil, int64(within/time.Second), 10), append([]byte{0}, payload...)...))
	if len(g.Publish) == 0 {
		return l, asked, errOnlyShows
	}
	now := s.Now()
	return history.Letter{ID: rand.Text(), KeyID: g.KeyID, Topic: g.Publish[0], Payload: payload, Made: now, Until: now.Add(within)}, asked, nil
}

// expiry is how long a message may wait to be sent.
func expiry(query url.Values) (time.Duration, error) {
	if !query.Has("expires") {
		return expiresIn, nil
	}
	seconds, err := strconv.Atoi(query.Get("expires"))
	if err != nil || seconds < 1 || seconds > int(maxExpires/time.Second) {
		return 0, errExpires
	}
	return time.Duration(seconds) * time.Second, nil
}

// once is the sum of the name that a program gives a message, so that it can send it again without its being sent twice.
func once(values []string) (*[32]byte, error) {
	if len(values) == 0 {
		return nil, nil
	}
	name := values[0]
	if len(values) > 1 || name == "" || len(name) > maxOnce {
		return nil, errOnce
	}
	for _, b := range []byte(name) {
		if b < ' ' || b > '~' {
			return nil, errOnce
		}
	}
	sum := sha256.Sum256([]byte(name))
	return &sum, nil
}

// settled waits a little for what becomes of a message.
func (s *Server) settled(c echo.Context, l history.Letter) history.Letter {
	done, leave := s.Outbox.Follow(l.ID)
	defer leave()
	timer := time.NewTimer(settleIn)
	defer timer.Stop()
	for last := false; ; {
		now, there, err := s.Store.FindLetter(c.Request().Context(), l.KeyID, l.ID)
		if err != nil || !there {
			return l
		}
		if l = now; last || l.State != history.LetterWaiting {
			return l
		}
		select {
		case <-done:
			done = nil // once more: what became of it is written down
		case <-timer.C:
			last = true // once more: nobody is told of one that has expired
		case <-c.Request().Context().Done():
			return l
		}
	}
}

// findMessage says what became of a message.
func (s *Server) findMessage(c echo.Context) error {
	g, err := s.sender(c)
	if err != nil {
		return err
	}
	l, there, err := s.Store.FindLetter(c.Request().Context(), g.KeyID, c.Param("id"))
	switch {
	case err != nil:
		return err
	case !there:
		return errNoMessage
	}
	return c.JSON(http.StatusOK, leftOf(l))
}

// checkMessages gives a program what was recorded for its key since it last asked. A broker of our own delivers to whoever listens,
// and records what was sent, not to whom it went: there is nothing to give there.
func (s *Server) checkMessages(c echo.Context) error {
	g, err := s.sender(c)
	if err != nil {
		return err
	}
	if !s.ofService() {
		return errNotRecorded
	}
	limit := someMessages
	if given := c.QueryParams(); given.Has("limit") {
		if limit, err = strconv.Atoi(given.Get("limit")); err != nil || limit < 1 || limit > mostMessages {
			return errLimit
		}
	}
	s.Front.Listen(g)
	payloads, err := s.Store.Unasked(c.Request().Context(), g.KeyID, g.Subject.MessagesTopic(g.KeyID), limit)
	if err != nil {
		return err
	}
	all := make([]json.RawMessage, len(payloads))
	for i, p := range payloads {
		all[i] = p // recorded as JSON, whatever came
	}
	return c.JSON(http.StatusOK, all)
}

// sender is whoever shows a key. That the service behind us does not answer is no reason to turn away a key that it knew when it last
// did: what is left here waits for it.
func (s *Server) sender(c echo.Context) (access.Grant, error) {
	key := bearer(c.Request())
	g, err := s.asked(c, key)
	away := errors.Is(err, access.ErrServiceAway) || errors.Is(err, access.ErrServiceCertificate) || errors.Is(err, access.ErrServiceLimited)
	if away && s.ofService() {
		if held, unknown := s.Front.Held(key); unknown == nil {
			return held, nil
		}
	}
	s.countRefusal(err)
	return g, err
}
