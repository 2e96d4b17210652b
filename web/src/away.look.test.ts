import assert from "node:assert/strict";
import { test } from "node:test";
import { absent, type Looked, longEnough, looked, read } from "./away.look";

const noon = Date.UTC(2026, 4, 1, 12);

test("ten minutes are no absence, and more are", () => {
  assert.equal(absent(noon, noon + 1000), 0);
  assert.equal(absent(noon, noon + longEnough), 0);
  assert.equal(absent(noon, noon + longEnough + 1), noon);
});

test("who was never here was not away, and a clock that went back says nothing", () => {
  assert.equal(absent(0, noon), 0);
  assert.equal(absent(noon + 86_400_000, noon), 0);
});

test("each board has its own time, and the boards that were looked at longest ago are forgotten", () => {
  let all: Looked = looked({}, "mine", noon);
  all = looked(all, "other", noon + 1);
  assert.deepEqual({ ...all }, { mine: noon, other: noon + 1 });
  for (let n = 0; n < 30; n++) all = looked(all, `board ${n}`, noon + 2 + n);
  assert.equal(Object.keys(all).length, 20);
  assert.equal(all.mine, undefined);
  assert.equal(all["board 29"], noon + 31);
});

test("what is kept may be anything", () => {
  assert.deepEqual(read(null), {});
  assert.deepEqual(read("{"), {});
  assert.deepEqual(read("null"), {});
  assert.deepEqual(read('"text"'), {});
  assert.deepEqual(read('{"mine":12,"other":"soon","third":null}'), { mine: 12 });
});
