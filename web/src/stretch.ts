/** A stretch is one reading over a time, as the server printed it, and what came in since. Nothing in here knows a page. */
import type { Shown } from "./describe";
import { describeAs, type Setting } from "./setting";
import { capitalWord, span as howLong } from "./words";

export type SpanName = "hour" | "day" | "week" | "month";

/** at, low, mean, high, how many numbers that was */
export type Point = readonly [number, number, number, number, number];
export type Change = readonly [number, string | boolean];

/** A time of which nothing is known, and why. */
export interface Gap {
  readonly from: number;
  /** 0: it lasts. */
  readonly to: number;
  readonly words: string;
  readonly quiet: boolean;
}

export interface Stretch {
  readonly reading: string;
  /** How it is wanted. */
  readonly as?: Setting;
  readonly span: SpanName;
  readonly from: number;
  readonly to: number;
  /** That points are apart, in milliseconds. */
  readonly every: number;
  readonly points: readonly Point[];
  readonly changes: readonly Change[];
  readonly gaps: readonly Gap[];
}

/** wordsOf says a value of it. */
export const wordsOf = (s: Stretch, value: string | number | boolean): Shown =>
  describeAs({ name: s.reading, value }, s.as ?? {});

const minute = 60_000;
const most = 2000; // words that are kept

/** take adds a value of a moment. Whatever lasted until then is over. An hour stays an hour: what is later than its end moves it. */
export function take(was: Stretch, at: number, value: string | number | boolean): Stretch {
  if (at < was.from || (typeof value === "number" && !Number.isFinite(value))) return was;
  const s = at > was.to ? slide(was, at) : was;
  const gaps = s.gaps.map((g) => (g.to === 0 ? { ...g, to: Math.max(g.from, at) } : g));
  if (typeof value !== "number") return { ...s, gaps, changes: change(s.changes, at, value) };
  return { ...s, gaps, points: sum(s, at, value) };
}

function change(all: readonly Change[], at: number, value: string | boolean): readonly Change[] {
  const last = all.at(-1);
  if (last && (last[1] === value || last[0] >= at)) return all;
  return [...all.slice(1 - most), [at, value]];
}

function sum(s: Stretch, at: number, value: number): readonly Point[] {
  const base = s.points[0]?.[0] ?? Math.floor(s.from / minute) * minute;
  const start = base + Math.floor((at - base) / s.every) * s.every;
  let i = s.points.length;
  while (i > 0 && (s.points[i - 1] as Point)[0] > start) i--;
  const there = s.points[i - 1];
  if (!there || there[0] !== start) {
    return [...s.points.slice(0, i), [start, value, value, value, 1], ...s.points.slice(i)];
  }
  const [, low, mean, high, n] = there;
  const now: Point = [start, Math.min(low, value), mean + (value - mean) / (n + 1), Math.max(high, value), n + 1];
  return [...s.points.slice(0, i - 1), now, ...s.points.slice(i)];
}

/** slide moves the end to a later moment, and lets go of what is too long ago. Of words the last before it stays: it held then. */
export function slide(s: Stretch, to: number): Stretch {
  const from = to - (s.to - s.from);
  const held = s.changes.findLastIndex(([at]) => at <= from);
  return {
    ...s,
    from,
    to,
    points: s.points.filter(([at]) => at + s.every > from),
    changes: s.changes.slice(Math.max(0, held)),
    gaps: s.gaps.filter((g) => g.to === 0 || g.to > from),
  };
}

export const endOf = (g: Gap, s: Stretch): number => (g.to === 0 ? s.to : g.to);

/** Something that was so for a time. */
export interface State {
  readonly words: string;
  readonly from: number;
  readonly to: number;
}

/** states are what held when, cut where nothing is known. */
export function states(s: Stretch): State[] {
  return s.changes.flatMap(([at, value], i) => {
    const words = capitalWord(wordsOf(s, value).value);
    const until = Math.min(s.changes[i + 1]?.[0] ?? s.to, s.to);
    return outside(Math.max(at, s.from), until, s).map(([from, to]) => ({ words, from, to }));
  });
}

/** outside is what of a time lies in no gap of ours; that a device is silent does not say that its switch has turned. */
function outside(begin: number, to: number, s: Stretch): [number, number][] {
  const free: [number, number][] = [];
  let from = begin;
  for (const g of s.gaps) {
    const end = endOf(g, s);
    if (g.quiet || end <= from || g.from >= to) continue;
    if (g.from > from) free.push([from, g.from]);
    from = Math.max(from, end);
  }
  if (from < to) free.push([from, to]);
  return free;
}

/** lasted says how long each state was so, the longest first. */
export function lasted(all: readonly State[]): [string, number][] {
  const sums = new Map<string, number>();
  for (const { words, from, to } of all) sums.set(words, (sums.get(words) ?? 0) + to - from);
  return [...sums].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

/** A number worth naming. */
export interface Fact {
  readonly name: string;
  readonly value: string;
  readonly unit: string;
  /** It was somewhen between the two; 0: at no one time. */
  readonly at: number;
  readonly until: number;
}

/** facts are the lowest, the mean and the highest of numbers, or how long something was so. */
export function facts(s: Stretch): Fact[] {
  const [first] = s.points;
  if (!first) return timeFacts(states(s));
  let [low, high]: [Point, Point] = [first, first];
  let mean = 0; // over time: a step counts as much as another, however often something was sent in it
  for (const p of s.points) {
    if (p[1] < low[1]) low = p;
    if (p[3] > high[3]) high = p;
    mean += p[2] / s.points.length;
  }
  const fact = (name: string, value: number, at: number) => {
    const shown = wordsOf(s, value);
    const until = at && Math.min(at + s.every, s.to);
    return { name, value: shown.value, unit: shown.unit, at: at && Math.max(at, s.from), until };
  };
  return [fact("Lowest", low[1], low[0]), fact("Mean", mean, 0), fact("Highest", high[3], high[0])];
}

function timeFacts(all: readonly State[]): Fact[] {
  const sums = lasted(all);
  const whole = sums.reduce((sum, [, ms]) => sum + ms, 0) || 1;
  return sums.map(([name, ms]) => ({
    name,
    value: howLong(ms),
    unit: `(${Math.floor((100 * ms) / whole + 0.5)} %)`,
    at: 0,
    until: 0,
  }));
}
