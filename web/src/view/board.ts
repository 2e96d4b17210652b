import { type Envelope, when } from "../envelope";
import { type Reading, readings } from "../reading";
import { mostMissing, Shelf } from "../shelf";
import { clock, entityWords, say } from "../words";
import { Card, printedAt } from "./card";
import { clone, find, put } from "./find";

/** What is shown as a share of something else, and not on a card of its own. */
const wholes: Record<string, string> = { mem_free: "mem_total", disk_free: "disk_size" };

const atOnce = 100; // cards drawn in one frame: a burst of new ones must not stop the page

/**
 * Board keeps a card for every value of every entity, as far as its shelf goes. Messages come faster than screens: it
 * draws once a frame.
 */
export class Board {
  private readonly cards = new Map<string, Card>();
  private readonly groups = new Map<string, HTMLElement>();
  private readonly changed = new Set<Card>();
  private readonly shelf = new Shelf();
  private readonly totals = new Map<string, number>(); // entity and name of a whole
  private drawing = false;

  constructor(
    private readonly root: HTMLElement,
    private readonly now: () => number,
  ) {
    for (const group of root.querySelectorAll<HTMLElement>("[data-group]")) {
      this.groups.set(group.dataset.group ?? "", group);
    }
    const printed = [...root.querySelectorAll<HTMLElement>("[data-reading]")].map((e) => ({ e, at: printedAt(e) }));
    printed.sort((a, b) => a.at - b.at); // so that the longest silent are the ones too many
    for (const { e } of printed) this.cardOf(e.dataset.entity ?? "", e.dataset.reading ?? "", "").element = e;
    for (const card of this.cards.values()) {
      card.adopt();
      this.changed.add(card);
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
      const card = this.cardOf(envelope.about, reading.name, envelope.source);
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
    const major = [...this.cards.values()].filter((c) => !c.minor);
    const told = major.length > 0 ? major : [...this.cards.values()];
    const quiet = told.filter((c) => c.look === "quiet").sort((a, b) => a.at - b.at);
    const first = quiet[0];
    if (first) {
      const name = `${entityWords(first.entity).name} ${first.label.toLowerCase()}`;
      return say.quietOnes(quiet.length, told.length, name, clock(first.at, this.now()));
    }
    return say.summary(
      told.length,
      this.entities().map((id) => entityWords(id).name),
    );
  }

  /** missing says that there are more values than cards; empty when there are not. */
  missing(): string {
    const { missing } = this.shelf;
    return missing > 0 ? say.missing(this.cards.size, missing, missing === mostMissing) : "";
  }

  /** aloud says all values, for somebody who listens. */
  aloud(): string {
    const now = this.now();
    return this.entities()
      .map((entity) => {
        const all = [...this.cards.values()].filter((c) => c.entity === entity);
        const own = all.some((c) => !c.minor) ? all.filter((c) => !c.minor) : all;
        return `${entityWords(entity).name}: ${own.map((c) => c.sentence(now)).join("; ")}.`;
      })
      .join(" ");
  }

  entities(): string[] {
    return [...new Set([...this.cards.values()].map((c) => c.entity))].sort();
  }

  private isWhole(envelope: Envelope, reading: Reading): boolean {
    const part = Object.keys(wholes).find((name) => wholes[name] === reading.name);
    const data = envelope.data as Record<string, unknown>;
    if (part === undefined || typeof reading.value !== "number" || !(part in data)) return false;
    this.totals.set(keyOf(envelope.about, part), reading.value);
    this.changed.add(this.cardOf(envelope.about, part, envelope.source));
    this.shelf.leave(keyOf(envelope.about, reading.name));
    this.remove(keyOf(envelope.about, reading.name)); // the server may have printed it
    return true;
  }

  private cardOf(entity: string, reading: string, sender: string): Card {
    const key = keyOf(entity, reading);
    this.remove(this.shelf.take(key, sender));
    const card = this.cards.get(key) ?? new Card(entity, reading);
    this.cards.set(key, card);
    return card;
  }

  /** place gives a card its element, which is the slow part of a new one. */
  private place(card: Card): void {
    const element = clone("card");
    element.dataset.entity = card.entity;
    element.dataset.reading = card.reading;
    const group = this.groupOf(card.entity);
    const more = find<HTMLDetailsElement>(group, "[data-more]");
    if (card.minor) {
      more.open ||= more.hidden && !find(group, "[data-cards]").firstElementChild;
      more.hidden = false;
    }
    find(group, card.minor ? "[data-more-cards]" : "[data-cards]").append(element);
    card.element = element;
  }

  private remove(key: string): void {
    const card = this.cards.get(key);
    if (!card) return;
    card.element?.remove();
    this.cards.delete(key);
    this.changed.delete(card);
    this.totals.delete(key);
    const group = this.groups.get(card.entity);
    if (!group) return;
    const more = find(group, "[data-more]");
    more.hidden = !find(more, "[data-more-cards]").firstElementChild;
    if (!more.hidden || find(group, "[data-cards]").firstElementChild) return;
    if ([...this.cards.values()].some((c) => c.entity === card.entity)) return; // they are placed soon
    group.remove();
    this.groups.delete(card.entity);
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
    for (const card of [...this.changed].slice(0, atOnce)) {
      this.changed.delete(card);
      if (!card.element) this.place(card);
      const whole = this.totals.get(keyOf(card.entity, card.reading));
      if (whole !== undefined) card.partOf(whole);
      card.render(now);
    }
    if (this.changed.size > 0) this.drawSoon();
  }
}

function keyOf(entity: string, reading: string): string {
  return `${entity}\n${reading}`;
}
