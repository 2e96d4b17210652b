package templates

import "time"

// exampleButtons are a button of each kind, and presses at several stages.
func exampleButtons() Buttons {
	return Buttons{
		May: true, Entity: "greenhouse", Devices: []string{"greenhouse:climate", "<b>door"}, Readings: []string{"temperature", "roof"}, Zone: "UTC", Now: moment, More: true,
		List: []Button{
			{
				ID: "HEAT", Version: 1, Label: "Set the heating", Entity: "greenhouse:climate", Device: "Climate, Greenhouse", Data: "{}", Risk: "plain", Undo: true, First: true, Press: "EXAMPLEOFAPRESS1",
				Number:  &Number{Name: "setpoint", Min: 5, Max: 30, Step: 0.5, Start: 19, Offer: 21.5, Unit: "°C"},
				Pressed: Press{ID: "PRESSED-BEFORE-1", State: "answered", Words: "19 °C", Pressed: moment.Add(-time.Minute), Settled: moment.Add(-time.Minute), Heard: moment},
			},
			{
				ID: "ROOF", Version: 3, Label: "Open the roof", Entity: "greenhouse:climate", Device: "Climate, Greenhouse", Data: `{"roof":"open"}`, Risk: "hold", Answer: "roof", Press: "EXAMPLEOFAPRESS2",
				Most: 3, Per: 3600, From: 22 * 60, To: 6 * 60, Zone: "Europe/Berlin",
				Pressed: Press{ID: "PRESSED-BEFORE-2", State: "accepted", Pressed: moment.Add(-time.Hour), Settled: moment.Add(-time.Hour), Patient: moment.Add(-time.Minute)},
			},
			{
				ID: "DOOR", Version: 1, Label: `Shut </script> "it"`, Entity: "<b>door", Device: "<b>door", Unheard: "Nobody has been heard under this name yet. Did you mean <b>Door?", Data: `"<i>"`, Risk: "confirm", Answer: "-", Last: true, Press: "EXAMPLEOFAPRESS3",
				Pressed: Press{ID: "PRESSED-BEFORE-4", State: "waiting", Pressed: moment, Due: moment.Add(5 * time.Second)},
			},
		},
		Pressed: []Press{
			{
				ID: "PRESSED-BEFORE-1", Who: "greenhouse", Label: "Set the heating", Chosen: "19 °C", Device: "Climate, Greenhouse", State: "answered", Words: "19 °C",
				Pressed: moment.Add(-time.Minute),
			},
			{ID: "PRESSED-BEFORE-3", Who: "<b>", Label: "Open the roof", Device: "Climate, Greenhouse", State: "refused", Words: "<img src=x>", Pressed: moment.Add(-24 * time.Hour)},
		},
	}
}
