import { describe, type Shown, showNumber } from "../describe";
import type { Reading } from "../reading";
import { draw, type Look, Series } from "../series";
import { age, capitalWord, clock, kindOf, say, sizeOf, span } from "../words";
import { find, put } from "./find";

/** Card keeps one value alive in the markup that the server rendered, or until it has a place there without any. */
export class Card {
  element: HTMLElement | null = null;
  look: Look = "live";
  at = 0;
  /** The value as it came; null until a message brought it to this page. */
  raw: Reading["value"] | null = null;

  private readonly series = new Series();
  private shown: Shown = { label: "", value: "", unit: "", minor: false };
  private whole = ""; // "64 MB" for what is a part of something
  private before: { value: string; until: number } | null = null;
  private byHand = false;
  private deaf = 0; // for how long we could not hear since the value came
  private ticked = 0;

  constructor(
    readonly entity: string,
    readonly reading: string,
  ) {}

  /** adopt goes on from what the server printed. */
  adopt(): void {
    const element = this.element;
    if (!element) return;
    this.at = printedAt(element);
    this.shown = {
      label: find(element, "[data-label]").textContent ?? "",
      value: find(element, "[data-value]").textContent ?? "",
      unit: find(element, "[data-unit]").textContent ?? "",
      minor: element.closest("[data-more]") !== null,
    };
    this.byHand = find(element, "[data-note]").textContent !== ""; // the only note that the server prints
    for (const point of (element.dataset.points ?? "").split(" ")) {
      const [at, value] = point.split(",").map(Number);
      if (at && value !== undefined && Number.isFinite(value)) this.series.add(at, value);
    }
  }

  /** hear takes a value of a moment; an older one than the card shows only joins the graph. */
  hear(reading: Reading, at: number, byHand: boolean): boolean {
    this.series.add(at, typeof reading.value === "number" ? reading.value : null);
    if (at < this.at) return false;
    const described = describe(reading);
    const shown = { ...described, value: capitalWord(described.value) };
    if (typeof reading.value !== "number" && this.shown.value !== "" && this.shown.value !== shown.value) {
      this.before = { value: this.shown.value, until: at };
    }
    this.at = at;
    this.deaf = 0;
    this.raw = reading.value;
    this.byHand = byHand;
    this.shown = shown;
    return true;
  }

  /** partOf says of what this is a share, such as free memory of all memory. */
  partOf(whole: number): void {
    const all = showNumber(whole, "B");
    const share = typeof this.raw === "number" && whole > 0 ? Math.round((this.raw / whole) * 100) : null;
    this.whole = share === null ? "" : say.share(String(share), `${all.value} ${all.unit}`);
  }

  /** render writes value and graph. */
  render(now: number): void {
    const element = this.element;
    if (!element) return;
    const { label, value, unit } = this.shown;
    put(find(element, "[data-label]"), label);
    const output = find(element, "[data-value]");
    put(output, value);
    put(find(element, "[data-unit]"), unit);
    element.dataset.kind = kindOf(value);
    element.dataset.size = sizeOf(value + unit);
    output.title = sizeOf(value) === "longest" ? value : "";
    const note = find(element, "[data-note]");
    const more = this.whole || (this.before ? say.before(this.before.value, clock(this.before.until, now)) : "");
    put(note, [this.byHand ? say.byHand : "", more].filter(Boolean).join(" · "));
    note.hidden = note.textContent === "";
    this.drawGraph(find<SVGSVGElement>(element, "[data-graph]"));
    this.tick(now, true);
  }

  /** tick counts the age on; known is false when our own link is down and nothing can be said about the device. */
  tick(now: number, known: boolean): void {
    if (!known) this.deaf += now - (this.ticked || now);
    this.ticked = now;
    this.look = known ? this.series.look(this.at, now, this.deaf) : "live";
    if (!this.element) return;
    this.element.dataset.look = known ? this.look : "unknown";
    const time = find<HTMLTimeElement>(this.element, "[data-age]");
    const ago = age(Math.max(0, now - this.at));
    const words = this.lookWords(now, known);
    put(find(this.element, "[data-look-word]"), words);
    const quiet = known && this.look === "quiet";
    put(time, quiet ? "" : known && this.look === "old" ? say.cardOld(ago) : ago);
    const moment = new Date(this.at).toISOString();
    if (time.dateTime !== moment) time.dateTime = moment;
  }

  /** sentence says the value for somebody who listens. */
  sentence(now: number): string {
    const { label, value, unit } = this.shown;
    const hand = this.byHand ? `, ${say.byHand.toLowerCase()}` : "";
    return `${label} ${value}${unit ? ` ${unit}` : ""}, ${age(Math.max(0, now - this.at))}${hand}`;
  }

  /** minor says that it is about the device itself, and is folded away. */
  get minor(): boolean {
    return this.shown.minor;
  }

  get label(): string {
    return this.shown.label;
  }

  private lookWords(now: number, known: boolean): string {
    if (!known) return say.cardUnknown;
    if (this.look !== "quiet") return "";
    return say.cardQuiet(clock(this.at, now), span(this.series.usualGap()));
  }

  private drawGraph(graph: SVGSVGElement): void {
    const drawing = draw(this.series.points, 160, 40);
    graph.toggleAttribute("hidden", drawing === null);
    if (!drawing) return;
    find<SVGPathElement>(graph, "[data-line]").setAttribute("d", drawing.line);
    find<SVGPathElement>(graph, "[data-area]").setAttribute("d", drawing.area);
    find<SVGPathElement>(graph, "[data-end]").setAttribute("d", drawing.end);
    const values = this.series.points.map((p) => p.value);
    const scaled = this.shown.unit.endsWith("B") ? "B" : this.shown.unit;
    const [low, high] = [showNumber(Math.min(...values), scaled), showNumber(Math.max(...values), scaled)];
    graph.setAttribute("aria-label", say.graph(this.shown.label, low.value, high.value, high.unit, values.length));
  }
}

/** printedAt is of when the value is that the server printed. */
export function printedAt(element: HTMLElement): number {
  return Date.parse(find<HTMLTimeElement>(element, "[data-age]").dateTime) || 0;
}
