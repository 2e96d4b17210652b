/** What can be said of a device at a moment. Go says the same in templates/look.go; both are held to testdata/looks.json. */
import { age, clock, lasted, longUnit, say, span } from "./words";

export type Look = "live" | "old" | "quiet" | "unknown";

/** What is known of how a device speaks, all in milliseconds. */
export interface Device {
  /** Its last sign of life; 0: it was never heard. */
  heard: number;
  /** "steady", "irregular", "events"; everything else: not known, and then nothing is said of it. */
  rhythm: string;
  /** 0: not known. */
  usual: number;
  /** Silence from which it counts as getting old, and as quiet; 0: it never does. */
  old: number;
  quiet: number;
}

export const stranger: Device = { heard: 0, rhythm: "", usual: 0, old: 0, quiet: 0 };

/** How old a value may be to be called live where no rhythm is known. */
const latest = 5 * 60_000;

/** lookOf judges a silence. Nobody was quiet while we could not hear: deaf is how much of it that was. */
export function lookOf(d: Device, now: number, known: boolean, deaf = 0): Look {
  const silent = now - d.heard - deaf;
  if (!known) return "unknown";
  if (d.heard === 0) return "live";
  if (d.quiet > 0 && silent >= d.quiet) return "quiet";
  return d.old > 0 && silent >= d.old ? "old" : "live";
}

/** stateOf says how a device is, once for all of its values. */
export function stateOf(d: Device, look: Look, now: number): string {
  const usual = usually(d);
  const more = usual && ` (${usual})`;
  if (look === "unknown") return say.cardUnknown;
  if (look === "quiet") return say.quietSince(clock(d.heard, now)) + more;
  if (look === "old") return say.cardOld(age(now - d.heard)) + more;
  if (d.rhythm === "events") return say.events;
  return usual && say.live + more;
}

/** cardWord stands before the age of a value. */
export function cardWord(d: Device, look: Look, old: number): string {
  if (look === "unknown") return `${say.cardUnknown} ·`;
  if (look === "quiet") return `${say.quiet} ·`;
  return look === "live" && old < (d.old || latest) ? `${say.live} ·` : say.lastHeard;
}

/** silenceOf says what is usual and what is, of a device that is quiet: "Usually every 5 minutes. Nothing for 22." */
export function silenceOf(d: Device, look: Look, now: number): string {
  if (look !== "quiet") return "";
  const [, every = "", n = "", short = ""] = usually(d).split(" ");
  return say.silence(every, Number(n), longUnit(short), ...lasted(now - d.heard));
}

/** usually says how often a device speaks: "usually every 5 min"; empty where that is not known. */
export function usually(d: Device): string {
  if (d.usual <= 0) return "";
  if (d.rhythm === "steady") return say.usuallyEvery(span(d.usual));
  return d.rhythm === "irregular" ? say.usuallyWithin(span(d.usual)) : "";
}

/** hasRhythm says whether anything is known of when a device speaks. */
export const hasRhythm = (d: Device): boolean => d.rhythm === "events" || usually(d) !== "";

/** callApart names devices for sentences: those that share a name with their places. */
export function callApart(all: readonly { readonly name: string; readonly where: string; called: string }[]): void {
  const names = new Map<string, number>();
  for (const { name } of all) names.set(name, (names.get(name) ?? 0) + 1);
  for (const g of all) g.called = names.get(g.name) !== 1 && g.where ? `${g.name} (${g.where})` : g.name;
}

/** A device as the sentence on top speaks of it. */
export interface Told {
  readonly name: string;
  readonly device: Device;
  readonly look: Look;
  /** How many values it has that are not folded away, and how many that are. */
  readonly values: number;
  readonly minor: number;
  /** What is the matter with its values: "Greenhouse temperature is above 30 °C". */
  readonly beyond: readonly string[];
}

/** sentence is the first line of the board: what needs attention, or that nothing does. */
export function sentence(all: readonly Told[], now: number): string {
  const first = all[0];
  if (!first) return say.nothingYet;
  const quiet = all.filter((t) => t.look === "quiet").sort(bySilence);
  const beyond = all.flatMap((t) => t.beyond);
  if (quiet.length + beyond.length > 0) return `${quietWords(quiet, all.length, now)} ${say.beyond(beyond)}`.trim();
  const young = all.filter((t) => t.look === "old" && !hasRhythm(t.device)).sort(bySilence);
  if (young[0]) return say.young(young.length, all.length, young[0].name, clock(young[0].device.heard, now));
  if (all.some((t) => hasRhythm(t.device))) return say.usual;
  const values = all.reduce((sum, t) => sum + t.values, 0) || first.minor;
  return say.summary(
    values,
    all.map((t) => t.name),
  );
}

const bySilence = (a: Told, b: Told) => a.device.heard - b.device.heard;

function quietWords(quiet: readonly Told[], all: number, now: number): string {
  const first = quiet[0];
  return first ? say.quietOnes(quiet.length, all, first.name, clock(first.device.heard, now)) : "";
}

/** How a device stands among the others. */
export interface Placed {
  readonly entity: string;
  readonly name: string;
  /** From 1; 0: by name, behind those that have a place. */
  readonly rank: number;
  readonly needs: boolean;
  /** It has values that are not folded away. */
  readonly major: boolean;
}

/** before is the order of devices: what needs attention, then as the owner wants it, then by name; what says only something of itself is last. */
export function before(a: Placed, b: Placed): number {
  const rank = (p: Placed) => p.rank || Number.MAX_SAFE_INTEGER;
  return (
    Number(b.needs) - Number(a.needs) ||
    rank(a) - rank(b) ||
    Number(b.major) - Number(a.major) ||
    compare(a.name.toLowerCase(), b.name.toLowerCase()) ||
    compare(a.entity, b.entity)
  );
}

const compare = (a: string, b: string) => (a < b ? -1 : Number(a > b));
