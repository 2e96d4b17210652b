package templates

import (
	"strconv"
	"time"
)

// Recorded is whether what a board shows is recorded.
type Recorded struct {
	Operator bool      // who looks can do something about it
	Why      string    // "full", "unsynced", "failing"; empty: it is recorded
	Since    time.Time // that it is not
	Still    bool      // and what is not recorded is not shown
	Lost     uint64    // messages of the last day that are not on record
	From, To time.Time // when they came

	Words   string // filled by [RecordedAs], as is the next; empty: there is nothing to say
	Missing string
}

// RecordedAs puts it into words. web/src/words.record.ts says the same; both are held to testdata/record.json.
func RecordedAs(r Recorded, now time.Time) Recorded {
	clock := func(at time.Time) string { return dayTime(at.Local(), now.Local()) } // the server's; a script says the reader's own
	if r.Why != "" {
		r.Words = recordWords(r, clock(r.Since))
	}
	if r.Lost > 0 {
		r.Missing = missingWords(r.Lost, clock(r.From), clock(r.To))
	}
	return r
}

func recordWords(r Recorded, since string) string {
	what, means, do := "This page's server cannot record since "+since+".", " Values are live but not kept.", " We keep trying."
	switch r.Why {
	case "full":
		what = "This page's server cannot record: its disk is full since " + since + "."
		do = " Whoever runs it has to make room."
	case "unsynced":
		what = "This page's server cannot record: its disk has been failing since " + since + "."
		do = " Whoever runs it has to check that disk."
	}
	if r.Still {
		means = " Values stand still until it can."
	}
	switch {
	case r.Operator && r.Why == "full":
		do = " Make room on that disk; then it goes on by itself."
	case r.Operator && r.Why == "unsynced":
		do = " Check that disk, then start the server again."
	case r.Operator:
		do = " Its log says why."
	}
	return what + means + do
}

func missingWords(n uint64, from, to string) string {
	words := "1 message was not recorded"
	if n != 1 {
		words = strconv.FormatUint(n, 10) + " messages were not recorded"
	}
	if from == to {
		return words + ", at " + to + "."
	}
	return words + ", between " + from + " and " + to + "."
}

// whose tells the script for whom it words this.
func (r Recorded) whose() string {
	if r.Operator {
		return "operator"
	}
	return "holder"
}
