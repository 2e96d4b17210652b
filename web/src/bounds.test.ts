import assert from "node:assert/strict";
import { test } from "node:test";
import { mark, newest } from "./bounds";

const size = (text: string) => text.length;

test("the newest stay within a number and a size", () => {
  assert.deepEqual(newest(["a", "b", "c"], 2, 100, size), ["b", "c"]);
  assert.deepEqual(newest(["aaaa", "bb", "cc"], 9, 4, size), ["bb", "cc"]);
  assert.deepEqual(newest(["a", "bbbbb", "c"], 9, 4, size), ["c"], "nothing older jumps over what was too big");
  assert.deepEqual(newest(["a"], 9, 4, size), ["a"]);
});

test("a mark is short and tells texts apart", () => {
  const long = "x".repeat(131_072);
  assert.ok(mark(long).length < 30);
  assert.equal(mark(long), mark("x".repeat(131_072)));
  const marks = new Set(Array.from({ length: 50_000 }, (_, i) => mark(`${i} a/b ${long.slice(0, 50)}${i % 7}`)));
  assert.equal(marks.size, 50_000);
});
