/** The rows of the table of one value that are new since the server printed it. Nothing in here knows a page. */
import { type Point, type SpanName, type Stretch, states, wordsOf } from "./stretch";
import { span as howLong } from "./words";

export interface Row {
  readonly at: number;
  readonly cells: readonly string[];
}

/** As many steps as server/asked.go has rows for. */
const steps: Record<SpanName, number> = { hour: 60, day: 48, week: 56, month: 30 };

/** rowsSince are the row that begins at `since`, the last one that stands there, as it is by now, and those behind it. */
export function rowsSince(s: Stretch, since: number): Row[] {
  return s.points.length > 0 ? numbers(s, since) : words(s, since);
}

function numbers(s: Stretch, since: number): Row[] {
  const long = (s.to - s.from) / steps[s.span];
  const rows = new Map<number, Point>();
  for (const p of s.points) {
    const at = since + Math.floor((p[0] - since) / long) * long;
    if (at < since) continue;
    const was = rows.get(at);
    rows.set(at, was ? both(was, p) : p);
  }
  return [...rows].map(([at, [, low, mean, high, n]]) => ({ at, cells: [...[low, mean, high].map(cell(s)), `${n}`] }));
}

function both([at, low, mean, high, n]: Point, p: Point): Point {
  const all = n + p[4];
  return [at, Math.min(low, p[1]), mean + (p[2] - mean) * (p[4] / all), Math.max(high, p[3]), all];
}

const cell = (s: Stretch) => (v: number) => {
  const { value, unit } = wordsOf(s, v);
  return unit ? `${value} ${unit}` : value;
};

/** The row that stands there is of the state that held at its time, or of the first one, which the beginning of the stretch has cut since. */
function words(s: Stretch, since: number): Row[] {
  const all = states(s);
  const standing = all.findLastIndex(({ from }) => from <= Math.max(since, s.from));
  return all.slice(Math.max(0, standing)).map(({ words, from, to }, i) => ({
    at: i === 0 && standing >= 0 ? since : from,
    cells: [words, howLong(to - from)],
  }));
}
