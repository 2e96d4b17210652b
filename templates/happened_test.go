package templates

import (
	"strings"
	"testing"
	"time"
)

func TestDaysAreThoseOfTheReader(t *testing.T) {
	berlin := time.FixedZone("CEST", 2*3600)
	late := time.Date(2026, 4, 30, 22, 30, 0, 0, time.UTC) // half past midnight in Berlin
	e := HappenedEvent{Kind: HappenedChanged, At: late, From: late, To: &late, Entity: "door", Label: "Door", Value: "open", Before: "closed", Count: 1}
	for name, tt := range map[string]struct {
		now       time.Time
		day, time string
	}{
		"in UTC":    {moment, "Yesterday", "22:30"},
		"in Berlin": {moment.In(berlin), "Today", "00:30"},
		"later":     {moment.AddDate(0, 0, 3), "Thursday, April 30", "22:30"},
		"next year": {moment.AddDate(1, 0, 0), "Thursday, April 30, 2026", "22:30"},
	} {
		t.Run(name, func(t *testing.T) {
			p := Happened(Telling{From: late.Add(-time.Hour), To: moment, Now: tt.now, Events: []HappenedEvent{e}, Most: 10})
			if p.Days[0].Name != tt.day || p.Days[0].Rows[0].Time != tt.time {
				t.Errorf("%q at %q, want %q at %q", p.Days[0].Name, p.Days[0].Rows[0].Time, tt.day, tt.time)
			}
		})
	}
}

func TestTheSummaryCountsWhoAndNotHowOften(t *testing.T) {
	quiet := func(who string) HappenedEvent { return HappenedEvent{Kind: HappenedQuiet, Entity: who} }
	turned := HappenedEvent{Kind: HappenedChanged, Entity: "door", Reading: "door"}
	for want, events := range map[string][]HappenedEvent{
		"Nothing unusual.":                          nil,
		"1 device was quiet.":                       {quiet("a"), quiet("a")},
		"2 devices were quiet and 1 value changed.": {quiet("a"), turned, quiet("b"), turned},
		"1 device was quiet, 2 times are not in the record, 1 number was unusual and 1 value changed.": {
			turned, {Kind: HappenedGap}, {Kind: HappenedGap}, {Kind: HappenedHighest}, quiet("a"),
		},
	} {
		if got := happenedSummary(events); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for n, want := range map[int]string{0: "No message came.", 1: "1 message came.", 1234567: "1,234,567 messages came."} {
		if got := messagesCame(Telling{Messages: n}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestEachGapHasItsReason(t *testing.T) {
	ended := moment.Add(-time.Hour)
	for reason, want := range map[string][2]string{
		"stopped":  {"This page's server was off between 10:00 and 11:00.", ""},
		"upstream": {"Our link to tendrl.example was down between 10:00 and 11:00.", "Our link to tendrl.example has been down since 10:00."},
		"unheard":  {"This page's server did not listen between 10:00 and 11:00.", "This page's server has not listened since 10:00. What pages heard directly is not in the record."},
		"full":     {"The disk of this page's server was full between 10:00 and 11:00, so nothing was recorded.", "The disk of this page's server has been full since 10:00, so nothing is recorded."},
		"failing":  {"This page's server could not record between 10:00 and 11:00.", "This page's server has not been able to record since 10:00."},
	} {
		e := HappenedEvent{Kind: HappenedGap, From: moment.Add(-2 * time.Hour), To: &ended, Reason: reason}
		if got := brokenWords(e, moment, "tendrl.example"); got != want[0] {
			t.Errorf("%q, want %q", got, want[0])
		}
		if e.To = nil; want[1] != "" && brokenWords(e, moment, "tendrl.example") != want[1] {
			t.Errorf("%q, want %q", brokenWords(e, moment, "tendrl.example"), want[1])
		}
	}
}

func TestHowLongSomethingTook(t *testing.T) {
	for d, want := range map[time.Duration]string{
		20 * time.Millisecond: "1 s", 89 * time.Second: "89 s", 5 * time.Minute: "5 min", 89 * time.Minute: "89 min", 25 * time.Hour: "25 h", 9 * 24 * time.Hour: "9 days",
	} {
		if got := lasting(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

// Of a device that is heard now sooner, now later, the longest silence that is usual is known: it is not heard that often.
func TestHowOftenADeviceSpeaksIsSaidAsOnTheBoard(t *testing.T) {
	usual := (33 * time.Minute).Seconds()
	for rhythm, want := range map[string]string{"steady": "(usually every 33 min)", "irregular": "(usually within 33 min)"} {
		e := HappenedEvent{Kind: HappenedQuiet, At: moment, From: moment, Usual: &usual, Rhythm: rhythm}
		page := Happened(Telling{From: moment.Add(-time.Hour), To: moment, Now: moment, Events: []HappenedEvent{e}, Most: 1})
		if got := page.Days[0].Rows[0].Words; !strings.Contains(got, want) {
			t.Errorf("%s: %q", rhythm, got)
		}
		if got := Usually(rhythm, 33*time.Minute); got != " "+want {
			t.Errorf("%s: %q", rhythm, got)
		}
	}
}

// Words from before may have been removed, or never recorded: that nothing is known of them does not make it new.
func TestWhatIsFirstOnRecordNeedNotBeNew(t *testing.T) {
	e := HappenedEvent{Kind: HappenedChanged, At: moment, From: moment, Label: "Door", Value: "shut", Count: 1}
	page := Happened(Telling{From: moment.Add(-time.Hour), To: moment, Now: moment, Events: []HappenedEvent{e}, Most: 1})
	if got := page.Days[0].Rows[0].Words; got != "was Shut. Nothing earlier is on record." {
		t.Errorf("%q", got)
	}
}

func TestZonesAreNamedAsPeopleKnowThem(t *testing.T) {
	for zone, want := range map[string]string{"UTC": "UTC", "Europe/Berlin": "CEST", "Asia/Kathmandu": "UTC+05:45", "Etc/GMT+1": "UTC-01:00"} {
		in, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		if got := ZoneWords(moment.In(in)); got != want {
			t.Errorf("%s is called %q, want %q", zone, got, want)
		}
		if got, want := LogTime(moment, moment.In(in)), moment.In(in).Format("Jan 2, 15:04")+" "+want; got != want {
			t.Errorf("in %s %q, want %q", zone, got, want)
		}
	}
}
