/** The tally of a list that shows a sample: how much of what comes it shows, and how much it left out so far. */
import type { Flow } from "./hub/protocol";

const over = 3000; // for so long a rate is the mean
const second = 1000;

/** What was left out of a list, and whether the server's record has it. */
export interface Left {
  readonly left: number;
  readonly recorded: boolean;
}

/** Rates are messages per second. */
export interface Rates {
  /** Of what is searched for. */
  readonly shown: number;
  readonly came: number;
  /** What is not searched for included. */
  readonly all: number;
}

interface Batch {
  readonly at: number;
  readonly found: Flow;
  readonly others: Flow;
}

export class Tally {
  private batches: Batch[] = [];

  constructor(private sum: Left = { left: 0, recorded: true }) {}

  get total(): Left {
    return this.sum;
  }

  /** add counts what came since the last batch. */
  add(at: number, found: Flow, others: Flow, recorded: boolean): void {
    const left = found.left + others.left;
    this.sum = { left: this.sum.left + left, recorded: this.sum.recorded && recorded };
    this.batches = [...this.batches.filter((b) => b.at > at - 2 * over), { at, found, others }];
  }

  /** miss counts messages that were to be listed and are not: the page came too late for them. */
  miss(count: number): void {
    this.sum = { ...this.sum, left: this.sum.left + count };
    const last = this.batches.pop();
    if (!last) return;
    const { came, left } = last.found;
    this.batches.push({ ...last, found: { came, left: Math.min(came, left + count) } });
  }

  /** rates is the mean of the last seconds; null when nothing was left out in them. */
  rates(now: number): Rates | null {
    const recent = this.batches.filter((b) => b.at > now - over);
    const [first, last] = [recent[0], recent.at(-1)];
    if (!first || !last || recent.every((b) => b.found.left + b.others.left === 0)) return null;
    // What is in a batch came since the one before it, or just now if that was long ago.
    const before = this.batches.findLast((b) => b.at <= now - over)?.at ?? 0;
    const seconds = (last.at - Math.max(before, first.at - second)) / 1000;
    const mean = (of: (b: Batch) => number) => Math.round(recent.reduce((sum, b) => sum + of(b), 0) / seconds);
    return {
      shown: mean((b) => b.found.came - b.found.left),
      came: mean((b) => b.found.came),
      all: mean((b) => b.found.came + b.others.came),
    };
  }

  /** forget begins the rates anew: something else is searched for. */
  forget(): void {
    this.batches = [];
  }

  clear(): void {
    this.forget();
    this.sum = { left: 0, recorded: true };
  }
}
