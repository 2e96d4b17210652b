import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Memory } from "./memory";
import { Outbox, within } from "./outbox";
import { packetID } from "./packet";
import type { Heard, ToPage } from "./protocol";

function heard(data: unknown, at: number, retained = false): Heard {
  const payload = JSON.stringify({
    msg_type: "publish",
    data,
    timestamp: new Date(at).toISOString(),
    context: { about: "shed" },
  });
  return { topic: "a/b/c/publish", payload, retained, at };
}

test("memory gives the last message of every reading, each once and in order", () => {
  const memory = new Memory();
  memory.add(heard({ door: "open" }, 1));
  for (let i = 2; i < 1000; i++) memory.add(heard({ temperature: i }, i));
  const all = memory.snapshot().map((k) => k.heard);
  assert.ok(all.length <= 202);
  assert.match(all[0]?.payload ?? "", /door/);
  assert.match(all.at(-1)?.payload ?? "", /999/);
});

test("memory knows what the server remembers for us after a reconnect", () => {
  const memory = new Memory();
  memory.add(heard({ temperature: 1 }, 10));
  assert.equal(memory.add(heard({ temperature: 1 }, 10, true)), null);
  assert.ok(memory.add(heard({ temperature: 2 }, 20, true)));
});

test("a steady value that is remembered from later on is news, one that came two ways is not", () => {
  const memory = new Memory();
  const came = (at: number, own?: string): Heard => {
    const received = new Date(at).toISOString();
    const payload = JSON.stringify({
      data: { t: 21.5 },
      timestamp: own ?? received,
      context: { about: "shed", received },
    });
    return { topic: "a/b/c/publish", payload, retained: true, at };
  };
  const noon = Date.UTC(2026, 4, 1, 12);
  const minute = 60_000;
  memory.add(came(noon));
  assert.equal(memory.add(came(noon)), null);
  assert.equal(memory.add(came(noon + 5000)), null, "received a little later, on another way");
  assert.ok(memory.add(came(noon + 20 * minute)));
  assert.equal(memory.add(came(noon + 20 * minute)), null);
  const own = new Date(noon + 21 * minute).toISOString();
  memory.add(came(noon + 22 * minute, own));
  assert.equal(memory.add(came(noon + 40 * minute, own)), null, "by the time of its own it is the same");
});

test("memory is bounded by size, the oldest go first", () => {
  const memory = new Memory();
  const big = "x".repeat(128 * 1024);
  const bytes = (all: Heard[]) => all.reduce((sum, h) => sum + h.payload.length, 0);
  for (let i = 0; i < 100; i++) memory.add(heard({ [`name${i}`]: i, [`other${i}`]: i, big }, i));
  const all = memory.snapshot().map((k) => k.heard);
  assert.ok(bytes(all) <= 4 << 20, `${bytes(all)} bytes`); // both hold the same ones here
  assert.match(all[0]?.payload ?? "", /name69"/);
  assert.match(all.at(-1)?.payload ?? "", /name99"/);
  memory.add(heard({ door: "open" }, 100));
  for (let i = 101; i < 400; i++) memory.add(heard({ same: 1, big }, i));
  const more = memory.snapshot().map((k) => k.heard);
  assert.ok(bytes(more) <= 8 << 20);
  assert.ok(
    more.some((h) => h.payload.includes("door")),
    "what is replaced does not count",
  );
});

function outbox() {
  const said: ToPage[] = [];
  return { said, box: new Outbox((m) => said.push(m)) };
}

test("a press is accepted by its packet", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { said, box } = outbox();
  box.add("p", "{}", () => 7);
  box.accepted(6, 1);
  assert.deepEqual(said, []);
  box.accepted(7, 1);
  mock.timers.tick(within);
  assert.deepEqual(said, [{ kind: "accepted", id: "p", at: 1 }]);
  mock.timers.reset();
});

test("a press without a connection waits ten seconds, and is never sent after that", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { said, box } = outbox();
  let written = 0;
  const write = () => ++written;
  box.add("early", "{}", () => 0);
  mock.timers.tick(within - 1);
  box.up(write);
  assert.equal(written, 1);
  box.accepted(1, 2);
  box.add("late", "{}", () => 0);
  mock.timers.tick(within);
  box.up(write);
  assert.equal(written, 1);
  assert.deepEqual(said.at(-1), { kind: "unsent", id: "late", why: "late", words: "" });
  mock.timers.reset();
});

test("a press that was written but not answered is not called lost", () => {
  const { said, box } = outbox();
  box.add("p", "{}", () => 3);
  box.down();
  assert.deepEqual(said, [{ kind: "unsent", id: "p", why: "unsure", words: "" }]);
});

test("a hub that rests gives everything back at once", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { said, box } = outbox();
  box.add("written", "{}", () => 3);
  box.add("waiting", "{}", () => 0);
  box.rest();
  mock.timers.tick(within);
  assert.deepEqual(said, [
    { kind: "unsent", id: "written", why: "unsure", words: "" },
    { kind: "unsent", id: "waiting", why: "late", words: "" },
  ]);
  mock.timers.reset();
});

test("the server's refusal goes to the press it is about", () => {
  const { said, box } = outbox();
  box.add("one", "{}", () => 1);
  box.add("two", "{}", () => 2);
  box.refused(2, "Too big.");
  box.refused(0, "No.");
  assert.deepEqual(said, [
    { kind: "unsent", id: "two", why: "refused", words: "Too big." },
    { kind: "unsent", id: "one", why: "refused", words: "No." },
  ]);
});

test("numbers of packets", () => {
  const publish = (length: number[], flags = 0x32) => new Uint8Array([flags, ...length, 0, 1, 97, 0x12, 0x34, 1, 2]);
  assert.equal(packetID(publish([7])), 0x1234);
  assert.equal(packetID(publish([0x87, 0x01])), 0x1234);
  assert.equal(packetID(publish([7], 0x30)), 0, "QoS 0 has none");
  assert.equal(packetID(new Uint8Array([0xc0, 0])), 0, "nor has a ping");
  assert.equal(packetID(new Uint8Array(0)), 0);
});
