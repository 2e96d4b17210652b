package templates

import (
	"math"
	"time"
)

// BoardExamples are the board: full, empty for a key holder, empty for the operator, with a name that tries to be
// markup, in front of another service, and with every look.
var BoardExamples = boardExamples()

func boardExamples() map[string]BoardPage {
	return map[string]BoardPage{
		"board-buttons": {
			Ways: []string{"socket", "stream", "poll"}, Holder: "greenhouse", Settings: keySettings("greenhouse"), Buttons: exampleButtons(),
		},
		"board":         board(Link{}, greenhouse(), nil),
		"board-usual":   board(Link{}, greenhouse(), knownDevices(30*time.Second, "steady", 5*time.Minute)),
		"board-looks":   board(Link{}, greenhouse(), knownDevices(22*time.Minute, "steady", 5*time.Minute)),
		"board-limits":  limited(),
		"board-change":  changed(),
		"board-lost":    board(Link{Down: true, To: "app.tendrl.com", Since: moment.Add(-58 * time.Minute)}, greenhouse(), knownDevices(time.Hour, "steady", 5*time.Minute)),
		"board-watched": {Holder: "greenhouse", Front: true, Holds: true, Watched: true, Settings: keySettings("greenhouse"), Summary: nothing},
		"board-full": {
			Holder: "Operator", Operator: true, Settings: keySettings("greenhouse"), Summary: nothing,
			Recorded: Recorded{Operator: true, Words: recordWords(Recorded{Why: "full", Operator: true}, "14:02"), Missing: missingWords(12, "14:02", "14:07")},
		},
		"board-front": {Holder: "greenhouse", Front: true, Holds: true, Settings: keySettings("greenhouse"), Summary: nothing},
		"board-empty": {Holder: "greenhouse", Settings: keySettings("greenhouse"), Summary: nothing},
		"board-empty-operator": {
			Holder: "Operator", Operator: true, Summary: nothing,
			Settings: Settings{Subscribe: []string{"acme/local/+/publish"}, Now: moment},
		},
		"board-empty-broker": {
			Holder: "Operator", Operator: true, Topics: []string{"home/{entity}/state", "zigbee2mqtt/{entity}"}, Summary: nothing,
			Settings: Settings{Subscribe: []string{"home/+/state", "zigbee2mqtt/+"}, Publish: "$trellis/send/operator", SendsTo: "home/{entity}/set", Now: moment},
		},
		"board-pretend": pretend(),
		"board-hostile": hostile(),
	}
}

const nothing = "Nothing was heard yet."

func board(link Link, cards []Card, known map[string]Device) BoardPage {
	p := BoardPage{Ways: []string{"socket", "stream", "poll"}, Holder: "greenhouse", Settings: keySettings("greenhouse"), Link: link, Zone: "UTC"}
	p.Arrange(cards, known, moment)
	return p
}

func pretend() BoardPage {
	p := board(Link{}, greenhouse(), nil)
	p.Holder, p.Pretend = "Operator", []string{"home/local/k1/publish", "home/local/k2/publish"}
	return p
}

func greenhouse() []Card {
	return []Card{
		{
			Entity: "greenhouse:climate", Reading: "temperature", Label: "Temperature", Value: "21.4", Unit: "°C", At: moment.Add(-30 * time.Second),
			Graph: warmDay(),
		},
		{Entity: "greenhouse:climate", Reading: "humidity", Label: "Humidity", Value: "63", Unit: "%", At: moment.Add(-30 * time.Second)},
		{Entity: "greenhouse:climate", Reading: "rssi", Label: "Signal", Value: "\u221261", Unit: "dBm", At: moment.Add(-30 * time.Second), Minor: true},
		{Entity: "greenhouse:climate", Reading: "mem_free", Label: "Memory", Value: "214", Unit: "MB left", Note: "42 % of 512 MB", At: moment.Add(-30 * time.Second), Minor: true},
		{Entity: "door", Reading: "door", Label: "Door", Value: "closed", At: moment.Add(-3 * time.Hour)},
		{Entity: "test", Reading: "temperature", Label: "Temperature", Value: "21.4", Unit: "°C", At: moment, ByHand: true},
		{Entity: "test", Reading: "count", Label: "Count", Value: "1,795,370,082", At: moment},
		{Entity: "test", Reading: "note", Label: "Note", Value: "The pump was looked at and needs a new seal", At: moment},
	}
}

// knownDevices is what is known of those in the greenhouse, with the climate's silence and rhythm.
func knownDevices(silent time.Duration, rhythm string, usual time.Duration) map[string]Device {
	return map[string]Device{
		"greenhouse:climate": {
			Heard: moment.Add(-silent), Rhythm: rhythm, Usual: usual, Old: usual * 3 / 2, Quiet: usual * 11 / 4,
			Facts: []string{"Its last message was like those before."},
		},
		"door": {Heard: moment.Add(-3 * time.Hour), Rhythm: "events"},
		"test": {Heard: moment.Add(-8 * time.Minute), Rhythm: "irregular", Usual: 4 * time.Minute, Old: 6 * time.Minute, Quiet: 20 * time.Minute},
	}
}

// warmDay is a graph of a day with two hours missing, and a band.
func warmDay() Graph {
	g := Graph{Begin: moment.Add(-24 * time.Hour), Step: 15 * time.Minute, Span: 24 * time.Hour, Last: 3, Low: "14", High: "22", Usual: &[24]Between{}}
	for i := range 96 {
		v := math.Round((18+4*math.Sin(float64(i-40)*math.Pi/48))*10) / 10
		if i >= 20 && i < 28 {
			v = math.NaN()
		}
		g.Means = append(g.Means, v)
	}
	for h := range g.Usual {
		middle := math.Round(18 + 4*math.Sin(float64(h-10)*math.Pi/12))
		g.Usual[h] = Between{middle - 1, middle + 1.5}
	}
	return g
}

// limited is a board with one value beyond its limit, and with the devices as the owner wants them.
func limited() BoardPage {
	cards, known := greenhouse(), knownDevices(30*time.Second, "steady", 5*time.Minute)
	high := 20.0
	cards[0].Attention, cards[0].Raw = "above 20 °C", "21.4"
	cards[0].Label = "Warmth"
	cards[1].Hidden = true
	door, climate := known["door"], known["greenhouse:climate"]
	door.Rank, door.Taught, climate.Name = 1, true, "Glass house"
	known["door"], known["greenhouse:climate"] = door, climate
	p := board(Link{}, cards, known)
	p.Changing = Changing{Ordered: true, Wishes: []Wish{
		{Entity: "door", Place: 1}, {Entity: "greenhouse:climate", Name: "Glass house"}, {Entity: "greenhouse:climate", Reading: "humidity", Hidden: true},
		{Entity: "greenhouse:climate", Reading: "temperature", Name: "Warmth", High: &high},
	}, Hidden: []HiddenThing{{Entity: "greenhouse:climate", Reading: "humidity", Name: "Glass house: Humidity"}}}
	return p
}

// changed is the same board while somebody changes it.
func changed() BoardPage {
	p := limited()
	p.Changing.On, p.Changing.Said = true, ChangeWords(ChangeSaved)
	for i, g := range p.Groups {
		p.Groups[i].Form = &SettingForm{Entity: g.Entity, Of: g.Called, Name: g.Device.Name, Usual: DeviceName(g.Entity), Changed: g.Device.Name != ""}
		for j, c := range g.Cards {
			f := &SettingForm{Entity: g.Entity, Reading: c.Reading, Of: g.Name + ": " + c.Label, Usual: c.Label}
			if c.Unit != "" {
				f.Measured, f.Sent, f.In, f.Shown = true, c.Unit, c.Unit, c.Unit
			}
			p.Groups[i].Cards[j].Form = f
		}
	}
	for j, c := range p.Groups[0].Cards {
		if c.Reading == "temperature" {
			f := p.Groups[0].Cards[j].Form
			f.Name, f.Usual, f.High, f.Units, f.Changed = "Warmth", "Temperature", "20", []string{"°C", "°F", "K"}, true
		}
	}
	return p
}

func hostile() BoardPage {
	p := BoardPage{Holder: `</title><script>alert(1)</script>`, Settings: keySettings(`</script><script>alert(2)</script>`)}
	p.Arrange([]Card{{
		Entity: `"><img src=x onerror=alert(3)>`, Reading: `<b>`, Label: `<i>label</i>`, Value: `<u>21</u>`, Unit: `&nbsp;`, At: moment,
		Attention: `"><img src=x>`, Raw: `"\"><img src=x>"`,
	}}, map[string]Device{`"><img src=x onerror=alert(3)>`: {Facts: []string{`<i>label</i>`}, Rhythm: `"><img src=x>`}}, moment)
	return p
}

func keySettings(entity string) Settings {
	return Settings{
		Subscribe: []string{"acme/local/k1/publish", "acme/local/k1/messages"}, Publish: "acme/local/k1/publish", SendsTo: "acme/local/k1/publish", Entity: entity, Now: moment,
	}
}
