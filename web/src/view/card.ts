import { beside } from "../beside";
import { capital, type Shown, showNumber } from "../describe";
import { cardWord, type Device, type Look } from "../look";
import type { Reading } from "../reading";
import { age, capitalWord, clock, kindOf, owner, say, sizeOf } from "../words";
import { find, hide, put, set } from "./find";
import type { Plot } from "./plot";

/** What a device has left of something, by the names of what it says of itself. */
const health: Record<string, string> = { mem_free: "Memory", disk_free: "Disk" };

const scarce = 10; // percent, below which it needs attention
const mostEarly = 500;
const drawnFor = 60_000; // the graph moves on with the clock, slowly
const drawnApart = 3000; // and with values no more often: it is of a day

/** How a graph is drawn: loaded beside the rest, since the server has drawn all that is there at first. */
let Pen: typeof Plot | null = null;

/** loadPen calls back when graphs can be drawn. */
export function loadPen(then: () => void): void {
  void beside(() => import("./plot")).then((plot) => {
    Pen = plot.Plot;
    then();
  });
}

interface Parts {
  readonly label: HTMLElement;
  readonly value: HTMLElement;
  readonly unit: HTMLElement;
  readonly outside: HTMLElement;
  readonly note: HTMLElement;
  readonly word: HTMLElement;
  readonly age: HTMLTimeElement;
}

/** Card keeps one value alive in the markup that the server rendered, or until it has a place there without any. */
export class Card {
  element: HTMLElement | null = null;
  at = 0;
  /** The value as it came; null until a message brought it to this page. */
  raw: Reading["value"] | null = null;

  private plot: Plot | null = null;
  private early: [number, number][] = []; // numbers that are not in the graph yet
  private words: Shown | null = { label: "", value: "", unit: "", minor: false }; // null: nobody has looked yet
  private low = ""; // what is the matter with what there is little left of
  private parts: Parts | null = null;
  private note = ""; // "3 % of 64 MB" for what is a part of something
  private before: { value: string; until: number } | null = null;
  private byHand = false;
  private drawn = 0;

  constructor(
    readonly entity: string,
    readonly reading: string,
  ) {}

  /** name writes into a new element whose it is, and where the page of the value is. */
  name(element: HTMLElement): void {
    const { entity, reading } = this;
    Object.assign(element.dataset, { entity, reading });
    find<HTMLAnchorElement>(element, "a").search = `${new URLSearchParams({ entity, reading })}`;
  }

  /** adopt goes on from what the server printed. */
  adopt(): void {
    const element = this.element;
    if (!element) return;
    this.at = printedAt(element);
    this.raw = JSON.parse(element.dataset.raw ?? "null") as Reading["value"] | null;
    this.words = {
      label: find(element, "[data-label]").textContent ?? "",
      value: find(element, "[data-value]").textContent ?? "",
      unit: find(element, "[data-unit]").textContent ?? "",
      minor: element.closest("[data-more]") !== null,
      outside: element.dataset.attention ?? "",
    };
    const note = find(element, "[data-note]");
    this.byHand = "hand" in note.dataset;
    this.note = (note.textContent ?? "").replace(new RegExp(`^${say.byHand}( · )?`), "");
  }

  /** hear takes a value of a moment; an older one than the card shows only joins the graph. */
  hear(reading: Reading, at: number, byHand: boolean): boolean {
    if (typeof reading.value === "number" && !byHand) this.early.push([at, reading.value]);
    if (this.early.length > mostEarly) this.early.shift();
    if (at < this.at) return false;
    if (typeof reading.value !== "number") {
      const was = this.shown.value;
      if (was !== "" && was !== this.owned(reading.value).value) this.before = { value: was, until: at };
    }
    this.at = at;
    this.raw = reading.value;
    this.byHand = byHand;
    this.words = null;
    return true;
  }

  /** again has the value described anew: its owner wants it otherwise. */
  again(): this {
    if (this.raw !== null) this.words = null;
    return this;
  }

  /** Described when somebody looks, since more values may come than are ever shown. */
  private get shown(): Shown {
    this.words ??= this.owned(this.raw ?? "");
    return this.words;
  }

  /** What is the matter with the value, as it stands after "is": "above 30 °C"; empty: nothing. */
  get attention(): string {
    return this.low || (this.shown.outside ?? "");
  }

  /** owned describes a value as the owner wants it. */
  private owned(value: Reading["value"]): Shown {
    const found = owner.shown(this.entity, { name: this.reading, value });
    const left = health[this.reading];
    if (left && found.unit.endsWith("B")) {
      const label = found.label === `${left} free` ? left : found.label; // or what its owner calls it
      return { ...found, label, unit: `${found.unit} ${say.left}`, minor: true };
    }
    return { ...found, value: capitalWord(found.value) };
  }

  /** partOf says of what this is a share, such as free memory of all memory. */
  partOf(whole: number): void {
    if (typeof this.raw !== "number" || whole <= 0) return;
    const all = showNumber(whole, "B");
    const share = Math.round((this.raw / whole) * 100);
    this.note = say.share(String(share), `${all.value} ${all.unit}`);
    const scarceNow = health[this.reading] !== undefined && this.raw / whole < scarce / 100;
    this.low = scarceNow ? say.low(`${this.shown.value} ${this.shown.unit}`) : "";
  }

  /** render writes the value, how old it is, and the graph, which moves on with the clock too. */
  render(now: number, device: Device, look: Look): void {
    const element = this.element;
    if (!element) return;
    this.parts ??= partsOf(element);
    this.renderValue(element, this.parts, now);
    set(element, "look", look);
    const old = Math.max(0, now - this.at);
    write(this.parts.word, cardWord(device, look, old));
    write(this.parts.age, age(old));
    const moment = new Date(this.at).toISOString();
    if (this.parts.age.dateTime !== moment) this.parts.age.dateTime = moment;
    const apart = this.early.length > 0 ? drawnApart : drawnFor;
    if (Math.abs(now - this.drawn) > apart) this.drawGraph(element, now, device);
  }

  private renderValue(element: HTMLElement, parts: Parts, now: number): void {
    const { label, value, unit } = this.shown;
    write(parts.label, label);
    write(parts.value, value);
    write(parts.unit, unit);
    set(element, "kind", kindOf(value));
    set(element, "size", sizeOf(value + unit));
    const title = sizeOf(value) === "longest" ? value : "";
    if (parts.value.title !== title) parts.value.title = title;
    if (this.attention) set(element, "attention", this.attention);
    else delete element.dataset.attention;
    write(parts.outside, capital(this.attention));
    hide(parts.outside, !this.attention);
    const more = this.note || (this.before ? say.before(this.before.value, clock(this.before.until, now)) : "");
    const note = [this.byHand ? say.byHand : "", more].filter(Boolean).join(" · ");
    write(parts.note, note);
    hide(parts.note, note === "");
  }

  /** sentence says the value for somebody who listens. */
  sentence(now: number): string {
    const { label, value, unit } = this.shown;
    const all = [`${label} ${value} ${unit}`.trim(), this.attention, age(Math.max(0, now - this.at))];
    return [...all, this.byHand ? say.byHand.toLowerCase() : ""].filter(Boolean).join(", ");
  }

  /** folded says that it is about the device itself, and needs no attention. */
  get folded(): boolean {
    return this.shown.minor && this.attention === "";
  }

  get hidden(): boolean {
    return this.element?.hidden === true;
  }

  get needs(): boolean {
    return this.attention !== "" && !this.hidden;
  }

  get label(): string {
    return this.shown.label;
  }

  private drawGraph(element: HTMLElement, now: number, device: Device): void {
    if (!Pen) return;
    this.drawn = now;
    this.plot ??= new Pen(element);
    for (const [at, value] of this.early.splice(0)) this.plot.add(at, value);
    this.plot.draw(now, device.usual, this.shown.label, (n) => this.owned(n).value);
  }
}

/** write puts words into the text that is there: with another one the browser would also find out anew how the element looks. */
function write(element: Element, words: string): void {
  const text = element.firstChild;
  if (words === "" || !text?.nodeValue || text !== element.lastChild) put(element, words);
  else if (text.nodeValue !== words) text.nodeValue = words;
}

/** partsOf finds them once: a card is drawn many times a second. */
const partsOf = (card: HTMLElement): Parts => ({
  label: find(card, "[data-label]"),
  value: find(card, "[data-value]"),
  unit: find(card, "[data-unit]"),
  outside: find(card, "[data-outside]"),
  note: find(card, "[data-note]"),
  word: find(card, "[data-look-word]"),
  age: find(card, "[data-age]"),
});

/** printedAt is of when the value is that the server printed. */
export function printedAt(element: HTMLElement): number {
  return Date.parse(find<HTMLTimeElement>(element, "[data-age]").dateTime) || 0;
}
