/**
 * Shows a board as its owner wants it. Loaded before the board's own script where something is set, so that no value is ever drawn
 * otherwise, and else as soon as something is.
 */
// What the board shares with its later parts stays in one piece: cut in two it would be half a kilobyte larger.
import "./bounds";
import "./envelope";
import "./view/sent";
import { describeAs, type Setting } from "./setting";
import { owner } from "./words";

/** What is set about a value, or about a device, which has no reading. */
export interface Wish extends Setting {
  readonly entity: string;
  readonly reading: string;
  readonly hidden?: boolean;
  /** Among its like, from 1; without one it comes behind those that have one. */
  readonly place?: number;
}

const keyOf = (entity: string, reading: string) => `${entity}\n${reading}`;
let wishes = new Map<string, Wish>();

const wish = (entity: string, reading = ""): Partial<Wish> => wishes.get(keyOf(entity, reading)) ?? {};

function know(all: readonly Wish[]): void {
  wishes = new Map(all.map((w) => [keyOf(w.entity, w.reading), w]));
}

/** apply shows the board of this page otherwise than it is shown now. Nobody loses the focus over it. */
export function apply(all: readonly Wish[], moved: boolean): void {
  know(all);
  const focused = document.activeElement;
  for (const group of document.querySelectorAll<HTMLElement>("[data-group]")) {
    const entity = group.dataset.group ?? "";
    const { hidden = false, place } = wish(entity);
    const name = group.querySelector("[data-group-name]");
    if (name) name.textContent = owner.nameOf(entity);
    group.hidden = hidden;
    if (place) group.dataset.rank = String(place);
    else delete group.dataset.rank;
    for (const cards of group.querySelectorAll<HTMLElement>("[data-cards], [data-more-cards]")) order(cards, entity);
  }
  owner.again(moved);
  if (focused instanceof HTMLElement && focused !== document.activeElement) focused.focus({ preventScroll: true });
}

/** order moves only what stands in a wrong place. */
function order(list: HTMLElement, entity: string): void {
  const cards = [...list.querySelectorAll<HTMLElement>("[data-reading]")].map((element) => {
    const reading = element.dataset.reading ?? "";
    const { hidden = false, place = Number.POSITIVE_INFINITY } = wish(entity, reading);
    element.hidden = hidden;
    return { element, reading, place };
  });
  cards.sort((a, b) => (a.place === b.place ? compare(a.reading, b.reading) : a.place - b.place));
  let next: Element | null = list.firstElementChild;
  for (const { element } of cards) {
    if (element === next) next = element.nextElementSibling;
    else list.insertBefore(element, next);
  }
}

const compare = (a: string, b: string) => (a < b ? -1 : Number(a > b));

const usual = owner.nameOf;
owner.shown = (entity, reading) => describeAs(reading, wish(entity, reading.name));
owner.nameOf = (entity) => wish(entity).name ?? usual(entity);
know((JSON.parse(document.querySelector("#wishes")?.textContent ?? "null") as Wish[] | null) ?? []);
owner.again(); // nobody knows which of the scripts came first
