/** Which part of a stretch is looked at closely. Nothing in here knows a page. */
import type { Stretch } from "./stretch";

/** Close is a part of a stretch. */
export interface Close {
  readonly from: number;
  readonly to: number;
}

const leastPoints = 8; // closer than that there is nothing more to see

/** closer is the part that begins about there and is about so long; null: it is all of it. */
export function closer(whole: Stretch, from: number, long: number): Close | null {
  const all = whole.to - whole.from;
  if (long >= all) return null;
  const length = Math.min(Math.max(long, leastPoints * whole.every), all);
  const start = Math.min(Math.max(from, whole.from), whole.to - length);
  return { from: start, to: start + length };
}

/** partOf is what there is of a stretch in a part of it. */
export function partOf(whole: Stretch, close: Close | null): Stretch {
  if (!close) return whole;
  const { from, to } = close;
  return {
    ...whole,
    from,
    to,
    points: whole.points.filter(([at]) => at + whole.every > from && at < to),
    changes: whole.changes.filter(([at]) => at < to),
    gaps: whole.gaps
      .filter((g) => g.from < to && (g.to === 0 || g.to > from))
      .map((g) => (g.to === 0 && to < whole.to ? { ...g, to: whole.to } : g)),
  };
}

/** follow keeps a part in its place while its stretch goes on, and at the end where it was at the end. */
export function follow(was: Stretch, now: Stretch, close: Close | null): Close | null {
  if (!close) return null;
  const moved = close.to >= was.to ? now.to - was.to : 0;
  return closer(now, close.from + moved, close.to - close.from);
}
