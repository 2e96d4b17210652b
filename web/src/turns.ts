/**
 * Turns says what of all that changed is drawn next: what somebody may see every time, all else no more often than once a second,
 * so that it holds for who listens or searches and costs little. What waits longest is first: nothing waits for ever.
 */
const apart = 1000; // ms between two turns of what nobody sees

export class Turns<T extends object> {
  private readonly waiting = new Set<T>(); // the one that waits longest first
  private readonly had = new WeakMap<T, number>(); // when each had its last turn

  constructor(private readonly seen: (of: T) => boolean) {}

  get size(): number {
    return this.waiting.size;
  }

  add(of: T): void {
    this.waiting.add(of);
  }

  leave(of: T): void {
    this.waiting.delete(of);
  }

  /** take gives one after the other what has its turn, for as long as it is asked. */
  *take(now: number): Generator<T> {
    for (const of of this.waiting) {
      if (!this.seen(of) && now - (this.had.get(of) ?? -apart) < apart) continue;
      this.waiting.delete(of);
      this.had.set(of, now);
      yield of;
    }
  }
}
