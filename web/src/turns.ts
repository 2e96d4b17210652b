/**
 * Turns says what of all that changed is drawn next: what somebody may see first, all else no more often than once a second, so that it
 * holds for who listens or searches and costs little. Of each kind what waits longest is first, and nothing waits for ever: where there is
 * no time for all, one in four of what is drawn is what nobody sees.
 */
const apart = 1000; // ms between two turns of what nobody sees
const inRow = 3; // seen ones for one unseen

export class Turns<T extends object> {
  private readonly waiting = new Set<T>(); // the one that waits longest first
  private readonly had = new WeakMap<T, number>(); // when each had its last turn
  private row = 0; // seen ones since the last unseen

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
    const [seen, unseen]: [T[], T[]] = [[], []];
    for (const of of this.waiting) {
      if (this.seen(of)) seen.push(of);
      else if (now - (this.had.get(of) ?? -apart) >= apart) unseen.push(of);
    }
    let [s, u] = [0, 0];
    for (;;) {
      const ofSeen = u === unseen.length || (s < seen.length && this.row < inRow);
      const of = ofSeen ? seen[s++] : unseen[u++];
      if (!of) return;
      if (!this.waiting.delete(of)) continue; // it has left meanwhile
      this.row = ofSeen ? this.row + 1 : 0;
      this.had.set(of, now);
      yield of;
    }
  }
}
