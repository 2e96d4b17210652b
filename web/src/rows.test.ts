import assert from "node:assert/strict";
import { test } from "node:test";
import type { Heard } from "./hub/protocol";
import { keep, matches, type Row, rowOf } from "./rows";

function heard(payload: string): Heard {
  return { topic: "home/local/Shed/publish", payload, retained: false, at: 0 };
}

test("a row shows data, is searched as text and holds no data twice", () => {
  const row = rowOf(heard('{"msg_type":"publish","data":{"Door":"open"}}'));
  assert.equal(row.data, '{"Door":"open"}');
  assert.ok(matches(row, "shed DOOR"));
  assert.equal("data" in (row.envelope ?? {}), false);
  assert.equal(rowOf(heard("no JSON")).data, "no JSON");
  assert.equal(rowOf(heard("no JSON")).envelope, null);
});

test("numbers are shown as they were sent, texts without needless escapes", () => {
  const row = rowOf(heard('{"data": {"serial": 12345678901234567890, "n": 1.0, "w": "\\u003cb\\u003e \\"x\\""}}'));
  assert.equal(row.data, '{"serial":12345678901234567890,"n":1.0,"w":"<b> \\"x\\""}');
});

test("while something is searched for, what does not fit goes first", () => {
  let rows = keep([], [rowOf(heard("rare"))]);
  for (let i = 0; i < 20; i++)
    rows = keep(
      rows,
      Array.from({ length: 100 }, (_, n) => rowOf(heard(`${i} ${n}`))),
      "rare",
    );
  assert.equal(rows.length, 500);
  assert.equal(rows[0]?.data, "rare");
  assert.equal(rows.at(-1)?.data, "19 99");
  assert.ok(!keep(rows, [rowOf(heard("more"))]).some((r) => r.data === "rare"));
});

test("a long payload is cut in its row and whole to be copied", () => {
  const payload = "é".repeat(65_536);
  const row = rowOf(heard(payload));
  assert.equal(row.data, `${"é".repeat(32_768)}… (cut, 131,072 bytes)`);
  assert.ok(row.text.length < 33_000);
  assert.equal(row.heard.payload, payload);
  assert.equal(rowOf(heard("x".repeat(65_536))).data.length, 65_536);
});

test("rows are bounded by number and by size", () => {
  let rows: Row[] = [];
  for (let i = 0; i < 1500; i++) rows = keep(rows, [rowOf(heard(`${i}`))]);
  assert.equal(rows.length, 500);
  assert.equal(rows.at(-1)?.data, "1499");
  for (let i = 0; i < 50; i++) rows = keep(rows, [rowOf(heard("x".repeat(131_072)))]);
  assert.equal(rows.length, 31);
});
