// Package templates draws the pages: each takes one struct of ready words, decides nothing and calls nothing.
//
// The browser's scripts (web/src) decorate this markup and never make their own: what they need to draw a new card is in
// a template element on the page, made by the same component. Start at [SignIn] and [Board]; examples.go shows each of them.
package templates

import "time"

// SignInPage asks for an access key. A refused key is never printed back: without script its field comes back empty.
type SignInPage struct {
	Refused string // the sentence that says why the last try failed; empty at first
	Service string // the service that the keys belong to; empty where they are this server's own
	Direct  bool   // pages may use the key themselves, so this one keeps it when it becomes the board
}

// EnterPage takes the operator's one-time code, from the address by script or by hand.
type EnterPage struct {
	Refused string
}

// ProblemPage is for whatever went wrong: what happened, what it means, one thing to do.
type ProblemPage struct {
	Title    string // "There is no page here."
	Sentence string // what it means for the reader
	Action   string // words on the one button; empty means none
	Href     string // where it leads
	Details  string // for IT: a code, a time; folded away; empty means none
}

// CheckPage is what this server knows of a visitor's way to it before a script has tried that way: for whoever comes,
// signed in or not.
type CheckPage struct {
	Ways       []string      // that this server offers to its pages, best first: "socket", "stream", "poll"
	SecureHost string        // host and port of the public address if that is https; empty otherwise
	Broker     Hop           // from this server to its broker
	Front      bool          // that broker is somebody else's: it can be reached, more is not known
	Service    bool          // it is a service's, whose keys this server holds
	Direct     string        // where pages reach it past this server; empty where they do not
	Seen       Seen          // how the request came here
	Devices    *DevicesHeard // nil for a stranger, who learns nothing of devices
}

// Hop is one part of the way, and how a message of ours fared on it, or a connection where we may send no message.
type Hop struct {
	Works bool
	Took  time.Duration // there and back
}

// Seen says how a request arrived. It holds names of headers and never what they say.
type Seen struct {
	Protocol string   `json:"protocol"` // "HTTP/1.1": of the last part of the way, which may be a proxy's
	Added    []string `json:"added"`    // headers that browsers do not send: some proxy put them there
	Missing  []string `json:"missing"`  // headers that our script sent and that did not come
}

// DevicesHeard is when the devices that a visitor may see were last heard, the longest silent first; from [Heard].
type DevicesHeard struct {
	State string        `json:"state"` // "works", "quiet", "silent" when all are quiet, "none", "unknown"
	Words string        `json:"words"` // "4 devices heard, 1 is quiet."
	List  []DeviceHeard `json:"list"`
	More  string        `json:"more"` // "and 12 more"; may be empty
}

// DeviceHeard is one device.
type DeviceHeard struct {
	Entity string    `json:"-"`
	At     time.Time `json:"-"`
	Name   string    `json:"name"`  // the owner's; filled by [Heard] where there is none, as are the next two
	Place  string    `json:"place"` // may be empty
	Age    string    `json:"age"`   // "Last heard 2 min ago"
	Quiet  bool      `json:"quiet"` // longer than it usually is
}

// BoardPage is the live page of whoever holds a grant.
type BoardPage struct {
	Holder   string   // whose page it is: "greenhouse", "Operator"
	Front    bool     // the keys are another service's, which may ask for the device's place
	Holds    bool     // and this page is of somebody who holds one
	Watched  bool     // this server keeps listening with it when no page is open
	Operator bool     // the operator has no key of their own: the page says how to add one
	Topics   []string // what this server hears from a broker of any kind, where what is sent is for a device; none elsewhere
	Ways     []string // that this page may go, best first: "direct", "socket", "stream", "poll"
	Settings Settings
	Link     Link     // our own with the devices' broker
	Pretend  []string // topics of the pretend greenhouse, where all that is shown is of it
	Zone     string   // of the times that are printed: "UTC"

	Groups   []Group // from [BoardPage.Arrange], as is the next
	Summary  string  // what needs attention, or that nothing does, in one sentence
	Changing Changing
	Recorded Recorded // from [RecordedAs]

	Buttons Buttons // what the holder may press
}

// Settings is what the scripts need to know, printed as a data block.
type Settings struct {
	Subscribe []string  `json:"subscribe"` // filters that /live will grant
	Publish   string    `json:"publish"`   // topic to publish on; empty when this page may only look
	SendsTo   string    `json:"-"`         // the same as people are told
	Entity    string    `json:"entity"`    // the entity of the key; empty for the operator
	Now       time.Time `json:"now"`       // the server's clock, so that a wrong one in a browser does not falsify ages
}

// Card is one value of one entity, in the words that message.Describe gives, or that the owner gave. Entity and Reading say which it is.
type Card struct {
	Entity    string // id of the entity
	Reading   string // name of the reading inside the message's data: "soil.moisture_pct"
	Label     string // "Soil moisture"
	Value     string // "41.3"
	Unit      string // "%"; may be empty
	Note      string // "3 % of 512 MB"; may be empty
	At        time.Time
	Minor     bool         // of the device itself, such as the strength of its signal: folded away
	ByHand    bool         // a person sent it from a page: it must not look measured
	Attention string       // what is the matter with the value, as it stands after "is": "above 30 °C"; empty: nothing
	Hidden    bool         // by the owner: it stays on the page unseen, so that no script makes it anew
	Raw       string       // the value as it was sent, JSON: what another unit is made of
	Form      *SettingForm // nil: nobody is changing anything
	Graph     Graph

	Look Look   // filled by [BoardPage.Arrange], as are the next two
	Word string // before the age: "Live ·"
	Age  string // "30 s ago"
}

// Group is the cards of one entity.
type Group struct {
	Entity string
	Name   string // "Temp sensor"
	Place  string // "Smart home, living room"; may be empty
	Called string // in sentences: the name, and the place where another device has the same name
	Rank   int    // where the owner wants it among the others, from 1; 0: by name, behind those
	Hidden bool   // by the owner
	Device Device
	Look   Look
	State  string // "Quiet since 13:40 (usually every 5 min)"
	Silent string // "Usually every 5 minutes. Nothing for 22."; empty while it is not quiet
	Cards  []Card
	More   []Card // minor ones
	Form   *SettingForm
}

func (g Group) headingID() string { return PlaceOf(g.Entity, "") }

func (g Group) placeID() string { return "at-" + idOf(g.Entity) }

// labels are what names a device for those who cannot see where it stands: others may have its name.
func (g Group) labels() string {
	if g.Place == "" {
		return g.headingID()
	}
	return g.headingID() + " " + g.placeID()
}
