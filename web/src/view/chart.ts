/** The chart of a page, drawn anew in what the server printed, and walked through by pointer, touch and keys. */
import { across, bounds, box, down, high, laneHigh, lanes, levels, lines, scaleOf, ticks } from "../chart";
import { endOf, type Stretch, states, wordsOf } from "../stretch";
import { capitalWord, clock, span } from "../words";
import { value as say } from "../words.value";
import { type Close, closer, follow, partOf } from "../zoom";
import { find, put } from "./find";

/** One thing that can be pointed at. */
interface Item {
  readonly at: number;
  readonly until: number;
  readonly words: string;
  readonly y: number | null;
}

export class Chart {
  private readonly plot: SVGSVGElement;
  private readonly readout: HTMLElement;
  private items: Item[] = [];
  private here = -1;
  private whole: Stretch;
  private close: Close | null = null; // the part that is looked at
  private readonly held = new Map<number, number>(); // where each finger, or the mouse, is held

  constructor(
    private readonly root: HTMLElement,
    private stretch: Stretch,
    label: string,
  ) {
    this.plot = find<SVGSVGElement>(root, "[data-plot]");
    this.readout = find(root, "[data-readout]");
    this.whole = stretch;
    root.tabIndex = 0;
    root.setAttribute("role", "slider");
    root.setAttribute("aria-label", say.chart(label));
    this.draw(stretch);
    this.listen();
  }

  /** draw shows a stretch; whoever points at something goes on pointing at it. */
  draw(stretch: Stretch): void {
    const at = this.items[this.here]?.at;
    this.close = follow(this.whole, stretch, this.close);
    this.whole = stretch;
    this.stretch = partOf(stretch, this.close);
    if (this.plot.dataset.plot === "lanes") this.drawLanes();
    else this.drawLine();
    const tickWords = find<SVGGElement>(this.plot, "[data-ticks]");
    fill(
      tickWords,
      "text",
      ticks(this.stretch),
      (t) => ({ x: t.x, y: tickWords.dataset.y ?? "" }),
      (t) => t.words,
    );
    this.here = at === undefined ? -1 : this.items.findIndex((i) => i.at === at);
    this.tell();
  }

  private drawLine(): void {
    const s = this.stretch;
    const scale = scaleOf(s);
    const b = bounds(s.points, scale);
    const { line, band, dots } = lines(s, b);
    for (const [name, d] of Object.entries({ line, band, dots })) {
      find(this.plot, `[data-${name}]`).setAttribute("d", d);
    }
    this.drawGaps(high);
    const all = levels(s, b);
    fill(find(this.plot, "[data-levels]"), "path", all, (l) => ({ class: "plot-level", d: `M0 ${l.y}H1000` }));
    const top = all.length - 1;
    fill(
      find(this.plot, "[data-level-words]"),
      "text",
      all,
      (l) => ({ x: "4", y: `${l.y}`, dy: l.y < 16 ? "14" : "-4" }),
      (l, i) => (i === top && l.unit ? `${l.words} ${l.unit}` : l.words),
    );
    const words = (v: number) => {
      const shown = wordsOf(s, v);
      return shown.unit ? `${shown.value} ${shown.unit}` : shown.value;
    };
    const points = s.points.map(([at, lowest, mean, highest]) => ({
      at: Math.max(at, s.from),
      until: at + s.every,
      y: down(b, scale.to(mean)),
      words: lowest === highest ? words(mean) : say.between(words(mean), words(lowest), words(highest)),
    }));
    this.items = this.inOrder(points);
  }

  private drawLanes(): void {
    const s = this.stretch;
    const held = states(s);
    const all = lanes(s, held, say.other);
    const inner = find<SVGSVGElement>(this.plot, "[data-shapes]");
    const height = all.length * laneHigh + 4;
    this.plot.setAttribute("height", `${height + 24}`);
    inner.setAttribute("height", `${height}`);
    inner.setAttribute("viewBox", `0 0 1000 ${height}`);
    find(this.plot, "[data-ticks]").setAttribute("data-y", `${height + 18}`);
    this.drawGaps(height);
    const boxes = all.flatMap((lane, i) => lane.boxes.map((b) => ({ ...b, i })));
    fill(find(this.plot, "[data-lanes]"), "rect", boxes, (b) => ({
      class: `plot-lane lane-${b.i}`,
      x: `${b.x}`,
      y: `${b.i * laneHigh + 20}`,
      width: `${b.wide}`,
      height: "18",
    }));
    const place = (_: unknown, i: number) => ({ x: "4", y: `${i * laneHigh + 14}` });
    fill(find(this.plot, "[data-level-words]"), "text", all, place, (l) => l.words);
    this.items = this.inOrder(held.map((h) => ({ at: h.from, until: h.to, words: capitalWord(h.words), y: null })));
  }

  private drawGaps(height: number): void {
    const s = this.stretch;
    fill(find(this.plot, "[data-boxes]"), "rect", s.gaps, (g) => {
      const { x, wide } = box(s, g.from, endOf(g, s));
      return { class: "plot-gap", x: `${x}`, y: "0", width: `${wide}`, height: `${height}`, fill: "url(#hatch)" };
    });
  }

  /** inOrder puts the times of which nothing is known among what is. */
  private inOrder(known: Item[]): Item[] {
    const s = this.stretch;
    const gaps = s.gaps.map((g) => ({
      at: Math.max(g.from, s.from),
      until: endOf(g, s),
      y: null,
      words: say.gap(g.words, clock(g.from, s.to), g.to ? clock(g.to, s.to) : "", span(g.to - g.from)),
      gap: true,
    }));
    return [...known, ...gaps].sort((a, b) => a.at - b.at);
  }

  private listen(): void {
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("focus", () => {
      if (this.here < 0) this.go(this.items.length - 1);
    });
    this.root.addEventListener("pointerdown", (event) => {
      if (event.button === 0) this.held.set(event.pointerId, event.clientX);
      this.point(event.clientX);
    });
    this.root.addEventListener("pointermove", (event) => this.move(event));
    for (const kind of ["pointerup", "pointercancel", "pointerleave"] as const) {
      this.root.addEventListener(kind, (event) => this.held.delete(event.pointerId));
    }
    this.root.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.root.addEventListener("dblclick", () => this.look(0, Number.POSITIVE_INFINITY));
    this.root.addEventListener("pointerleave", () => {
      if (document.activeElement !== this.root) this.go(-1);
    });
    this.root.addEventListener("blur", () => this.go(-1));
  }

  /** move points at what is below, moves a part that is looked at along with what holds it, and brings it closer by two fingers. */
  private move(event: PointerEvent): void {
    const was = [...this.held.values()];
    if (this.held.has(event.pointerId)) this.held.set(event.pointerId, event.clientX);
    const [a, b] = [...this.held.values()];
    if (a === undefined || (b === undefined && !this.close)) {
      this.point(event.clientX);
      return;
    }
    const at = this.timeAt(was[0] ?? a);
    const share = b === undefined ? 1 : ((was[1] ?? b) - (was[0] ?? a)) / (b - a);
    if (share > 0) this.lookAt(at, a, share); // fingers that cross bring nothing closer
  }

  /** Without the key the page is scrolled. Two fingers on a touch pad come as the wheel with it. */
  private wheel(event: WheelEvent): void {
    if (!event.ctrlKey) return;
    event.preventDefault();
    this.lookAt(this.timeAt(event.clientX), event.clientX, 1.01 ** Math.min(Math.max(event.deltaY, -50), 50));
  }

  /** lookAt has a moment stand at a place, and so much of what is shown beside it. */
  private lookAt(at: number, clientX: number, share: number): void {
    const { left, width } = this.plot.getBoundingClientRect();
    const long = (this.stretch.to - this.stretch.from) * share;
    this.look(at - ((clientX - left) / width) * long, long);
  }

  private look(from: number, long: number): void {
    this.close = closer(this.whole, from, long);
    this.root.toggleAttribute("data-close", this.close !== null);
    this.draw(this.whole);
  }

  private timeAt(clientX: number): number {
    const { left, width } = this.plot.getBoundingClientRect();
    return this.stretch.from + ((clientX - left) / width) * (this.stretch.to - this.stretch.from);
  }

  private key(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const last = this.items.length - 1;
    const far = Math.max(1, Math.round(last / 10));
    const steps: Record<string, number> = {
      ArrowLeft: this.here - 1,
      ArrowDown: this.here - 1,
      ArrowRight: this.here + 1,
      ArrowUp: this.here + 1,
      PageDown: this.here - far,
      PageUp: this.here + far,
      Home: 0,
      End: last,
    };
    const to = steps[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.go(Math.min(Math.max(to, 0), last));
  }

  private point(clientX: number): void {
    const at = this.timeAt(clientX);
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (const [i, item] of this.items.entries()) {
      const away = at < item.at ? item.at - at : Math.max(0, at - item.until);
      if (away <= least) [best, least] = [i, away];
    }
    this.go(best);
  }

  private go(to: number): void {
    if (to === this.here) return;
    this.here = to;
    this.tell();
  }

  /** tell says what is pointed at, and marks it. */
  private tell(): void {
    const item = this.items[this.here];
    this.readout.hidden = item === undefined;
    this.root.setAttribute("aria-valuemin", "0");
    this.root.setAttribute("aria-valuemax", `${Math.max(0, this.items.length - 1)}`);
    this.root.setAttribute("aria-valuenow", `${Math.max(0, this.here)}`);
    const words = item ? this.wordsOf(item) : "";
    put(this.readout, words);
    this.root.setAttribute("aria-valuetext", words || this.plot.getAttribute("aria-label") || "");
    const x = item ? across(this.stretch, (item.at + Math.min(item.until, this.stretch.to)) / 2) : 0;
    find(this.plot, "[data-cursor]").setAttribute("d", item ? `M${x} 0V1000` : "");
    const dot = item?.y ?? null;
    this.plot.querySelector("[data-here]")?.setAttribute("d", dot === null ? "" : `M${x} ${dot}h0`);
  }

  private wordsOf(item: Item): string {
    if ("gap" in item) return item.words;
    return say.item(clock(item.at, this.stretch.to), item.words);
  }
}

/** fill makes as many shapes as there are things, out of those that are there. */
function fill<T>(
  group: Element,
  tag: "path" | "rect" | "text",
  all: readonly T[],
  attributes: (one: T, i: number) => Record<string, string>,
  words?: (one: T, i: number) => string,
): void {
  while (group.children.length > all.length) group.lastElementChild?.remove();
  for (const [i, one] of all.entries()) {
    const shape = group.children[i] ?? group.appendChild(document.createElementNS("http://www.w3.org/2000/svg", tag));
    for (const [name, v] of Object.entries(attributes(one, i))) {
      if (shape.getAttribute(name) !== v) shape.setAttribute(name, v);
    }
    if (words) put(shape, words(one, i));
    else shape.replaceChildren(); // what the server's titles say, the readout says
  }
}
