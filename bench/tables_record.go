package main

import (
	"fmt"
	"io"
)

func recordTable() table {
	return table{
		title: fmt.Sprintf("Recording messages, %d in one transaction, each on the disk before the next.", recordBatch),
		rows: []row{
			{bySQL, "", "the same rows put into the same table, in the same language; nothing is looked at"},
			{byAppend, bySQL, "history's Append: doubles refused, readings found, minutes, hours and last values kept"},
			{byShell, bySQL, "sqlite3, the program in C, reads the same inserts"},
		},
		columns: []column{{"messages/s", "record", delivered, more, false}},
	}
}

func rangeTable(o options) table {
	return table{
		title: fmt.Sprintf("24 hours of one reading out of %d messages on record, at %d points; another device and day each time.", o.stored, rangePoints),
		rows: []row{
			{byMessages, "", "the same lowest, mean and highest made out of the messages, by their index"},
			{byRange, byMessages, "history's Range"},
		},
		columns: []column{{"p50 ms", "range", half, less, false}, {"p99 ms", "range", late, less, false}},
	}
}

// showAim says whether a range is answered as soon as it has to be.
func showAim(w io.Writer, found results) {
	took := found[figure{"range", byRange, late}]
	if len(took) == 0 {
		return
	}
	verdict := "ok"
	if median(took) >= rangeAim {
		verdict = "NOT OK"
	}
	_, _ = fmt.Fprintf(w, "p99 of a range under %d ms: %s\n", rangeAim, verdict)
}
