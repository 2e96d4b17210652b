/**
 * Which way to the server to take, to leave and to try again. A pure state machine: no clock, no network in here.
 *
 * Two things are kept apart: that a way did not work now (anything can be the reason, a restart of the server too), and
 * that it is blocked: that is believed only when something else worked at the same time.
 */
import {
  type Accusation,
  accuse,
  chance,
  explained,
  failed,
  forgiven,
  freeAt,
  type Known,
  nothing,
  refused,
  remember,
} from "./known";

/**
 * The ways there are, best first. The direct one leads to another broker, and is another session: a ladder of its own above
 * the pipe's has it and "relay", which is the pipe as a whole, whatever carries it.
 */
export type Way = "direct" | "relay" | "socket" | "stream" | "poll";

export const isWay = (way: string): way is Way => ["socket", "stream", "poll"].includes(way);

/** Why a way ended. Held: somebody keeps back what it brings. For having been taken over from, or for a sleep, it is not to blame. */
export type Why = "broke" | "silent" | "held" | "moved" | "slept";

/** The plan of a page whose server named none. */
export const usual: readonly Way[] = ["socket", "stream", "poll"];

export interface Ladder {
  /** The ways that may be gone, best first. */
  readonly plan: readonly Way[];
  /** The way that carries the session, since when, and how many signs of life were answered on it. */
  readonly serving: Way | null;
  readonly since: number;
  readonly beats: number;
  /** Since when no way carries it. */
  readonly adrift: number;
  /** Ways that have been opened and have not answered yet, and those that failed since this try began. */
  readonly trying: readonly Way[];
  readonly failed: readonly Way[];
  readonly began: number;
  /** A plain request beside it all, to tell a blocked way from a server that is not there. */
  readonly control: "none" | "asked" | "fine" | "failed";
  readonly rtt: number;
  /** It failed, and has not worked since. */
  readonly absent: boolean;
  /** What is held against a way if the control turns out to work. */
  readonly accused: readonly Accusation[];
  /** When to try again after all ways have failed; 0 while some may still answer. */
  readonly retryAt: number;
  /** When to try a better way beside the one that serves, and how often that was done. */
  readonly probeAt: number;
  readonly probed: number;
  readonly lastProbe: number;
  /** What is known of this network, for longer than one session. */
  readonly known: Known;
}

export type Event =
  | { readonly kind: "start"; readonly at: number }
  | { readonly kind: "control"; readonly at: number; readonly rtt: number; readonly plan?: readonly Way[] }
  | { readonly kind: "noControl"; readonly at: number }
  | { readonly kind: "up"; readonly at: number; readonly way: Way }
  | { readonly kind: "beat"; readonly at: number; readonly way: Way }
  | { readonly kind: "lost"; readonly at: number; readonly way: Way; readonly why: Why }
  | { readonly kind: "tick"; readonly at: number }
  /** Something changed in the network, as far as the browser can tell. */
  | { readonly kind: "online"; readonly at: number }
  | { readonly kind: "forget"; readonly at: number }
  | { readonly kind: "rest" };

export type Action =
  | { readonly kind: "control" }
  /** Open it; with take bytes come down there at once, without it is on trial. */
  | { readonly kind: "open"; readonly way: Way; readonly take: boolean }
  /** Have bytes come down there; when that is done, all those end that are not being tried. */
  | { readonly kind: "take"; readonly way: Way };

export type Step = readonly [Ladder, readonly Action[]];

const minute = 60_000;
const leastPatience = 1500;
const mostPatience = 5000;
const probation = 30_000;
const probes = [30_000, 2 * minute, 10 * minute];
const atOnce = 1000; // what served for less than this is not tried again at once, or it might go round and round
const soon = 250;
const probesApart = 15_000; // a network that flickers must not make us try all the time

export const ground: Ladder = {
  plan: usual,
  serving: null,
  since: 0,
  beats: 0,
  adrift: 0,
  trying: [],
  failed: [],
  began: 0,
  control: "none",
  rtt: 0,
  absent: false,
  accused: [],
  retryAt: 0,
  probeAt: 0,
  probed: 0,
  lastProbe: 0,
  known: nothing,
};

/** step is the only way the ladder changes; the actions are to be done in their order. */
export function step(l: Ladder, e: Event): Step {
  switch (e.kind) {
    case "start":
      return start(l, e.at);
    case "control":
      return fine({ ...l, rtt: e.rtt, plan: e.plan ?? l.plan }, e.at);
    case "noControl":
      return settled({ ...l, control: "failed", accused: [], absent: true }, e.at);
    case "up":
      return up(l, e.at, e.way);
    case "beat":
      return [e.way === l.serving ? { ...l, beats: l.beats + 1 } : l, []];
    case "lost":
      return l.serving === e.way ? broken(l, e.at, e.way, e.why) : gone(l, e.at, e.way, e.why);
    case "tick":
      return tick(l, e.at);
    case "online":
      return online(l, e.at);
    case "forget":
      return online({ ...l, known: nothing, lastProbe: 0 }, e.at);
    case "rest":
      return [{ ...ground, plan: l.plan, known: l.known, absent: l.absent, lastProbe: l.lastProbe }, []];
  }
}

/** over says that this try has come to nothing, and that the server is not there. */
export function over(l: Ladder): boolean {
  return l.serving === null && l.retryAt > 0 && l.control === "failed";
}

/** wakeAt says when the next tick matters; 0 if none does. */
export function wakeAt(l: Ladder): number {
  if (l.serving !== null) return l.probeAt;
  if (l.retryAt > 0) return l.retryAt;
  return l.control === "fine" && waitsOnly(l) && nextBest(l, l.began) ? l.began + patience(l) : 0;
}

const patience = (l: Ladder) => Math.min(mostPatience, Math.max(leastPatience, 4 * l.rtt));
const without = (ways: readonly Way[], way: Way) => ways.filter((w) => w !== way);

/** above are the ways that are better than one. */
const above = (l: Ladder, way: Way) => l.plan.slice(0, Math.max(0, l.plan.indexOf(way)));

/** better are those above the one that serves, and free when the first of them may be tried. */
const better = (l: Ladder) => (l.serving ? above(l, l.serving) : []);
const free = (l: Ladder) => Math.min(...better(l).map((way) => freeAt(l.known, way)));

/** Requests tell by themselves when they do not work; a WebSocket may stay silent. */
const isSocket = (way: Way | undefined): boolean => way === "direct" || way === "socket";
const waitsOnly = (l: Ladder) => l.trying.length > 0 && l.trying.every(isSocket);

/** nextBest is the best way that is not tried yet and that nothing is known against; if there is none, the floor. */
function nextBest(l: Ladder, at: number): Way | undefined {
  const left = l.plan.filter((w) => !l.trying.includes(w) && !l.failed.includes(w));
  const good = left.find((w) => !refused(l.known, w, at));
  return good ?? (l.trying.length === 0 ? left.filter((w) => !isSocket(w)).at(-1) : undefined);
}

function start(l: Ladder, at: number): Step {
  const best = l.plan[0] ?? "socket";
  return begin({ ...l, adrift: at, known: chance(l.known, best, at) }, at);
}

/** begin asks for the control, and for a WebSocket beside it: only that needs nothing of the control's answer. */
function begin(before: Ladder, at: number): Step {
  const l: Ladder = { ...before, trying: [], failed: [], began: at, control: "asked", retryAt: 0 };
  const asked: Action = { kind: "control" };
  const first = nextBest(l, at);
  if (!first || !isSocket(first)) return [l, [asked]];
  const [next, actions] = open(l, first);
  return [next, [asked, ...actions]];
}

function open(l: Ladder, way: Way): Step {
  const take = l.serving === null && l.trying.length === 0;
  return [{ ...l, trying: [...l.trying, way] }, [{ kind: "open", way, take }]];
}

function fine(l: Ladder, at: number): Step {
  const known = l.accused.reduce((k, a) => accuse(k, a, at), l.known);
  const plain: Ladder = { ...l, control: "fine", accused: [], absent: false };
  return settled({ ...plain, known: l.absent ? explained(known) : known }, at);
}

/** settled opens the next way where one is needed, once it is sure that the server is there, and waits if none is left. */
function settled(l: Ladder, at: number): Step {
  if (l.serving !== null || l.control === "asked") return [l, []];
  const silent = waitsOnly(l) && at - l.began >= patience(l);
  const way = l.control === "fine" && (silent || l.trying.length === 0) && nextBest(l, at);
  if (way) return open(l, way);
  if (l.trying.length > 0) return [l, []];
  return [{ ...l, retryAt: at + Math.min(1000, 100 + (at - l.adrift) / 4) }, []];
}

function up(l: Ladder, at: number, way: Way): Step {
  const worse = l.serving !== null && above(l, way).includes(l.serving);
  if (worse || l.serving === way) return [{ ...l, trying: without(l.trying, way) }, []];
  const best = above(l, way);
  const blocked = l.failed.filter((w) => best.includes(w)); // this way works, at the same time
  const known = remember(l.known, way, blocked, best.length === 0, at);
  const trying = l.trying.filter((w) => best.includes(w));
  const next: Ladder = {
    ...l,
    serving: way,
    since: at,
    beats: 0,
    adrift: 0,
    trying,
    failed: [],
    known,
    probed: 0,
    retryAt: 0,
  };
  return [scheduled(next, at), [{ kind: "take", way }]];
}

/** scheduled says when a better way is to be tried next. */
function scheduled(l: Ladder, at: number): Ladder {
  const wait = probes[Math.min(l.probed, probes.length - 1)] ?? 0;
  return { ...l, probeAt: better(l).length > 0 ? Math.max(at + wait, free(l)) : 0 };
}

/** broken is called for the way that served: all begins anew, at once unless it goes round and round. */
function broken(l: Ladder, at: number, way: Way, why: Why): Step {
  const served = at - l.since;
  const next: Ladder = { ...l, serving: null, adrift: at, began: at, accused: [], trying: without(l.trying, way) };
  if (why === "held") return settled({ ...next, failed: [way], control: "fine" }, at);
  const blame = why === "silent" || (why === "broke" && (served < probation || l.beats < 2));
  const retryAt = at + (served < atOnce ? soon : 0);
  const anew: Ladder = { ...next, trying: [], control: "none", retryAt };
  if (!blame) return [anew, []];
  return [{ ...anew, known: failed(l.known, way, at), accused: [{ way, of: "strike" }] }, []];
}

/** gone is called for a way that had not answered yet. */
function gone(l: Ladder, at: number, way: Way, why: Why): Step {
  if (!l.trying.includes(way)) return [l, []];
  const blame = why !== "moved" && why !== "slept";
  const known = blame ? failed(l.known, way, at) : l.known;
  const next: Ladder = { ...l, known, trying: without(l.trying, way) };
  if (l.serving === null) return settled(blame ? { ...next, failed: [...l.failed, way] } : next, at);
  // The trial took a poll's place.
  const back: Action[] = way === "stream" && l.serving === "poll" ? [{ kind: "open", way: "poll", take: true }] : [];
  if (!blame) return [next, back];
  // Was the server there meanwhile?
  return [{ ...next, control: "asked", accused: [...l.accused, { way, of: "block" }] }, [...back, { kind: "control" }]];
}

function tick(l: Ladder, at: number): Step {
  if (l.serving !== null) return l.probeAt > 0 && at >= l.probeAt ? probe(l, at) : [l, []];
  if (l.retryAt === 0) return settled(l, at);
  return at >= l.retryAt ? begin(l, at) : [l, []];
}

/**
 * probe tries what is better than what serves, which goes on serving meanwhile. One that still says nothing is opened
 * anew: it had its time.
 */
function probe(l: Ladder, at: number): Step {
  const ways = better(l).filter((w) => at >= freeAt(l.known, w));
  if (ways.length === 0) return [{ ...l, probeAt: free(l) }, []];
  const trying = [...l.trying.filter((w) => !ways.includes(w)), ...ways];
  return [
    scheduled({ ...l, trying, probed: l.probed + 1, lastProbe: at }, at),
    ways.map((way) => ({ kind: "open", way, take: false })),
  ];
}

/** online is called for another network, perhaps: what broke too soon did so in the one before. */
function online(l: Ladder, at: number): Step {
  if (l.serving === null) return l.retryAt > 0 ? begin(l, at) : [l, []];
  if (l.probeAt === 0) return [l, []];
  const again: Ladder = { ...l, probed: 0, known: better(l).reduce(forgiven, l.known) };
  const next = l.lastProbe + probesApart;
  return at < next ? [{ ...again, probeAt: Math.min(l.probeAt, next) }, []] : probe(again, at);
}
