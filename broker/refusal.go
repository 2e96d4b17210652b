package broker

import "errors"

// Refusal is a reason for which the gate ends a connection. The sentinels below are compared with errors.Is.
type Refusal struct {
	sentence string
	answer   []byte // what the device is told before the connection is closed; nothing if empty
}

func (r *Refusal) Error() string { return r.sentence }

func connack(code byte) []byte { return []byte{typeConnack << 4, 2, 0, code} }

// The refusals before a session exists. 3.1.1 has a code for some of them; the rest are closed without a word, as it demands.
var (
	ErrNoConnect       = &Refusal{sentence: "the first packet is not a CONNECT"}
	ErrConnectTooLarge = &Refusal{sentence: "the CONNECT is larger than allowed"}
	ErrConnectLate     = &Refusal{sentence: "no CONNECT came within the time allowed"}
	ErrMalformed       = &Refusal{sentence: "the packet is malformed"}
	ErrNotMQTT         = &Refusal{sentence: "the CONNECT names another protocol than MQTT"}
	ErrProtocolLevel   = &Refusal{sentence: "only MQTT 3.1.1 is spoken here", answer: connack(1)}
	ErrMQTT5           = &Refusal{sentence: "MQTT 5 is not spoken here", answer: []byte{typeConnack << 4, 3, 0, 0x84, 0}}
	ErrUnavailable     = &Refusal{sentence: "the broker inside did not take the session", answer: connack(3)}
	ErrTooMany         = &Refusal{sentence: "too many connections", answer: connack(3)}
	ErrCrowdedOut      = &Refusal{sentence: "it said nothing yet and made room for a newer connection"}
	ErrTooManyOfKey    = &Refusal{sentence: "too many connections with this key", answer: connack(3)}
	ErrLogin           = &Refusal{sentence: "user name or key is wrong", answer: connack(4)}
	ErrKeyNotValid     = &Refusal{sentence: "the key has been revoked or has expired", answer: connack(5)}
	ErrClientID        = &Refusal{sentence: "the client id is not that of the key's entity", answer: connack(5)}
	ErrTooManySessions = &Refusal{sentence: "too many persistent sessions (clean session 0) with this key; connect once with clean session 1 to end one", answer: connack(2)}
	ErrWill            = &Refusal{sentence: "the key may not publish its will there", answer: connack(5)}
)

// The reasons for which a session ends other than by the device's own DISCONNECT.
var (
	ErrPacketType       = &Refusal{sentence: "a device may not send this type of packet"}
	ErrPacketFlags      = &Refusal{sentence: "the flags of the packet are not those of its type"}
	ErrPacketTooLarge   = &Refusal{sentence: "the packet is larger than allowed"}
	ErrPacketID         = &Refusal{sentence: "packet id 0 is not allowed"}
	ErrQoS              = &Refusal{sentence: "there is no QoS 3"}
	ErrTopic            = &Refusal{sentence: "the topic is not well formed"}
	ErrPublishElsewhere = &Refusal{sentence: "the key may not publish there"}
	ErrNoFilters        = &Refusal{sentence: "a SUBSCRIBE or UNSUBSCRIBE without a filter"}
	ErrUnfinishedTwo    = &Refusal{sentence: "too many QoS 2 publishes were never released"}
	ErrSecondConnect    = &Refusal{sentence: "a second CONNECT on one connection"}
)

// The ends that are nobody's fault.
var (
	ErrKeyEnded   = errors.New("the key was revoked or has expired")
	ErrTakenOver  = errors.New("another connection came with the same client id")
	ErrStopping   = errors.New("the server is stopping")
	ErrDeviceGone = errors.New("the device closed without a DISCONNECT")
	ErrStalled    = errors.New("the device stopped reading")
	ErrBrokerCut  = errors.New("the broker inside closed the session (keep-alive passed or queue full)")
	ErrFault      = errors.New("a fault of ours ended this connection")
)
