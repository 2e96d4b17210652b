package server

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"trellis/access"
	"trellis/history"
	"trellis/message"
	"trellis/templates"
)

// What a request can be refused for, besides the facts of package access.
var (
	errForeignOrigin = errors.New("the request comes from another site's page")
	errSignedOut     = errors.New("nobody is signed in")
	errElsewhere     = errors.New("this server has no broker of its own")
	errOtherBroker   = errors.New("this server stands in front of another broker")
	errCode          = errors.New("one-time code is unknown, used or too old")
	errChoice        = errors.New("a switch was sent that is neither on nor off")
)

// tooMany says that an address asks too often, and when it may ask again.
type tooMany struct{ after time.Duration }

func (t tooMany) Error() string { return "too many requests; again in " + t.after.String() }

// problem is an error in words: for the person, for a program, for the log.
type problem struct {
	status   int
	title    string // documented title of the REST API's errors
	sentence string
	reason   string // a fixed word for programs and for the log
}

// problemOf is the only table from an error to what people and programs are told.
func problemOf(err error) problem {
	var limited tooMany
	var routed *echo.HTTPError
	var large *http.MaxBytesError
	if p, is := queryProblem(err); is {
		return p
	}
	switch {
	case errors.Is(err, access.ErrKeyMissing):
		return problem{401, "Unauthorized", "An access key is needed: send it as 'Authorization: Bearer' and the key.", "key_missing"}
	case errors.Is(err, access.ErrKeyRevoked):
		return problem{403, "Forbidden", "This access key was withdrawn. Ask whoever gave it to you for a new one.", "key_revoked"}
	case errors.Is(err, access.ErrKeyExpired):
		return problem{401, "Unauthorized", "This access key has ended. Ask whoever gave it to you for a new one.", "key_expired"}
	case errors.Is(err, access.ErrKeyUnknown):
		return problem{401, "Unauthorized", "This access key was not accepted. Check that you copied all of it.", "key_unknown"}
	case errors.Is(err, errSignedOut):
		return problem{401, "Unauthorized", "You are not signed in here. Paste your access key again.", "signed_out"}
	case errors.Is(err, errCode):
		return problem{410, "Gone", "This link was used before, or is too old. Print a new one with: trellis link", "code_spent"}
	case errors.Is(err, access.ErrServiceAway):
		return problem{502, "Bad Gateway", "The service that this key belongs to is not answering. Your key and your internet may be fine; try again in a moment.", "service_away"}
	case errors.Is(err, access.ErrServiceCertificate):
		return problem{502, "Bad Gateway", "The service that this key belongs to does not prove who it is: its certificate is not accepted here. Whoever runs this server can say why.", "service_certificate"}
	case errors.Is(err, access.ErrServiceLimited):
		return problem{429, "Rate Limit Exceeded", "The service that this key belongs to was asked too often. Wait a moment, then try again.", "service_limited"}
	case errors.Is(err, access.ErrClaims):
		return problem{502, "Bad Gateway", "The service that this key belongs to gave an answer that we do not understand. Whoever runs this server can check its address.", "service_answer"}
	case errors.Is(err, errNoKey):
		return problem{403, "Forbidden", "Only the holder of an access key can do that.", "no_key"}
	case errors.Is(err, errElsewhere):
		return problem{421, "Misdirected Request", "Devices and programs do not connect here. This server shows pages for keys of another service: connect to that service itself.", "elsewhere"}
	case errors.Is(err, errOtherBroker):
		return problem{421, "Misdirected Request", "Devices and programs do not connect here. This server shows what another broker brings: connect to that broker itself.", "elsewhere"}
	case errors.Is(err, access.ErrWatchedEnough):
		return problem{507, "Insufficient Storage", "This server already keeps listening for as many access keys as it can. Whoever runs it can make room.", "watched_enough"}
	case errors.Is(err, errChoice):
		return problem{400, "Bad Request", "Say whether to keep listening: on is yes or no.", "choice"}
	case errors.Is(err, errForeignOrigin):
		return problem{403, "Forbidden", "This was sent by a page of another site, so nothing was done.", "foreign_origin"}
	case errors.As(err, &limited):
		return problem{429, "Rate Limit Exceeded", "Too many tries. Wait a moment, then try again.", "rate_limited"}
	case errors.As(err, &large):
		return problem{413, "Payload Too Large", "That is more than this page takes.", "too_large"}
	case errors.As(err, &routed) && routed.Code == http.StatusNotFound:
		return problem{404, "Not Found", "There is no page at this address.", "not_found"}
	case errors.As(err, &routed) && routed.Code < 500:
		sentence, _ := routed.Message.(string)
		return problem{routed.Code, http.StatusText(routed.Code), sentence, "refused"}
	}
	return sendingProblem(err)
}

// sendingProblem is the part of the table about messages that programs send and ask for, and about what is nobody's fault but ours.
func sendingProblem(err error) problem {
	var shape message.ShapeError
	switch {
	case errors.As(err, &shape):
		return problem{400, "Bad Request", "This is not a message as it is documented: " + string(shape) + ".", "message_shape"}
	case errors.Is(err, errExpires):
		return problem{400, "Bad Request", "Say expires as a whole number of seconds, from 1 to 86400.", "expires"}
	case errors.Is(err, errOnce):
		return problem{400, "Bad Request", "An Idempotency-Key is 1 to 255 letters, digits and signs.", "idempotency_key"}
	case errors.Is(err, errLimit):
		return problem{400, "Bad Request", "Say limit as a whole number, from 1 to 1000.", "limit"}
	case errors.Is(err, history.ErrLetterDiffers):
		return problem{422, "Unprocessable Content", "Another message was sent with this Idempotency-Key. Use a new one for each message.", "idempotency_reused"}
	case errors.Is(err, errNoMessage):
		return problem{404, "Not Found", "Nothing is known of this message: this key did not send it, or that is more than a day ago.", "message_unknown"}
	case errors.Is(err, history.ErrOutboxFull):
		return problem{429, "Rate Limit Exceeded", "Too many messages of this key wait to be sent. They are kept; this one was not taken. Send it again later.", "outbox_full"}
	case errors.Is(err, history.ErrOutboxCrowded):
		return problem{507, "Insufficient Storage", "Too many messages wait to be sent here. They are kept; this one was not taken. Send it again later.", "outbox_crowded"}
	case errors.Is(err, errOnlyShows):
		return problem{403, "Forbidden", "This server only shows what devices say; it cannot send to them.", "only_shows"}
	case errors.Is(err, errNotRecorded):
		return problem{501, "Not Implemented", "This server keeps no list of what was delivered to a key. Listen over MQTT, on the key's messages topic.", "not_recorded"}
	}
	return problem{500, "Internal Server Error", "Something went wrong on this page's server. Your internet is fine. Try again in a moment.", "internal"}
}

// answerError is echo's error handler: JSON for programs, a page for people.
func (s *Server) answerError(err error, c echo.Context) {
	p := problemOf(err)
	if p.status >= 500 && p.status != http.StatusNotImplemented {
		s.Log.Error("request failed", "route", c.Path(), "err", err)
	} else {
		s.Log.Debug("request refused", "route", c.Path(), "status", p.status, "reason", p.reason)
	}
	if c.Response().Committed {
		return
	}
	if after, limited := again(err); limited {
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(max(1, int(after.Round(time.Second)/time.Second))))
	}
	if p.status == http.StatusUnauthorized && strings.HasPrefix(c.Path(), "/api/") {
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Bearer realm="trellis"`)
	}
	if wantsJSON(c) {
		err = c.JSON(p.status, map[string]string{"error": p.title, "message": p.sentence, "reason": p.reason})
	} else {
		err = render(c, p.status, templates.Problem(templates.ProblemPage{
			Title: "That did not work.", Sentence: p.sentence, Action: "Back to the first page", Href: "/", Details: strconv.Itoa(p.status) + " " + p.reason,
		}))
	}
	if err != nil {
		s.Log.Debug("answer was not taken", "route", c.Path(), "err", err)
	}
}

// again says when somebody may ask again who asked too often: us, or the service behind us.
func again(err error) (after time.Duration, limited bool) {
	var ours tooMany
	var theirs access.LimitedError
	switch {
	case errors.As(err, &ours):
		return ours.after, true
	case errors.As(err, &theirs):
		return max(theirs.After, 5*time.Second), true
	case errors.Is(err, history.ErrOutboxFull), errors.Is(err, history.ErrOutboxCrowded):
		return 30 * time.Second, true
	}
	return 0, false
}

// wantsJSON is true for programs: the documented interface, and scripts that say so.
func wantsJSON(c echo.Context) bool {
	r := c.Request()
	return strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.URL.Path, "/.well-known/") ||
		strings.HasPrefix(r.Header.Get(echo.HeaderAccept), echo.MIMEApplicationJSON)
}

func render(c echo.Context, status int, page templ.Component) error {
	c.Response().Header().Set(echo.HeaderContentType, echo.MIMETextHTMLCharsetUTF8)
	c.Response().WriteHeader(status)
	return page.Render(c.Request().Context(), c.Response())
}

// keyRefused says whether an error is about the key itself, and not about this server.
func keyRefused(err error) bool {
	return errors.Is(err, access.ErrKeyMissing) || errors.Is(err, access.ErrKeyUnknown) ||
		errors.Is(err, access.ErrKeyRevoked) || errors.Is(err, access.ErrKeyExpired)
}
