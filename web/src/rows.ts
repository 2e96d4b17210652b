/** Rows are the messages that the developer view holds: at most 1,000 and 8 MiB, the newest first, searched as text. */
import { mib, newest } from "./bounds";
import { type Envelope, parse } from "./envelope";
import type { Heard } from "./hub/protocol";
import { exact } from "./words.developer";

export interface Row {
  readonly heard: Heard;
  readonly envelope: Omit<Envelope, "data"> | null; // without its data, which would take many times its text
  readonly data: string; // what the row shows of it
  readonly text: string; // what a search looks in
}

const most = 1000;
const mostBytes = 8 * mib;
const longest = 64 * 1024; // of a payload that a row shows and searches whole

export function rowOf(heard: Heard): Row {
  const { payload, topic } = heard;
  const whole = parse(payload);
  const { data, ...envelope } = whole ?? { data: null };
  const start = startOf(payload);
  let shown = whole ? (JSON.stringify(data) ?? "") : payload;
  if (start.cut > 0) shown = `${start.text}… (${exact.cut(start.cut)})`;
  return {
    heard,
    envelope: whole && (envelope as Row["envelope"]),
    data: shown,
    text: `${topic} ${start.text}`.toLowerCase(),
  };
}

/** startOf cuts off what is too long; cut is how many bytes all of it has then, else 0. */
function startOf(payload: string): { text: string; cut: number } {
  if (payload.length * 3 <= longest) return { text: payload, cut: 0 };
  const all = new TextEncoder().encode(payload);
  if (all.length <= longest) return { text: payload, cut: 0 };
  return { text: new TextDecoder().decode(all.subarray(0, longest), { stream: true }), cut: all.length };
}

/** matches says whether every word of a search is in a row. */
export function matches(row: Row, search: string): boolean {
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => row.text.includes(word));
}

/** keep adds rows, newest last, and lets the oldest go. The payload of each stays whole, to be copied. */
export function keep(rows: readonly Row[], more: readonly Row[]): Row[] {
  return newest([...rows, ...more], most, mostBytes, (r) => r.heard.payload.length + r.data.length + r.text.length);
}
