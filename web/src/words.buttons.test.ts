import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type Press, stageWords } from "./words.buttons";

test("how far a press got is said as the server says it", () => {
  const text = readFileSync("../templates/testdata/presses.json", "utf8");
  const vectors = JSON.parse(text) as { press: Press; words: string }[];
  assert.ok(vectors.length > 10);
  for (const { press, words } of vectors) {
    assert.equal(stageWords(press, Date.parse("2026-05-01T12:00:00Z"), "14:03"), words);
  }
});
