import { type Envelope, when } from "../envelope";
import { before, callApart, type Device, sentence } from "../look";
import { maxReadings, type Reading, readings } from "../reading";
import { mostMissing, Shelf } from "../shelf";
import { Turns } from "../turns";
import { partOf } from "../whole";
import { say } from "../words";
import { Card, printedAt } from "./card";
import { clone, find } from "./find";
import { drawSoon, enough } from "./frame";
import { Group } from "./group";

const later = 250; // ms until what nobody sees is looked at again
const beyond = "50%"; // of the screen: what is so near to it counts as seen, as somebody may be on the way there

/**
 * Board keeps a card for every value of every entity, as far as its shelf goes. Messages come faster than screens: it
 * draws once a frame.
 */
export class Board {
  private readonly cards = new Map<string, Card>();
  readonly groups = new Map<string, Group>();
  private readonly changed = new Turns<Card>((card) => this.groups.get(card.entity)?.near !== false);
  private readonly shelf = new Shelf();
  private readonly totals = new Map<string, number>(); // entity and name of a whole
  private readonly sight = new IntersectionObserver((all) => this.see(all), { rootMargin: beyond });
  private cut = false; // a message had as many values as are looked at
  private looking: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly root: HTMLElement,
    private readonly now: () => number,
    /** Somebody has a finger or the focus on the board: nothing moves. */
    private readonly busy: () => boolean,
  ) {
    for (const element of root.querySelectorAll<HTMLElement>("[data-group]")) {
      this.keep(Group.of(element));
    }
    const printed = [...root.querySelectorAll<HTMLElement>("[data-reading]")].map((e) => ({ e, at: printedAt(e) }));
    printed.sort((a, b) => a.at - b.at); // so that the longest silent are the ones too many
    for (const { e } of printed) {
      const card = this.cardOf(e.dataset.entity ?? "", e.dataset.reading ?? "", "");
      card.element = e;
      card.adopt();
    }
  }

  /** again shows all of it anew: its owner wants it otherwise. */
  again(moved?: boolean): void {
    for (const card of this.cards.values()) this.changed.add(card.again());
    if (moved) this.arrange();
    drawSoon(this.draw);
  }

  get size(): number {
    return this.cards.size;
  }

  /** hear takes the readings of a message; it gives how many values became newer. */
  hear(envelope: Envelope, heardAt: number): number {
    if (envelope.about === "") return 0;
    const at = when(envelope, heardAt);
    let newer = 0;
    const all = readings(envelope.data);
    this.cut ||= all.length >= maxReadings;
    for (const reading of all) {
      if (this.isWhole(envelope, reading)) continue;
      const card = this.cardOf(envelope.about, reading.name, envelope.source);
      if (card.hear(reading, at, envelope.byHand)) newer++;
      this.changed.add(card);
    }
    // What a person sent is no sign of life of the device; a heartbeat that holds no value is one.
    const arrived = Number.isNaN(envelope.received) ? heardAt : envelope.received;
    if (!envelope.byHand && (newer > 0 || this.groups.has(envelope.about))) this.groupOf(envelope.about).alive(arrived);
    if (newer > 0) drawSoon(this.draw);
    return newer;
  }

  /** tick counts on, and puts what needs attention first while nobody is in the middle of something. */
  tick(known: boolean): void {
    const now = this.now();
    for (const group of this.groups.values()) group.tick(now, known);
    for (const card of this.cards.values()) this.changed.add(card);
    drawSoon(this.draw);
    if (!this.busy()) this.arrange();
  }

  /** learn takes what the server has found out of how devices speak. */
  learn(devices: ReadonlyMap<string, Device>): void {
    for (const [entity, device] of devices) this.groups.get(entity)?.learn(device);
  }

  /** quiet says which devices are. */
  quiet(): string[] {
    return [...this.groups.values()].filter((g) => g.look === "quiet").map((g) => g.entity);
  }

  /** summary is the sentence above all cards: what needs attention, or that nothing does. */
  summary(live: boolean): string {
    if (this.cards.size === 0) return live ? say.nothingYetLive : say.nothingYet;
    return sentence(
      this.onShow().map(([group, cards]) => group.told(cards)),
      this.now(),
    );
  }

  /** missing says that there are more values than cards; empty as far as is known when there are not. */
  missing(): string {
    const { missing } = this.shelf;
    const some = missing > 0 ? say.missing(this.cards.size, missing, missing === mostMissing) : "";
    return this.cut ? `${some} ${say.cut(maxReadings)}`.trim() : some;
  }

  /** aloud says what needs attention and then the rest, for somebody who has heard the sentence above all cards. */
  aloud(): string {
    const all = this.onShow();
    return [true, false].flatMap((needs) => all.flatMap(([g, cards]) => g.aloud(cards, needs, this.now()))).join(" ");
  }

  entities(): string[] {
    return [...new Set([...this.cards.values()].map((c) => c.entity))].sort();
  }

  private byEntity(): Map<string, Card[]> {
    const of = new Map<string, Card[]>();
    for (const card of this.cards.values()) {
      const all = of.get(card.entity);
      if (all) all.push(card);
      else of.set(card.entity, [card]);
    }
    return of;
  }

  /** inOrder gives the groups as they should stand. */
  private inOrder(of = this.byEntity()): Group[] {
    const all = [...this.groups.values()];
    for (const group of all) group.place(of.get(group.entity) ?? []);
    return all.sort((a, b) => before(a.placed, b.placed));
  }

  /** onShow gives the devices that nobody has hidden as they should stand, each with its cards. */
  private onShow(): [Group, Card[]][] {
    const of = this.byEntity();
    const shown = this.inOrder(of).filter((g) => !g.element.hidden);
    callApart(shown);
    return shown.map((g) => [g, of.get(g.entity) ?? []]);
  }

  /** arrange moves only what stands in a wrong place. */
  private arrange(): void {
    let next: Element | null = this.root.firstElementChild;
    for (const { element } of this.inOrder()) {
      if (element === next) next = element.nextElementSibling;
      else this.root.insertBefore(element, next);
    }
  }

  private isWhole(envelope: Envelope, reading: Reading): boolean {
    const part = partOf(reading, envelope.data);
    if (part === "" || typeof reading.value !== "number") return false;
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

  /** place gives a card its element, which is the slow part of a new one, or moves it where it belongs now. */
  private place(card: Card): void {
    const fresh = card.element === null;
    const element = card.element ?? clone("card");
    const group = this.groupOf(card.entity).element;
    const more = find<HTMLDetailsElement>(group, "[data-more]");
    const [cards, folded] = [find(group, "[data-cards]"), find(more, "[data-more-cards]")];
    if (!fresh && folded.contains(element) === card.folded) return;
    if (fresh) card.name(element);
    if (fresh && card.folded) more.open ||= more.hidden && !cards.firstElementChild;
    (card.folded ? folded : cards).append(element);
    more.hidden = !folded.firstElementChild;
    card.element = element;
  }

  private remove(key: string): void {
    const card = this.cards.get(key);
    if (!card) return;
    card.element?.remove();
    this.cards.delete(key);
    this.changed.leave(card);
    this.totals.delete(key);
    const group = this.groups.get(card.entity);
    if (!group) return;
    const more = find(group.element, "[data-more]");
    more.hidden = !find(more, "[data-more-cards]").firstElementChild;
    if (!more.hidden || find(group.element, "[data-cards]").firstElementChild) return;
    if (this.entities().includes(card.entity)) return; // they are placed soon
    group.element.remove();
    this.sight.unobserve(group.element);
    this.groups.delete(card.entity);
  }

  private groupOf(entity: string): Group {
    const known = this.groups.get(entity);
    if (known) return known;
    const group = Group.fresh(entity);
    group.place([]);
    // Not in order anew, since a thousand may come at once.
    const after = [...this.root.children].find((e) => {
      const other = this.groups.get((e as HTMLElement).dataset.group ?? "");
      return other && before(group.placed, other.placed) < 0;
    });
    this.root.insertBefore(group.element, after ?? null);
    return this.keep(group);
  }

  private keep(group: Group): Group {
    this.groups.set(group.entity, group);
    this.sight.observe(group.element);
    return group;
  }

  private see(all: readonly IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of all) {
      const group = this.groups.get((target as HTMLElement).dataset.group ?? "");
      if (group) group.near = isIntersecting;
    }
    drawSoon(this.draw);
  }

  private readonly draw = (): void => {
    const now = this.now();
    const until = enough();
    for (const card of this.changed.take(performance.now())) {
      const whole = this.totals.get(keyOf(card.entity, card.reading));
      if (whole !== undefined) card.partOf(whole);
      this.place(card);
      const { device, look } = this.groupOf(card.entity);
      card.render(now, device, look);
      if (performance.now() < until) continue;
      drawSoon(this.draw);
      return;
    }
    if (this.changed.size > 0) this.drawLater();
  };

  private drawLater(): void {
    this.looking ??= setTimeout(() => {
      this.looking = undefined;
      drawSoon(this.draw);
    }, later);
  }
}

function keyOf(entity: string, reading: string): string {
  return `${entity}\n${reading}`;
}
