import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { type Bad, clock, FakeServer, type Remote } from "./fake";
import { ground, type Ladder, type Way } from "./ladder";
import { Pipe } from "./pipe";

beforeEach(() => clock.start());
afterEach(() => clock.stop());

const plan = (...ways: Way[]): Ladder => ({ ...ground, plan: ways });
const text = (s: string) => new TextEncoder().encode(s);

/** open starts a pipe whose other end answers each letter with its capital. */
function open(server: FakeServer, ladder: Ladder = ground) {
  const got: number[] = [];
  const ends: { code: number; reason: string }[] = [];
  const pipe = new Pipe(server, ladder, () => {});
  pipe.onopen = () => {};
  pipe.onmessage = ({ data }) => got.push(...new Uint8Array(data));
  pipe.onclose = (end) => ends.push(end);
  return { pipe, got, ends, said: () => String.fromCharCode(...got) };
}

const capitals = (remote: Remote, bytes: number[]) => remote.send(bytes.map((b) => b - 32));
const letters = "abcdefghijklmnopqrstuvwxyz";

/** converse writes the letters one by one and wants each back once, in order; before each one something may happen. */
async function converse(server: FakeServer, ladder: Ladder, happens: (i: number, pipe: Pipe) => void = () => {}) {
  const { pipe, said, ends } = open(server, ladder);
  for (const [i, letter] of [...letters].entries()) {
    happens(i, pipe);
    pipe.send(text(letter));
    await clock.pass(30);
  }
  for (let waited = 0; waited < 20_000 && said().length < letters.length; waited += 500) await clock.pass(500, 25);
  assert.deepEqual(ends, []);
  assert.equal(String.fromCharCode(...server.only.up), letters);
  assert.equal(said(), letters.toUpperCase());
  return pipe;
}

async function close(pipe: Pipe) {
  pipe.close();
  await clock.pass(1100, 100);
}

for (const way of ["socket", "stream", "poll"] as const) {
  test(`letters there and back, ${way}`, async () => {
    const pipe = await converse(new FakeServer(capitals), plan(way));
    await clock.pass(400);
    assert.equal(pipe.way, way);
    await close(pipe);
  });
}

const cuts: [string, number, (at: number) => Bad][] = [
  ["a WebSocket after each frame", 28, (socket) => ({ socket })],
  ["a stream after each byte", 500, (stream) => ({ stream })],
  ["a poll after each byte", 85, (poll) => ({ poll })],
];
for (const [name, most, bad] of cuts) {
  test(`not a byte lost or double: cut ${name}`, async () => {
    const [way] = Object.keys(bad(0)) as [Way];
    for (let at = 0; at < most; at += 1) {
      const server = new FakeServer(capitals);
      server.bad = { ...bad(at), once: true }; // what a network does over and over is the ladder's matter
      await close(await converse(server, plan(way)));
      assert.deepEqual(server.bad, {}, `it was cut at ${at}`);
    }
  });
}

for (const lose of ["request", "answer"] as const) {
  test(`not a byte lost or double: each upload's ${lose} is lost once`, async () => {
    for (const way of ["stream", "poll"] as const) {
      for (let at = 0; at < 27; at++) {
        const server = new FakeServer(capitals);
        server.bad = { upload: { lose, at } };
        await close(await converse(server, plan(way)));
      }
    }
  });
}

const broken: Record<Exclude<Way, "direct" | "relay">, Bad> = {
  socket: { socket: "refuse" },
  stream: { stream: "hold" },
  poll: {},
};
for (const [worse, better] of [
  ["stream", "socket"],
  ["poll", "socket"],
  ["poll", "stream"],
] as const) {
  test(`not a byte lost or double: from ${worse} up to ${better} at every letter`, async () => {
    for (let at = 0; at < letters.length; at++) {
      const server = new FakeServer(capitals);
      server.bad = broken[better];
      const pipe = await converse(server, plan(better, worse), (i, moving) => {
        if (i !== at) return;
        server.bad = {};
        moving.hint("online");
      });
      await clock.pass(60_000, 100);
      assert.equal(pipe.way, better);
      await close(pipe);
    }
  });

  test(`not a byte lost or double: from ${better} down to ${worse} at every letter`, async () => {
    for (let at = 0; at < letters.length; at++) {
      const server = new FakeServer(capitals);
      const pipe = await converse(server, plan(better, worse), (i) => {
        if (i !== at) return;
        server.bad = broken[better];
        server.cut();
      });
      await clock.pass(3000, 100);
      assert.equal(pipe.way, worse);
      await close(pipe);
    }
  });
}

test("not a byte lost or double: anything, at random", async () => {
  let seed = 1;
  const random = (n: number) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % n;
  };
  const bads: Bad[] = [
    {},
    {},
    { socket: "refuse" },
    { socket: "swallow" },
    { socket: 3 },
    { stream: "hold" },
    { stream: 200 },
    { poll: 40 },
    { twice: true },
    { largest: 4096 },
    { socket: "refuse", stream: "hold" },
    { everything: "lost" },
  ];
  for (let run = 0; run < 150; run++) {
    const server = new FakeServer(capitals);
    const { pipe, said, ends } = open(server);
    await clock.pass(200);
    let wrote = "";
    for (let i = 0; i < 40; i++) {
      if (random(3) === 0) server.bad = bads[random(bads.length)] ?? {};
      if (random(6) === 0) server.cut();
      if (random(6) === 0) pipe.hint("online");
      const part = letters.slice(0, random(27)).repeat(random(20) === 0 ? 400 : 1);
      wrote += part;
      pipe.send(text(part));
      await clock.pass(random(300), 20);
    }
    server.bad = {};
    for (let i = 0; i < 60 && ends.length === 0 && said().length < wrote.length; i++) await clock.pass(500, 50);
    assert.deepEqual(ends, [], `run ${run}`);
    assert.equal(String.fromCharCode(...server.only.up), wrote);
    assert.equal(said(), wrote.toUpperCase());
    await close(pipe);
  }
});
