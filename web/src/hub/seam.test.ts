import assert from "node:assert/strict";
import { test } from "node:test";
import { Echoes } from "./echoes";
import { contentOf, Seam } from "./seam";

const message = (n: number, received: string, timestamp = received) =>
  JSON.stringify({ data: { n }, timestamp, context: { about: "shed", received } });

test("what a message says is the same whenever it came", () => {
  assert.equal(contentOf(message(1, "a")), contentOf(message(1, "b")));
  assert.equal(contentOf(message(1, "a", "t")), contentOf(message(1, "b", "t")));
  assert.notEqual(contentOf(message(1, "a", "t")), contentOf(message(1, "b", "u")));
  assert.notEqual(contentOf(message(1, "a")), contentOf(message(2, "a")));
  assert.equal(contentOf("no envelope"), contentOf("no envelope"));
});

test("two lines bring everything twice: it is shown as often as one of them brought it", () => {
  const seam = new Seam();
  const shown = (line: number, n: number, at: number) => seam.fresh(line, "t", message(n, `${line} ${at}`), at);
  assert.equal(shown(1, 1, 10), true);
  seam.open(10, 100);
  assert.deepEqual([shown(2, 1, 20), shown(1, 2, 21), shown(2, 2, 22)], [false, true, false]);
  assert.deepEqual(
    [shown(2, 3, 30), shown(2, 3, 31), shown(1, 3, 32)],
    [true, true, false],
    "a sender may repeat itself",
  );
  assert.equal(shown(2, 1, 101), true, "the seam is closed");
});

test("a seam stays open until some time after the next line is there", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: 1000 });
  const seam = new Seam();
  const shown = (line: number, n: number) => seam.fresh(line, "t", message(n, `${line} ${Date.now()}`), Date.now());
  shown(1, 1);
  seam.open(1000);
  t.mock.timers.setTime(500_000);
  seam.close(Date.now() + 30_000);
  seam.close(Date.now() + 90_000);
  seam.open(Date.now(), Date.now() + 2000);
  t.mock.timers.setTime(530_000);
  assert.equal(shown(2, 1), false, "what was lost is not forgotten for a line that takes over meanwhile");
  t.mock.timers.setTime(530_001);
  assert.equal(shown(3, 1), true);
});

test("what came before the last proof does not come again", () => {
  const seam = new Seam();
  seam.fresh(1, "t", message(1, "a"), 10);
  seam.open(11, 100);
  assert.equal(seam.fresh(2, "t", message(1, "b"), 20), true);
});

test("an echo that comes is shown in place of what was sent, one that comes late is not", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const shown: string[] = [];
  const echoes = new Echoes((payload) => shown.push(payload));
  echoes.sent(1, "a");
  assert.equal(echoes.came("a"), true, "before it was accepted");
  echoes.accepted(1, true);
  echoes.sent(2, "b");
  echoes.accepted(2, true);
  t.mock.timers.tick(2000);
  assert.deepEqual(shown, ["b"]);
  assert.equal(echoes.came("b"), false);
  assert.equal(echoes.came("b"), true, "somebody else sends the same");
  echoes.sent(3, "c");
  echoes.accepted(3, false);
  t.mock.timers.tick(0);
  assert.deepEqual(shown, ["b", "c"]);
  echoes.sent(4, "d");
  echoes.sent(5, "e");
  echoes.accepted(5, true);
  echoes.end();
  assert.deepEqual(shown, ["b", "c", "e"], "what the broker has not acknowledged is nobody's");
});
