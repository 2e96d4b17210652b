import { type Envelope, when } from "../envelope";
import { type Reading, readings } from "../reading";
import { clock, entityWords, say } from "../words";
import { Card } from "./card";
import { clone, find, put } from "./find";

/** What is shown as a share of something else, and not on a card of its own. */
const wholes: Record<string, string> = { mem_free: "mem_total", disk_free: "disk_size" };

/** Board keeps a card for every value of every entity. Messages come faster than screens: it draws once a frame. */
export class Board {
  private readonly cards = new Map<string, Card>();
  private readonly groups = new Map<string, HTMLElement>();
  private readonly changed = new Set<Card>();
  private readonly totals = new Map<string, number>(); // entity and name of a whole
  private drawing = false;

  constructor(
    private readonly root: HTMLElement,
    private readonly now: () => number,
  ) {
    for (const group of root.querySelectorAll<HTMLElement>("[data-group]")) {
      this.groups.set(group.dataset.group ?? "", group);
      for (const element of group.querySelectorAll<HTMLElement>("[data-reading]")) {
        const card = new Card(element);
        this.cards.set(keyOf(card.entity, card.reading), card);
        this.changed.add(card);
      }
    }
    this.drawSoon();
  }

  get size(): number {
    return this.cards.size;
  }

  /** hear takes the readings of a message; it gives how many values became newer. */
  hear(envelope: Envelope, heardAt: number): number {
    if (envelope.about === "") return 0;
    const at = when(envelope, heardAt);
    let newer = 0;
    for (const reading of readings(envelope.data)) {
      if (this.isWhole(envelope, reading)) continue;
      const card = this.cardOf(envelope.about, reading.name);
      if (card.hear(reading, at, envelope.byHand)) newer++;
      this.changed.add(card);
    }
    if (newer > 0) this.drawSoon();
    return newer;
  }

  /** tick counts ages on. */
  tick(known: boolean): void {
    const now = this.now();
    for (const card of this.cards.values()) card.tick(now, known);
  }

  /** summary is the sentence above all cards: what needs attention, or that nothing does. */
  summary(live: boolean): string {
    if (this.cards.size === 0) return live ? say.nothingYetLive : say.nothingYet;
    const quiet = [...this.cards.values()].filter((c) => c.look === "quiet").sort((a, b) => a.at - b.at);
    const first = quiet[0];
    if (first) {
      const name = `${entityWords(first.entity).name} ${first.label.toLowerCase()}`;
      return say.quietOnes(quiet.length, this.cards.size, name, clock(first.at, this.now()));
    }
    return say.summary(
      this.cards.size,
      [...this.groups.keys()].map((id) => entityWords(id).name),
    );
  }

  /** aloud says all values, for somebody who listens. */
  aloud(): string {
    const now = this.now();
    return [...this.groups.keys()]
      .sort()
      .map((entity) => {
        const own = [...this.cards.values()].filter((c) => c.entity === entity);
        return `${entityWords(entity).name}: ${own.map((c) => c.sentence(now)).join("; ")}.`;
      })
      .join(" ");
  }

  entities(): string[] {
    return [...this.groups.keys()].sort();
  }

  private isWhole(envelope: Envelope, reading: Reading): boolean {
    const part = Object.keys(wholes).find((name) => wholes[name] === reading.name);
    const data = envelope.data as Record<string, unknown>;
    if (part === undefined || typeof reading.value !== "number" || !(part in data)) return false;
    this.totals.set(keyOf(envelope.about, part), reading.value);
    const printed = this.cards.get(keyOf(envelope.about, reading.name));
    if (printed) {
      printed.element.remove();
      this.cards.delete(keyOf(envelope.about, reading.name));
      this.changed.delete(printed);
    }
    this.changed.add(this.cardOf(envelope.about, part));
    return true;
  }

  private cardOf(entity: string, reading: string): Card {
    const known = this.cards.get(keyOf(entity, reading));
    if (known) return known;
    const element = clone("card");
    element.dataset.entity = entity;
    element.dataset.reading = reading;
    find(this.groupOf(entity), "[data-cards]").append(element);
    const card = new Card(element);
    this.cards.set(keyOf(entity, reading), card);
    return card;
  }

  private groupOf(entity: string): HTMLElement {
    const known = this.groups.get(entity);
    if (known) return known;
    const group = clone("group");
    const { name, place } = entityWords(entity);
    group.dataset.group = entity;
    const heading = find(group, "[data-group-name]");
    heading.id = `of-${entity}`;
    group.setAttribute("aria-labelledby", heading.id);
    put(heading, name);
    put(find(group, "[data-group-place]"), place);
    const after = [...this.groups.keys()].filter((id) => id > entity).sort()[0];
    this.root.insertBefore(group, after === undefined ? null : (this.groups.get(after) ?? null));
    this.groups.set(entity, group);
    return group;
  }

  private drawSoon(): void {
    if (this.drawing) return;
    this.drawing = true;
    const draw = () => {
      this.drawing = false;
      this.draw();
    };
    // A hidden page gets no frames, but what it holds must not grow old either.
    if (document.hidden) setTimeout(draw, 250);
    else requestAnimationFrame(draw);
  }

  private draw(): void {
    const now = this.now();
    for (const card of this.changed) {
      const whole = this.totals.get(keyOf(card.entity, card.reading));
      if (whole !== undefined) card.partOf(whole);
      card.render(now);
    }
    this.changed.clear();
  }
}

function keyOf(entity: string, reading: string): string {
  return `${entity}\n${reading}`;
}
