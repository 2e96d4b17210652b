import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { describe, readings } from "./reading";

interface Vector {
  case: string;
  data: unknown;
  readings: { name: string; label: string; value: string; unit: string }[];
}

const vectors = JSON.parse(readFileSync("../message/testdata/readings.json", "utf8")) as Vector[];

test("readings agree with the vectors shared with Go", async (t) => {
  assert.ok(vectors.length >= 20, "the file was cut short");
  for (const v of vectors) {
    await t.test(v.case, () => {
      const got = readings(v.data).map((r) => ({ name: r.name, ...describe(r) }));
      assert.deepEqual(
        got,
        v.readings.map(({ name, label, value, unit }) => ({ name, label, value, unit })),
      );
    });
  }
});
