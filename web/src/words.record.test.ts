import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { missingWords, recordWords } from "./words.record";

const vectors = JSON.parse(readFileSync("../templates/testdata/record.json", "utf8")) as {
  words: { why: string; operator: boolean; still?: boolean; words: string }[];
  missing: { lost: number; from: string; to: string; words: string }[];
};

test("what is not recorded is said in the server's words", () => {
  for (const { why, operator, still = false, words } of vectors.words) {
    assert.equal(recordWords({ why, still }, operator, "14:02"), words);
  }
  for (const why of ["", "past"]) assert.equal(recordWords({ why, still: false }, true, "14:02"), "");
  for (const { lost, from, to, words } of vectors.missing) assert.equal(missingWords(lost, from, to), words);
  assert.equal(missingWords(0, "", ""), "");
});
