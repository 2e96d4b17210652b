import assert from "node:assert/strict";
import { test } from "node:test";
import { Tally } from "./tally";

const none = { came: 0, left: 0 };

test("a rate is what came and was shown in the last seconds, whatever the pace of the batches", () => {
  for (const every of [100, 250, 700, 1000]) {
    const tally = new Tally();
    for (let at = 0; at <= 10_000; at += every) {
      tally.add(at, { came: 4 * every, left: 4 * every - every / 50 }, none, true);
    }
    const rates = tally.rates(10_050);
    assert.ok(rates && Math.abs(rates.came - 4000) <= 1, `${rates?.came} at ${every} ms`);
    assert.ok(Math.abs(rates.shown - 20) <= 1, `${rates.shown} at ${every} ms`);
  }
});

test("nothing is said of a rate while all is shown, or when the flood is over", () => {
  const tally = new Tally();
  tally.add(0, { came: 5, left: 0 }, none, true);
  assert.equal(tally.rates(10), null);
  tally.add(1000, { came: 500, left: 300 }, none, true);
  assert.deepEqual(tally.rates(1000), { shown: 205, came: 505, all: 505 });
  assert.equal(tally.rates(5000), null);
  assert.deepEqual(tally.total, { left: 300, recorded: true });
});

test("after a pause a burst is one of a second, and not of the pause", () => {
  const tally = new Tally();
  tally.add(0, { came: 1, left: 0 }, none, true);
  tally.add(60_000, { came: 900, left: 700 }, none, true);
  assert.deepEqual(tally.rates(60_010), { shown: 200, came: 900, all: 900 });
});

test("what is not searched for is in the sum and beside the rate", () => {
  const tally = new Tally();
  for (let at = 0; at <= 5000; at += 100) tally.add(at, { came: 1, left: 0 }, { came: 400, left: 398 }, true);
  assert.deepEqual(tally.rates(5000), { shown: 10, came: 10, all: 4010 });
  assert.equal(tally.total.left, 51 * 398);
});

test("once something was not recorded that is not taken back, until all is cleared", () => {
  const tally = new Tally({ left: 10, recorded: true });
  tally.add(0, none, none, false);
  tally.add(100, { came: 10, left: 5 }, none, true);
  assert.deepEqual(tally.total, { left: 15, recorded: false });
  tally.clear();
  assert.deepEqual(tally.total, { left: 0, recorded: true });
});

test("what came too late to be listed is in the sum of what was not, and not in the rate of what was", () => {
  const tally = new Tally();
  tally.miss(2);
  tally.add(0, { came: 5, left: 0 }, none, true);
  tally.add(1000, { came: 500, left: 300 }, none, true);
  tally.miss(40);
  assert.deepEqual(tally.total, { left: 342, recorded: true });
  assert.deepEqual(tally.rates(1000), { shown: 165, came: 505, all: 505 });
});
