/** What the line says to somebody who comes back, so that nobody else downloads it. The page behind it is in templates/happened.go. */
import { capitalWord, clock, count, entityWords, inSentence, sameDay, span } from "./words";

/** HappenedEvent is one thing that happened, as /history/happened gives it. */
export interface HappenedEvent {
  readonly kind: "quiet" | "changed" | "highest" | "lowest" | "outside" | "pressed" | "gap";
  readonly from: string;
  readonly to: string | null;
  readonly entity: string;
  /** What sentences call it: as the owner of the board does, with its place where another has that name. */
  readonly called: string;
  readonly reading: string;
  readonly label: string;
  readonly value: string;
  readonly unit: string;
  readonly count: number;
  readonly reason: string;
  readonly who: string;
}

export interface Happened {
  /** Newest first. */
  readonly events: readonly HappenedEvent[];
  readonly values: number;
  readonly more: boolean;
}

const mostTold = 3;
const order: readonly HappenedEvent["kind"][] = ["gap", "quiet", "outside", "highest", "lowest", "pressed", "changed"];

/** awayWords says what matters most of it; host is whom our own link leads to. */
export function awayWords(h: Happened, since: number, now: number, host: string): string {
  const told = [...grouped(h.events).values()];
  told.sort((a, b) => order.indexOf(kindOf(a)) - order.indexOf(kindOf(b)));
  if (told.length === 0) {
    return `While you were away: nothing unusual, ${count(h.values, "new value", "new values")}.`;
  }
  const several = new Set(h.events.filter((e) => e.reading !== "").map((e) => e.entity)).size > 1;
  const parts = told.slice(0, mostTold).map((same) => words(same, several, now, host));
  const left = told.length - parts.length;
  if (left > 0 || h.more) parts.push(h.more ? "and more" : `and ${left} more`);
  return `While you were away (${long(now - since)}): ${parts.join("; ")}.`;
}

type Same = readonly [HappenedEvent, ...HappenedEvent[]];

const kindOf = ([first]: Same) => first.kind;

/** grouped puts together what happened to the same value or device again and again. */
function grouped(events: readonly HappenedEvent[]): Map<string, Same> {
  const all = new Map<string, Same>();
  for (const e of events) {
    const key = [e.kind, e.entity, e.reading, e.kind === "pressed" ? e.label : e.reason].join("\n");
    all.set(key, [...(all.get(key) ?? []), e] as unknown as Same);
  }
  return all;
}

function words(same: Same, several: boolean, now: number, host: string): string {
  const [e] = same;
  const name = e.called || entityWords(e.entity).name;
  const value = [capitalWord(e.value), e.unit].filter(Boolean).join(" ");
  const what = several && name !== e.label ? `${name} ${inSentence(e.label)}` : e.label;
  switch (e.kind) {
    case "gap":
      return gap(same, now, host);
    case "quiet":
      return quiet(name, same, now);
    case "outside":
      return outside(what, same, now);
    case "highest":
      return `${what} reached ${value}, the highest in a week`;
    case "lowest":
      return `${what} fell to ${value}, the lowest in a week`;
    case "pressed":
      return same.length === 1 ? `${e.who} pressed ${e.label}` : `${e.label} was pressed ${same.length} times`;
    case "changed": {
      const times = same.reduce((n, { count }) => n + count, 0);
      return times === 1 ? `${what} is now ${value}` : `${what} changed ${times} times`;
    }
  }
}

function quiet(name: string, same: Same, now: number): string {
  const [e] = same;
  if (e.to === null) return `${name} has been quiet since ${clock(Date.parse(e.from), now)}`;
  if (same.length > 1) return `${name} was quiet ${same.length} times, ${long(lengthOf(same))} in all`;
  return `${name} was quiet ${fromTo("from", "to", e.from, e.to, now)}`;
}

function outside(what: string, same: Same, now: number): string {
  const [e] = same;
  if (e.to === null) return `${what} has been ${e.reason} since ${clock(Date.parse(e.from), now)}`;
  if (same.length > 1) return `${what} was ${e.reason} ${same.length} times, ${long(lengthOf(same))} in all`;
  return `${what} was ${e.reason} ${fromTo("from", "to", e.from, e.to, now)}`;
}

/** fromTo says when something was that is over, the day once where it is the same; "at 13:40 for 35 s" where a clock would show the same twice, as templates/happened.go does. */
function fromTo(from: string, to: string, began: string, ended: string, now: number): string {
  const [a, b] = [Date.parse(began), Date.parse(ended)];
  const first = clock(a, now);
  if (first === clock(b, now)) return `at ${first} for ${long(b - a)}`;
  return `${from} ${first} ${to} ${clock(b, sameDay(a, b) ? b : now)}`;
}

/**
 * gapsSaid is what is said of a time in which nothing could be recorded, of one that is over and of one that lasts; "between …" or "since …" follows.
 * templates/gap.go says the same; both are held to its testdata/gaps.json. {host} is whom our link leads to.
 */
export const gapsSaid: Readonly<Record<string, readonly [was: string, has: string]>> = {
  stopped: ["this page's server was off", "this page's server has been off"],
  upstream: ["our link to {host} was down", "our link to {host} has been down"],
  unheard: ["this page's server did not listen", "this page's server has not listened"],
  full: ["the disk of this page's server was full", "the disk of this page's server has been full"],
  failing: ["this page's server could not record", "this page's server has not been able to record"],
  "": ["nothing could be recorded", "nothing could be recorded"],
};

function gap(same: Same, now: number, host: string): string {
  const [e] = same;
  const said = (gapsSaid[e.reason] ?? gapsSaid[""]) as readonly [string, string];
  const [was, has] = said.map((words) => words.replace("{host}", () => host)) as [string, string];
  if (e.to === null) return `${has} since ${clock(Date.parse(e.from), now)}`;
  if (same.length > 1) return `${was} ${same.length} times, ${long(lengthOf(same))} in all`;
  return `${was} ${fromTo("between", "and", e.from, e.to, now)}`;
}

function lengthOf(same: Same): number {
  return same.reduce((sum, { from, to }) => sum + Date.parse(to ?? from) - Date.parse(from), 0);
}

function long(ms: number): string {
  const days = Math.round(ms / 86_400_000);
  return ms < 48 * 3_600_000 ? span(ms) : count(days, "day", "days");
}
