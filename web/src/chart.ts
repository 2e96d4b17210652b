/** The shapes of a chart: server/chart.go makes the same ones, and both are held to testdata/chart.json there. */
import { byThousands, sentAs } from "./describe";
import { convert, describeAs } from "./setting";
import { endOf, lasted, type Point, type State, type Stretch } from "./stretch";

export const wide = 1000; // units, however wide the page is
export const high = 240; // pixels
export const laneHigh = 44;
const ticksAbout = 4;
const levelDigits = 9; // more are no help
const nearly = 1e-3; // of a step: what a sum of floating point may be off
const maxLanes = 6;
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

export const tenth = (v: number): number => {
  const size = Math.round(Math.abs(v) * 10) / 10;
  return v < 0 && size > 0 ? -size : size;
};

/** across places a moment. */
export function across(s: Stretch, at: number): number {
  return tenth(wide * Math.min(Math.max((at - s.from) / (s.to - s.from), 0), 1));
}

/** A line crosses the chart at every step. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
  readonly step: number;
}

/** down places a number in the unit that is shown. */
export function down(b: Bounds, v: number): number {
  return tenth(high * (1 - (v / 2 - b.low / 2) / (b.high / 2 - b.low / 2)));
}

/** Scale leads from the unit in which a device sends to the one that is shown, so that lines across a chart are at round numbers of that one. */
export interface Scale {
  readonly unit: string;
  to(v: number): number;
  back(v: number): number;
}

export function scaleOf(s: Stretch): Scale {
  const most = Math.max(0, ...s.points.map((p) => Math.max(Math.abs(p[1]), Math.abs(p[3]))));
  const sent = sentAs({ name: s.reading, value: most })[1] ?? "";
  const unit = s.as?.unit || byThousands(most, sent)[1]; // bytes become kB, all of them
  return { unit, to: (v) => converted(v, sent, unit), back: (v) => converted(v, unit, sent) };
}

/** converted changes nothing where the unit is a label alone, and makes no number one that is none. */
function converted(v: number, from: string, into: string): number {
  const most = Number.MAX_VALUE;
  return Math.min(Math.max(convert(v, from, into) ?? v, -most), most);
}

/** bounds are whole steps below the lowest and above the highest, in the unit that is shown. */
export function bounds(points: readonly Point[], scale: Scale): Bounds {
  if (points.length === 0) return { low: 0, high: 1, step: 1 };
  const low = scale.to(Math.min(...points.map((p) => p[1])));
  const top = scale.to(Math.max(...points.map((p) => p[3])));
  const step = stepOf(low, top);
  let [below, above] = [Math.floor(low / step) * step, Math.ceil(top / step) * step];
  if (below === above) [below, above] = [below - step, above + step];
  if (!(below < above) || !Number.isFinite(below) || !Number.isFinite(above)) return { low, high: top, step };
  return { low: below, high: above, step };
}

/** stepOf is a round number of which a few are between two numbers. */
function stepOf(low: number, top: number): number {
  const rough = top / ticksAbout - low / ticksAbout || Math.abs(low) / 100 || 1;
  const size = 10 ** Math.floor(Math.log10(rough));
  return ([1, 2, 5].find((of) => of * size >= rough) ?? 10) * size;
}

export interface Lines {
  readonly line: string;
  readonly band: string;
  readonly dots: string;
}

/** lines draws numbers: a line of the mean, a band from the lowest to the highest, and dots for what stands alone. */
export function lines(s: Stretch, b: Bounds): Lines {
  let [line, band, dots] = ["", "", ""];
  const scale = scaleOf(s);
  for (const run of runs(s)) {
    const at = (of: 1 | 2 | 3) => run.map((p) => `${across(s, p[0] + s.every / 2)} ${down(b, scale.to(p[of]))}`);
    const means = at(2);
    if (run.length === 1) {
      dots += `M${means[0]}h0`;
      continue;
    }
    line += `M${means.join("L")}`;
    band += `M${at(3).join("L")}L${at(1).reverse().join("L")}Z`;
  }
  return { line, band, dots };
}

/** runs are points that belong together: a line across a time of which nothing is known would be a lie. */
function runs(s: Stretch): Point[][] {
  const all: Point[][] = [];
  const reach = reachOf(s);
  for (const [i, p] of s.points.entries()) {
    const before = s.points[i - 1];
    if (!before || p[0] - before[0] > reach || broken(s, before[0] + s.every, p[0])) all.push([]);
    all.at(-1)?.push(p);
  }
  return all;
}

/** reachOf is how far apart two points may be that a line joins: thrice as far as they usually are. */
function reachOf(s: Stretch): number {
  const apart = s.points.slice(1).map((p, i) => p[0] - (s.points[i]?.[0] ?? p[0]));
  apart.sort((a, b) => a - b);
  return Math.max(2.5 * s.every, 3 * (apart[(apart.length - 1) >> 1] ?? 0));
}

const broken = (s: Stretch, from: number, to: number): boolean =>
  from < to && s.gaps.some((g) => g.from < to && endOf(g, s) > from);

/** levels are the lines across the chart: where a number is said, there it is. It has as many digits as the step between two of them. */
export function levels(s: Stretch, b: Bounds): { y: number; words: string; unit: string }[] {
  const { unit, back } = scaleOf(s);
  const digits = -Math.floor(Math.log10(b.step) + nearly);
  const as = { unit, ...(digits < levelDigits && { digits: Math.max(digits, 0) }) };
  const all: { y: number; words: string; unit: string }[] = [];
  const first = Math.ceil(b.low / b.step - nearly);
  for (let n = 0; n < 12; n++) {
    const v = (first + n) * b.step;
    if (!(v <= b.high + b.step * nearly)) break; // nor is it, where the step is too small to count with
    const shown = describeAs({ name: s.reading, value: back(v) }, as);
    if (shown.value !== all.at(-1)?.words) all.push({ y: down(b, v), words: shown.value, unit: shown.unit });
  }
  return all;
}

export interface Box {
  readonly x: number;
  readonly wide: number;
}

export function box(s: Stretch, from: number, to: number): Box {
  const x = across(s, from);
  return { x, wide: Math.max(tenth(across(s, to) - x), 2) };
}

/** lanes give each state a row of its own, so that none is told by its colour alone. */
export function lanes(s: Stretch, all: readonly State[], other: string): { words: string; boxes: (Box & State)[] }[] {
  const order = lasted(all).map(([words]) => words);
  const found = order.slice(0, maxLanes).map((words) => ({ words, boxes: [] as (Box & State)[] }));
  const last = found[maxLanes - 1];
  if (last && order.length > maxLanes) last.words = other;
  for (const state of all) {
    found[Math.min(order.indexOf(state.words), maxLanes - 1)]?.boxes.push({
      ...state,
      ...box(s, state.from, state.to),
    });
  }
  return found;
}

const clockOf = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayOf = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });
const between = [minute, 2 * minute, 5 * minute, 10 * minute, 30 * minute, hour, 3 * hour, 6 * hour, day, 5 * day];
const mostTicks = 8;

/** ticks are the times below the chart, on whole hours and days where the reader is. */
export function ticks(s: Stretch): { x: string; words: string }[] {
  const step = between.find((ms) => s.to - s.from <= mostTicks * ms) ?? 5 * day;
  const format = step >= day ? dayOf : clockOf;
  const all: { x: string; words: string }[] = [];
  for (let at = firstTick(s.from, step); at < s.to; at = nextTick(at, step)) {
    const share = (at - s.from) / (s.to - s.from);
    if (share >= 0.06 && share <= 0.94) all.push({ x: `${(100 * share).toFixed(2)}%`, words: format.format(at) });
  }
  return all;
}

function firstTick(from: number, step: number): number {
  const at = new Date(from);
  if (step >= day) return at.setHours(0, 0, 0, 0);
  const within = at.getHours() * hour + at.getMinutes() * minute;
  return at.setHours(0, 0, 0, 0) + Math.floor(within / step) * step;
}

/** nextTick counts days and not hours where a step is days: twice a year one of them is longer. */
function nextTick(at: number, step: number): number {
  if (step < day) return at + step;
  const next = new Date(at);
  return next.setDate(next.getDate() + step / day);
}
