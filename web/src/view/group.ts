import { type Device, type Look, lookOf, type Placed, silenceOf, stateOf, type Told } from "../look";
import { entityWords, inSentence, owner } from "../words";
import type { Card } from "./card";
import { clone, find, hide, put, set } from "./find";

/** Group is a device: its head, and how it speaks. */
export class Group {
  device: Device;
  look: Look = "live";
  /** How it stands among the others, as far as its cards were looked at. */
  placed!: Placed;
  /** It is on the screen, or nearly. */
  near = true;
  /** What sentences call it: another device on the board may have the same name. */
  called: string;
  private deaf = 0; // for how long we could not hear since its last sign of life, beyond what the server has counted
  private ticked = 0;
  private readonly heading: HTMLElement;
  private readonly placeName: HTMLElement;
  private readonly state: HTMLElement;
  private readonly help: HTMLDetailsElement;
  private readonly silence: HTMLElement;

  private constructor(
    readonly entity: string,
    readonly element: HTMLElement,
  ) {
    const data = element.dataset;
    this.device = {
      heard: Number(data.heard ?? 0),
      rhythm: data.rhythm ?? "",
      usual: Number(data.usual ?? 0),
      old: Number(data.old ?? 0),
      quiet: Number(data.quiet ?? 0),
    };
    this.heading = find(element, "[data-group-name]");
    this.placeName = find(element, "[data-group-place]");
    this.state = find(element, "[data-group-state]");
    this.help = find(element, "[data-help]");
    this.silence = find(element, "[data-silence]");
    this.called = this.name;
    this.place([]);
  }

  /** of takes what the server printed. */
  static of(element: HTMLElement): Group {
    return new Group(element.dataset.group ?? "", element);
  }

  /** fresh makes one for a device that was not there. */
  static fresh(entity: string): Group {
    const element = clone("group");
    const { place } = entityWords(entity);
    element.dataset.group = entity;
    const heading = find(element, "[data-group-name]");
    const where = find(element, "[data-group-place]");
    const id = entity.replace(/[_ \t\n\f\r]/g, (c) => (c === "_" ? "__" : "_.")); // as templates/setting.go: a space would end it
    heading.id = `of-${id}`;
    where.id = `at-${id}`;
    element.setAttribute("aria-labelledby", place ? `${heading.id} ${where.id}` : heading.id);
    put(heading, owner.nameOf(entity));
    put(where, place);
    find<HTMLInputElement>(element, "[name=entity]").value = entity;
    return new Group(entity, element);
  }

  get name(): string {
    return this.heading.textContent ?? "";
  }

  get where(): string {
    return this.placeName.textContent ?? "";
  }

  get rank(): number {
    return Number(this.element.dataset.rank ?? 0);
  }

  /** alive notes a sign of life. */
  alive(at: number): void {
    if (at <= this.device.heard) return;
    this.device.heard = at;
    this.deaf = 0;
  }

  /** learn takes what the server has found out since. */
  learn(known: Device): void {
    this.device = { ...known, heard: Math.max(known.heard, this.device.heard) };
    this.deaf = 0;
  }

  /** tick says how the device is now; known is false when our own link is down and nothing can be said about it. */
  tick(now: number, known: boolean): void {
    if (!known) this.deaf += now - (this.ticked || now);
    this.ticked = now;
    this.look = lookOf(this.device, now, known, this.deaf);
    set(this.element, "look", this.look);
    put(this.state, stateOf(this.device, this.look, now));
    put(this.silence, silenceOf(this.device, this.look, now));
    hide(this.silence, this.look !== "quiet");
    if ("taught" in this.element.dataset || this.help.contains(document.activeElement)) return;
    hide(this.help, this.look !== "quiet");
  }

  /** place looks at its cards, none of them for one that has none yet. */
  place(cards: readonly Card[]): void {
    this.placed = {
      entity: this.entity,
      name: this.name,
      rank: this.rank,
      // Whoever changes the order sees it as it is.
      needs:
        !(this.element.hidden || "changing" in document.documentElement.dataset) &&
        (this.look === "quiet" || cards.some((c) => c.needs)),
      major: cards.length === 0 || cards.some((c) => !c.folded),
    };
  }

  /** told is how the sentence on top speaks of it. */
  told(cards: readonly Card[]): Told {
    const major = cards.filter((c) => !c.folded);
    return {
      name: this.called,
      device: this.device,
      look: this.look,
      values: major.filter((c) => !c.hidden).length,
      minor: cards.length - major.length,
      beyond: major
        .filter((c) => c.needs)
        .map((c) => `${this.called} ${inSentence(c.label)} ${this.look === "quiet" ? "was" : "is"} ${c.attention}`),
    };
  }

  /** aloud says what of it needs attention, or all else; nothing where there is none of that. */
  aloud(cards: readonly Card[], needs: boolean, now: number): string[] {
    const seen = cards.filter((c) => !c.hidden);
    const own = seen.some((c) => !c.folded) ? seen.filter((c) => !c.folded) : seen;
    const words = own.filter((c) => c.needs === needs).map((c) => c.sentence(now));
    if (this.look !== "live" && (this.look === "quiet") === needs) words.unshift(this.state.textContent ?? "");
    return words.length > 0 ? [`${this.called}: ${words.join("; ")}.`] : [];
  }
}
