import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { duration, outcomeWords, seconds, told } from "./words.check";

test("times are said as the server says them", () => {
  const { times } = JSON.parse(readFileSync("../templates/testdata/words.json", "utf8")) as {
    times: { ms: number; words: string }[];
  };
  for (const { ms, words } of times) assert.equal(seconds(ms), words);
});

test("durations", () => {
  assert.equal(duration(3040), "3 seconds");
  assert.equal(duration(-60_000), "1 minute");
  assert.equal(duration(3 * 3_600_000), "3 hours");
  assert.equal(duration(400 * 86_400_000), "400 days");
  assert.equal(duration(0), "0 seconds");
});

test("a way is said to work with its time, and the others without", () => {
  assert.equal(outcomeWords("works", 240), "works (0.2 s)");
  assert.equal(outcomeWords("held", 0), "held back (arrives in bundles)");
  assert.equal(outcomeWords("unneeded", 0), "not needed");
  assert.equal(outcomeWords("off", 0), "turned off here");
  assert.equal(outcomeWords("blocked", 0), "blocked");
});

test("people are told of no broker", () => {
  for (const words of Object.values(told)) {
    assert.doesNotMatch(typeof words === "string" ? words : words("2 s", true), /broker/i);
  }
});
