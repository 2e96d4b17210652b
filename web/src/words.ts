/**
 * Every sentence that the board says; the server's own are in templates. What only the developer view or the small pages
 * say is in words.developer.ts and words.gate.ts, so that nobody else downloads it.
 */
import { capital, describe, type Shown, showNumber } from "./describe";
import type { Reading } from "./reading";

const language = "en";
const plural = new Intl.PluralRules(language);
const clockOf = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayOf = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
const daysAgo = new Intl.RelativeTimeFormat(language, { numeric: "auto" });

export function count(n: number, one: string, many: string): string {
  return `${n} ${plural.select(n) === "one" ? one : many}`;
}

/** clock says "14:02", with the day in front when that is not today. */
export function clock(at: number, now: number): string {
  const time = clockOf.format(at);
  return sameDay(at, now) ? time : `${dayOf.format(at)}, ${time}`;
}

/** sameDay compares the year too: what was heard a year ago was not heard today. */
export const sameDay = (a: number, b: number) => new Date(a).toDateString() === new Date(b).toDateString();

/** age counts in steps that stay calm: by five below a minute, then by the largest whole unit. */
export function age(ms: number): string {
  const s = Math.floor(ms / 1000);
  if (s < 5) return "just now";
  if (s < 60) return `${Math.floor(s / 5) * 5} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ago`;
  return daysAgo.format(-Math.floor(s / 86_400), "day");
}

/** span says how long something usually takes: "5 min". */
export function span(ms: number): string {
  const s = Math.round(ms / 1000);
  if (s < 90) return `${Math.max(1, s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  return `${Math.round(s / 3600)} h`;
}

const longUnits: Record<string, string> = { s: "second", min: "minute", h: "hour" };

/** longUnit writes a unit of span out. */
export const longUnit = (short: string): string => longUnits[short] ?? "";

/** lasted is how long something has lasted, in the unit that its age is said in. */
export function lasted(ms: number): [number, string] {
  const s = Math.floor(ms / 1000);
  if (s < 60) return [s, "second"];
  if (s < 3600) return [Math.floor(s / 60), "minute"];
  return s < 86_400 ? [Math.floor(s / 3600), "hour"] : [Math.floor(s / 86_400), "day"];
}

/** entityWords makes "smart_home:living_room:temp_sensor" a name, "Temp sensor", and a place, "Smart home, living room". */
export function entityWords(id: string): { name: string; place: string } {
  const parts = id
    .split(":")
    .map((p) => p.split(/[_-]+/).filter(Boolean).join(" "))
    .filter(Boolean);
  const last = parts.at(-1);
  if (last === undefined) return { name: id, place: "" };
  return { name: capital(last), place: capital(parts.slice(0, -1).join(", ")) };
}

/** capitalWord makes one word that a device says, such as "open", look like an answer; longer text stays as it came. */
export function capitalWord(value: string): string {
  return /^[a-z]+$/.test(value) ? capital(value) : value;
}

/** inSentence writes a label in the middle of a sentence; one with other capitals than the first, such as "CO2", stays as it is. */
export function inSentence(label: string): string {
  const small = label.toLowerCase();
  return label.slice(1) === small.slice(1) ? small : label;
}

/** kindOf tells numbers from words, which are set in other letters. */
export function kindOf(value: string): "number" | "word" {
  return /^[\d.,\u2212+e-]+$/.test(value) ? "number" : "word";
}

/** sizeOf says how long a value is, so that it fits its card. */
export function sizeOf(value: string): "" | "long" | "longer" | "longest" {
  const n = [...value].length;
  if (n <= 7) return "";
  if (n <= 10) return "long";
  return n <= 14 ? "longer" : "longest";
}

/**
 * What the owner of a board wants otherwise than it comes. Without changes nothing of that is loaded, and everything is as it
 * comes; applied.ts puts itself in here.
 */
interface Owner {
  shown(entity: string, reading: Reading): Shown;
  nameOf(entity: string): string;
  /** The board shows all of it anew; moved: the owner has put something elsewhere, so that devices move at once. */
  again(moved?: boolean): void;
}

export const owner: Owner = {
  shown: (_entity, reading) => describe(reading),
  nameOf: (entity) => entityWords(entity).name,
  again() {},
};

export const say = {
  live: "Live",
  slower: "Live, a little slower here.",
  bundles: (seconds: number) => `Your network delivers updates in bundles, about every ${seconds} s.`,
  why: "Why?",
  check: "Check my connection",
  portal: "This Wi-Fi wants you to log in first.",
  logIn: "Something between you and this page's server wants you to log in first.",
  serverGone: (at: string) => `This page's server is not answering. Your internet is fine. Showing values from ${at}.`,
  connecting: "Connecting",
  reconnecting: "Reconnecting",
  noInternet: "No internet",
  notAnswering: "Not answering",
  updating: "Updating",
  stopped: "Stopped",
  paused: "Busy",
  connectingLong: (at: string) => `Connecting. Showing values from ${at}.`,
  reconnectingFrom: (at: string) => `Reconnecting. Showing values from ${at}.`,
  noInternetFrom: (at: string) => `You seem to have no internet. Showing values from ${at}.`,
  notAnsweringFrom: (at: string) =>
    `This page's server is not answering. Showing values from ${at}. We keep trying by ourselves.`,
  updatingSoon: "Updating, back in a moment.",
  keyRefused: "This access key no longer works. Ask whoever gave it to you for a new one.",
  signedOut: "You signed out in another tab.",
  taken: "Something else is using the same access key, so both keep losing the connection.",
  upstreamDown: (to: string, since: number, now: number) =>
    `Our link to ${to} is down since ${clock(since, now)}. Nothing you can do; we keep trying.`,
  away: (n: number) => `While you were away: ${count(n, "new value", "new values")}.`,
  back: (n: number) => `Back. ${count(n, "value", "values")} came in meanwhile.`,
  dropped: (n: number) => `This page could not keep up: ${count(n, "message is", "messages are")} not shown.`,
  missing: (shown: number, missing: number, more: boolean) =>
    `Showing ${showNumber(shown, "").value} values; ${more ? "at least " : ""}${showNumber(missing, "").value} more are not shown.`,
  cut: (most: number) => `Of a message no more than ${most} values are shown.`,
  nothingYet: "Nothing was heard yet.",
  nothingYetLive: "Connected. Nothing was heard yet.",
  summary: (values: number, groups: string[]) =>
    `${count(values, "value", "values")} from ${groups.length === 1 ? groups[0] : count(groups.length, "device", "devices")}.`,
  usual: "Everything is as usual.",
  lost: (to: string, since: string) => `We lost our link to ${to} at ${since}. Values below are from then.`,
  from: (since: string) => `Values below are from ${since}.`,
  quietOnes: (quiet: number, all: number, first: string, since: string) => {
    if (all === 1) return `${first} is quiet since ${since}.`;
    return quiet === 1
      ? `1 of ${all} is quiet: ${first}, since ${since}.`
      : `${quiet} of ${all} are quiet. ${first} since ${since}.`;
  },
  young: (young: number, all: number, first: string, since: string) => {
    if (young === 1) return `How often ${first} speaks is not known yet: nothing since ${since}.`;
    return `How often ${young} of ${all} speak is not known yet: nothing from ${first} since ${since}.`;
  },
  beyond: (all: readonly string[]) =>
    all[0] === undefined ? "" : `${all.length > 1 ? `${all.length} values need a look. ` : ""}${all[0]}.`,
  quiet: "Quiet",
  quietSince: (since: string) => `Quiet since ${since}`,
  usuallyEvery: (gap: string) => `usually every ${gap}`,
  usuallyWithin: (gap: string) => `usually within ${gap}`,
  silence: (every: string, usual: number, unit: string, n: number, of: string) =>
    `${unit && `Usually ${every} ${count(usual, unit, `${unit}s`)}. `}Nothing for ${of === unit ? n : count(n, of, `${of}s`)}.`,
  events: "Reports only when something happens",
  lastHeard: "Last heard",
  cardOld: (ago: string) => `Last heard ${ago}`,
  cardUnknown: "Not known right now",
  byHand: "Sent by hand",
  before: (value: string, since: string) => `Since ${since}, before: ${value}`,
  share: (part: string, whole: string) => `${part} % of ${whole}`,
  left: "left",
  low: (left: string) => `low: ${left}`,
  sending: "Sending…",
  accepted: (at: string) => `Accepted ${at}`,
  notSent: "Not sent. Press again if you still want it.",
  notSentStopped: "Not sent: this page has stopped.",
  developerFailed:
    "The developer view did not load, because this page's server did not answer. It loads as soon as it does.",
  unsure: "No answer came. It may have been accepted: look at the messages before you press again.",
  refusedBecause: (why: string) => `Not accepted: ${why}`,
};
