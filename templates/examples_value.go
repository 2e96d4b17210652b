package templates

import "time"

// ValueExamples are the page of one value: of numbers with what is not known of them, of words just after a link was made, of nothing, and
// of one that tries to be markup.
var ValueExamples = map[string]ValuePage{
	"value": {
		Drawn: exampleDrawn, Holder: "greenhouse", Entity: "greenhouse:climate", Reading: "temp_c",
		Value: "21.4", At: moment.Add(-30 * time.Second), Age: "30 s ago", Live: true, Ways: []string{"socket", "stream", "poll"}, Settings: keySettings("greenhouse"),
		Spans:   []SpanLink{{Words: "Hour", Href: "/value?span=hour"}, {Words: "Day", Href: "/value?span=day", Here: true}},
		Earlier: "/value?span=day&to=2026-04-30T12%3A00%3A00Z",
		Exports: []Export{{"The values shown, as CSV", "/history/export?entity=greenhouse%3Aclimate"}},
		Code:    []Snippet{{"code-curl", "curl", "curl --fail"}},
		Moments: Moments{Span: "day", To: "2026-05-01T12:00:00Z", Href: "/value?span=day", List: []SentLink{
			{ID: "m1", Title: "A cold night", From: moment.Add(-24 * time.Hour), To: moment, State: "No end", Opened: "Opened 3 times, last 2 h ago", By: "phone"},
			{ID: "m2", Title: "A warm day", From: moment.Add(-24 * time.Hour), To: moment, State: "Ended on Sunday", Opened: "Not opened yet", Over: true},
		}},
	},
	"value-words": {
		Drawn: Drawn{
			Name: "Door", Label: "Door", Title: "One day", From: moment.Add(-24 * time.Hour), To: moment,
			Chart: Chart{
				Words: "Door: Closed for 23 h.", Times: []Tick{{"50.00%", "00:00"}},
				Lanes: []Lane{{"Closed", []Box{{X: "0", Wide: "900"}}}, {"Open", []Box{{X: "900", Wide: "100"}}}},
			},
			Facts: []Fact{{Name: "Closed", Value: "22 h", Unit: "(90 %)"}, {Name: "Open", Value: "2 h", Unit: "(10 %)"}},
			Table: Table{Heads: []string{"From", "Value", "For"}, Rows: []TableRow{{From: moment.Add(-2 * time.Hour), Cells: []string{"Open", "2 h"}}}},
		},
		Holder: "Operator", Entity: "door", Reading: "door", Value: "Open", At: moment, Age: "just now", ByHand: true, Earlier: "/value", Later: "/value",
		Moments: Moments{Made: &MadeLink{"Open all night", "localhost:8080/moment#CODE", "localhost"}},
	},
	"value-empty": {
		Drawn:  Drawn{Name: "Door", Label: "Door", Title: "One day", From: moment.Add(-24 * time.Hour), To: moment, Empty: true},
		Holder: "Operator", Entity: "door", Reading: "door", Earlier: "/value", Moments: Moments{Refused: "Nothing was heard in this time, so there is nothing to send."},
	},
	"value-hostile": {
		Drawn: Drawn{
			Name: `<img src=x onerror=alert(1)>`, Place: `<b>`, Label: `</title><script>alert(2)</script>`, Unit: `<u>`, Title: "The last day",
			Chart: Chart{Words: `"><script>alert(3)</script>`, Lanes: []Lane{{`</text><script>alert(4)</script>`, []Box{{X: "0", Wide: "9", Words: `<script>alert(5)</script>`}}}}},
			Facts: []Fact{{Name: `<script>alert(6)</script>`}}, Data: map[string]string{"reading": `</script><script>alert(7)</script>`},
			Table: Table{Heads: []string{"From"}, Rows: []TableRow{{Cells: []string{`<script>alert(8)</script>`}}, {Words: `<script>alert(9)</script>`}}},
			Gaps:  []Gap{{Words: `<script>alert(10)</script>`}},
		},
		Holder: `<script>alert(11)</script>`, Entity: `"><script>alert(12)</script>`, Reading: `"><script>alert(13)</script>`, Value: `<script>alert(14)</script>`, Earlier: "/value",
		Code:    []Snippet{{"code-curl", "curl", `</code><script>alert(15)</script>`}},
		Moments: Moments{List: []SentLink{{Title: `"><script>alert(16)</script>`}}},
	},
}

var exampleDrawn = Drawn{
	Name: "Climate", Place: "Greenhouse", Label: "Temperature", Unit: "°C", Title: "The last day", From: moment.Add(-24 * time.Hour), To: moment, Begins: moment.Add(-23 * time.Hour),
	Chart: Chart{
		Line: "M0 240L500 120M600 100L1000 10", Band: "M0 230L500 110L500 130L0 240Z", Dots: "M550 100h0", Words: "Temperature: between 18.2 °C and 24 °C.",
		Levels: []Level{{"240", "18", "°C"}, {"0", "24", "°C"}}, Times: []Tick{{"50.00%", "00:00"}}, Boxes: []Box{{X: "500", Wide: "40", Words: "This page's server was off"}},
	},
	Facts:    []Fact{{"Lowest", "18.2", "°C", moment.Add(-8 * time.Hour), moment.Add(-8*time.Hour + 5*time.Minute)}, {Name: "Mean", Value: "21", Unit: "°C"}, {"Highest", "24", "°C", moment.Add(-20 * time.Hour), time.Time{}}},
	Gaps:     []Gap{{"This page's server was off", moment.Add(-12 * time.Hour), moment.Add(-11 * time.Hour)}, {Words: "Quiet (usually every 5 min)", From: moment.Add(-time.Hour)}},
	MoreGaps: "and 3 earlier",
	Table: Table{
		Heads: []string{"From", "Lowest", "Mean", "Highest", "Values"}, Note: "The newest 60 rows; 3 earlier ones are left out.",
		Rows: []TableRow{{From: moment.Add(-13 * time.Hour), Cells: []string{"20 °C", "21 °C", "22 °C", "6"}}, {From: moment.Add(-12 * time.Hour), To: moment.Add(-11 * time.Hour), Words: "This page's server was off"}},
	},
	Data: map[string]string{"span": "day"},
}

// MomentExamples are a moment that somebody sent.
var MomentExamples = map[string]MomentPage{
	"moment": {Drawn: exampleDrawn, Title: "A cold night", Sent: moment, Ends: "This link ends on Sunday."},
}

// MomentDoorExamples are the way to one.
var MomentDoorExamples = map[string]MomentDoorPage{
	"moment-door":         {},
	"moment-door-refused": {Refused: "This link is not known here. Check that you copied all of it."},
}
