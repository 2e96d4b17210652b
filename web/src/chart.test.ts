import assert from "node:assert/strict";
import { test } from "node:test";
import vectors from "../../server/testdata/chart.json";
import { bounds, lanes, levels, lines, scaleOf, ticks } from "./chart";
import { facts, type Stretch, slide, states, take } from "./stretch";

const start = Date.UTC(2026, 4, 1);
const minute = 60_000;

for (const [name, want] of Object.entries(vectors)) {
  test(`a chart is drawn as the server draws it: ${name}`, () => {
    const s = want.Stretch as unknown as Stretch;
    const b = bounds(s.points, scaleOf(s));
    if (s.points.length > 0) {
      assert.deepEqual(lines(s, b), { line: want.Line, band: want.Band, dots: want.Dots });
      assert.deepEqual(
        levels(s, b).map((l) => `${l.y} ${l.words}`),
        want.Levels,
      );
    }
    const drawn = lanes(s, states(s), "Anything else");
    assert.deepEqual(
      drawn.map((l) => [l.words, ...l.boxes.map((box) => `${box.x} ${box.wide}`)]),
      want.Lanes,
    );
    const told = facts(s).slice(0, 6);
    assert.deepEqual(
      told.map((f) => `${f.name} ${f.value} ${f.unit}`),
      want.Facts,
    );
  });
}

const empty: Stretch = {
  reading: "temp_c",
  span: "hour",
  from: start,
  to: start + 60 * minute,
  every: minute,
  points: [],
  changes: [],
  gaps: [],
};

test("what comes in joins its minute, and ends what lasted", () => {
  let s: Stretch = { ...empty, gaps: [{ from: start, to: 0, words: "Quiet", quiet: true }] };
  s = take(s, start + 10 * minute + 5000, 20);
  s = take(s, start + 10 * minute + 6000, 22);
  s = take(s, start + 12 * minute, 25);
  s = take(s, start + 11 * minute, 24); // late
  s = take(s, start - minute, 99); // before all of it
  assert.deepEqual(s.points, [
    [start + 10 * minute, 20, 21, 22, 2],
    [start + 11 * minute, 24, 24, 24, 1],
    [start + 12 * minute, 25, 25, 25, 1],
  ]);
  assert.deepEqual(s.gaps, [{ from: start, to: start + 10 * minute + 5000, words: "Quiet", quiet: true }]);
});

test("a stretch that goes on stays as long as it is", () => {
  let s: Stretch = { ...empty, points: [[start, 1, 1, 1, 1]] };
  for (let n = 1; n <= 50; n++) {
    s = take(s, start + 60 * minute + n * 3400, n);
    assert.equal(s.to - s.from, 60 * minute);
    s = slide(s, s.to + 500);
    assert.equal(s.to - s.from, 60 * minute);
  }
  assert.equal(
    s.points.some(([at]) => at === start),
    false,
    "what left it is still there",
  );
});

test("words are kept where they become another", () => {
  let s = empty;
  for (const [at, word] of [
    [1, "open"],
    [2, "open"],
    [3, "shut"],
    [2.5, "open"],
  ] as const) {
    s = take(s, start + at * minute, word);
  }
  assert.deepEqual(s.changes, [
    [start + minute, "open"],
    [start + 3 * minute, "shut"],
  ]);
  const later = slide(s, start + 62.5 * minute + minute);
  assert.deepEqual(
    states(later).map((st) => [st.words, (st.from - start) / minute, (st.to - start) / minute]),
    [["Shut", 3.5, 63.5]],
  );
});

test("what is too long ago goes, and a number that is none changes nothing", () => {
  const s = take(take(empty, start + minute, 1), start + 30 * minute, 2);
  assert.equal(slide(s, start + 70 * minute).points.length, 1);
  assert.equal(take(s, start + 40 * minute, Number.POSITIVE_INFINITY), s);
});

test("times below the chart are whole ones, and none is cut off", () => {
  for (const span of ["hour", "day", "week", "month"] as const) {
    const long = { hour: 60, day: 1440, week: 7 * 1440, month: 30 * 1440 }[span] * minute;
    const all = ticks({ ...empty, span, from: start + 123_456, to: start + 123_456 + long });
    assert.ok(all.length >= 4 && all.length <= 8, `${span} has ${all.length}`);
    for (const { x } of all) assert.ok(Number.parseFloat(x) >= 2 && Number.parseFloat(x) <= 96);
  }
});
