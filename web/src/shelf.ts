/** A shelf says which values have a place on the page, so that nobody who sends ever new names can fill it. */
import { mark } from "./bounds";

const mostOwn = 256; // of one sender
const mostShown = 1000;

/** How many values without a place are counted. */
export const mostMissing = 20_000;

export class Shelf {
  private readonly senders = new Map<string, string>(); // of each value; the longest silent value first
  private readonly own = new Map<string, Set<string>>(); // the values of each sender, in the same order
  private readonly gone = new Set<string>(); // marks of the values without a place

  /** How many values were heard of and have no place, as far as it is counted. */
  get missing(): number {
    return this.gone.size;
  }

  /**
   * take gives a value that was just heard a place, and says which one loses its own, if any: the longest silent of the
   * same sender or of all. A value stays with its first sender, so that nobody else's names push it out; "" is not known yet.
   */
  take(value: string, from: string): string {
    const sender = this.senders.get(value) || from;
    this.leave(value);
    this.gone.delete(mark(value));
    this.senders.set(value, sender);
    const own = this.own.get(sender) ?? new Set();
    this.own.set(sender, own.add(value));
    if (sender !== "" && own.size > mostOwn) return this.loseOne(own);
    return this.senders.size > mostShown ? this.loseOne(this.senders) : "";
  }

  /** leave frees the place of a value that is not a value of its own any more. */
  leave(value: string): void {
    const sender = this.senders.get(value) ?? "";
    this.senders.delete(value);
    const own = this.own.get(sender);
    own?.delete(value);
    if (own?.size === 0) this.own.delete(sender);
  }

  private loseOne(of: Set<string> | Map<string, string>): string {
    const value = of.keys().next().value ?? "";
    this.leave(value);
    if (this.gone.size < mostMissing) this.gone.add(mark(value));
    return value;
  }
}
