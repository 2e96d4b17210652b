import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Memory } from "./memory";
import type { Batch, Heard } from "./protocol";
import { Ration } from "./ration";

beforeEach(() => mock.timers.enable({ apis: ["Date", "setTimeout"], now: Date.UTC(2026, 4, 1) }));
afterEach(() => mock.timers.reset());

function heard(device: string, data: unknown, more: { at?: number; retained?: boolean } = {}): Heard {
  const { at = Date.now(), retained = false } = more;
  const context = { about: device, received: new Date().toISOString() };
  const payload = JSON.stringify({ msg_type: "publish", data, timestamp: new Date(at).toISOString(), context });
  return { topic: `home/local/${device}/publish`, payload, retained, at: Date.now() };
}

/** pass lets time pass in small steps: what is due in one tick of the mock is called at its end. */
function pass(ms: number): void {
  for (let left = ms; left > 0; left -= 5) mock.timers.tick(Math.min(5, left));
}

/** dice gives numbers that are the same in every run. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** page is given rations, and answers after so many ms; never, if that is infinite. */
function page({ answers = 1, search = "", seed = 1 } = {}) {
  const batches: Batch[] = [];
  const memory = new Memory();
  const how = { answers };
  const take = (batch: Batch) => {
    batches.push(batch);
    if (Number.isFinite(how.answers)) setTimeout(() => ration.took(), how.answers);
  };
  const ration: Ration = new Ration(take, search, () => true, dice(seed));
  const hear = (message: Heard) => {
    const kept = memory.add(message);
    if (kept) ration.hear(kept);
  };
  const all = () => batches.flatMap((b) => b.heard);
  const listed = () => batches.flatMap((b) => b.heard.filter((_, i) => b.listed[i]));
  const sum = (of: (b: Batch) => number) => batches.reduce((n, b) => n + of(b), 0);
  return { batches, memory, ration, how, hear, all, listed, sum };
}

const second = (each: (i: number) => void, n: number, ms = 1000) => {
  for (let i = 0; i < n; i++) {
    each(i);
    pass(ms / n);
  }
};

test("a message in a quiet time is given at once, whole", () => {
  const { hear, batches } = page();
  for (let i = 0; i < 3; i++) {
    hear(heard("shed", { t: i }));
    assert.equal(batches.length, i + 1, "without a timer");
    pass(150);
  }
  assert.deepEqual(batches[0]?.listed, [true]);
  assert.deepEqual(batches[0]?.found, { came: 1, left: 0 });
  assert.equal(batches[0]?.values, 1);
});

test("what follows within a tenth of a second comes together, the newest of each value", () => {
  const { hear, batches, all } = page();
  hear(heard("shed", { t: 0 }));
  for (let i = 1; i <= 50; i++) hear(heard(i % 2 ? "shed" : "gate", { t: i }));
  assert.equal(batches.length, 1);
  pass(100);
  assert.equal(batches.length, 2);
  assert.equal(all().length, 51, "so few are all listed");
  assert.equal(batches[1]?.values, 50);
  pass(5000);
  assert.equal(batches.length, 2, "nothing is said when nothing came");
});

test("of a flood a sample is listed, and the rest is counted", () => {
  const { hear, batches, listed, sum } = page();
  let sent = 0;
  const flood = () => second(() => hear(heard("shed", { t: sent++ })), 4000);
  for (let s = 0; s < 10; s++) flood();
  const before = listed().length;
  flood();
  const shown = listed().length - before;
  assert.ok(shown >= 18 && shown <= 22, `${shown} of a second's 4,000`);
  assert.ok(before < 200 + 10 * 22, `${before} in the first ten seconds`);
  pass(1000);
  assert.equal(listed().length + sum((b) => b.found.left), sent);
  assert.equal(
    sum((b) => b.found.came),
    sent,
  );
  assert.ok(batches.length < 125, `${batches.length} batches in 11 s`);
  assert.match(batches.at(-1)?.heard.at(-1)?.payload ?? "", new RegExp(`"t":${sent - 1}}`), "the last value arrives");
});

test("the sample is drawn by lot, so that the first of each burst is not the only one ever listed", () => {
  const { hear, listed } = page();
  for (let s = 0; s < 400; s++) {
    for (let i = 0; i < 40; i++) hear(heard(`device${i}`, { t: s }));
    pass(100);
  }
  const devices = new Set(listed().map((h) => h.topic));
  assert.equal(devices.size, 40);
});

test("what is searched for has a sample of its own: a rare match is always listed", () => {
  const { ration, hear, listed, sum, batches } = page();
  for (let s = 0; s < 5; s++) second((i) => hear(heard("shed", { t: i })), 1000);
  ration.want("GATE open");
  const matches: string[] = [];
  for (let s = 0; s < 20; s++) {
    second((i) => hear(heard("shed", { t: i })), 500, 500);
    const rare = heard("gate", { door: "open", n: s });
    matches.push(rare.payload);
    hear(rare);
    second((i) => hear(heard("shed", { t: i })), 500, 500);
  }
  pass(500);
  const got = listed().filter((h) => h.topic.includes("gate"));
  assert.deepEqual(
    got.map((h) => h.payload),
    matches,
  );
  const searched = batches.filter((b) => b.search !== "");
  assert.equal(
    searched.reduce((n, b) => n + b.found.came, 0),
    20,
  );
  assert.equal(listed().length + sum((b) => b.found.left + b.others.left), 25_020);
});

test("a page that is slow is left alone for longer, and one that does not answer is given nothing more", () => {
  const slow = page({ answers: 200 });
  for (let s = 0; s < 10; s++) second((i) => slow.hear(heard("shed", { t: i })), 100);
  const { length } = slow.batches;
  assert.ok(length >= 10 && length <= 14, `${length} batches in 10 s, at 0.8 s each`);

  const stuck = page({ answers: Number.POSITIVE_INFINITY });
  const big = "x".repeat(100_000);
  let sent = 0;
  const say = () => stuck.hear(heard(`device${sent}`, { t: sent++, big }));
  for (let i = 0; i < 3000; i++) say();
  assert.equal(stuck.batches.length, 1);
  stuck.how.answers = 1;
  stuck.ration.took();
  pass(20_000);
  const bytes = stuck.batches.map((b) => b.heard.reduce((n, h) => n + h.payload.length, 0));
  assert.ok(Math.max(...bytes) < 11 << 20, `${bytes}`);
  assert.ok(bytes.reduce((a, b) => a + b) < 14 << 20, "what waited was bounded");
  const reached = new Set(stuck.all().map((h) => h.topic)).size;
  assert.ok(stuck.sum((b) => b.lost) >= sent - reached, "values that never arrived are said");
  assert.match(stuck.all().at(-1)?.topic ?? "", new RegExp(`device${sent - 1}/`));
});

test("many values arrive in turn, none is forgotten", () => {
  const { ration, memory, all, batches } = page();
  for (let i = 0; i < 3000; i++) memory.add(heard(`device${i}`, { t: 1 }));
  ration.load(memory.snapshot());
  pass(5000);
  assert.equal(new Set(all().map((h) => h.topic)).size, 3000);
  assert.ok(batches.every((b) => b.heard.length <= 1200));
  assert.deepEqual(
    batches.map((b) => [b.values, b.found.came, b.found.left, b.lost]).filter((n) => n.some(Boolean)),
    [],
    "what came before is no news",
  );
});

test("a value of earlier neither replaces nor hides a newer one", () => {
  const { hear, all, sum } = page();
  const now = Date.now();
  hear(heard("shed", { t: "first" }));
  pass(10);
  hear(heard("shed", { t: "newest" }));
  for (let i = 0; i < 300; i++) hear(heard("shed", { t: `kept back ${i}` }, { at: now - 60_000 + i }));
  pass(1000);
  assert.ok(all().some((h) => h.payload.includes("newest")));
  assert.equal(
    sum((b) => b.values),
    2,
  );
});

test("what the server remembers is listed however much it is, once", () => {
  const { hear, listed, sum } = page();
  for (let i = 0; i < 600; i++) hear(heard(`device${i}`, { t: 1 }, { retained: true }));
  pass(1000);
  assert.equal(listed().length, 600);
  assert.equal(
    sum((b) => b.found.left),
    0,
  );
});

test("that something is not in the record is said with the batch it belongs to", () => {
  const { ration, hear, batches } = page();
  hear(heard("shed", { t: 1 }));
  ration.unrecorded();
  pass(200);
  hear(heard("shed", { t: 2 }));
  assert.deepEqual(
    batches.map((b) => b.recorded),
    [true, false, true],
  );
});

test("messages that never reached us count as left out and as lost", () => {
  const { ration, hear, batches, sum } = page();
  hear(heard("shed", { t: 1 }));
  ration.miss(30);
  pass(200);
  assert.deepEqual(batches.at(-1)?.found, { came: 30, left: 30 });
  assert.equal(
    sum((b) => b.lost),
    30,
  );
});

// Random runs against a model: whatever came, in whatever pace, the final values are right and the counts exact.
for (let seed = 1; seed <= 150; seed++) {
  test(`random run ${seed}`, () => {
    const roll = dice(seed);
    const upTo = (n: number) => Math.floor(roll() * n);
    const { ration, hear, all, sum, listed, how } = page({ answers: upTo(400), seed });
    const newest = new Map<string, { of: number; value: number }>(); // by the rules of the board
    let came = 0;
    let values = 0;
    for (let step = 0; step < 60; step++) {
      if (upTo(10) === 0) ration.want(["", "device1", "t"][upTo(3)] ?? "");
      if (upTo(10) === 0) how.answers = upTo(800);
      for (let i = upTo(3) === 0 ? upTo(200) : upTo(3); i > 0; i--) {
        const device = `device${upTo(12)}`;
        const at = Date.now() - (upTo(4) === 0 ? upTo(5000) : 0);
        const data = upTo(2) === 0 ? { t: ++came } : { t: ++came, h: came };
        hear(heard(device, data, { at }));
        for (const name of Object.keys(data)) {
          const key = `${device} ${name}`;
          if (at < (newest.get(key)?.of ?? 0)) continue;
          newest.set(key, { of: at, value: came });
          values++;
        }
      }
      pass(upTo(300));
    }
    pass(10_000);
    const shown = new Map<string, { of: number; value: number }>(); // as the board takes it
    for (const { payload } of all()) {
      const { data, timestamp, context } = JSON.parse(payload);
      for (const [name, value] of Object.entries(data)) {
        const key = `${context.about} ${name}`;
        const of = Date.parse(timestamp);
        if (of >= (shown.get(key)?.of ?? 0)) shown.set(key, { of, value: value as number });
      }
    }
    assert.deepEqual([...shown].sort(), [...newest].sort());
    assert.equal(new Set(all()).size, all().length, "nothing is given twice");
    assert.equal(
      sum((b) => b.values),
      values,
    );
    assert.equal(
      sum((b) => b.found.came + b.others.came),
      came,
    );
    assert.equal(listed().length + sum((b) => b.found.left + b.others.left), came);
    assert.equal(
      sum((b) => b.lost),
      0,
    );
  });
}
