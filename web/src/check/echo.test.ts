import assert from "node:assert/strict";
import { test } from "node:test";
import { Echo, filled } from "./echo";

/** sent is an echo that has sent this much, and the bytes. */
function sent(size: number) {
  const echo = new Echo();
  const bytes = filled(size);
  echo.add(bytes);
  return { echo, bytes };
}

test("what comes back in parts, and twice, is whole", async () => {
  const { echo, bytes } = sent(100);
  const whole = echo.whole(1000);
  echo.hear(0, bytes.slice(0, 60));
  echo.hear(0, bytes.slice(0, 60));
  echo.hear(40, bytes.slice(40));
  assert.equal(await whole, true);
  assert.equal(echo.have, 100);
  assert.equal(await echo.whole(1000), true, "at once, when it is there already");
});

test("what does not come back is noticed", async () => {
  const { echo, bytes } = sent(100);
  echo.hear(0, bytes.slice(0, 60));
  assert.equal(await echo.whole(5), false);
  echo.settle(false);
  const waiting = echo.whole(1000);
  echo.settle(false);
  assert.equal(await waiting, false, "when the way has ended");
});

test("what was taken back is not waited for", async () => {
  const { echo, bytes } = sent(100);
  echo.add(filled(50));
  echo.undo(50);
  echo.hear(0, bytes);
  assert.equal(await echo.whole(1000), true);
  assert.equal(echo.pos, 100);
});

for (const [name, pos, change] of [
  ["changed", 0, 1],
  ["with a gap", 10, 0],
  ["more than was sent", 90, 0],
] as const) {
  test(`what comes back ${name} is spoiled`, async () => {
    const { echo, bytes } = sent(100);
    const other = bytes.slice(0, 50);
    other[0] = (other[0] ?? 0) ^ change;
    echo.hear(pos, other);
    assert.ok(echo.spoiled);
    assert.equal(await echo.whole(1000), false);
  });
}
