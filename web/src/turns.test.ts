import assert from "node:assert/strict";
import { test } from "node:test";
import { Turns } from "./turns";

interface Thing {
  readonly name: string;
  seen: boolean;
}

function made() {
  const [near, far] = [
    { name: "near", seen: true },
    { name: "far", seen: false },
  ];
  const turns = new Turns<Thing>((t) => t.seen);
  const taken = (now: number) => [...turns.take(now)].map((t) => t.name);
  return { turns, near, far, taken };
}

test("all have a turn at once when it is their first", () => {
  const { turns, near, far, taken } = made();
  turns.add(far);
  turns.add(near);
  assert.deepEqual(taken(0), ["near", "far"]);
  assert.deepEqual(taken(0), []);
});

test("what is not seen has a turn once a second, and none is forgotten", () => {
  const { turns, near, far, taken } = made();
  for (const at of [0, 400, 999]) {
    turns.add(near);
    turns.add(far);
    assert.deepEqual(taken(at), at === 0 ? ["near", "far"] : ["near"]);
  }
  assert.equal(turns.size, 1);
  assert.deepEqual(taken(1000), ["far"]);
});

test("what comes into view has its turn at once", () => {
  const { turns, far, taken } = made();
  turns.add(far);
  taken(0);
  turns.add(far);
  assert.deepEqual(taken(10), []);
  far.seen = true;
  assert.deepEqual(taken(20), ["far"]);
});

test("who stops taking leaves the rest, and what waits longest is the first of them", () => {
  const turns = new Turns<Thing>((t) => t.seen);
  const things = ["a", "b", "c"].map((name) => ({ name, seen: true }));
  for (const t of things) turns.add(t);
  for (const t of turns.take(0)) {
    assert.equal(t.name, "a");
    break;
  }
  turns.add(things[0] as Thing);
  assert.deepEqual(
    [...turns.take(0)].map((t) => t.name),
    ["b", "c", "a"],
  );
});

test("what has left has no turn", () => {
  const { turns, near, taken } = made();
  turns.add(near);
  turns.leave(near);
  assert.deepEqual(taken(0), []);
});

test("what is seen goes first, and of all else one in four", () => {
  const turns = new Turns<Thing>((t) => t.seen);
  const all = [...Array(8).keys()].map((n) => ({ name: `${n}`, seen: n > 2 }));
  for (const t of all) turns.add(t);
  assert.equal([...turns.take(0)].map((t) => t.name).join(""), "34506712");
});

test("who takes one at a time gives each kind its share", () => {
  const turns = new Turns<Thing>((t) => t.seen);
  const [near, far] = [
    { name: "near", seen: true },
    { name: "far", seen: false },
  ];
  let names = "";
  turns.add(far);
  for (let n = 0; n < 8; n++) {
    turns.add(near); // it always waits again
    for (const t of turns.take(n * 1000)) {
      names += t.name[0];
      turns.add(t);
      break;
    }
  }
  assert.equal(names, "nnnfnnnf");
});

test("what leaves while others are taken has no turn", () => {
  const { turns, near, far } = made();
  turns.add(near);
  turns.add(far);
  const names = [];
  for (const t of turns.take(0)) {
    names.push(t.name);
    turns.leave(far);
  }
  assert.deepEqual(names, ["near"]);
});
