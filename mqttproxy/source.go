package mqttproxy

import (
	"context"
	"time"

	"trellis/access"
)

// Source is the one interface upward: where messages come from and go to. The broker inside makes it true, or a session
// with another broker.
type Source interface {
	// Subscribe has every message handed to deliver, those of one sender and one quality of service in order; deliver does
	// not block. It may still be called once or twice while stop returns.
	Subscribe(deliver func(Message)) (stop func())
	// Publish sends a page's message. At QoS 1 it returns nil only when the message is safe.
	Publish(ctx context.Context, topic string, payload []byte, qos byte) error
	// State tells how the link to the broker is. It must be cheap: it is asked several times a second.
	State() State
}

// Links is a Source that reaches its broker over several links, each of which serves some of the Grants.
type Links interface {
	// Need says that somebody with this Grant is here, until release is called.
	Need(g access.Grant) (release func())
	// StateOf is State of the link that this Grant depends on.
	StateOf(g access.Grant) State
}

// Recorder is a Source that knows whether what it brings is recorded.
type Recorder interface {
	// Recording tells it to whoever has this Grant. It must be cheap: it is asked several times a second.
	Recording(g access.Grant) Recording
}

// NotSynced is said of a disk that has failed to keep what was written: only a new start can help.
const NotSynced = "unsynced"

// Recording is whether what a page sees is recorded, and how much of what it may hear was not.
type Recording struct {
	Why      string    // a fixed word: full (the disk is), [NotSynced], failing; empty: it is recorded
	Since    time.Time // that it is not
	Still    bool      // and what is not recorded is not shown
	Lost     uint64    // messages of the last day that were not recorded
	From, To time.Time // when they came
}

// State is how the link between this server and its broker is, as told to the page.
type State struct {
	Down  bool
	Since time.Time // when it became so; zero if that is not known
	Why   Why
}

// Why says what keeps a link down.
type Why string

// The reasons that a person can do something about; each has a sentence. WhyAway is every other.
const (
	WhyAway        Why = ""
	WhyTaken       Why = "taken"       // somebody else is connected as the same entity
	WhyOtherKey    Why = "other_key"   // another key that is in use here is connected as the same entity
	WhyConsent     Why = "consent"     // the broker wants us to connect as the entity itself, which would end the device's connection
	WhyRefused     Why = "refused"     // the broker lets the key not in, though it is good
	WhyCertificate Why = "certificate" // the broker's certificate is not accepted
	WhyLogin       Why = "login"       // the broker lets the one login not in that this server was given
	WhyTopics      Why = "topics"      // it lets it in, and hear nothing
	WhyTwin        Why = "twin"        // somebody else is connected under that login's client id
)

var whys = map[Why]string{
	WhyTaken:       "Something else is using the same access key, and the service that the key belongs to lets only one in at a time. Close the other program, or make a second key for this page.",
	WhyOtherKey:    "The service that this access key belongs to lets only one key of this device in at a time, and another one is in use on this server. Sign in with that key here too, or close the pages that are signed in with it and turn off there that this server keeps listening.",
	WhyConsent:     "The service that this access key belongs to lets it connect only as the device itself. If a device is using this key, it would be disconnected. Better: make a second key for this page.",
	WhyRefused:     "The service that this access key belongs to does not let it in, although it is a good one. Whoever runs that service can say why.",
	WhyCertificate: "Our link to the devices is down: the certificate at its other end is not accepted here. Whoever runs this server can say why.",
	WhyLogin:       "Our link to the devices is down: its other end refuses the login that this server was given. Whoever runs this server can correct it.",
	WhyTopics:      "Our link to the devices brings nothing: its other end lets this server in, but not hear what it was told to listen to. Whoever runs either can correct that.",
	WhyTwin:        "Something else has taken the place of our link to the devices: it uses the name that this server uses there, and only one is let in at a time. Whoever runs this server can give it another name.",
}

// Words is a sentence for people; empty where there is nothing to say but that the link is down.
func (w Why) Words() string { return whys[w] }
