import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { draw } from "./graph";
import { Series } from "./series";

interface Vector {
  name: string;
  now: number;
  begin: number;
  step: number;
  span: number;
  usual: number;
  means: (number | null)[];
  band: ([number, number] | null)[] | null;
  line: string;
  bandPath: string;
  direction: string;
}

const vectors = JSON.parse(readFileSync("../templates/testdata/graphs.json", "utf8")) as Vector[];

test("graphs are drawn as the server draws them", () => {
  for (const v of vectors) {
    const drawing = draw({ ...v, usual: v.band ?? [] }, v.now, v.usual);
    const got = [drawing?.line ?? "", drawing?.band ?? "", drawing?.direction ?? ""];
    assert.deepEqual(got, [v.line, v.bandPath, v.direction], v.name);
  }
});

test("the end of a line is a dot", () => {
  const d = draw({ begin: 0, step: 60_000, span: 3_600_000, means: [1, 2], usual: [] }, 120_000, 0);
  assert.equal(d?.end, `M${d?.line.split("L").at(-1)}h0`);
});

const minute = 60_000;

test("a series goes on from what was printed", () => {
  const series = new Series();
  series.read({ begin: "600000", step: String(minute), span: "3600000", means: "1,,3", last: "2", usual: "1 2,,3 4" });
  assert.deepEqual(series.means, [1, null, 3]);
  assert.deepEqual(series.usual, [[1, 2], null, [3, 4]]);
  series.add(600_000 + 2.5 * minute, 9); // the third of its step: of whatever topic
  assert.deepEqual(series.means, [1, null, 5]);
  series.add(600_000 + 4 * minute, 7);
  assert.deepEqual(series.means, [1, null, 5, null, 7]);
  series.add(0, 100); // older than all of it
  series.add(600_000, Number.NaN);
  assert.deepEqual(series.means, [1, null, 5, null, 7]);
});

test("a series that nothing was printed of begins with its first number, by the minute", () => {
  const series = new Series();
  series.read({});
  series.add(90_000, 4);
  assert.deepEqual([series.begin, series.step, series.means], [minute, minute, [4]]);
});

test("a series keeps no more than it shows", () => {
  const series = new Series();
  for (let i = 0; i < 500; i++) series.add(i * minute, i);
  assert.equal(series.means.length, 61);
  assert.equal(series.means.at(-1), 499);
  assert.equal(series.begin, 439 * minute);
  series.add(1e9 * minute, 1); // after a very long silence
  assert.deepEqual(series.means, [1]);
  assert.equal(series.begin, 1e9 * minute);
});

test("means of huge numbers stay numbers", () => {
  const series = new Series();
  series.add(0, 1.7e308);
  series.add(1, 1.7e308);
  assert.ok(Number.isFinite(series.means[0]));
});
