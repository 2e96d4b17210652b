package templates

import (
	"cmp"
	"strings"
	"time"
)

// gapSaid is what is said of a time in which nothing could be recorded; "between …" or "since …" follows.
type gapSaid struct {
	was string // of one that is over
	has string // of one that lasts
}

// gapsSaid has it for every reason that history gives, and under "" for one that it will give one day. web/src/words.away.ts says the same; both are
// held to testdata/gaps.json. {host} is whom our link leads to.
var gapsSaid = map[string]gapSaid{
	"stopped":  {"this page's server was off", "this page's server has been off"},
	"upstream": {"our link to {host} was down", "our link to {host} has been down"},
	"unheard":  {"this page's server did not listen", "this page's server has not listened"},
	"full":     {"the disk of this page's server was full", "the disk of this page's server has been full"},
	"failing":  {"this page's server could not record", "this page's server has not been able to record"},
	"":         {"nothing could be recorded", "nothing could be recorded"},
}

// gapMeans is what else is said where there is room for it.
var gapMeans = map[string]struct{ was, has, chart string }{
	"unheard": {has: ". What pages heard directly is not in the record", chart: ": pages were closed, or went past it"},
	"full":    {was: ", so nothing was recorded", has: ", so nothing is recorded"},
}

// SomeHost is whom our link leads to where the name is not known, or not everybody's to know.
const SomeHost = "the devices"

func gapOf(reason, host string) gapSaid {
	said, known := gapsSaid[reason]
	if !known {
		said = gapsSaid[""]
	}
	named := strings.NewReplacer("{host}", cmp.Or(host, SomeHost))
	return gapSaid{named.Replace(said.was), named.Replace(said.has)}
}

// GapWords names whose trouble a gap in a chart was: this page's server, or our link.
func GapWords(reason, host string) string {
	return capital(gapOf(reason, host).was) + gapMeans[reason].chart
}

// brokenWords says why nothing could be recorded, and for whom that was a matter.
func brokenWords(e HappenedEvent, now time.Time, host string) string {
	said := gapOf(e.Reason, host)
	if e.To == nil {
		return capital(said.has) + " since " + dayTime(e.From.In(now.Location()), now) + gapMeans[e.Reason].has + "."
	}
	return capital(said.was) + " " + fromTo("between", "and", e.From, *e.To, now) + gapMeans[e.Reason].was + "."
}
