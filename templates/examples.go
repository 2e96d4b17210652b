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

// HappenedExamples are a day on which much happened, one on which nothing did, and one with names that try to be markup.
var HappenedExamples = map[string]HappenedPage{
	"happened":         Happened(muchHappened),
	"happened-nothing": Happened(Telling{From: moment.Add(-24 * time.Hour), To: moment, Now: moment, Most: 10, Messages: 214}),
	"happened-hostile": Happened(Telling{
		From: moment.Add(-time.Hour), To: moment, Now: moment, Most: 10, Events: []HappenedEvent{
			{Kind: HappenedChanged, At: moment, From: moment, To: &moment, Entity: `<img src=x>`, Reading: `<b>`, Label: `<i>label</i>`, Value: `<u>on</u>`, Before: `&nbsp;`, Count: 1},
		},
	}),
}

var (
	every5, ago = 300.0, func(d time.Duration) *time.Time { at := moment.Add(-d); return &at }

	muchHappened = Telling{
		From: moment.Add(-22 * time.Hour), To: moment, Now: moment, Most: 14, Messages: 100_000, Many: true, More: true, Cut: true, Learning: 2,
		Events: []HappenedEvent{
			{Kind: HappenedQuiet, At: *ago(22 * time.Minute), From: *ago(22 * time.Minute), Entity: "greenhouse:soil", Usual: &every5, Rhythm: "steady"},
			{Kind: HappenedChanged, At: *ago(25 * time.Minute), From: *ago(9 * time.Hour), To: ago(25 * time.Minute), Entity: "door", Reading: "door", Label: "Door", Value: "closed", Before: "closed", Count: 214},
			{Kind: HappenedQuiet, At: *ago(time.Hour), From: *ago(107 * time.Minute), To: ago(time.Hour), Entity: "greenhouse", Usual: &every5, Rhythm: "steady"},
			{Kind: HappenedHighest, At: *ago(2 * time.Hour), From: *ago(2 * time.Hour), To: ago(2 * time.Hour), Entity: "greenhouse:climate", Reading: "temperature", Label: "Temperature", Value: "31.2", Before: "27.4", Unit: "°C"},
			{Kind: HappenedOutside, At: *ago(150 * time.Minute), From: *ago(3 * time.Hour), To: ago(150 * time.Minute), Entity: "greenhouse:climate", Name: "Glass house", Reading: "temperature", Label: "Temperature", Value: "31.2", Unit: "°C", Reason: "above 30 °C"},
			{Kind: HappenedChanged, At: *ago(3 * time.Hour), From: *ago(3 * time.Hour), To: ago(3 * time.Hour), Entity: "greenhouse:soil", Reading: "pump", Label: "Pump", Value: "On", Before: "Off", Count: 1},
			{Kind: HappenedPressed, At: *ago(4 * time.Hour), From: *ago(4 * time.Hour), To: ago(4 * time.Hour), Entity: "greenhouse:climate", Label: "Set the heating: 19 °C", Value: "19 °C", Who: "greenhouse", Reason: "answered"},
			{Kind: HappenedPressed, At: *ago(5 * time.Hour), From: *ago(5 * time.Hour), To: ago(5 * time.Hour), Entity: "gate", Label: "Open the gate", Who: "Operator", Reason: "accepted"},
			{Kind: HappenedPressed, At: *ago(6 * time.Hour), From: *ago(6 * time.Hour), Entity: "gate", Label: "Open the gate", Who: "Operator", Reason: "not_sent"},
			{Kind: HappenedGap, At: *ago(9 * time.Hour), From: *ago(9*time.Hour + 4*time.Minute), To: ago(9 * time.Hour), Reason: "stopped"},
			{Kind: HappenedQuiet, At: *ago(9*time.Hour + 4*time.Minute), From: *ago(10 * time.Hour), To: ago(9*time.Hour + 4*time.Minute), Entity: "gate", Reason: HappenedUnheard},
			{Kind: HappenedLowest, At: *ago(15 * time.Hour), From: *ago(15 * time.Hour), To: ago(15 * time.Hour), Entity: "greenhouse:climate", Reading: "humidity", Label: "Humidity", Value: "31", Before: "48", Unit: "%"},
			{Kind: HappenedGap, At: *ago(15 * time.Hour), From: *ago(20 * time.Hour), To: ago(15 * time.Hour), Reason: "unheard", Entity: "gate"},
			{Kind: HappenedChanged, At: *ago(21 * time.Hour), From: *ago(21 * time.Hour), To: ago(21 * time.Hour), Entity: "loft", Reading: "window", Label: "Window", Value: "open", Count: 1},
			{Kind: HappenedGap, At: *ago(22 * time.Hour), From: *ago(22 * time.Hour), Reason: "upstream"},
		},
	}
)
