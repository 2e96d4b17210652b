import assert from "node:assert/strict";
import { test } from "node:test";
import { ticks } from "./chart";
import { type Stretch, slide } from "./stretch";
import { closer, follow, partOf } from "./zoom";

const minute = 60_000;
const start = Date.UTC(2026, 4, 1);
const at = (n: number) => start + n * minute;
const day: Stretch = {
  reading: "temp_c",
  span: "day",
  from: at(0),
  to: at(1440),
  every: 5 * minute,
  points: [0, 300, 600, 900, 1200].map((n) => [at(n), n, n, n, 1] as const),
  changes: [],
  gaps: [
    { from: at(100), to: at(200), words: "Quiet", quiet: true },
    { from: at(1300), to: 0, words: "Quiet", quiet: true },
  ],
};

test("a part lies within its stretch, and is not closer than there is something to see", () => {
  assert.deepEqual(closer(day, at(-50), 120 * minute), { from: at(0), to: at(120) });
  assert.deepEqual(closer(day, at(1430), 120 * minute), { from: at(1320), to: at(1440) });
  assert.deepEqual(closer(day, at(600), minute), { from: at(600), to: at(640) });
  assert.equal(closer(day, at(600), 1440 * minute), null);
});

test("a part has what is in it", () => {
  const part = partOf(day, { from: at(150), to: at(900) });
  assert.deepEqual([part.points.map((p) => p[1]), part.gaps.map((g) => g.from)], [[300, 600], [at(100)]]);
  assert.equal(partOf(day, null), day);
  assert.equal(partOf(day, { from: at(1000), to: at(1440) }).gaps[0]?.to, 0, "what lasts goes on to last");
});

test("a part stays where it is, or at the end", () => {
  const later = slide(day, at(1500));
  assert.deepEqual(follow(day, later, { from: at(600), to: at(720) }), { from: at(600), to: at(720) });
  assert.deepEqual(follow(day, later, { from: at(1320), to: at(1440) }), { from: at(1380), to: at(1500) });
  assert.deepEqual(follow(day, later, { from: at(0), to: at(120) }), { from: at(60), to: at(180) });
});

test("a part has times below it, however close it is", () => {
  for (const long of [40, 60, 90, 120, 300, 600, 1000]) {
    const n = ticks({ ...day, from: at(613), to: at(613 + long) }).length;
    assert.ok(n >= 2 && n <= 8, `${n} in ${long} min`);
  }
});
