package templates

import "time"

// moment is when the examples happen; a fixed time keeps what they draw the same.
var moment = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// SignInExamples are the sign-in page as people meet it.
var SignInExamples = map[string]SignInPage{
	"signin":         {},
	"signin-service": {Service: "app.tendrl.com"},
	"signin-direct":  {Direct: true},
	"signin-refused": {Refused: "This access key was not accepted. Check that you copied all of it."},
}

// EnterExamples are the operator's way in.
var EnterExamples = map[string]EnterPage{
	"enter":         {},
	"enter-refused": {Refused: "This code was not accepted. It works once. Run trellis link on the server's machine for a new one."},
}

// ProblemExamples are the pages for what went wrong.
var ProblemExamples = map[string]ProblemPage{
	"problem": {
		Title: "There is no page here.", Sentence: "The address may have a mistake in it.",
		Action: "Go to your values", Href: "/", Details: "404 at 2026-05-01 12:00:00 UTC",
	},
	"problem-without-action": {Title: "Something went wrong on our side.", Sentence: "We have noted it. Please try again in a minute."},
}

// BoardExamples are the board: full, empty for a key holder, empty for the operator, with a name that tries to be
// markup, and in front of another service.
var BoardExamples = map[string]BoardPage{
	"board": {
		Ways:     []string{"socket", "stream", "poll"},
		Holder:   "greenhouse",
		Settings: keySettings("greenhouse"),
		Groups: Groups([]Card{
			{
				Entity: "greenhouse:climate", Reading: "temperature", Label: "Temperature", Value: "21.4", Unit: "°C", At: moment.Add(-30 * time.Second),
				Points: []Point{{At: moment.Add(-90 * time.Second), Value: 21.1}, {At: moment.Add(-30 * time.Second), Value: 21.4}},
			},
			{Entity: "greenhouse:climate", Reading: "humidity", Label: "Humidity", Value: "63", Unit: "%", At: moment.Add(-30 * time.Second)},
			{Entity: "greenhouse:climate", Reading: "rssi", Label: "Signal", Value: "\u221261", Unit: "dBm", At: moment.Add(-30 * time.Second), Minor: true},
			{Entity: "door", Reading: "door", Label: "Door", Value: "closed", At: moment.Add(-3 * time.Hour)},
			{Entity: "test", Reading: "temperature", Label: "Temperature", Value: "21.4", Unit: "°C", At: moment, ByHand: true},
			{Entity: "test", Reading: "count", Label: "Count", Value: "1,795,370,082", At: moment},
			{Entity: "test", Reading: "note", Label: "Note", Value: "The pump was looked at and needs a new seal", At: moment},
		}, moment),
	},
	"board-watched": {Holder: "greenhouse", Front: true, Holds: true, Watched: true, Settings: keySettings("greenhouse")},
	"board-front":   {Holder: "greenhouse", Front: true, Holds: true, Settings: keySettings("greenhouse")},
	"board-empty":   {Holder: "greenhouse", Settings: keySettings("greenhouse")},
	"board-empty-operator": {
		Holder: "Operator", Operator: true,
		Settings: Settings{Subscribe: []string{"acme/local/+/publish"}, Now: moment},
	},
	"board-empty-broker": {
		Holder: "Operator", Operator: true, Topics: []string{"home/{entity}/state", "zigbee2mqtt/{entity}"},
		Settings: Settings{Subscribe: []string{"home/+/state", "zigbee2mqtt/+"}, Publish: "$trellis/send/operator", SendsTo: "home/{entity}/set", Now: moment},
	},
	"board-hostile": {
		Holder:   `</title><script>alert(1)</script>`,
		Settings: keySettings(`</script><script>alert(2)</script>`),
		Groups: Groups([]Card{{
			Entity: `"><img src=x onerror=alert(3)>`, Reading: `<b>`, Label: `<i>label</i>`, Value: `<u>21</u>`, Unit: `&nbsp;`, At: moment,
		}}, moment),
	},
}

// CheckExamples are the check of a stranger, of one in front of another service, of one that pages may pass, of somebody with devices, and of one whose server is
// in trouble.
var CheckExamples = map[string]CheckPage{
	"check": {
		Ways: []string{"socket", "stream", "poll"}, Broker: Hop{Works: true, Took: 12 * time.Millisecond}, Seen: Seen{Protocol: "HTTP/1.1"},
	},
	"check-front": {
		Ways: []string{"socket", "stream", "poll"}, Broker: Hop{Works: true, Took: 12 * time.Millisecond}, Front: true, Service: true, Seen: Seen{Protocol: "HTTP/1.1"},
	},
	"check-direct": {
		Ways: []string{"socket", "stream", "poll"}, Broker: Hop{Works: true, Took: 12 * time.Millisecond}, Front: true, Service: true, Seen: Seen{Protocol: "HTTP/1.1"},
		Direct: "wss://broker.example.com/ws",
	},
	"check-devices": {
		Ways: []string{"socket", "stream", "poll"}, Broker: Hop{Works: true, Took: 12 * time.Millisecond},
		Seen: Seen{Protocol: "HTTP/1.1", Added: []string{"Via", "X-Forwarded-For"}}, SecureHost: "trellis.example.com",
		Devices: Heard([]DeviceHeard{
			{Entity: "greenhouse:climate", At: moment.Add(-30 * time.Second)},
			{Entity: "greenhouse:soil", At: moment.Add(-22 * time.Minute), Quiet: true},
			{Entity: `<b onload="x">`, At: moment.Add(-3 * time.Hour)},
		}, moment),
	},
	"check-trouble": {
		Ways: []string{"stream", "poll"}, Seen: Seen{Protocol: "HTTP/2.0"}, Devices: Heard(nil, moment),
	},
}

func keySettings(entity string) Settings {
	return Settings{
		Subscribe: []string{"acme/local/k1/publish", "acme/local/k1/messages"}, Publish: "acme/local/k1/publish", SendsTo: "acme/local/k1/publish", Entity: entity, Now: moment,
	}
}
