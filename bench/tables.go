package main

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// line is one row of the table beside mosquitto.
type line struct {
	measure, figure string
	name, unit      string
	better          better
	aim             string
}

func besideMosquitto(o options) []line {
	return []line{
		{"fan-out", delivered, fmt.Sprintf("fan-out to %d pages, delivered", o.pages), "messages/s", more, "≥ 10×"},
		{"fan-out", allCPU, "  server CPU per delivered message", "µs", less, ""},
		{"fan-out", late, fmt.Sprintf("  p99 from publisher to page, %.0f messages/s", paceToAll.perSecond()), "ms", less, ""},
		{"memory", held, "memory per idle page", "KiB", less, "≤ 24 KiB"},
		{"devices", held, "memory per idle device", "KiB", less, ""},
		{"durable", delivered, "durable QoS 1 publishes, for a session that is away", "messages/s", more, ""},
	}
}

// row is one way in a table, and the way that it is compared with.
type row struct{ way, against, about string }

// column is one figure in a table.
type column struct {
	head            string
	measure, figure string
	compare         better // as a ratio
	added           bool   // as a difference
}

// table compares ways.
type table struct {
	title   string
	rows    []row
	columns []column
}

func tables(o options) []table {
	relayed := table{
		title: fmt.Sprintf("Relays between one broker and %d subscribers. One message reaches %d; delays at %.0f messages/s.",
			o.clients, devicesOfAKey, paceToGroups.perSecond()),
		columns: []column{
			{"delivered/s", "relay", delivered, more, false},
			{"CPU µs each", "relay", allCPU, less, false},
			{"proxy's part", "relay", proxyCPU, "", false},
			{"p50 ms", "relay", half, "", true},
			{"p99 ms", "relay", late, "", true},
			{"QoS 1 up/s", "relay", brought, more, false},
		},
	}
	for _, w := range relayedWays {
		if w.about != "" {
			relayed.rows = append(relayed.rows, w.row)
		}
	}
	return []table{
		relayed,
		upstreamTable(),
		{
			title: fmt.Sprintf("What carries a page's session. Delivered: to %d pages, all of which read everything. Delays and up: as above.", o.pages),
			rows: []row{
				{byMQTT, "", "bare MQTT on a WebSocket"},
				{bySocket, byMQTT, "a pipe on a WebSocket, against bare MQTT"},
				{byStream, bySocket, "a pipe by a stream down and requests up, against the pipe on a WebSocket"},
				{byPoll, bySocket, "a pipe by long polls and requests up, against the pipe on a WebSocket"},
			},
			columns: []column{
				{"delivered/s", "fan-out", delivered, more, false},
				{"CPU µs each", "fan-out", allCPU, less, false},
				{"reader's µs", "fan-out", loadCPU, "", false},
				{"p50 ms", "relay", half, "", true},
				{"p99 ms", "relay", late, "", true},
				{"QoS 1 up/s", "relay", brought, more, false},
				{"wire bytes a byte, in bulk", "fan-out", wireBytes, "", false},
				{"one by one", "relay", calmWire, "", false},
			},
		},
		{
			title: fmt.Sprintf("Memory per idle session, KiB, over %d sessions.", o.pages),
			rows: []row{
				{byMQTT, "", "of the server"},
				{bySocket, byMQTT, "of the server"},
				{byStream, byMQTT, "of the server, with the connection that a browser keeps for its next upload"},
				{byPoll, byMQTT, "of the server, likewise"},
				{toNginx, "", "of nginx alone, for one WebSocket that passes through, besides what is behind it"},
				{toHAProxy, "", "of haproxy alone, likewise"},
				{toMosquitto, "", "of mosquitto, for a page straight at it"},
			},
			columns: []column{{"KiB", "memory", held, less, false}},
		},
		recordTable(),
		rangeTable(o),
	}
}

func show(to io.Writer, found results, o options, others float64) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "\nMedian of %d rounds, one machine for servers and load. Others used %.0f %% of it meanwhile.\n", o.rounds, 100*others)
	_, _ = fmt.Fprintln(w, "A ratio (×) above 1 means better: more where more is better, less where less is.")
	showLines(w, besideMosquitto(o), found)
	for _, t := range tables(o) {
		t.show(w, found)
	}
	showAim(w, found)
	return w.Flush()
}

func showLines(w io.Writer, lines []line, found results) {
	_, _ = fmt.Fprintln(w, "\nBeside mosquitto.\nmeasure\ttrellis\tmosquitto\tunit\tratio\taim")
	for _, l := range lines {
		ours, theirs := found[figure{l.measure, byMQTT, l.figure}], found[figure{l.measure, toMosquitto, l.figure}]
		if len(ours)+len(theirs) > 0 {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s×\t%s\n",
				l.name, number(median(ours)), number(median(theirs)), l.unit, number(ratio(l.better, ours, theirs)), l.aim)
		}
	}
}

// show draws the ways of which something was found, and what each compares.
func (t table) show(w io.Writer, found results) {
	var rows []row
	for _, r := range t.rows {
		for _, c := range t.columns {
			if len(found[figure{c.measure, r.way, c.figure}]) > 0 {
				rows = append(rows, r)
				break
			}
		}
	}
	if len(rows) == 0 {
		return
	}
	_, _ = fmt.Fprintf(w, "\n%s\nway", t.title)
	for _, c := range t.columns {
		_, _ = fmt.Fprintf(w, "\t%s", c.head)
	}
	for _, r := range rows {
		_, _ = fmt.Fprintf(w, "\n%s", r.way)
		for _, c := range t.columns {
			_, _ = fmt.Fprintf(w, "\t%s", c.cell(found, r))
		}
	}
	_, _ = fmt.Fprintln(w)
	for _, r := range rows {
		_, _ = fmt.Fprintf(w, "  %s: %s\n", r.way, r.about)
	}
}

// cell is a figure and what it is against the same one of another way.
func (c column) cell(found results, r row) string {
	own, other := found[figure{c.measure, r.way, c.figure}], found[figure{c.measure, r.against, c.figure}]
	text := number(median(own))
	switch {
	case len(own) == 0 || len(own) != len(other):
		return text
	case c.added:
		return fmt.Sprintf("%s (%s)", text, signed(added(own, other)))
	case c.compare != "":
		return fmt.Sprintf("%s (%s×)", text, number(ratio(c.compare, own, other)))
	}
	return text
}

// number writes three digits that mean something.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case v == 0:
		return "0"
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	case math.Abs(v) >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func signed(v float64) string {
	if v < 0 {
		return "−" + number(-v)
	}
	return "+" + number(v)
}
