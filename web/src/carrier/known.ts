/** What is known of the network that this browser is in: which ways are blocked, and which broke too soon. */
import type { Way } from "./ladder";

export interface Record {
  /** When the way was last proven blocked; 0 if it was not. */
  readonly blocked: number;
  /** When it broke soon after it had answered. */
  readonly strikes: readonly number[];
  /** Not to be used before this, and how often that came to be. */
  readonly until: number;
  readonly outs: number;
}

export interface Known {
  readonly ways: { readonly [way in Way]?: Record };
  /** How often a known block decided the start. */
  readonly skipped: number;
  /** When a WebSocket failed, the last one first: browsers delay further ones without saying so. */
  readonly knocks: readonly number[];
}

export interface Accusation {
  readonly way: Way;
  readonly of: "strike" | "block";
}

const minute = 60_000;
const day = 24 * 60 * minute;
const remembers = 30 * minute;
const strikesCount = 10 * minute;
const outFor = [10 * minute, 30 * minute, day];
const knocks = 2; // failures in a minute, after which it rests

export const nothing: Known = { ways: {}, skipped: 0, knocks: [] };

const of = (k: Known, way: Way): Record => k.ways[way] ?? { blocked: 0, strikes: [], until: 0, outs: 0 };
const write = (k: Known, way: Way, part: Partial<Record>): Known => ({
  ...k,
  ways: { ...k.ways, [way]: { ...of(k, way), ...part } },
});

/** isBlocked says whether a way was proven blocked lately. */
function isBlocked(k: Known, way: Way, at: number): boolean {
  return at - of(k, way).blocked < remembers;
}

/** refused says whether a way is not to be used to begin with. */
export const refused = (k: Known, way: Way, at: number): boolean => isBlocked(k, way, at) || at < freeAt(k, way);

/** freeAt says when a way may be tried again: one that is out, or WebSockets that failed. */
export function freeAt(k: Known, way: Way): number {
  const rested = way === "socket" && k.knocks.length >= knocks ? (k.knocks.at(-1) ?? 0) + minute : 0;
  return Math.max(of(k, way).until, rested);
}

/** away keeps a way shut for a while without a word against it: somebody else needs it. */
export const away = (k: Known, way: Way, until: number): Known => write(k, way, { until });

/** forgiven lets a way in again that is out. */
export const forgiven = (k: Known, way: Way): Known => (of(k, way).until > 0 ? write(k, way, { until: 0 }) : k);

/** failed counts WebSockets that failed. */
export const failed = (k: Known, way: Way, at: number): Known =>
  way === "socket" ? { ...k, knocks: [at, ...k.knocks].slice(0, knocks) } : k;

const count = (k: Known, skipped: number): Known => (skipped === k.skipped ? k : { ...k, skipped });

/** chance lets a start try the best way all the same, every fourth time: what is known of it may be wrong by now. */
export function chance(k: Known, best: Way, at: number): Known {
  const skipped = isBlocked(k, best, at) ? k.skipped + 1 : 0;
  return count(skipped > 0 && skipped % 4 === 0 ? write(k, best, { blocked: 0 }) : k, skipped);
}

/** remember notes that a way works while better ones do not. */
export function remember(k: Known, way: Way, blocked: readonly Way[], best: boolean, at: number): Known {
  const works = k.ways[way] ? write(k, way, { blocked: 0, until: Math.min(at, of(k, way).until) }) : k;
  const all = blocked.reduce((known, w) => write(known, w, { blocked: at }), works);
  return best ? count(all, 0) : all;
}

/** explained forgives WebSockets that failed: the server was not there. */
export const explained = (k: Known): Known => (k.knocks.length > 0 ? { ...k, knocks: [] } : k);

/** accuse writes down what has been proven by now. Two strikes within ten minutes put a way out, longer each time. */
export function accuse(k: Known, a: Accusation, at: number): Known {
  if (a.of === "block") return write(k, a.way, { blocked: at });
  const { strikes, until, outs } = of(k, a.way);
  const recent = [...strikes.filter((s) => at - s < strikesCount), at];
  if (recent.length < 2) return write(k, a.way, { strikes: recent });
  const times = at - until < day ? outs : 0;
  const time = outFor[Math.min(times, outFor.length - 1)] ?? 0;
  return write(k, a.way, { strikes: [], until: at + time, outs: times + 1 });
}
