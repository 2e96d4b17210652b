/** Rows are the messages that the developer view holds: at most 1,000, the newest first, searched as text. */
import { type Envelope, parse } from "./envelope";
import type { Heard } from "./hub/protocol";

export interface Row {
  readonly heard: Heard;
  readonly envelope: Envelope | null;
  readonly text: string; // what a search looks in
}

export const most = 1000;

export function rowOf(heard: Heard): Row {
  return { heard, envelope: parse(heard.payload), text: `${heard.topic} ${heard.payload}`.toLowerCase() };
}

/** matches says whether every word of a search is in a row. */
export function matches(row: Row, search: string): boolean {
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => row.text.includes(word));
}

/** keep adds rows, newest last, and lets the oldest go. */
export function keep(rows: readonly Row[], more: readonly Row[]): Row[] {
  return [...rows, ...more].slice(-most);
}
