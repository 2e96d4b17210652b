/**
 * Which way to the server to take, to leave and to try again. A pure state machine: no clock, no network in here.
 *
 * Two things are kept apart: that a way did not work now (anything can be the reason, a restart of the server too), and
 * that it is blocked: that is believed only when a lower way worked at the same time.
 */

/** The ways, best first. Nobody takes the direct one to another broker yet. */
export type Way = "direct" | "socket" | "stream" | "poll";

/** Stream and poll are two ways of one pipe. */
export const isPipe = (way: Way): boolean => way === "stream" || way === "poll";

export interface Ladder {
  /** The way that carries the session: MQTT's CONNACK came on it. */
  readonly serving: Way | null;
  readonly servingSince: number;
  /** Ways that have been opened and have not answered yet. */
  readonly trying: readonly Way[];
  /** When this try began, and what failed since. */
  readonly began: number;
  readonly failed: readonly Way[];
  /** A plain request beside it all, to tell a blocked way from a server that is not there. */
  readonly hello: "none" | "asked" | "fine" | "failed";
  readonly rtt: number;
  /** When a way was last proven blocked. Kept by the worker for as long as it lives. */
  readonly blocked: { readonly socket: number; readonly stream: number };
  /** When the socket broke soon after it had answered. */
  readonly strikes: readonly number[];
  /** How often a known block decided the start: every fourth time the better way is tried all the same. */
  readonly skipped: number;
  /** When to try a better way beside the one that serves, and how often that was done. */
  readonly probeAt: number;
  readonly probed: number;
  readonly lastProbe: number;
}

export type Event =
  | { readonly kind: "start"; readonly at: number }
  | { readonly kind: "hello"; readonly at: number; readonly rtt: number }
  | { readonly kind: "noHello"; readonly at: number }
  | { readonly kind: "up"; readonly at: number; readonly way: Way }
  /** A way ended. A code of 4000 and above is the server's own word: then nothing was blocked. */
  | { readonly kind: "lost"; readonly at: number; readonly way: Way; readonly code: number }
  /** The pipe found out how it is carried. */
  | { readonly kind: "went"; readonly at: number; readonly way: "stream" | "poll" }
  | { readonly kind: "tick"; readonly at: number }
  /** Something changed in the network, as far as the browser can tell. */
  | { readonly kind: "online"; readonly at: number }
  | { readonly kind: "rest" };

export type Action =
  | { readonly kind: "hello" }
  | { readonly kind: "open"; readonly way: Way }
  /** Close it: nobody needs it. */
  | { readonly kind: "drop"; readonly way: Way }
  /** A better way serves now: let this one say what it still has to say, then close it. */
  | { readonly kind: "retire"; readonly way: Way }
  /** Have the pipe try whether it may stream. */
  | { readonly kind: "improve" };

export type Step = readonly [Ladder, readonly Action[]];

const minute = 60_000;
const remembers = 30 * minute;
const leastPatience = 1500;
const probation = 30_000;
const strikesCount = 10 * minute;
const probes = [30_000, 2 * minute, 10 * minute];
const probesApart = 15_000; // a network that flickers must not make us try all the time

export const ground: Ladder = {
  serving: null,
  servingSince: 0,
  trying: [],
  began: 0,
  failed: [],
  hello: "none",
  rtt: 0,
  blocked: { socket: 0, stream: 0 },
  strikes: [],
  skipped: 0,
  probeAt: 0,
  probed: 0,
  lastProbe: 0,
};

/** step is the only way the ladder changes; the actions are to be done in their order. */
export function step(l: Ladder, e: Event): Step {
  switch (e.kind) {
    case "start":
      return start(l, e.at);
    case "hello":
      return fall({ ...l, hello: "fine", rtt: e.rtt }, e.at);
    case "noHello":
      return [{ ...l, hello: "failed" }, []];
    case "up":
      return up(l, e.at, e.way);
    case "lost":
      return lost(l, e.at, e.way, e.code);
    case "went":
      return [went(l, e.at, e.way), []];
    case "tick":
      return tick(l, e.at);
    case "online":
      return online(l, e.at);
    case "rest":
      return [{ ...l, serving: null, trying: [], failed: [], hello: "none" }, []];
  }
}

/** over says that this try has come to nothing. */
export function over(l: Ladder): boolean {
  return l.serving === null && l.trying.length === 0 && l.hello !== "asked";
}

/** wakeAt says when the next tick matters; 0 if none does. */
export function wakeAt(l: Ladder): number {
  if (l.serving === null) return l.trying.includes("socket") && l.hello === "fine" ? l.began + patience(l) : 0;
  return l.serving === "socket" ? 0 : l.probeAt;
}

const patience = (l: Ladder) => Math.max(leastPatience, 4 * l.rtt);
const fresh = (since: number, at: number) => since > 0 && at - since < remembers;
const without = (ways: readonly Way[], way: Way) => ways.filter((w) => (isPipe(way) ? !isPipe(w) : w !== way));
const opening = (l: Ladder, ...ways: Way[]): Step => [
  { ...l, trying: [...l.trying, ...ways] },
  ways.map((way) => ({ kind: "open", way })),
];

/** pipeWay is how to begin on the pipe: as a stream, unless that was held back lately. */
const pipeWay = (l: Ladder, at: number): Way => (fresh(l.blocked.stream, at) ? "poll" : "stream");

function start(before: Ladder, at: number): Step {
  const strikes = before.strikes.filter((s) => at - s < strikesCount);
  const avoid = fresh(before.blocked.socket, at) || strikes.length >= 2;
  const skipped = avoid ? before.skipped + 1 : 0;
  const l: Ladder = { ...before, trying: [], failed: [], began: at, hello: "asked", rtt: 0, strikes, skipped };
  const ways: Way[] = !avoid ? ["socket"] : skipped % 4 === 0 ? ["socket", pipeWay(l, at)] : [pipeWay(l, at)];
  const [next, actions] = opening(l, ...ways);
  return [next, [{ kind: "hello" }, ...actions]];
}

/** fall opens the pipe beside a socket that says nothing or has failed, once it is sure that the server is there. */
function fall(l: Ladder, at: number): Step {
  const silent = l.trying.includes("socket") && at - l.began >= patience(l);
  const needed = l.serving === null && l.hello === "fine" && !l.trying.some(isPipe) && !l.failed.some(isPipe);
  return needed && (silent || l.failed.includes("socket")) ? opening(l, pipeWay(l, at)) : [l, []];
}

function up(l: Ladder, at: number, way: Way): Step {
  const rest = { ...l, trying: without(l.trying, way) };
  if (l.serving !== null && rank(l.serving) < rank(way)) return [rest, [{ kind: "drop", way }]];
  const actions: Action[] = l.serving === null ? [] : [{ kind: "retire", way: l.serving }];
  const next: Ladder = { ...rest, serving: way, servingSince: at };
  if (isPipe(way)) {
    const blocked = l.failed.includes("socket") ? { ...l.blocked, socket: at } : l.blocked;
    const probed = l.strikes.length < 2 ? 0 : Math.min(l.probed, probes.length - 1);
    return [{ ...next, blocked, probed, probeAt: at + (probes[probed] ?? 0) }, actions];
  }
  for (const late of rest.trying) actions.push({ kind: "drop", way: late });
  return [{ ...next, trying: [], blocked: { ...l.blocked, socket: 0 }, skipped: 0 }, actions];
}

function lost(l: Ladder, at: number, way: Way, code: number): Step {
  const ours = code >= 4000;
  if (l.serving !== null && isPipe(l.serving) === isPipe(way) && !l.trying.includes(way)) {
    const strike = way === "socket" && !ours && at - l.servingSince < probation;
    return [{ ...l, serving: null, hello: "none", strikes: strike ? [...l.strikes, at] : l.strikes }, []];
  }
  const next: Ladder = { ...l, trying: without(l.trying, way) };
  if (ours) return [{ ...next, hello: "none" }, []];
  if (l.serving !== null && isPipe(l.serving) && way === "socket") {
    return [{ ...next, blocked: { ...l.blocked, socket: at } }, []];
  }
  return fall({ ...next, failed: [...l.failed, way] }, at);
}

function went(l: Ladder, at: number, way: "stream" | "poll"): Ladder {
  const serving = l.serving !== null && isPipe(l.serving) ? way : l.serving;
  const trying = l.trying.map((w) => (isPipe(w) ? way : w));
  return { ...l, serving, trying, blocked: { ...l.blocked, stream: way === "poll" ? at : 0 } };
}

function tick(l: Ladder, at: number): Step {
  if (l.serving === null) return fall(l, at);
  return l.serving !== "socket" && at >= l.probeAt ? probe(l, at) : [l, []];
}

/** probe tries what is better than what serves, which goes on serving meanwhile. */
function probe(l: Ladder, at: number): Step {
  const probed = l.probed + 1;
  const wait = probes[Math.min(probed, probes.length - 1)] ?? 0;
  const next: Ladder = { ...l, probed, probeAt: at + wait, lastProbe: at };
  const silent = l.trying.includes("socket"); // it had its time, and the network may be another one now
  const [opened, actions] = opening({ ...next, trying: without(l.trying, "socket") }, "socket");
  const all: Action[] = silent ? [{ kind: "drop", way: "socket" }, ...actions] : [...actions];
  return [opened, l.serving === "poll" ? [...all, { kind: "improve" }] : all];
}

function online(l: Ladder, at: number): Step {
  if (l.serving === null || l.serving === "socket") return [l, []];
  const again: Ladder = { ...l, probed: 0 };
  if (at - l.lastProbe >= probesApart) return probe(again, at);
  return [{ ...again, probeAt: Math.min(l.probeAt, l.lastProbe + probesApart) }, []];
}

const order: readonly Way[] = ["direct", "socket", "stream", "poll"];
const rank = (way: Way) => order.indexOf(way);
