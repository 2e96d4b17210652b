/** A number over the last day, or over as much of it as is known. Go draws the same in templates/graph.go; both are held to testdata/graphs.json. */

export interface Graph {
  /** When its first step began, in milliseconds, as all times here. */
  readonly begin: number;
  readonly step: number;
  /** That it shows, until now. */
  readonly span: number;
  /** The mean of each step, in their order; null where nothing was measured. */
  readonly means: readonly (number | null)[];
  /** What is usual, low and high by the hour of the day in UTC; none where too little is known. */
  readonly usual: readonly (readonly [number, number] | null)[];
}

export interface Drawing {
  readonly line: string;
  readonly band: string;
  readonly end: string;
  /** Empty: that is not known. */
  readonly direction: "rising" | "falling" | "steady" | "";
}

interface Dot {
  readonly at: number;
  readonly value: number;
}

const [width, height, edge] = [160, 40, 4]; // the edge is free, so that a thick line is not cut off
const hour = 3_600_000;

/** draw makes the paths of a graph that ends now; null where there is nothing to draw. A silence of more than three usual gaps is a gap in the line. */
export function draw(g: Graph, now: number, usual: number): Drawing | null {
  const from = now - g.span;
  const dots = dotsOf(g, from, now);
  if (dots.length === 0) return null;
  const band = bandOf(g.usual, from, now);
  const halves = [dots, ...band].flat().map((d) => d.value / 2); // the whole way from -1e308 to 1e308 is no number any more
  const low = Math.min(...halves);
  const spread = Math.max(...halves) - low;
  const y = (value: number) =>
    spread === 0 ? height / 2 : height - edge - ((value / 2 - low) / spread) * (height - 2 * edge);
  const place = (d: Dot) => `${tenth(edge + ((d.at - from) / g.span) * (width - 2 * edge))} ${tenth(y(d.value))}`;
  const last = dots.at(-1) as Dot;
  return {
    line: lineOf(dots, joined(dots, g.step, usual), place),
    band: band.map((run) => `M${run.map(place).join("L")}Z`).join(""),
    end: `M${place(last)}h0`,
    direction: direction(dots, Math.max(g.span / 12, 3.5 * g.step), now, 2 * spread),
  };
}

/** The middles of the steps in which something was measured. */
function dotsOf(g: Graph, from: number, now: number): Dot[] {
  return g.means.flatMap((value, i) => {
    const at = Math.min(g.begin + (i + 0.5) * g.step, now);
    return value !== null && Number.isFinite(value) && at >= from ? [{ at, value }] : [];
  });
}

/** How far apart two dots may be that a line joins. Where no rhythm is known, it is as they usually are. */
function joined(dots: readonly Dot[], step: number, usual: number): number {
  const apart = dots.slice(1).map((d, i) => d.at - (dots[i]?.at ?? d.at));
  apart.sort((a, b) => a - b);
  return Math.max(2.5 * step, 3 * (usual || (apart[(apart.length - 1) >> 1] ?? 0)));
}

function lineOf(dots: readonly Dot[], reach: number, place: (d: Dot) => string): string {
  const apart = (i: number) => (dots[i]?.at ?? Infinity) - (dots[i - 1]?.at ?? -Infinity) > reach;
  // A dot that stands alone is drawn as one.
  return dots.map((d, i) => `${apart(i) ? "M" : "L"}${place(d)}${apart(i) && apart(i + 1) ? "h0" : ""}`).join("");
}

/** What is usual in the time that is shown: for each run of hours of which it is known, there along the top and back below. */
function bandOf(usual: Graph["usual"], from: number, now: number): Dot[][] {
  const runs: Dot[][] = [];
  let top: Dot[] = [];
  let bottom: Dot[] = [];
  const flush = () => {
    if (top.length > 0) runs.push([...top, ...bottom.reverse()]);
    top = [];
    bottom = [];
  };
  const of = (at: number) => usual[(at / hour) % 24] ?? null;
  for (let at = Math.floor(from / hour) * hour; at < now; at += hour) {
    const between = of(at);
    if (!between) {
      flush();
      continue;
    }
    const add = (when: number) => {
      const clamped = Math.min(Math.max(when, from), now);
      top.push({ at: clamped, value: between[1] });
      bottom.push({ at: clamped, value: between[0] });
    };
    if (top.length === 0) add(at);
    if (at + hour / 2 > from && at + hour / 2 < now) add(at + hour / 2);
    if (at + hour >= now || !of(at + hour)) add(at + hour);
  }
  flush();
  return runs;
}

/**
 * direction compares the two halves of the newest time: they must differ by more than chance makes of how far values lie beside the line between
 * their neighbours in all the time that is shown, and by what can be seen.
 */
function direction(dots: readonly Dot[], window: number, now: number, spread: number): Drawing["direction"] {
  const all = dots.map((d) => d.value);
  const newest = all.slice(dots.findIndex((d) => d.at >= now - window));
  if (newest.length < 3 || !Number.isFinite(spread)) return "";
  const half = Math.floor(newest.length / 2);
  const change = mean(newest.slice(-half)) - mean(newest.slice(0, half));
  const scatter = mean(all.slice(2).map((v, i) => Math.abs((all[i + 1] ?? v) - v / 2 - (all[i] ?? v) / 2)));
  if (Math.abs(change) < (4 * scatter) / Math.sqrt(half) || 2 * Math.abs(change) < 0.04 * spread || change === 0)
    return "steady";
  return change > 0 ? "rising" : "falling";
}

const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v / values.length, 0);

const tenth = (n: number) => Math.floor(n * 10 + 0.5) / 10;
