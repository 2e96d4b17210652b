import assert from "node:assert/strict";
import { test } from "node:test";
import { draw, Series } from "./series";

function every(ms: number, n: number): Series {
  const series = new Series();
  for (let i = 0; i < n; i++) series.add(i * ms, i);
  return series;
}

test("points stand in the order of time, each moment once", () => {
  const series = new Series();
  for (const [at, value] of [
    [30, 3],
    [10, 1],
    [20, 2],
    [20, 5],
  ] as const)
    series.add(at, value);
  assert.deepEqual(series.points, [
    { at: 10, value: 1 },
    { at: 20, value: 5 },
    { at: 30, value: 3 },
  ]);
});

test("only the newest points are kept", () => {
  const { points } = every(1000, 500);
  assert.equal(points.length, 120);
  assert.equal(points.at(-1)?.value, 499);
});

test("a rhythm is known after five values", () => {
  assert.equal(every(1000, 4).usualGap(), 0);
  assert.equal(every(1000, 6).usualGap(), 1000);
});

test("looks by the age of the value and its rhythm", () => {
  const series = every(60_000, 6);
  const last = 5 * 60_000;
  assert.equal(series.look(last, last + 80_000), "live");
  assert.equal(series.look(last, last + 100_000), "old");
  assert.equal(series.look(last, last + 200_000), "quiet");
  assert.equal(series.look(last, last + 200_000, 190_000), "old", "we could not hear it until just now");
  assert.equal(series.look(last, last + 400_000, 190_000), "quiet", "we heard nothing before or since, either");
  assert.equal(new Series().look(0, 1e9), "live", "what reports only now and then is never called quiet");
});

test("graphs of numbers at the edge of numbers", () => {
  const of = (...values: number[]) =>
    draw(
      values.map((value, at) => ({ at, value })),
      160,
      40,
    );
  assert.equal(of(-1e308, 1e308)?.line, "M4 36L156 4");
  assert.equal(of(-Number.MAX_VALUE, 0, Number.MAX_VALUE)?.line, "M4 36L80 20L156 4");
  assert.equal(of(0, Number.MIN_VALUE)?.line, "M4 20L156 20");
  assert.equal(of(1, Number.POSITIVE_INFINITY), null);
  assert.equal(of(1, Number.NaN), null);
});

test("graphs", () => {
  assert.equal(draw([{ at: 1, value: 1 }], 160, 40), null, "one value is no graph");
  const flat = draw(
    [
      { at: 0, value: 7 },
      { at: 10, value: 7 },
    ],
    160,
    40,
  );
  assert.equal(flat?.line, "M4 20L156 20");
  const up = draw(
    [
      { at: 0, value: 0 },
      { at: 10, value: 1 },
    ],
    160,
    40,
  );
  assert.equal(up?.line, "M4 36L156 4");
  assert.equal(up?.area, "M4 36L156 4L156 40L4 40Z");
  assert.equal(up?.end, "M156 4h0");
});
