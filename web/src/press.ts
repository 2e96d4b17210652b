/** One press on its way to the server, told again and again under one id until it is there. No DOM in here. */
import { type Press, say } from "./words.buttons";

export const within = 10_000; // after which a press is given back

/** What a press needs of the world; tests have another. */
export interface World {
  fetch(path: string, init?: RequestInit): Promise<Response>;
  now(): number;
  online(): boolean;
  wait(ms: number): Promise<void>; // also ends when the page is looked at again
}

/** What became of a question to the server: a press, the server's own no, a no for now, or no answer. */
export type Outcome =
  | { readonly kind: "press"; readonly press: Press; readonly now?: string }
  | { readonly kind: "refused"; readonly words: string; readonly reason: string }
  | { readonly kind: "later"; readonly words: string; readonly after: number }
  | { readonly kind: "lost"; readonly maybe: boolean };

const again = 700; // milliseconds between two tries
const [soon, seldom] = [3000, 30_000]; // between two questions after a press; seldom where the server does not let this browser ask

/** What the server says only after it has looked for this very press and has not found it. All else it says says nothing of an earlier try. */
const certain = new Set([
  "button_unknown",
  "button_changed",
  "too_often",
  "number",
  "hours",
  "late",
  "not_sure",
  "press_id",
]);

/**
 * post asks for a press until the server has answered, or its time is over. What was lost on the way may have arrived, unless this
 * browser had no network all the time; a no that is not about this press does not change that.
 */
export async function post(world: World, form: URLSearchParams): Promise<Outcome> {
  const until = world.now() + within;
  let maybe = false;
  for (;;) {
    const offline = !world.online();
    const outcome = await ask(world, "/press", until - world.now(), { method: "POST", body: form, keepalive: true });
    if (outcome.kind === "press") return outcome;
    if (outcome.kind === "refused" && (!maybe || certain.has(outcome.reason))) return outcome;
    if (outcome.kind === "lost") maybe ||= !(offline && !world.online());
    const pause = outcome.kind === "later" ? Math.max(again, outcome.after) : again;
    if (world.now() + pause >= until) {
      if (outcome.kind !== "later" || maybe) return { kind: "lost", maybe };
      return { kind: "refused", words: outcome.words, reason: "" };
    }
    await world.wait(pause);
  }
}

/** ask makes one request, for no longer than that. */
export async function ask(world: World, path: string, limit: number, init: RequestInit = {}): Promise<Outcome> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), Math.max(1, limit));
  try {
    const answer = await world.fetch(path, {
      ...init,
      headers: { Accept: "application/json" },
      signal: abort.signal,
      cache: "no-store",
    });
    const body = (await answer.json()) as Press & { message?: string; reason?: string; now?: string };
    if (answer.ok) return { kind: "press", press: body, ...(body.now !== undefined && { now: body.now }) };
    const { message: words, reason = "" } = body;
    if (answer.status >= 500 || !words) return { kind: "lost", maybe: true };
    if (answer.status !== 429 || certain.has(reason)) return { kind: "refused", words, reason };
    return { kind: "later", words, after: 1000 * (Number(answer.headers.get("Retry-After")) || 1) };
  } catch {
    return { kind: "lost", maybe: true };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * whatBecame asks what became of a press whose answer was lost, as long as that is wanted. Only one of which the server knows nothing did
 * not arrive: who is signed out, or asks too often, has learnt nothing.
 */
export async function whatBecame(world: World, id: string, wanted: () => boolean): Promise<Outcome | null> {
  while (wanted()) {
    const outcome = await ask(world, `/press/${id}`, within);
    if (outcome.kind === "press" || none(outcome)) return outcome;
    if (!wanted()) break;
    const pause = outcome.kind === "later" ? outcome.after : outcome.kind === "refused" ? seldom : soon;
    await world.wait(Math.max(soon, pause));
  }
  return null;
}

/** none says whether the server has looked for a press, and knows of none. */
const none = (o: Outcome): boolean => o.kind === "refused" && o.reason === "press_unknown";

const quickFor = 120_000; // of asking without a pause after a press, and for as long as its answer is usual
const spare = 60_000;
const awaitedFor = 3_600_000; // by the server; after that no answer counts

/** follow asks after a press for as long as there is more to come, and says each news: at once while it is to be expected, later now and then. */
export async function follow(
  world: World,
  first: Press,
  serverNow: () => number,
  wanted: () => boolean,
  news: (press: Press, now?: string) => void,
): Promise<void> {
  let now = first;
  const since = Date.parse(first.pressed ?? "");
  while (under(now) && wanted()) {
    const began = world.now();
    const quick = serverNow() < Math.max(since + quickFor, (Date.parse(now.patient ?? "") || 0) + spare);
    const outcome = await ask(world, `/press/${now.id}${quick ? `?state=${now.state}` : ""}`, quick ? 30_000 : within);
    if (!wanted() || none(outcome)) return;
    if (outcome.kind === "press") {
      now = outcome.press;
      news(now, outcome.now);
    }
    if (!(serverNow() < since + awaitedFor)) return; // that was the last that can be said
    const pause = outcome.kind === "later" ? outcome.after : outcome.kind === "refused" || !quick ? seldom : 0;
    if (pause > 0) await world.wait(pause);
    else if (world.now() - began < 500) await world.wait(1500);
  }
}

/** under says whether there is more to come of a press: one whose answer nobody awaits is done when it is accepted. */
export const under = (p: Press): boolean =>
  p.state === "accepted" ? p.patient !== undefined : ["waiting", "sending", "unsure"].includes(p.state);

/** given is what is shown of a press that no answer came to. */
export const given = (id: string, maybe: boolean): Press => ({ id, state: maybe ? "unknown" : "not_sent" });

/** refusal is what is shown of a press that the server did not take: its own words. */
export const refusal = (words: string): string => words || say.refused;

/** pressId names a press for ever; it works on pages without https too, where crypto.randomUUID does not. */
export const pressId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
