/** What somebody is told who asked for it; what stands beside the tap is in templates/tell.templ. It takes how times are said, and imports nothing of the board's. */

import type { Blind } from "./tell.look";

/** How times and rhythms are said on this board. */
export interface Ways {
  clock(at: number, now: number): string;
  span(ms: number): string;
}

const most = 5; // names in one sentence
const longest = 60; // letters of a name

const short = (name: string) => (name.length > longest ? `${name.slice(0, longest - 1)}…` : name);

function list(names: readonly string[]): string {
  const left = names.length - most;
  return `${names.slice(0, most).map(short).join(", ")}${left > 0 ? ` and ${left} more` : ""}`;
}

/** Quiet is a device that went quiet. */
export interface Quiet {
  readonly name: string;
  readonly heard: number;
  /** "usually every 5 min"; empty: not known. */
  readonly usual: string;
  /** "21.4 °C"; empty: none is shown. */
  readonly last: string;
}

/** Each says two things: the first is the title of a notice. */
export type Words = readonly [string, string];

export function quietWords(all: readonly Quiet[], ways: Ways, now: number): Words {
  const [one, other] = all;
  if (!one || other) return [`${all.length} devices went quiet: ${list(all.map((q) => q.name))}.`, ""];
  const usual = one.usual && ` (${one.usual})`;
  const last = one.last && `Last value ${short(one.last)}.`;
  return [`${short(one.name)} has been quiet since ${ways.clock(one.heard, now)}${usual}.`, last];
}

export function backWords(all: readonly { readonly name: string; readonly length: number }[], ways: Ways): Words {
  const [one, other] = all;
  if (!one || other) return [`${all.length} devices are back: ${list(all.map((b) => b.name))}.`, ""];
  return [`${short(one.name)} is back.`, one.length > 0 ? `It was quiet for ${ways.span(one.length)}.` : ""];
}

export function missedWords({ from, to }: Blind, ways: Ways, now: number): Words {
  return [`I could not watch between ${ways.clock(from, now)} and ${ways.clock(to, now)}.`, ""];
}
