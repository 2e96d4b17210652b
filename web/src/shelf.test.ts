import assert from "node:assert/strict";
import { test } from "node:test";
import { Shelf } from "./shelf";

function fill(shelf: Shelf, from: string, n: number): string[] {
  return Array.from({ length: n }, (_, i) => shelf.take(`${from} ${i}`, from)).filter(Boolean);
}

test("one sender has 256 places, its longest silent value goes first", () => {
  const shelf = new Shelf();
  shelf.take("shed temperature", "shed");
  fill(shelf, "rogue", 256);
  shelf.take("rogue 0", "rogue");
  assert.equal(shelf.take("rogue new", "rogue"), "rogue 1");
  assert.equal(fill(shelf, "rogue", 10_000).includes("shed temperature"), false);
});

test("all senders have 1,000 places, and what was printed goes unless it was just heard", () => {
  const shelf = new Shelf();
  assert.deepEqual(fill(shelf, "", 1000), [], "a printed value has no known sender, which is not one sender");
  shelf.take(" 0", "shed");
  assert.deepEqual(fill(shelf, "a", 2), [" 1", " 2"]);
  assert.equal(shelf.missing, 2);
  for (const sender of ["b", "c", "d"]) fill(shelf, sender, 256);
  assert.equal(shelf.missing, 2 + 3 * 256);
});

test("a value stays with its first sender", () => {
  const shelf = new Shelf();
  shelf.take("pump on", "pump");
  shelf.take("pump on", "rogue");
  assert.equal(fill(shelf, "rogue", 1000).includes("pump on"), false);
});

test("a value that comes back is not missing, and one that left is not either", () => {
  const shelf = new Shelf();
  fill(shelf, "a", 257);
  assert.equal(shelf.missing, 1);
  shelf.leave("a 1");
  assert.equal(shelf.take("a 0", "a"), "");
  assert.equal(shelf.missing, 0);
});

test("what is missing is counted to 20,000", () => {
  const shelf = new Shelf();
  fill(shelf, "a", 30_000);
  assert.equal(shelf.missing, 20_000);
});
