package mqttproxy

import "strconv"

// Reason is why a session ended. Its number is the close code that the page is told. It is an error, so that it can be the
// cause with which a context is cancelled.
type Reason int

// The reasons of our own, the same on every carrier.
const (
	Done      Reason = 4000 // the page said DISCONNECT
	Moved     Reason = 4001 // another carrier took over
	Refused   Reason = 4003 // the key was withdrawn, or its time is over
	Gone      Reason = 4004 // the session named is not known here
	Taken     Reason = 4005 // the same id is used elsewhere
	Behind    Reason = 4008 // the page does not read fast enough
	Limit     Reason = 4009 // too many
	SignedOut Reason = 4010 // the browser signed out, or in as somebody else
	Restart   Reason = 4012 // this server stops or restarts
	Upstream  Reason = 4013 // the broker cannot be reached from here
	Silent    Reason = 4014 // nothing was heard in the time agreed

	TooManyOfAddress Reason = 4020 // pages from the same network
	TooManyOfKey     Reason = 4021 // pages with the same key
	TooMany          Reason = 4022 // pages in all
	TooManyBytes     Reason = 4023 // kept for all pages together
	TooFast          Reason = 4024 // more bytes a second than a page may send
	Idle             Reason = 4025 // the page was away for too long
)

// The reasons that WebSocket has a number for.
const (
	Protocol   Reason = 1002 // not MQTT 3.1.1, or a part of it that pages do not use
	NotBinary  Reason = 1003 // a text frame
	Lost       Reason = 1006 // the carrier broke; this code is never sent
	NotAllowed Reason = 1008 // something the Grant does not hold
	TooBig     Reason = 1009 // a packet above the limit
	Fault      Reason = 1011 // a mistake of ours
)

var reasons = map[Reason]struct{ name, words string }{
	Done:      {"done", ""},
	Moved:     {"moved", ""},
	Refused:   {"refused", "This access key no longer works."},
	Gone:      {"gone", "This session is over; opening a new one."},
	Taken:     {"taken", "Something else is using the same access key."},
	Behind:    {"behind", "We fell behind; some messages are only in the history."},
	Limit:     {"limit", "This page is very busy. We try again by ourselves."},
	SignedOut: {"signed out", "You signed out in another tab."},
	Restart:   {"restart", "Updating, back in a moment."},
	Upstream:  {"upstream", "Our link to the devices is down. Your connection is fine."},
	Silent:    {"silent", "We have not heard from this page for a while."},

	TooManyOfAddress: {"too many of address", "Too many pages are open from your network. We try again by ourselves."},
	TooManyOfKey:     {"too many of key", "Too many pages are open with this access key. We try again by ourselves."},
	TooMany:          {"too many", "This server is full at the moment. We try again by ourselves."},
	TooManyBytes:     {"too many bytes", "This server has too much to deliver at the moment. We try again by ourselves."},
	TooFast:          {"too fast", "This page sent too much at once. We try again by ourselves."},
	Idle:             {"idle", "This page was away for a while; opening a new session."},

	Protocol:   {"protocol error", "This page and its server do not understand each other. Please reload."},
	NotBinary:  {"not binary", "This page and its server do not understand each other. Please reload."},
	Lost:       {"lost", "The connection was lost."},
	NotAllowed: {"not allowed", "This access key may not do that."},
	TooBig:     {"too big", "That message is too big."},
	Fault:      {"fault", "Something went wrong on our side."},
}

// Code is the close code that the page is told.
func (r Reason) Code() int { return int(r) }

// Words is a sentence for people; empty where there is nothing to say.
func (r Reason) Words() string { return reasons[r].words }

// String names the reason for the log.
func (r Reason) String() string {
	if known, ok := reasons[r]; ok {
		return known.name
	}
	return strconv.Itoa(int(r))
}

// Error makes a Reason usable as the cause of a cancelled context.
func (r Reason) Error() string { return "session ended: " + r.String() }
