/**
 * A ration is what one page is given of what comes: at once while little does, and of a flood no more than its screen can use.
 * Of every value the newest message always arrives; what is left out in between is counted. A page that is slow is given less, and
 * one that does not answer nothing more: what waits for it here is bounded.
 */
import { mib } from "../bounds";
import { searched } from "../search";
import { type Kept, sizeOf } from "./memory";
import type { Batch, Heard } from "./protocol";
import { Sample } from "./sample";

const apart = 100; // from one batch to the next, at least
const longest = 1000; // the same for a page that is slow
const rest = 3; // for so many times as long as it took over a batch a page is left alone
const most = 200; // messages in a batch, beside the sample
const mostBytes = mib;
const mostParts = 5000; // values that wait
const mostWaiting = 4 * mib;

export class Ration {
  private readonly waiting = new Map<string, Kept>(); // the newest message of every value; the one that waits longest first
  private bytes = 0; // of them, each shared among its values
  private found: Sample; // of the messages that the page searches for
  private others: Sample;
  private values = 0;
  private lost = 0;
  private whole = true; // the server has recorded all of it
  private news = false; // there is something to tell
  private answered = true;
  private last: Batch | undefined; // that the page has not answered
  private no: number;
  private given = 0;
  private next = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private post: (batch: Batch) => void,
    private search: string,
    private readonly recorded: () => boolean,
    random: () => number = Math.random,
  ) {
    this.no = Math.floor(random() * 2 ** 40); // another hub's first batch is not taken for the last one of this
    this.found = new Sample(Date.now(), random);
    this.others = new Sample(Date.now(), random);
  }

  /** load gives what came before the page did, oldest first. */
  load(all: readonly Kept[]): void {
    for (const kept of all) {
      for (const part of kept.parts) this.wait(part, kept);
    }
    for (const kept of all.slice(-1000)) this.sampleOf(kept).add(kept);
    this.news = all.length > 0;
    this.soon();
  }

  /** moved goes on with a page that says hello again: what was under way may be lost, and comes again. */
  moved(post: (batch: Batch) => void): void {
    this.post = post;
    if (this.last) this.post(this.last);
  }

  hear(kept: Kept): void {
    this.values += kept.values;
    for (const part of kept.parts) this.wait(part, kept);
    this.sampleOf(kept).offer(kept, Date.now());
    this.news = true;
    this.soon();
  }

  /** miss counts messages that the server had to leave out for us. */
  miss(count: number): void {
    (this.search === "" ? this.found : this.others).miss(count);
    this.lost += count;
    this.news = true;
    this.soon();
  }

  /** unrecorded hears that not all that came is in the server's record. */
  unrecorded(): void {
    this.whole = false;
    this.news = true;
    this.soon();
  }

  /** want says what the page searches for. */
  want(search: string): void {
    if (search === this.search) return;
    this.search = search;
    this.others.join(this.found);
  }

  /** took is called when the page is done with its batch. */
  took(): void {
    if (this.answered) return;
    this.answered = true;
    this.last = undefined;
    const now = Date.now();
    this.next = Math.max(this.given + apart, now + Math.min(longest, rest * (now - this.given)));
    this.soon();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.answered = false;
  }

  private sampleOf(kept: Kept): Sample {
    return this.search === "" || searched(kept.heard, this.search) ? this.found : this.others;
  }

  private wait(part: string, kept: Kept): void {
    this.leave(part);
    this.waiting.set(part, kept);
    this.bytes += shareOf(kept);
    for (const longest of this.waiting.keys()) {
      if (this.waiting.size <= mostParts && this.bytes <= mostWaiting) break;
      this.leave(longest);
      this.lost++;
    }
  }

  private leave(part: string): void {
    const kept = this.waiting.get(part);
    if (!kept) return;
    this.waiting.delete(part);
    this.bytes -= shareOf(kept);
  }

  private leaveAll(kept: Kept): void {
    for (const part of kept.parts) if (this.waiting.get(part) === kept) this.leave(part);
  }

  private soon(): void {
    if (!this.news || !this.answered || this.timer) return;
    const wait = Math.min(this.next - Date.now(), longest); // a clock that is set must not stop us
    if (wait <= 0) this.give();
    else this.timer = setTimeout(() => this.give(), wait);
  }

  private give(): void {
    this.timer = undefined;
    const [found, others] = [this.found.take(), this.others.take()];
    const listed = new Set([...found.chosen, ...others.chosen]);
    for (const kept of listed) this.leaveAll(kept);
    const all = [...this.newest(), ...listed].sort((a, b) => a.n - b.n);
    const { values, lost, search } = this;
    this.values = this.lost = 0;
    this.news = this.waiting.size > 0;
    this.answered = false;
    this.given = Date.now();
    const batch: Batch = {
      kind: "batch",
      no: ++this.no,
      heard: all.map((kept): Heard => kept.heard),
      listed: all.map((kept) => listed.has(kept)),
      values,
      lost,
      search,
      found: { came: found.came, left: found.left },
      others: { came: others.came, left: others.left },
      recorded: this.whole && this.recorded(),
    };
    this.whole = true;
    this.last = batch;
    this.post(batch);
  }

  /** newest takes the messages that wait, each for all of its values, as many as a page can use at a time. */
  private newest(): Kept[] {
    const all: Kept[] = [];
    let room = mostBytes;
    for (const kept of this.waiting.values()) {
      room -= sizeOf(kept);
      if (all.length === most || (room < 0 && all.length > 0)) break;
      all.push(kept);
      this.leaveAll(kept);
    }
    return all;
  }
}

const shareOf = (kept: Kept): number => sizeOf(kept) / kept.parts.length;
