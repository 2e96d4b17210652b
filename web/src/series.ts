/** A series is the graph of one value as this page knows it: what the server printed, and what was heard since. */
import type { Graph } from "./graph";

const minute = 60_000;

const hour = 60 * minute;

/** Of a value that nothing is known of: the last minutes, which grow to an hour. */
const fresh = { begin: 0, step: minute, span: 10 * minute };

export class Series implements Graph {
  begin = fresh.begin;
  step = fresh.step;
  span = fresh.span;
  means: (number | null)[] = [];
  usual: (readonly [number, number] | null)[] = [];
  private counts: number[] = []; // how many numbers each mean is of

  /** read takes what the server printed. */
  read(data: DOMStringMap): void {
    if (!data.step) return;
    [this.begin, this.step, this.span] = [Number(data.begin), Number(data.step), Number(data.span)];
    this.means = (data.means ?? "").split(",").map((w) => (w === "" ? null : Number(w)));
    this.counts = this.means.map((m) => (m === null ? 0 : 1));
    this.counts[this.counts.length - 1] = Number(data.last);
    this.usual = (data.usual ?? "").split(",").map((w) => {
      const [low, high] = w.split(" ").map(Number);
      return w === "" || low === undefined || high === undefined ? null : [low, high];
    });
  }

  /** add merges a number into its step, whichever topic it came on: all keys of an entity are one device. */
  add(at: number, value: number): void {
    if (this.means.length === 0) this.begin = Math.floor(at / this.step) * this.step;
    const i = Math.floor((at - this.begin) / this.step);
    if (i < 0 || !Number.isFinite(value)) return; // older than anything shown
    if (i > this.means.length + this.span / this.step) {
      this.means = []; // a silence that was longer than all that is shown
      this.counts = [];
      this.add(at, value);
      return;
    }
    while (this.means.length <= i) {
      this.means.push(null);
      this.counts.push(0);
    }
    const n = (this.counts[i] ?? 0) + 1;
    this.counts[i] = n;
    const before = this.means[i] ?? 0;
    this.means[i] = n === 1 ? value : before + (value / n - before / n);
    this.forget();
  }

  private forget(): void {
    if (this.span < hour && this.means.length > this.span / this.step) this.span = hour;
    const over = this.means.length - Math.ceil(this.span / this.step) - 1;
    if (over <= 0) return;
    this.means.splice(0, over);
    this.counts.splice(0, over);
    this.begin += over * this.step;
  }
}
