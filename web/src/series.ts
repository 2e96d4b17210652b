/** A series is the recent past of one value: enough for its small graph and to know its rhythm. */

export interface Point {
  readonly at: number;
  readonly value: number;
}

export type Look = "live" | "old" | "quiet";

const maxPoints = 120;
const maxTimes = 21;
const fewestGaps = 4;
const shortestQuiet = 60_000;

export class Series {
  points: Point[] = [];
  private times: number[] = [];

  /** add keeps the points in the order of time; the same moment twice is one message that came again. */
  add(at: number, value: number | null): void {
    this.times = inOrder(this.times, at, (t) => t).slice(-maxTimes);
    if (value !== null) this.points = inOrder(this.points, { at, value }, (p) => p.at).slice(-maxPoints);
  }

  /** usualGap is the middle one of the gaps between values; 0 until there are enough of them to know a rhythm. */
  usualGap(): number {
    const gaps = this.times.slice(1).map((t, i) => t - (this.times[i] ?? t));
    if (gaps.length < fewestGaps) return 0;
    gaps.sort((a, b) => a - b);
    return gaps[Math.floor(gaps.length / 2)] ?? 0;
  }

  /** look judges an age. Nobody was quiet while we could not hear: deaf is how much of the age that was. */
  look(at: number, now: number, deaf = 0): Look {
    const usual = this.usualGap();
    const age = now - at;
    if (usual === 0 || age <= Math.max(1.5 * usual, 5000)) return "live";
    return age - deaf > Math.max(3 * usual, shortestQuiet) ? "quiet" : "old";
  }
}

function inOrder<T>(list: readonly T[], item: T, at: (item: T) => number): T[] {
  let i = list.length;
  while (i > 0 && at(list[i - 1] as T) > at(item)) i--;
  const before = list[i - 1];
  if (before !== undefined && at(before) === at(item)) return [...list.slice(0, i - 1), item, ...list.slice(i)];
  return [...list.slice(0, i), item, ...list.slice(i)];
}

export interface Drawing {
  readonly line: string;
  readonly area: string;
  readonly end: string;
}

/** draw makes the paths of a graph of this size; null while there are not two moments to join, or one cannot be placed. */
export function draw(points: readonly Point[], width: number, height: number): Drawing | null {
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last || first.at === last.at) return null;
  if (!points.every((p) => Number.isFinite(p.at) && Number.isFinite(p.value))) return null;
  const halves = points.map((p) => p.value / 2); // the whole way from -1e308 to 1e308 is no number any more
  const low = Math.min(...halves);
  const spread = Math.max(...halves) - low;
  const edge = 4; // so that a thick line is not cut off
  const x = (p: Point) => round(edge + ((p.at - first.at) / (last.at - first.at)) * (width - 2 * edge));
  const y = (p: Point) =>
    round(spread === 0 ? height / 2 : height - edge - ((p.value / 2 - low) / spread) * (height - 2 * edge));
  const line = `M${points.map((p) => `${x(p)} ${y(p)}`).join("L")}`;
  return { line, area: `${line}L${x(last)} ${height}L${x(first)} ${height}Z`, end: `M${x(last)} ${y(last)}h0` };
}

function round(n: number): number {
  return Math.round(n * 10) / 10;
}
