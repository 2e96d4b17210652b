import assert from "node:assert/strict";
import { test } from "node:test";
import { type Event, ground, type Ladder, over, step, wakeAt } from "./ladder";

const noon = Date.UTC(2026, 4, 1, 12, 0, 0);
const s = (seconds: number) => noon + seconds * 1000;

/** play gives the ladder after these events, and all actions in words, those of one event as one string. */
function play(events: Event[], from: Ladder = ground): { ladder: Ladder; did: string[] } {
  let ladder = from;
  const did = events.map((event) => {
    const [next, actions] = step(ladder, event);
    ladder = next;
    return actions.map((a) => ("way" in a ? `${a.kind} ${a.way}` : a.kind)).join(", ");
  });
  return { ladder, did };
}

const start = (at: number): Event => ({ kind: "start", at });
const hello = (at: number, rtt = 20): Event => ({ kind: "hello", at, rtt });
const up = (at: number, way: "socket" | "stream" | "poll"): Event => ({ kind: "up", at, way });
const lost = (at: number, way: "socket" | "stream" | "poll", code = 1006): Event => ({ kind: "lost", at, way, code });
const tick = (at: number): Event => ({ kind: "tick", at });

const refused = [start(s(0)), lost(s(0.05), "socket"), hello(s(0.06)), up(s(0.2), "stream")];

test("a good network: the socket, and nothing else", () => {
  const { ladder, did } = play([start(s(0)), hello(s(0.02)), up(s(0.1), "socket"), tick(s(2))]);
  assert.deepEqual(did, ["hello, open socket", "", "", ""]);
  assert.equal(ladder.serving, "socket");
  assert.equal(wakeAt(ladder), 0);
});

test("a refused socket: the stream at once, and the block is known", () => {
  const { ladder, did } = play(refused);
  assert.deepEqual(did, ["hello, open socket", "", "open stream", ""]);
  assert.equal(ladder.blocked.socket, s(0.2));
  assert.deepEqual(play([lost(s(60), "stream"), start(s(61))], ladder).did, ["", "hello, open stream"]);
});

test("a silent socket: the stream beside it after 1.5 s, or four round trips", () => {
  const near = play([start(s(0)), hello(s(0.02))]).ladder;
  assert.equal(wakeAt(near), s(1.5));
  assert.deepEqual(play([tick(s(1.4)), tick(s(1.5)), tick(s(1.6))], near).did, ["", "open stream", ""]);
  const far = play([start(s(0)), hello(s(1), 1000)]).ladder;
  assert.equal(wakeAt(far), s(4));
});

test("a socket that answers late takes over", () => {
  const { ladder, did } = play([start(s(0)), hello(s(0.1)), tick(s(1.5)), up(s(1.8), "stream"), up(s(2.5), "socket")]);
  assert.deepEqual(did.slice(3), ["", "retire stream"]);
  assert.equal(ladder.blocked.socket, 0);
});

test("a stream that answers after the socket is let go", () => {
  const { ladder, did } = play([start(s(0)), hello(s(0.1)), tick(s(1.5)), up(s(1.6), "socket"), up(s(1.7), "stream")]);
  assert.deepEqual(did.slice(3), ["drop stream", "drop stream"]);
  assert.equal(ladder.serving, "socket");
});

test("swallowed frames: the socket is called blocked when it ends while the stream serves", () => {
  const { ladder } = play([start(s(0)), hello(s(0.1)), tick(s(1.5)), up(s(1.8), "stream"), lost(s(10), "socket", 0)]);
  assert.equal(ladder.blocked.socket, s(10));
  assert.equal(ladder.serving, "stream");
});

test("nothing is called blocked without a way that worked meanwhile", async (t) => {
  const cases: [string, Event[]][] = [
    ["no server", [start(s(0)), lost(s(0.05), "socket"), { kind: "noHello", at: s(0.1) }]],
    ["nothing works", [start(s(0)), lost(s(0.05), "socket"), hello(s(0.1)), lost(s(6), "stream")]],
    ["a restart", [start(s(0)), lost(s(0.05), "socket", 4012), hello(s(0.1))]],
    ["too many", [start(s(0)), hello(s(0.01)), lost(s(0.05), "socket", 4009)]],
  ];
  for (const [name, events] of cases) {
    await t.test(name, () => {
      const { ladder } = play(events);
      assert.equal(ladder.blocked.socket, 0);
      assert.ok(over(ladder), "the next try may come");
    });
  }
});

test("a try is not over while the hello may still say that the server is there", () => {
  assert.ok(!over(play([start(s(0)), lost(s(0.05), "socket")]).ladder));
});

test("up again: after 30 s, 2 min, 10 min, beside what serves", () => {
  let { ladder } = play(refused);
  const at: number[] = [];
  for (let i = 0; i < 4; i++) {
    const due = wakeAt(ladder);
    at.push((due - s(0.2)) / 1000);
    const played = play([tick(due), lost(due + 100, "socket")], ladder);
    assert.equal(played.did[0], "open socket");
    assert.equal(played.ladder.serving, "stream");
    ladder = played.ladder;
  }
  assert.deepEqual(at, [30, 150, 750, 1350]);
  assert.deepEqual(play([tick(wakeAt(ladder)), up(s(9000), "socket")], ladder).did, ["open socket", "retire stream"]);
});

test("up again when the network changed, but not all the time", () => {
  const online = (at: number): Event => ({ kind: "online", at });
  const { ladder, did } = play(
    [online(s(5)), lost(s(5.1), "socket"), online(s(6)), online(s(25))],
    play(refused).ladder,
  );
  assert.deepEqual(did, ["open socket", "", "", "open socket"]);
  assert.equal(ladder.serving, "stream");
});

test("a socket that still says nothing is opened anew when the network changed", () => {
  const silent: Event[] = [start(s(0)), hello(s(0.1)), tick(s(1.5)), up(s(1.8), "stream")];
  const { ladder, did } = play([...silent, { kind: "online", at: s(5) }, up(s(5.1), "socket")]);
  assert.deepEqual(did.slice(4), ["drop socket, open socket", "retire stream"]);
  assert.equal(ladder.serving, "socket");
});

test("polling tries to stream again, too", () => {
  const polling = play([...refused, { kind: "went", at: s(2), way: "poll" }]).ladder;
  assert.equal(polling.serving, "poll");
  assert.deepEqual(play([tick(s(31))], polling).did, ["open socket, improve"]);
  assert.deepEqual(play([lost(s(40), "poll"), start(s(41))], polling).did, ["", "hello, open poll"]);
});

test("what is known of a network grows old", () => {
  const { ladder } = play([...refused, lost(s(60), "stream")]);
  assert.deepEqual(play([start(s(60 + 31 * 60))], ladder).did, ["hello, open socket"]);
});

test("every fourth start tries the better way all the same", () => {
  let { ladder } = play([...refused, lost(s(60), "stream")]);
  const starts: (string | undefined)[] = [];
  for (let i = 0; i < 4; i++) {
    const played = play([start(s(61 + i)), up(s(61.1 + i), "stream"), lost(s(61.2 + i), "stream")], ladder);
    starts.push(played.did[0]);
    ladder = played.ladder;
  }
  const pipe = "hello, open stream";
  assert.deepEqual(starts, [pipe, pipe, pipe, "hello, open socket, open stream"]);
});

test("a socket that breaks soon after it answered has two strikes", () => {
  const once = (at: number): Event[] => [start(at), up(at + 100, "socket"), lost(at + 2000, "socket")];
  const two = play([...once(s(0)), ...once(s(10))]).ladder;
  assert.deepEqual(play([start(s(20))], two).did, ["hello, open stream"]);
  const long = play([start(s(0)), up(s(0.1), "socket"), lost(s(3600), "socket"), ...once(s(3601))]).ladder;
  assert.deepEqual(play([start(s(3610))], long).did, ["hello, open socket"], "a long good service is no strike");
});
