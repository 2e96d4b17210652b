import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { describe } from "./describe";
import { type Reading, readings } from "./reading";

interface Vector {
  case: string;
  data: unknown;
  readings: { name: string; label: string; value: string; unit: string }[];
}

const vectors = JSON.parse(readFileSync("../message/testdata/readings.json", "utf8")) as Vector[];

const worded = (r: Reading) => {
  const { label, value, unit } = describe(r);
  return { label, value, unit };
};

test("readings agree with the vectors shared with Go", async (t) => {
  assert.ok(vectors.length >= 20, "the file was cut short");
  for (const v of vectors) {
    await t.test(v.case, () => {
      const got = readings(v.data).map((r) => ({ name: r.name, ...worded(r) }));
      assert.deepEqual(
        got,
        v.readings.map(({ name, label, value, unit }) => ({ name, label, value, unit })),
      );
    });
  }
});

test("what real devices send reads as it does in Go", async (t) => {
  const devices = JSON.parse(readFileSync("../message/testdata/devices.json", "utf8")) as {
    device: string;
    data: unknown;
  }[];
  const wanted = JSON.parse(readFileSync("../message/testdata/devices.readings.json", "utf8")) as unknown[][];
  assert.ok(devices.length >= 60 && wanted.length === devices.length, "a file was cut short");
  for (const [i, { device, data }] of devices.entries()) {
    await t.test(device, () => {
      assert.deepEqual(
        readings(data).map((r) => ({ name: r.name, ...describe(r) })),
        wanted[i],
      );
    });
  }
});

test("what was made up at random reads as it does in Go", () => {
  const lines = readFileSync("../message/testdata/random.jsonl", "utf8").split("\n").slice(0, -1);
  assert.ok(lines.length >= 400, "the file was cut short");
  for (const line of lines) {
    const [payload, wanted] = JSON.parse(line) as [string, unknown];
    const got = readings(JSON.parse(payload)).map((r) => {
      const { label, value, unit, minor } = describe(r);
      return [r.name, r.value === 0 ? 0 : r.value, label, value, unit, minor];
    });
    assert.deepEqual(got, wanted, payload);
  }
});
