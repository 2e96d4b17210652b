package server

import (
	"context"
	"errors"
	"fmt"
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
	if p, is := momentProblem(err); is {
		return p
	}
	if p, is := pressProblem(err); is {
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
	case errors.Is(err, errNoValue):
		return problem{404, "Not Found", "There is no such value, or it is not shown to you.", "value_unknown"}
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
	case errors.Is(err, errNoDevice):
		return problem{404, "Not Found", "There is no such device among your values.", "no_device"}
	case errors.Is(err, history.ErrNormalEnough):
		return problem{507, "Insufficient Storage", "That was said of as many devices as this board can remember. Take it back for one of them first.", "normal_enough"}
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
	if p, is := settingProblem(err); is {
		return p
	}
	return sendingProblem(err)
}

// settingProblem is the part of the table about what the owner of a board changes.
func settingProblem(err error) (problem, bool) {
	for cause, p := range map[error]problem{
		errNotHeard:             {404, "Not Found", "Nothing was heard of that here, so there is nothing to change.", "not_heard"},
		errChange:               {400, "Bad Request", "Say what to do: change, hide, show, up, down, reset or order.", "change"},
		errSettingName:          {400, "Bad Request", "A name is at most 60 letters long, on one line.", "setting_name"},
		errSettingUnit:          {400, "Bad Request", "A unit is at most 16 letters long, on one line.", "setting_unit"},
		errSettingDigits:        {400, "Bad Request", "Say digits as a whole number from 0 to 6, or leave it empty.", "setting_digits"},
		errSettingLimit:         {400, "Bad Request", "Write a limit as a plain number such as 21.5, or leave it empty.", "setting_limit"},
		errSettingLimits:        {400, "Bad Request", "The lower limit must be below the upper one.", "setting_limits"},
		errSettingWord:          {400, "Bad Request", "Only numbers have a unit, digits and limits.", "setting_word"},
		history.ErrSettingsFull: {507, "Insufficient Storage", "This board holds as many changes as it can. Take some of them back first.", "settings_full"},
	} {
		if errors.Is(err, cause) {
			return p, true
		}
	}
	return problem{}, false
}

// momentProblem is the part of the table about moments that people send.
func momentProblem(err error) (problem, bool) {
	var over momentOver
	switch {
	case errors.As(err, &over):
		return problem{410, "Gone", over.sentence(), "moment_over"}, true
	case errors.Is(err, errMomentUnknown):
		return problem{404, "Not Found", "This link is not known here. Check that you copied all of it.", "moment_unknown"}, true
	case errors.Is(err, errMomentClosed):
		return problem{404, "Not Found", "Open the link that was sent to you: this address alone shows nothing.", "moment_closed"}, true
	case errors.Is(err, errMomentEmpty):
		return problem{409, "Conflict", "Nothing was heard in this time, so there is nothing to send.", "moment_empty"}, true
	case errors.Is(err, errMomentUntil):
		return problem{400, "Bad Request", "Choose a date from today on, within ten years.", "moment_until"}, true
	case errors.Is(err, errMomentGone):
		return problem{404, "Not Found", "This link was withdrawn before, or it is not yours.", "moment_gone"}, true
	case errors.Is(err, history.ErrMomentsFull):
		return problem{409, "Conflict", fmt.Sprintf("You have sent %d moments that still hold, and that is as many as there may be. Withdraw one first.", history.MaxMoments), "moments_full"}, true
	case errors.Is(err, history.ErrMomentsCrowded):
		return problem{507, "Insufficient Storage", "This server keeps as many moments as it can. Whoever runs it can withdraw some.", "moments_crowded"}, true
	case errors.Is(err, history.ErrMomentLong):
		return problem{413, "Payload Too Large", "There is too much in this time for one moment. Choose a shorter one.", "moment_long"}, true
	}
	return problem{}, false
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
	case history.IsFull(err):
		return problem{507, "Insufficient Storage", "This page's server cannot do that now: its disk is full. Whoever runs it has to make room.", "full"}
	case errors.Is(err, history.ErrUnsynced):
		return problem{503, "Service Unavailable", "This page's server cannot do that now: its disk failed. Whoever runs it has to check that disk and start the server again.", "unsynced"}
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

// pressProblem is the part of the table about buttons and what is pressed.
func pressProblem(err error) (problem, bool) {
	var wrong errButton
	var often history.TooOftenError
	var number numberError
	var hours hoursError
	switch {
	case errors.As(err, &wrong):
		return problem{422, "Unprocessable Content", string(wrong), "button"}, true
	case errors.Is(err, history.ErrButtonsFull):
		return problem{409, "Conflict", "This board has as many buttons as it may have. Remove one first.", "buttons_full"}, true
	case errors.Is(err, history.ErrButtonUnknown):
		return problem{404, "Not Found", "This button is not there any more. Nothing was done.", "button_unknown"}, true
	case errors.Is(err, history.ErrButtonChanged):
		return problem{409, "Conflict", "This button has been changed since this page was loaded. Nothing was done; look at it again.", "button_changed"}, true
	case errors.As(err, &often):
		return problem{429, "Rate Limit Exceeded", "Not sent: it was pressed as often as it may be. " + templates.AgainIn(often.After), "too_often"}, true
	case errors.As(err, &number):
		return problem{422, "Unprocessable Content", "Not sent: choose a number " + templates.Choice(number.of.Min, number.of.Max, number.of.Step, number.of.Unit) + ".", "number"}, true
	case errors.As(err, &hours):
		return problem{403, "Forbidden", "Not sent: it may be pressed only " + templates.Hours(hours.button.From, hours.button.To, hours.button.Zone) + ".", "hours"}, true
	case errors.Is(err, errLate):
		return problem{409, "Conflict", "Not sent. Press again if you still want it.", "late"}, true
	case errors.Is(err, errUnsure):
		return problem{422, "Unprocessable Content", "This button asks first. Nothing was done.", "not_sure"}, true
	case errors.Is(err, errPressID):
		return problem{400, "Bad Request", "A press needs an id of its own, 16 to 64 letters and digits.", "press_id"}, true
	case errors.Is(err, errNoPress):
		return problem{404, "Not Found", "Nothing is known of this press: it did not arrive here.", "press_unknown"}, true
	case errors.Is(err, errNotUndone):
		return problem{409, "Conflict", "It is too late to undo that.", "not_undone"}, true
	}
	return problem{}, false
}

// answerError is echo's error handler: JSON for programs, a page for people.
func (s *Server) answerError(err error, c echo.Context) {
	p := problemOf(err)
	gone := errors.Is(err, context.Canceled) && c.Request().Context().Err() != nil // whoever asked
	if p.status >= 500 && p.status != http.StatusNotImplemented && !gone {
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
	var often history.TooOftenError
	switch {
	case errors.As(err, &ours):
		return ours.after, true
	case errors.As(err, &often):
		return often.After, true
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
