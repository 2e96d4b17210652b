/** Rows are the messages that the developer view holds: at most 500 and 8 MiB, the newest first, searched as text. */
import { mib, newest } from "./bounds";
import { type Envelope, parse } from "./envelope";
import type { Heard } from "./hub/protocol";
import { members } from "./members";
import { contains, startOf, textOf } from "./search";
import { exact } from "./words.developer";

export interface Row {
  readonly heard: Heard;
  readonly envelope: Omit<Envelope, "data"> | null; // without its data, which would take many times its text
  readonly data: string; // what the row shows of it
  readonly text: string; // what a search looks in
}

const most = 500; // each costs a little at every frame, also those far from the screen
const mostBytes = 8 * mib;

export function rowOf(heard: Heard): Row {
  const { payload } = heard;
  const whole = parse(payload);
  const { data: _, ...envelope } = whole ?? { data: null };
  const start = startOf(payload);
  let shown = payload;
  if (whole && start.cut === 0) shown = plain(members(payload)?.get("data") ?? "");
  if (start.cut > 0) shown = `${start.text}… (${exact.cut(start.cut)})`;
  return {
    heard,
    envelope: whole && (envelope as Row["envelope"]),
    data: shown,
    text: textOf(heard),
  };
}

/** plain writes the texts in JSON without needless escapes. Numbers stay as they were sent: ours would round the long ones. */
export const plain = (json: string): string =>
  json.replace(/"(?:[^"\\]|\\.)*"/gs, (text) => JSON.stringify(JSON.parse(text)));

/** matches says whether every word of a search is in a row. */
export function matches(row: Row, search: string): boolean {
  return contains(row.text, search);
}

const sizeOf = (r: Row): number => r.heard.payload.length + r.data.length + r.text.length;

/**
 * keep adds rows, newest last, and lets the oldest go; while something is searched for, what does not fit goes first. The payload
 * of each stays whole, to be copied.
 */
export function keep(rows: readonly Row[], more: readonly Row[], search = ""): Row[] {
  const all = [...rows, ...more];
  if (search.trim() === "") return newest(all, most, mostBytes, sizeOf);
  const fits = new Set(all.filter((r) => matches(r, search)));
  const found = newest([...fits], most, mostBytes, sizeOf);
  const left = mostBytes - found.reduce((sum, r) => sum + sizeOf(r), 0);
  const others = newest(
    all.filter((r) => !fits.has(r)),
    most - found.length,
    left,
    sizeOf,
  );
  const kept = new Set([...found, ...others]);
  return all.filter((r) => kept.has(r));
}
