/** Who is to be told what of a device's silence. No clock, no storage and no DOM in here. */
import type { Look } from "./look";

export const mostWishes = 50; // of one browser
export const longestName = 200; // of a device; longer ones are not kept

/** How long it must have been heard without a break until a silence is believed: a machine that wakes does not know yet that its link is gone. */
export const settled = 20_000;
/** A pause between two looks that no browser makes of itself: the machine slept. Hidden tabs look once a minute. */
export const asleep = 150_000;
/** What was not watched for less than this is not worth a word. */
const shortest = 60_000;
/** Two times of a last message that are no further apart are of the same silence: no device is quiet after less than a minute. */
const same = 30_000;

/** A wish is what somebody wants to be told of a device. */
export interface Wish {
  readonly board: string;
  readonly entity: string;
  /** To be told when it is back from the silence that began then; 0: not asked. */
  readonly back: number;
  /** To be told when it goes quiet; the number is the beginning of the silence that was told last, 0 for none; null: not asked. */
  readonly next: number | null;
}

/** Kept is what this browser keeps of it, for all of its tabs. */
export interface Kept {
  readonly wishes: readonly Wish[];
  /** What was told last, for the other tabs. */
  readonly told: { readonly board: string; readonly at: number; readonly words: readonly string[] } | null;
}

/** Seen is a device at a look. */
export interface Seen {
  readonly entity: string;
  readonly look: Look;
  /** Its last sign of life. */
  readonly heard: number;
}

/** Watch is how a page has watched so far. */
export interface Watch {
  readonly at: number;
  /** Since when it has heard without a break; 0: it does not. */
  readonly since: number;
  /** When it stopped; 0: it hears. */
  readonly blind: number;
}

export const unwatched: Watch = { at: 0, since: 0, blind: 0 };

/** A time that was not watched. */
export interface Blind {
  readonly from: number;
  readonly to: number;
}

/** What is to be told after a look. */
export interface News {
  readonly quiet: readonly Seen[];
  /** How long it was quiet; 0: that was not watched from its beginning to its end. */
  readonly back: readonly { readonly entity: string; readonly length: number }[];
}

/** watched goes on with a look. It gives what could not be watched, if that is worth a word. */
export function watched(before: Watch, at: number, hears: boolean): readonly [Watch, Blind | null] {
  const from = before.blind || before.at || at;
  if (!hears) return [{ at, since: 0, blind: from }, null];
  if (before.since > 0 && at - before.at <= asleep) return [{ ...before, at }, null];
  return [{ at, since: at, blind: 0 }, at - from >= shortest ? { from, to: at } : null];
}

/** missed says whether a time that was not watched is to be told: not where another tab watched meanwhile, or has told it. */
export const missed = ({ told }: Kept, board: string, { from }: Blind): boolean =>
  told?.board !== board || told.at <= from;

/** told says who is to be told of, and what is to be told no more. Each of several tabs asks in its turn: what one took is not told again. */
export function told({ at, since }: Watch, kept: Kept, board: string, seen: readonly Seen[]): readonly [Kept, News] {
  const quiet: Seen[] = [];
  const back: { entity: string; length: number }[] = [];
  const wishes = kept.wishes.map((wish) => {
    const device = wish.board === board && seen.find((s) => s.entity === wish.entity);
    if (!device || device.look === "unknown" || since === 0) return wish;
    const { entity, heard } = device;
    if (device.look !== "quiet") {
      if (wish.back === 0 || heard - wish.back < same) return wish;
      back.push({ entity, length: heard > since ? heard - wish.back : 0 });
      return { ...wish, back: 0 };
    }
    const again = { ...wish, back: wish.back && heard }; // it may have come back and gone again while nobody watched
    if (wish.next === null || Math.abs(heard - wish.next) < same || at - since < settled) return again;
    quiet.push(device);
    return { ...again, next: heard };
  });
  return [
    { ...kept, wishes: wishes.filter(stands) },
    { quiet, back },
  ];
}

/** wished notes a wish, or takes it back. Where there is no room the oldest makes some. */
export function wished(kept: Kept, wish: Wish): Kept {
  const others = kept.wishes.filter((w) => w.board !== wish.board || w.entity !== wish.entity);
  return { ...kept, wishes: [...others, wish].filter(stands).slice(-mostWishes) };
}

/** wishOf is what is wished of a device. */
export const wishOf = (kept: Kept, board: string, entity: string): Wish =>
  kept.wishes.find((w) => w.board === board && w.entity === entity) ?? { board, entity, back: 0, next: null };

const stands = (w: Wish) => w.back > 0 || w.next !== null;

/** read takes what was kept, which anything on this address may have written: what is no wish is left out. */
export function read(kept: string | null): Kept {
  try {
    const { wishes, told } = JSON.parse(kept ?? "") as Kept;
    const last = told && told.at > 0 && told.words.every((w) => typeof w === "string") ? told : null;
    return { wishes: wishes.filter(isWish).slice(-mostWishes), told: last };
  } catch {
    return { wishes: [], told: null };
  }
}

const isWish = (w: Wish) =>
  [w.board, w.entity].every((t) => typeof t === "string" && t.length <= longestName) &&
  [w.back, w.next ?? 0].every(Number.isFinite);
