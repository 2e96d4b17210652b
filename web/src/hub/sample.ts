/** A sample of the messages that come: all of them while there are few, and of a flood so many a second, drawn by lot. */
import { mib } from "../bounds";
import { type Kept, sizeOf } from "./memory";

export const perSecond = 20;
const burst = 200; // so many are let through at once after a quiet time
const most = 1000;
const mostBytes = 8 * mib;

/** Taken is what a sample let through, and of how many. */
export interface Taken {
  readonly chosen: readonly Kept[];
  readonly came: number;
  /** How many of those that came were left out. */
  readonly left: number;
}

export class Sample {
  private chosen: Kept[] = [];
  private extra = 0; // of the chosen: did not come just now
  private bytes = 0;
  private came = 0;
  private tokens = burst;

  constructor(
    private at: number,
    private readonly random: () => number,
  ) {}

  /** offer hears of a message that came. */
  offer(kept: Kept, now: number): void {
    this.came++;
    this.fill(now);
    if (kept.heard.retained) {
      if (this.choose(kept)) this.tokens++; // what the server remembers comes once: it is no flood
      return;
    }
    if (this.chosen.length < Math.floor(this.tokens)) {
      this.choose(kept);
      return;
    }
    const chosen = Math.floor(this.random() * this.came);
    const other = this.chosen[chosen];
    if (!other) return;
    this.chosen.splice(chosen, 1);
    this.bytes -= sizeOf(other);
    this.choose(kept);
  }

  /** add lets a message through that came earlier, and does not count. */
  add(kept: Kept): void {
    if (!this.choose(kept)) return;
    this.tokens++;
    this.extra++;
  }

  /** miss counts messages that came for us and never reached us. */
  miss(count: number): void {
    this.came += count;
  }

  /** join takes over what another one has. */
  join(other: Sample): void {
    const { chosen, came, left } = other.take();
    this.came += came;
    this.extra += chosen.length - (came - left);
    this.tokens += chosen.length;
    this.chosen = [...this.chosen, ...chosen];
    this.bytes += chosen.reduce((sum, kept) => sum + sizeOf(kept), 0);
  }

  /** take gives what was let through since it was last asked. */
  take(): Taken {
    const { chosen, came, extra } = this;
    this.tokens -= chosen.length;
    this.chosen = [];
    this.bytes = this.came = this.extra = 0;
    return { chosen, came, left: came + extra - chosen.length };
  }

  private choose(kept: Kept): boolean {
    this.bytes += sizeOf(kept);
    const fits = this.chosen.length < most && (this.bytes <= mostBytes || this.chosen.length === 0);
    if (fits) this.chosen.push(kept);
    else this.bytes -= sizeOf(kept);
    return fits;
  }

  private fill(now: number): void {
    const tokens = this.tokens + (Math.max(0, now - this.at) / 1000) * perSecond;
    this.tokens = Math.min(Math.max(burst, this.tokens), tokens);
    this.at = now;
  }
}
