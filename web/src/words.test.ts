import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { age, capitalWord, clock, count, entityWords, inSentence, kindOf, say, sizeOf, span } from "./words";
import { clock as buttonsClock } from "./words.buttons";

interface Vectors {
  ages: { seconds: number; words: string }[];
  clocks: { at: string; now: string; words: string }[]; // where the reader is
  entities: { id: string; name: string; place: string }[];
  values: { value: string; words: string; kind: string; size: string }[];
}

const vectors = JSON.parse(readFileSync("../templates/testdata/words.json", "utf8")) as Vectors;

test("ages are said as the server says them", () => {
  for (const v of vectors.ages) assert.equal(age(v.seconds * 1000), v.words);
});

test("the time of day is said as the server says it", () => {
  for (const v of vectors.clocks) {
    for (const say of [clock, buttonsClock]) assert.equal(say(Date.parse(v.at), Date.parse(v.now)), v.words, v.at);
  }
});

test("entities are named as the server names them", () => {
  for (const v of vectors.entities) assert.deepEqual(entityWords(v.id), { name: v.name, place: v.place });
});

test("values are shown as the server shows them", () => {
  for (const { value, ...want } of vectors.values) {
    const words = capitalWord(value);
    assert.deepEqual({ words, kind: kindOf(words), size: sizeOf(words) }, want);
  }
});

test("one and many", () => {
  assert.equal(count(1, "value", "values"), "1 value");
  assert.equal(say.dropped(12), "This page could not keep up: 12 messages are not shown.");
  assert.equal(say.dropped(1), "This page could not keep up: 1 message is not shown.");
  assert.equal(say.back(14), "Back. 14 values came in meanwhile.");
  assert.equal(say.away(14), "While you were away: 14 new values.");
  assert.equal(say.away(1), "While you were away: 1 new value.");
});

test("spans", () => {
  assert.equal(span(300), "1 s");
  assert.equal(span(5 * 60_000), "5 min");
  assert.equal(span(3 * 3_600_000), "3 h");
});

test("a label in a sentence keeps the capitals that it needs", () => {
  for (const [label, want] of [
    ["Temperature", "temperature"],
    ["By the window", "by the window"],
    ["CO2", "CO2"],
    ["CO2 Lab at Anna's", "CO2 Lab at Anna's"],
    ["Öl", "öl"],
    ["", ""],
  ] as const) {
    assert.equal(inSentence(label), want);
  }
});
