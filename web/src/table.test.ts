import assert from "node:assert/strict";
import { test } from "node:test";
import type { Stretch } from "./stretch";
import { rowsSince } from "./table";

const minute = 60_000;
const start = Date.UTC(2026, 4, 1);
const day: Stretch = {
  reading: "temp_c",
  span: "day",
  from: start,
  to: start + 24 * 60 * minute,
  every: 5 * minute,
  points: [
    [start + 20 * minute, 1, 2, 3, 1],
    [start + 30 * minute, 20, 21, 22, 1],
    [start + 40 * minute, 19, 20, 21, 3],
    [start + 125 * minute, 30, 31, 32, 2],
  ],
  changes: [],
  gaps: [],
};

test("points go into the row that stands there, and into new ones in the same steps", () => {
  assert.deepEqual(rowsSince(day, start + 30 * minute), [
    { at: start + 30 * minute, cells: ["19 °C", "20.3 °C", "22 °C", "4"] },
    { at: start + 120 * minute, cells: ["30 °C", "31 °C", "32 °C", "2"] },
  ]);
  assert.deepEqual(rowsSince(day, start + 130 * minute), []);
});

test("words have a row for each change, and what began before is no new row", () => {
  const words: Stretch = { ...day, reading: "door", points: [], changes: [[start - 60 * minute, "open"]] };
  assert.deepEqual(rowsSince(words, start - 5 * minute), [{ at: start - 5 * minute, cells: ["Open", "24 h"] }]);
  const turned = { ...words, changes: [...words.changes, [start + 60 * minute, "shut"] as const] };
  assert.deepEqual(
    rowsSince(turned, start).map((r) => [(r.at - start) / minute, ...r.cells]),
    [
      [0, "Open", "60 min"],
      [60, "Shut", "23 h"],
    ],
  );
  assert.deepEqual(
    rowsSince(turned, start + 60 * minute).map((r) => r.cells[0]),
    ["Shut"],
  );
});
