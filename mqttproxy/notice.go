package mqttproxy

import (
	"encoding/json"
	"errors"
	"time"
)

// sessionTopic is where a page is told what concerns only its own session. It needs no subscription.
const sessionTopic = "$trellis/session"

// The sentence with which a message is refused that the Source did not take.
const notTaken = "The message could not be delivered. It was not accepted; please send it again."

type notice struct {
	Dropped uint64        `json:"dropped,omitempty"` // messages lost since the last notice
	Total   uint64        `json:"total,omitempty"`   // messages lost in this session
	Refused *refusal      `json:"refused,omitempty"`
	Link    *linkWording  `json:"link,omitempty"`
	Record  *recordNotice `json:"record,omitempty"`

	Unrecorded bool `json:"unrecorded,omitempty"` // a message that came just now will not be on record
}

type recordNotice struct {
	Why   string     `json:"why"` // empty: what comes is recorded
	Since *time.Time `json:"since,omitempty"`
	Still bool       `json:"still,omitempty"`
	Lost  uint64     `json:"lost,omitempty"`
	From  *time.Time `json:"from,omitempty"`
	To    *time.Time `json:"to,omitempty"`
}

func recordingNotice(r Recording) []byte {
	return notice{Record: &recordNotice{Why: r.Why, Since: momentOf(r.Since), Still: r.Still, Lost: r.Lost, From: momentOf(r.From), To: momentOf(r.To)}}.packet()
}

// momentOf is a time as it is told; nil where there is none.
func momentOf(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC().Truncate(time.Millisecond)
	return &at
}

type refusal struct {
	ID       uint16 `json:"id"` // packet id of the PUBLISH; 0 for one at QoS 0
	Sentence string `json:"sentence"`
}

type linkWording struct {
	Up    bool       `json:"up"`
	Since *time.Time `json:"since,omitempty"`

	Why      string `json:"why,omitempty"`      // a fixed word; none where the broker cannot be reached
	Sentence string `json:"sentence,omitempty"` // what a person can do about it
}

// unrecordedNotice is said again while it goes on.
func unrecordedNotice() []byte { return notice{Unrecorded: true}.packet() }

func droppedNotice(lost, total uint64) []byte {
	return notice{Dropped: lost, Total: total}.packet()
}

// refusedNotice says that a message was not taken, in the words of whoever did not take it, if they have any.
func refusedNotice(id uint16, why error) []byte {
	sentence := notTaken
	var worded interface{ Sentence() string }
	if errors.As(why, &worded) {
		sentence = worded.Sentence()
	}
	return notice{Refused: &refusal{ID: id, Sentence: sentence}}.packet()
}

func linkNotice(state State) []byte {
	link := linkWording{Up: !state.Down, Why: string(state.Why), Sentence: state.Why.Words()}
	link.Since = momentOf(state.Since)
	return notice{Link: &link}.packet()
}

func (n notice) packet() []byte {
	payload, err := json.Marshal(n)
	if err != nil {
		return nil // only a year past 9999 can do this
	}
	return appendPublish(nil, sessionTopic, payload)
}
