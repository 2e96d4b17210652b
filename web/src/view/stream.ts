import type { Heard } from "../hub/protocol";
import { keep, matches, type Row, rowOf } from "../rows";
import { exact } from "../words.developer";
import { clone, find, put } from "./find";
import { openTree } from "./tree";

const dayOf = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });
const timeOf = new Intl.DateTimeFormat("en", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hour12: false,
});

const atOnce = 200; // rows made in one frame

/** Stream is the list of messages. While it is paused nothing moves; what comes in waits. */
export class Stream {
  private rows: Row[] = [];
  private waiting: Row[] = [];
  private fresh: Row[] = [];
  private paused = false;
  private overflowed = false;
  private drawing = false;
  private readonly made = new Map<Row, HTMLElement>();
  private readonly list = find(document, "[data-rows]");
  private readonly search = find<HTMLInputElement>(document, "[data-search]");
  private readonly pause = find<HTMLButtonElement>(document, "[data-pause]");

  constructor() {
    this.pause.addEventListener("click", () => this.setPaused(!this.paused));
    find(document, "[data-clear]").addEventListener("click", () => this.clear());
    this.search.addEventListener("input", () => this.filter());
    this.words();
  }

  hear(heard: Heard): void {
    const row = rowOf(heard);
    if (this.paused) {
      const before = this.waiting.length;
      this.waiting = keep(this.waiting, [row]);
      this.overflowed ||= this.waiting.length <= before;
    } else {
      this.fresh = keep(this.fresh, [row]);
    }
    this.drawSoon();
  }

  private setPaused(paused: boolean): void {
    this.paused = paused;
    this.pause.setAttribute("aria-pressed", String(paused));
    put(this.pause, paused ? exact.resume : exact.pause);
    if (!paused) {
      this.fresh = keep(this.fresh, this.waiting.splice(0));
      this.overflowed = false;
    }
    this.drawSoon();
  }

  private clear(): void {
    this.rows = [];
    this.fresh = [];
    this.waiting = [];
    this.made.clear();
    this.list.replaceChildren();
    this.drawSoon();
  }

  private drawSoon(): void {
    if (this.drawing) return;
    this.drawing = true;
    const draw = () => {
      this.drawing = false;
      this.draw();
    };
    if (document.hidden) setTimeout(draw, 250);
    else requestAnimationFrame(draw);
  }

  private draw(): void {
    const fresh = this.fresh.splice(0, atOnce);
    this.rows = keep(this.rows, fresh);
    for (const row of fresh) {
      const element = this.make(row);
      this.made.set(row, element);
      element.hidden = !matches(row, this.search.value);
      this.list.prepend(element);
    }
    for (const [row, element] of this.made) {
      if (this.made.size <= this.rows.length) break;
      element.remove();
      this.made.delete(row);
    }
    this.words();
    if (this.fresh.length > 0) this.drawSoon();
  }

  private filter(): void {
    for (const [row, element] of this.made) element.hidden = !matches(row, this.search.value);
    this.words();
  }

  private words(): void {
    const searched = this.search.value.trim() !== "";
    const found = searched ? this.rows.filter((r) => matches(r, this.search.value)).length : this.rows.length;
    put(find(document, "[data-count]"), searched ? exact.found(found, this.rows.length) : exact.messages(found));
    const empty = find(document, "[data-rows-empty]");
    empty.hidden = found > 0;
    put(empty, searched && this.rows.length > 0 ? exact.notFound : exact.noRows);
    const waiting = find(document, "[data-waiting]");
    waiting.hidden = !this.paused;
    put(waiting, this.overflowed ? exact.waitingLost(this.waiting.length) : exact.waiting(this.waiting.length));
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
    find(opened, "[data-row-tree]").append(openTree(jsonOf(row.heard.payload)));
    find(opened, "[data-copy]").addEventListener("click", () => void copy(opened, row.heard.payload));
    find(element, "details").append(opened);
  }
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
  const day = dayOf.format(at);
  return (day === dayOf.format(Date.now()) ? "" : `${day}, `) + timeOf.format(at);
}

function jsonOf(payload: string): unknown {
  try {
    return JSON.parse(payload);
  } catch {
    return payload;
  }
}
