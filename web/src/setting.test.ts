import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { convert, describeAs, inField, type Setting } from "./setting";

interface Vectors {
  shown: { case: string; reading: [string, number | string | boolean]; as: Setting; want: string[] }[];
  converted: { value: number; from: string; to: string; want: number | null }[];
}

const vectors = JSON.parse(readFileSync("../message/testdata/settings.json", "utf8")) as Vectors;

test("settings agree with the vectors shared with Go", async (t) => {
  assert.ok(vectors.shown.length >= 40 && vectors.converted.length >= 15, "the file was cut short");
  for (const { case: name, reading, as, want } of vectors.shown) {
    await t.test(name, () => {
      const shown = describeAs({ name: reading[0], value: reading[1] }, as);
      assert.deepEqual([shown.label, shown.value, shown.unit, shown.outside ?? ""], want);
    });
  }
  for (const { value, from, to, want } of vectors.converted) {
    const got = convert(value, from, to);
    if (want === null || got === null) assert.equal(got, want, `${value} ${from} in ${to}`);
    else assert.ok(Math.abs(got - want) < 1e-9, `${value} ${from} are ${got} ${to}, not ${want}`);
  }
});

test("a limit that was typed in one unit is shown again as it was typed", () => {
  for (const typed of [86, 85.9, -40, 0.1, 1_234_567]) {
    assert.equal(inField(convert(convert(typed, "°F", "°C") ?? 0, "°C", "°F") ?? 0), String(typed));
  }
});
