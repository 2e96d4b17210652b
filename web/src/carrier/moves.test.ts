import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { type Bad, clock, FakeServer, type Remote } from "./fake";
import { ground, type Ladder, type Way } from "./ladder";
import { Pipe } from "./pipe";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

const text = (s: string) => new TextEncoder().encode(s);
const echo = (remote: Remote, bytes: number[]) => remote.send(bytes);

/** open starts a pipe to an echo, with a letter in it from the start, and says when that was back, and over what. */
function open(bad: Bad = {}, ladder: Ladder = ground, server = new FakeServer(echo)) {
  server.bad = bad;
  const began = Date.now();
  const page = {
    server,
    got: "",
    back: 0,
    ends: [] as string[],
    changes: 0,
    pipe: new Pipe(server, ladder, () => page.changes++),
  };
  setInterval(() => page.pipe.tick(), 5000);
  page.pipe.onopen = () => page.pipe.send(text("a"));
  page.pipe.onmessage = ({ data }) => {
    page.got += new TextDecoder().decode(data);
    page.back ||= Date.now() - began;
  };
  page.pipe.onclose = ({ code, reason }) => page.ends.push(`${code} ${reason}`);
  return page;
}

const blocked = (pipe: Pipe) =>
  Object.entries(pipe.memory.known.ways).flatMap(([way, known]) => (known.blocked > 0 ? [way] : []));
const strikes = (pipe: Pipe, way: Way) => pipe.memory.known.ways[way]?.strikes.length ?? 0;

test("a good network: one request, one WebSocket, and nothing else", async () => {
  const { server, pipe, got } = open();
  await clock.pass(60_000, 100);
  assert.equal(pipe.way, "socket");
  assert.deepEqual(server.seen, ["open", "socket"]);
  assert.equal(got, "");
  assert.equal(server.only.acked, 1, "the beats acknowledge");
});

const networks: [string, Bad, Way, number, string[]][] = [
  ["upgrades refused", { socket: "refuse" }, "stream", 300, ["socket"]],
  ["frames swallowed", { socket: "swallow" }, "stream", 1700, ["socket"]],
  ["refused, and streams held back", { socket: "refuse", stream: "hold" }, "poll", 1200, ["socket", "stream"]],
  ["swallowed, and streams held back", { socket: "swallow", stream: "hold" }, "poll", 2600, ["socket", "stream"]],
  ["cut after one frame", { socket: 1 }, "stream", 2000, []],
  ["cut after two frames", { socket: 2 }, "stream", 2000, []],
  ["no requests at all", { post: "lost" }, "socket", 100, []],
  ["every request twice", { socket: "refuse", twice: true }, "stream", 300, ["socket"]],
];
for (const [name, bad, way, within, proven] of networks) {
  test(`${name}: there and back over ${way}, and what is blocked is known`, async () => {
    const page = open(bad);
    for (let i = 0; i < 30; i++) {
      await clock.pass(500);
      page.pipe.send(text("b"));
    }
    await clock.pass(1000);
    assert.deepEqual(page.ends, []);
    assert.equal(page.got, `a${"b".repeat(30)}`);
    assert.equal(page.pipe.way, way);
    assert.ok(page.back > 0 && page.back <= within, `after ${page.back} ms`);
    assert.deepEqual(blocked(page.pipe).sort(), proven);
  });
}

test("a way that is slow to answer is not blocked", async () => {
  const server = new FakeServer(echo);
  server.way = 700;
  const page = open({}, ground, server);
  await clock.pass(12_000, 50);
  assert.equal(page.got, "a");
  assert.equal(page.pipe.way, "socket");
  assert.deepEqual(blocked(page.pipe), []);
});

test("what goes down slowly is not held back", async () => {
  const page = open({ socket: "refuse" });
  await clock.pass(1000);
  const { write } = slow(page.server);
  page.server.only.send(new Uint8Array(100));
  page.pipe.send(text("b"));
  for (let i = 0; i < 20; i++) {
    await clock.pass(500);
    write();
  }
  await clock.pass(3000);
  assert.equal(page.pipe.way, "stream");
  assert.equal(page.got.length, 102);
});

/** slow lets a stream's parts through in small pieces, one at a time. */
function slow(server: FakeServer) {
  const waiting: (() => void)[] = [];
  server.pieces = (part, give) => {
    const size = Math.ceil(part.length / 8);
    for (let i = 0; i < part.length; i += size) waiting.push(() => give(part.slice(i, i + size)));
  };
  const write = () => waiting.shift()?.();
  return { write };
}

test("a network of small requests: what is large goes up in parts", async () => {
  const page = open({ socket: "refuse", largest: 8 << 10 });
  await clock.pass(500);
  page.pipe.send(new Uint8Array(60_000).fill(65));
  await clock.pass(8000, 20);
  assert.equal(page.server.only.up.length, 60_001);
  assert.deepEqual(page.ends, []);
});

for (const [everything, stranger] of [
  ["portal", "portal"],
  ["redirect", "portal"],
  ["gateway", "gateway"],
  ["lost", ""],
] as const) {
  test(`somebody else answers, or nobody: the pipe ends and knows who (${everything})`, async () => {
    const page = open({ everything });
    await clock.pass(500);
    assert.deepEqual(page.ends, ["1006 "]);
    assert.equal(page.pipe.stranger, stranger);
    assert.deepEqual(blocked(page.pipe), []);
  });
}

test("an answer that somebody kept is not our server's", async () => {
  const server = new FakeServer(echo);
  const kept = await server.told(server.open(), { "X-Nonce": "of earlier" }).text();
  server.bad = { everything: "lost" };
  const page = open({}, { ...ground, plan: ["stream"] }, server);
  server.post = async () => new Response(kept);
  await clock.pass(500);
  assert.deepEqual(page.ends, ["1006 "]);
});

test("a refusal to open ends it with the server's words", async () => {
  const server = new FakeServer();
  server.refuse = { code: 4020, words: "Too many pages are open from your network." };
  const page = open({}, ground, server);
  await clock.pass(500);
  assert.deepEqual(page.ends, ["4020 Too many pages are open from your network."]);
  assert.equal(server.lines.size, 0, "the WebSocket beside it is closed");
});

for (const way of ["socket", "stream", "poll"] as const) {
  test(`the server's last word comes over a ${way}, once`, async () => {
    const page = open({}, { ...ground, plan: [way] });
    await clock.pass(1000);
    page.server.only.end(4012, "Updating, back in a moment.");
    await clock.pass(30_000, 100);
    assert.deepEqual(page.ends, ["4012 Updating, back in a moment."]);
    assert.deepEqual(page.pipe.memory.known, ground.known);
  });

  test(`a pipe that the server does not know is over: ${way}`, async () => {
    const page = open({}, { ...ground, plan: [way] });
    await clock.pass(1000);
    page.server.restart();
    await clock.pass(3000);
    assert.deepEqual(page.ends, ["4004 "]);
  });

  test(`what was written is brought up before the end: ${way}`, async () => {
    const page = open({}, { ...ground, plan: [way] });
    await clock.pass(1000);
    page.pipe.send(text("bye"));
    page.pipe.close();
    await clock.pass(500);
    assert.equal(String.fromCharCode(...page.server.only.up), "abye");
    assert.deepEqual(page.ends, ["1000 "]);
  });
}

test("nothing works for 10 s: it is over; if something does before, it lives", async () => {
  const page = open();
  await clock.pass(60_000, 100);
  page.server.bad = { everything: "lost" };
  page.server.cut();
  await clock.pass(8000, 20);
  assert.deepEqual(page.ends, []);
  page.server.bad = {};
  await clock.pass(4500, 20);
  assert.equal(page.pipe.way, "socket");
  page.server.bad = { everything: "lost" };
  page.server.cut();
  await clock.pass(10_100, 20);
  assert.deepEqual(page.ends, ["1006 "]);
  assert.deepEqual(blocked(page.pipe), []);
  assert.equal(strikes(page.pipe, "socket"), 0);
});

test("a socket that goes silent is left after 25 s, and has a strike when the server was there", async () => {
  const page = open();
  await clock.pass(60_000, 100);
  page.server.bad = { socket: "swallow" };
  await clock.pass(26_500, 100);
  page.server.bad = { socket: "refuse" };
  await clock.pass(1000, 20);
  assert.equal(page.pipe.way, "stream");
  assert.equal(strikes(page.pipe, "socket"), 1);
});

test("a sleep is nobody's fault", async () => {
  const page = open();
  await clock.pass(20_000, 100);
  mock.timers.setTime(Date.now() + 600_000);
  page.server.cut(); // noticed before the tick
  await clock.pass(5000, 100);
  assert.equal(page.pipe.way, "socket");
  assert.equal(strikes(page.pipe, "socket"), 0);
  mock.timers.setTime(Date.now() + 600_000);
  await clock.pass(10_000, 100);
  assert.equal(page.server.seen.filter((s) => s === "socket").length, 3, "a carrier that slept with us is not trusted");
  assert.equal(page.pipe.way, "socket");
  assert.deepEqual(page.pipe.memory.known, ground.known);
  assert.deepEqual(page.ends, []);
});

test("a storm of changes: one try each 15 s, and none while the best way serves", async () => {
  const page = open();
  await clock.pass(1000);
  for (let i = 0; i < 300; i++) page.pipe.hint("online");
  assert.deepEqual(page.server.seen, ["open", "socket"]);
  page.server.bad = { socket: "refuse" };
  page.server.cut();
  await clock.pass(2000);
  assert.equal(page.pipe.way, "stream");
  const before = page.server.seen.filter((s) => s === "socket").length;
  page.server.bad = { socket: "swallow" };
  for (let i = 0; i < 400; i++) {
    page.pipe.hint("online");
    await clock.pass(100);
  }
  assert.ok(page.server.seen.filter((s) => s === "socket").length - before <= 3);
});

test("a better way serves when it has answered twice, and the other one until then", async () => {
  const page = open({ socket: "refuse" });
  await clock.pass(1000);
  page.server.bad = { socket: 1 };
  page.pipe.hint("online");
  await clock.pass(300);
  assert.equal(page.pipe.way, "stream", "one answer is not enough");
  page.server.bad = {};
  await clock.pass(120_500, 100);
  assert.equal(page.pipe.way, "socket");
  assert.equal(page.server.pipes.size, 1);
  assert.equal(page.server.hanging.size, 0, "the stream has ended");
});

test("answers that are kept back come in bundles, and that is said", async () => {
  const page = open({}, { ...ground, plan: ["poll"] });
  await clock.pass(1000);
  page.server.bad = { late: 18_000 };
  page.server.only.send(text("b"));
  await clock.pass(20_000, 100);
  assert.equal(page.pipe.bundles, 0, "once may be an accident");
  page.server.only.send(text("c"));
  await clock.pass(40_000, 100);
  assert.equal(page.pipe.bundles, 20);
  page.server.bad = {};
  await clock.pass(60_000, 100);
  assert.equal(page.pipe.bundles, 0);
});

test("what is known is known to the next pipe", async () => {
  const first = open({ socket: "refuse" });
  await clock.pass(1000);
  first.pipe.close();
  const second = open({ socket: "refuse" }, first.pipe.memory);
  await clock.pass(1000);
  assert.equal(second.pipe.way, "stream");
  assert.deepEqual(second.server.seen.slice(0, 3), ["open", "down stream", "up"]);
});

test("a server that changes the plan is obeyed", async () => {
  const server = new FakeServer(echo);
  server.ways = ["poll"];
  const page = open({ socket: "refuse" }, ground, server);
  await clock.pass(500);
  assert.equal(page.pipe.way, "poll");
  assert.equal(server.seen.includes("down stream"), false);
});
