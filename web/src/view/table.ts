/** The table below a chart, which goes on while the page is open. */
import type { Stretch } from "../stretch";
import { type Row, rowsSince } from "../table";
import { clock, span } from "../words";
import { value as say } from "../words.value";
import { put } from "./find";

const mostRows = 60; // as many as the server prints

export class Table {
  constructor(private readonly body: HTMLTableSectionElement) {}

  /** draw brings the last row up to date, and adds those behind it. */
  draw(s: Stretch): void {
    this.endGaps(s);
    const last = [...this.body.rows].findLast((row) => !row.matches(".row-gap"));
    const since = last ? timeOf(last) : s.from;
    for (const [i, row] of rowsSince(s, since).slice(-mostRows).entries()) {
      const there = i === 0 && last && row.at === since;
      write(there ? last : this.add(row, s), row);
    }
    while (this.body.rows.length > mostRows) this.body.rows[0]?.remove();
  }

  /** A time of which nothing is known is over when something is heard. */
  private endGaps(s: Stretch): void {
    for (const row of this.body.querySelectorAll<HTMLTableRowElement>(".row-gap")) {
      if (row.querySelectorAll("time").length > 1) continue;
      const gap = s.gaps.find((g) => g.to > 0 && g.from === timeOf(row));
      const cell = row.cells[0];
      if (gap && cell)
        put(cell, say.gap(gap.words, clock(gap.from, s.to), clock(gap.to, s.to), span(gap.to - gap.from)));
    }
  }

  private add({ at, cells }: Row, s: Stretch): HTMLTableRowElement {
    const row = this.body.insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    const time = document.createElement("time");
    time.dataset.moment = "";
    time.dateTime = new Date(at).toISOString();
    put(time, clock(at, s.to));
    head.append(time);
    row.append(head);
    for (const _ of cells) row.insertCell();
    return row;
  }
}

const timeOf = (row: Element): number => Date.parse(row.querySelector("time")?.dateTime ?? "");

function write(row: HTMLTableRowElement, { cells }: Row): void {
  for (const [i, words] of cells.entries()) {
    const cell = row.cells[i + 1];
    if (cell) put(cell, words);
  }
}

export const tableOf = (): Table | null => {
  const body = document.querySelector<HTMLTableSectionElement>(".past-table tbody");
  return body && new Table(body);
};
