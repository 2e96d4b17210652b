/** Tells whoever asked for it that a device went quiet, or is back, while a page of the board is open. It is loaded beside the rest. */
import type { Device } from "./look";
import {
  type Blind,
  type Kept,
  longestName,
  missed,
  read,
  type Seen,
  told,
  unwatched,
  type Wish,
  watched,
  wished,
  wishOf,
} from "./tell.look";
import { clone, find, hide, put } from "./view/find";
import type { Group } from "./view/group";
import { backWords, missedWords, quietWords, type Ways, type Words } from "./words.tell";

/** What this needs of the board: modules that both would import become a file of their own, for everybody. */
export interface Place extends Ways {
  readonly groups: ReadonlyMap<string, Group>;
  /** Whose board it is, among those of this browser. */
  readonly board: string;
  now(): number;
  /** hears says whether devices can be heard at all. */
  hears(): boolean;
  usually(device: Device): string;
  /** stay has the connection kept while nobody looks. */
  stay(on: boolean): void;
}

const key = "trellis.tell";
const every = 5000; // between looks: what goes together in one is told together
const mostLines = 3;

const recall = () => read(localStorage.getItem(key));
const keep = (kept: Kept) => localStorage.setItem(key, JSON.stringify(kept));

/** follow throws where the browser keeps nothing: then nothing is offered. */
export function follow(place: Place): void {
  new Teller(place).start();
}

class Teller {
  private readonly line = find(document, "[data-told]");
  private readonly boxes = new WeakMap<Group, readonly [box: HTMLElement, fold: HTMLElement]>();
  private watch = unwatched;
  private looking = false;
  private lines: string[] = [];

  constructor(private readonly place: Place) {}

  start(): void {
    const { line, place } = this;
    find(line, "[data-told-close]").onclick = () => {
      find(document, "main").focus(); // where it was, there is nothing any more
      this.lines = [];
      line.hidden = true;
    };
    addEventListener("storage", (event) => {
      if (event.key !== key) return;
      const { told } = read(event.newValue);
      if (told?.board === place.board && told.at !== read(event.oldValue).told?.at) this.show(told.words, told.at);
    });
    this.arrange();
    setInterval(() => {
      this.arrange();
      if (!this.looking && Math.abs(place.now() - this.watch.at) >= every) void this.look();
    }, 1000);
  }

  private async look(): Promise<void> {
    this.looking = true;
    try {
      const [next, blind] = watched(this.watch, this.place.now(), this.place.hears());
      this.watch = next;
      if (this.asked(recall())) await alone(() => this.tell(blind));
    } finally {
      this.looking = false;
    }
  }

  private asked({ wishes }: Kept): boolean {
    return wishes.some((w) => w.board === this.place.board);
  }

  private tell(blind: Blind | null): void {
    const { place, watch } = this;
    const { board, groups } = place;
    const before = recall();
    const { at } = watch;
    const seen: Seen[] = [];
    for (const { entity, look, device, element } of groups.values()) {
      if (!element.hidden) seen.push({ entity, look, heard: device.heard });
    }
    const [after, { quiet, back }] = told(watch, before, board, seen);
    const of = (entity: string) => groups.get(entity) as Group;
    const returned = back.map((b) => ({ ...b, name: of(b.entity).called }));
    const silent = quiet.map((q) => this.silence(of(q.entity)));
    const all: Words[] = [];
    if (blind && missed(before, board, blind)) all.push(missedWords(blind, place, at));
    if (back[0]) all.push(backWords(returned, place));
    if (quiet[0]) all.push(quietWords(silent, place, at));
    const words = all.map((w) => w.join(" ").trim());
    keep(words[0] ? { ...after, told: { board, at, words } } : after);
    if (words[0]) this.show(words, at);
    all.forEach(notify);
  }

  private silence(group: Group) {
    const card = group.element.querySelector("[data-cards] > .card:not([hidden]) .card-value");
    const part = (name: string) => card?.querySelector(name)?.textContent ?? "";
    const last = `${part("[data-value]")} ${part("[data-unit]")}`.trim();
    return { name: group.called, heard: group.device.heard, usual: this.place.usually(group.device), last };
  }

  /** show says it on the page, newest first, and once to a screen reader. */
  private show(words: readonly string[], at: number): void {
    const { line, place } = this;
    this.lines = [...words.map((w) => `${place.clock(at, at)} · ${w}`), ...this.lines].slice(0, mostLines);
    put(find(line, "[data-told-words]"), this.lines.join("\n"));
    line.hidden = false;
    put(find(document, "[data-status]"), words.join(" "));
  }

  /** arrange has the taps where a person looks for them: in the fold of a device that is quiet, or in one below its values. */
  private arrange(): void {
    const { board, groups } = this.place;
    const kept = recall();
    this.place.stay(this.asked(kept));
    for (const group of groups.values()) {
      if (group.near) this.draw(group, wishOf(kept, board, group.entity));
    }
  }

  private draw(group: Group, { back, next }: Wish): void {
    const { element, entity, device } = group;
    const could = (device.quiet > 0 && entity.length <= longestName) || back > 0 || next !== null;
    if (!could && !this.boxes.has(group)) return;
    const [box, fold] = this.boxes.get(group) ?? this.mount(group);
    const help = find(element, "[data-help]");
    if (!element.contains(document.activeElement)) {
      hide(box, !could);
      hide(fold, !could || !help.hidden);
      const home = help.hidden ? fold : help;
      if (box.parentElement !== home) home.insertBefore(box, home.querySelector("[data-normal]"));
    }
    for (const tap of box.querySelectorAll("button")) {
      tap.setAttribute("aria-pressed", `${"tellBack" in tap.dataset ? back > 0 : next !== null}`);
    }
    hide(find(box, "[data-tell-back]"), help.hidden && back === 0);
    hide(find(box, "[data-tell-page]"), (back === 0 && next === null) || allowed() === "granted");
  }

  private mount(group: Group) {
    const parts = [clone("tell"), clone("tell-fold")] as const;
    const [box, fold] = parts;
    group.element.append(fold);
    for (const tap of box.querySelectorAll("button")) {
      tap.onclick = async () => {
        await alone(() => this.wish(group, "tellBack" in tap.dataset));
        this.arrange();
        // The browser asks only now, when it has been said what for.
        if (allowed() === "default" && this.asked(recall())) await Notification.requestPermission();
        this.arrange();
      };
    }
    this.boxes.set(group, parts);
    return parts;
  }

  /** wish turns one of a device's two wishes on or off. */
  private wish({ entity, device: { heard }, look }: Group, ofReturn: boolean): void {
    const kept = recall();
    const wish = wishOf(kept, this.place.board, entity);
    // What is quiet already is no news.
    const next = wish.next !== null ? null : look === "quiet" ? heard : 0;
    keep(wished(kept, { ...wish, ...(ofReturn ? { back: wish.back ? 0 : heard } : { next }) }));
  }
}

/** alone has the tabs of a browser take turns, so that one tells. Without locks there are no notices either, and a line is on each page anyway. */
async function alone(run: () => void): Promise<void> {
  const locks = (navigator as Partial<Navigator>).locks;
  if (locks) await locks.request(key, run);
  else run();
}

const allowed = () => (typeof Notification === "undefined" ? "denied" : Notification.permission);

function notify([title, body]: Words): void {
  if (allowed() !== "granted") return;
  try {
    new Notification(title, { body }).onclick = () => focus();
  } catch {
    // a phone wants a service worker for it: the line on the page stays
  }
}
