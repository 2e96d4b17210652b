import type { Batch, Flow, Heard } from "../hub/protocol";
import { keep, matches, type Row, rowOf } from "../rows";
import { type Left, Tally } from "../tally";
import { sameDay } from "../words";
import { exact } from "../words.developer";
import { clone, find, hide, put } from "./find";
import { drawSoon, enough } from "./frame";
import { openTree } from "./tree";

const dayOf = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });
const timeOf = new Intl.DateTimeFormat("en", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hourCycle: "h23", // and not hour12: false, which says 24 for the first hour of a day
});

const late = 200; // so many rows may wait to be made while the list is a sample anyway

/** Stream is the list of messages. While it is paused nothing moves; what comes in waits. */
export class Stream {
  private rows: Row[] = [];
  private incoming: Row[] = [];
  private waiting: Row[] = [];
  private fresh: Row[] = [];
  private paused = false;
  private meanwhile = 0; // messages that came since it was paused
  private readonly made = new Map<Row, HTMLElement>();
  private readonly tally: Tally;
  private readonly list = find(document, "[data-rows]");
  private readonly search = find<HTMLInputElement>(document, "[data-search]");
  private readonly pause = find<HTMLButtonElement>(document, "[data-pause]");
  private readonly flowing = find(document, "[data-flow]");
  private readonly counted = find(document, "[data-count]");
  private readonly empty = find(document, "[data-rows-empty]");
  private readonly later = find(document, "[data-waiting]");

  constructor(
    private readonly want: (search: string) => void,
    early: Left,
  ) {
    this.tally = new Tally(early);
    this.pause.addEventListener("click", () => this.setPaused(!this.paused));
    find(document, "[data-clear]").addEventListener("click", () => this.clear());
    this.search.addEventListener("input", () => this.filter());
    setInterval(() => this.flow(), 1000);
    this.words();
  }

  hear(heard: Heard): void {
    this.incoming.push(rowOf(heard));
    drawSoon(this.draw);
  }

  /** count hears of how much came, of which the list was given a sample. */
  count({ found, others, search, recorded }: Batch): void {
    if (search === this.search.value) this.tally.add(performance.now(), found, others, recorded);
    else this.tally.add(performance.now(), none, sum(found, others), recorded);
    if (found.left + others.left > 0) this.hurry();
    this.meanwhile += found.came + others.came;
    if (this.paused) drawSoon(this.draw);
  }

  private setPaused(paused: boolean): void {
    this.sort();
    this.paused = paused;
    this.meanwhile = 0;
    this.pause.setAttribute("aria-pressed", String(paused));
    put(this.pause, paused ? exact.resume : exact.pause);
    if (!paused) this.fresh = this.join(this.fresh, this.waiting.splice(0));
    drawSoon(this.draw);
  }

  /** sort puts what came in where it waits. */
  private sort(): void {
    const incoming = this.incoming.splice(0);
    if (incoming.length === 0) return;
    if (this.paused) this.waiting = this.join(this.waiting, incoming);
    else this.fresh = this.join(this.fresh, incoming);
  }

  /** hurry leaves out of a sample what a slow page would list long after it came. What is searched for is listed, however late. */
  private hurry(): void {
    const over = this.fresh.length - late;
    if (over <= 0 || this.search.value.trim() !== "") return;
    this.fresh.splice(0, over);
    this.tally.miss(over);
  }

  /** join adds to what waits to be listed; what is too much for that never will be, which is said. */
  private join(waiting: readonly Row[], more: readonly Row[]): Row[] {
    const kept = keep(waiting, more, this.search.value);
    this.tally.miss(waiting.length + more.length - kept.length);
    return kept;
  }

  private clear(): void {
    this.rows = [];
    this.incoming = [];
    this.fresh = [];
    this.waiting = [];
    this.meanwhile = 0;
    this.tally.clear();
    this.made.clear();
    this.list.replaceChildren();
    drawSoon(this.draw);
  }

  private readonly draw = (): void => {
    this.sort();
    if (this.fresh.length > 0) this.drawRows();
    this.words();
    if (this.fresh.length > 0) drawSoon(this.draw);
  };

  private drawRows(): void {
    const until = enough();
    const fresh: Row[] = [];
    while (performance.now() < until) {
      const row = this.fresh.shift();
      if (!row) break;
      fresh.push(row);
      const element = this.make(row);
      this.made.set(row, element);
      element.hidden = !matches(row, this.search.value);
      this.list.prepend(element);
    }
    this.rows = keep(this.rows, fresh, this.search.value);
    if (this.made.size === this.rows.length) return;
    const kept = new Set(this.rows);
    for (const [row, element] of this.made) {
      if (kept.has(row)) continue;
      element.remove();
      this.made.delete(row);
    }
  }

  private filter(): void {
    for (const [row, element] of this.made) element.hidden = !matches(row, this.search.value);
    this.want(this.search.value);
    this.tally.forget();
    this.words();
  }

  /** flow says how much of what comes is listed, and how much was not. */
  private flow(): void {
    const { left, recorded } = this.tally.total;
    const rates = this.tally.rates(performance.now());
    const element = this.flowing;
    hide(element, left === 0);
    if (!rates) put(element, left > 0 ? exact.left(left, recorded) : "");
    else if (this.search.value.trim() === "") put(element, exact.flow(rates.shown, rates.came, recorded));
    else if (rates.shown < rates.came) put(element, exact.flowFound(rates.shown, rates.came, recorded));
    else put(element, exact.flowAllFound(rates.came, rates.all, recorded));
  }

  private words(): void {
    const searched = this.search.value.trim() !== "";
    let found = this.rows.length;
    if (searched) for (const element of this.made.values()) if (element.hidden) found--;
    put(this.counted, searched ? exact.found(found, this.rows.length) : exact.messages(found));
    hide(this.empty, found > 0);
    put(this.empty, searched && this.rows.length > 0 ? exact.notFound : exact.noRows);
    hide(this.later, !this.paused);
    const { length } = this.waiting;
    put(this.later, this.meanwhile > length ? exact.waitingSome(this.meanwhile, length) : exact.waiting(length));
    this.flow();
  }

  private make(row: Row): HTMLElement {
    const element = clone("row");
    const { heard, envelope } = row;
    const time = find<HTMLTimeElement>(element, "[data-row-time]");
    const at = envelope?.received || heard.at; // a remembered message came when it came, not when we heard of it
    time.dateTime = new Date(at).toISOString();
    put(time, timeWords(at));
    put(find(element, "[data-row-source]"), envelope?.source.split(":").slice(2).join(":") || heard.topic);
    put(find(element, "[data-row-to]"), envelope?.to ? exact.addressed(envelope.to) : "");
    put(find(element, "[data-row-type]"), envelope?.type || "?");
    find(element, "[data-row-bare]").hidden = envelope !== null && !envelope.bare;
    find(element, "[data-row-retained]").hidden = !heard.retained;
    put(find(element, "[data-row-data]"), row.data);
    const details = find<HTMLDetailsElement>(element, "details");
    details.addEventListener("toggle", () => this.open(element, row), { once: true });
    return element;
  }

  private open(element: HTMLElement, row: Row): void {
    const opened = clone("opened");
    put(find(opened, "[data-row-topic]"), row.heard.topic);
    find(opened, "[data-row-tree]").append(openTree(row.heard.payload));
    find(opened, "[data-copy]").addEventListener("click", () => void copy(opened, row.heard.payload));
    find(element, "details").append(opened);
  }
}

const none: Flow = { came: 0, left: 0 };

function sum(a: Flow, b: Flow): Flow {
  return { came: a.came + b.came, left: a.left + b.left };
}

/** copy puts the payload as it came on the clipboard; where pages may not, it shows and selects it. */
async function copy(opened: HTMLElement, payload: string): Promise<void> {
  const said = find(opened, "[data-copied]");
  try {
    await navigator.clipboard.writeText(payload);
    put(said, exact.copied);
  } catch {
    const json = find(opened, "[data-row-json]");
    put(json, payload);
    json.hidden = false;
    getSelection()?.selectAllChildren(json);
    put(said, exact.selected);
  }
}

/** timeWords gives the time of day, with the day in front when that is not today. */
function timeWords(at: number): string {
  return (sameDay(at, Date.now()) ? "" : `${dayOf.format(at)}, `) + timeOf.format(at);
}
