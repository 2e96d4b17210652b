import assert from "node:assert/strict";
import { test } from "node:test";
import { type Event, ground, type Ladder, over, step, type Way, type Why, wakeAt } from "./ladder";

const noon = Date.UTC(2026, 4, 1, 12, 0, 0);
const s = (seconds: number) => noon + seconds * 1000;

/** play gives the ladder after these events, and all actions in words, those of one event as one string. */
function play(events: Event[], from: Ladder = ground): { ladder: Ladder; did: string[] } {
  let ladder = from;
  const did = events.map((event) => {
    const [next, actions] = step(ladder, event);
    ladder = next;
    return actions
      .map((a) => ("way" in a ? `${a.kind}${a.kind === "open" && !a.take ? " (trial)" : ""} ${a.way}` : a.kind))
      .join(", ");
  });
  return { ladder, did };
}

const start = (at: number): Event => ({ kind: "start", at });
const fine = (at: number, rtt = 20): Event => ({ kind: "control", at, rtt });
const none = (at: number): Event => ({ kind: "noControl", at });
const up = (at: number, way: Way): Event => ({ kind: "up", at, way });
const beat = (at: number, way: Way): Event => ({ kind: "beat", at, way });
const lost = (at: number, way: Way, why: Why = "broke"): Event => ({ kind: "lost", at, way, why });
const held = (at: number): Event => lost(at, "stream", "held");
const tick = (at: number): Event => ({ kind: "tick", at });
const online = (at: number): Event => ({ kind: "online", at });
const rest: Event = { kind: "rest" };

const blocked = (l: Ladder, way: Way) => l.known.ways[way]?.blocked ?? 0;
const refused = [start(s(0)), lost(s(0.05), "socket"), fine(s(0.06)), up(s(0.4), "stream")];
const polling = [start(s(0)), lost(s(0.05), "socket"), fine(s(0.06)), held(s(1.6)), up(s(1.7), "poll")];

test("a good network: the socket, and nothing else", () => {
  const { ladder, did } = play([start(s(0)), fine(s(0.02)), up(s(0.1), "socket"), tick(s(2))]);
  assert.deepEqual(did, ["control, open socket", "", "take socket", ""]);
  assert.equal(ladder.serving, "socket");
  assert.equal(wakeAt(ladder), 0);
});

const direct: Ladder = { ...ground, plan: ["direct", "socket", "stream", "poll"] };

test("a direct way: first, with its control beside it", () => {
  const { ladder, did } = play([start(s(0)), fine(s(0.02)), up(s(0.1), "direct"), tick(s(2))], direct);
  assert.deepEqual(did, ["control, open direct", "", "take direct", ""]);
  assert.equal(wakeAt(ladder), 0);
});

test("a direct way that is refused: the socket, the block is known, and it is tried again", () => {
  const events = [start(s(0)), lost(s(0.05), "direct"), fine(s(0.06)), up(s(0.2), "socket")];
  const { ladder, did } = play(events, direct);
  assert.deepEqual(did, ["control, open direct", "", "open socket", "take socket"]);
  assert.equal(blocked(ladder, "direct"), s(0.2));
  assert.equal(wakeAt(ladder), s(30.2));
  const later = play([tick(s(31)), up(s(31.2), "direct")], ladder);
  assert.deepEqual(later.did, ["open (trial) direct", "take direct"]);
  assert.equal(blocked(later.ladder, "direct"), 0);
});

test("a direct way that stays silent: the others beside it, and the best that answers", () => {
  const silent = [start(s(0)), fine(s(0.02)), tick(s(1.5)), tick(s(1.5)), up(s(1.6), "stream"), up(s(1.7), "socket")];
  const { ladder, did } = play(silent, direct);
  assert.deepEqual(did, [
    "control, open direct",
    "",
    "open (trial) socket",
    "open (trial) stream",
    "take stream",
    "take socket",
  ]);
  assert.equal(ladder.serving, "socket");
});

test("a refused socket: the stream at once, and the block is known", () => {
  const { ladder, did } = play(refused);
  assert.deepEqual(did, ["control, open socket", "", "open stream", "take stream"]);
  assert.equal(blocked(ladder, "socket"), s(0.4));
  assert.deepEqual(play([rest, start(s(61)), fine(s(61.1))], ladder).did, ["", "control", "open stream"]);
});

test("a stream that is held back: polls, and both blocks are known once they work", () => {
  const before = play(polling.slice(0, -1)).ladder;
  assert.equal(blocked(before, "socket"), 0);
  assert.equal(blocked(before, "stream"), 0);
  const { ladder, did } = play(polling);
  assert.deepEqual(did.slice(2), ["open stream", "open poll", "take poll"]);
  assert.equal(blocked(ladder, "socket"), s(1.7));
  assert.equal(blocked(ladder, "stream"), s(1.7));
  assert.deepEqual(play([rest, start(s(61)), fine(s(61.1))], ladder).did, ["", "control", "open poll"]);
});

test("a silent socket: the stream beside it after 1.5 s, or four round trips", () => {
  const near = play([start(s(0)), fine(s(0.02))]).ladder;
  assert.equal(wakeAt(near), s(1.5));
  assert.deepEqual(play([tick(s(1.4)), tick(s(1.5)), tick(s(1.6))], near).did, ["", "open (trial) stream", ""]);
  const far = play([start(s(0)), fine(s(1), 1000)]).ladder;
  assert.equal(wakeAt(far), s(4));
});

test("a socket that answers late takes over", () => {
  const { ladder, did } = play([start(s(0)), fine(s(0.1)), tick(s(1.5)), up(s(1.8), "stream"), up(s(2.5), "socket")]);
  assert.deepEqual(did.slice(3), ["take stream", "take socket"]);
  assert.equal(blocked(ladder, "socket"), 0);
});

test("a stream that answers after the socket is let go", () => {
  const { ladder, did } = play([start(s(0)), fine(s(0.1)), tick(s(1.5)), up(s(1.6), "socket"), up(s(1.7), "stream")]);
  assert.deepEqual(did.slice(3), ["take socket", ""]);
  assert.equal(ladder.serving, "socket");
});

test("a socket that was taken over from while it was silent is not to blame", () => {
  const late = [start(s(0)), fine(s(0.1)), tick(s(1.5)), lost(s(1.7), "socket", "moved"), up(s(1.9), "stream")];
  const { ladder } = play(late);
  assert.equal(blocked(ladder, "socket"), 0);
  assert.deepEqual(play([tick(wakeAt(ladder))], ladder).did, ["open (trial) socket"]);
});

test("swallowed frames: the socket is called blocked when it gives up and the server is there", () => {
  const silent = [start(s(0)), fine(s(0.1)), tick(s(1.5)), up(s(1.8), "stream"), lost(s(10), "socket", "silent")];
  const { ladder, did } = play(silent);
  assert.equal(did.at(-1), "control");
  assert.equal(blocked(ladder, "socket"), 0);
  assert.equal(blocked(play([fine(s(10.1))], ladder).ladder, "socket"), s(10.1));
  assert.equal(blocked(play([none(s(10.1))], ladder).ladder, "socket"), 0);
});

test("nothing is called blocked without something that worked meanwhile", async (t) => {
  const cases: [string, Event[]][] = [
    ["no server", [start(s(0)), lost(s(0.05), "socket"), none(s(0.1))]],
    ["nothing works", [start(s(0)), lost(s(0.05), "socket"), fine(s(0.1)), lost(s(6), "stream"), lost(s(7), "poll")]],
    ["a sleep", [start(s(0)), fine(s(0.01)), tick(s(1.5)), up(s(1.8), "stream"), lost(s(9), "socket", "slept")]],
  ];
  for (const [name, events] of cases) {
    await t.test(name, () => {
      const { ladder } = play(events);
      assert.equal(blocked(ladder, "socket"), 0);
      assert.equal(blocked(ladder, "stream"), 0);
    });
  }
});

test("a try is over when nothing is left that may still answer", () => {
  const open = play([start(s(0)), lost(s(0.05), "socket")]).ladder;
  assert.ok(!over(open), "the control may still say that the server is there");
  const shut = play([none(s(0.1))], open).ladder;
  assert.ok(over(shut));
  assert.ok(wakeAt(shut) > s(0.1));
  assert.deepEqual(play([tick(wakeAt(shut) - 1), tick(wakeAt(shut))], shut).did, ["", "control, open socket"]);
});

test("up again: after 30 s, 2 min, 10 min, beside what serves", () => {
  let { ladder } = play(refused);
  const at: number[] = [];
  for (let i = 0; i < 4; i++) {
    const due = wakeAt(ladder);
    at.push((due - s(0.4)) / 1000);
    const played = play([tick(due), lost(due + 100, "socket"), fine(due + 120)], ladder);
    assert.deepEqual(played.did, ["open (trial) socket", "control", ""]);
    assert.equal(played.ladder.serving, "stream");
    ladder = played.ladder;
  }
  assert.deepEqual(at, [30, 150, 750, 1350]);
  assert.deepEqual(play([tick(wakeAt(ladder)), up(s(9000), "socket")], ladder).did, [
    "open (trial) socket",
    "take socket",
  ]);
});

test("up again when the network changed, but not all the time", () => {
  const storm = Array.from({ length: 200 }, (_, i) => online(s(5 + i / 10)));
  const { ladder, did } = play(storm, play(refused).ladder);
  assert.deepEqual(did.filter(Boolean), ["open (trial) socket", "open (trial) socket"]);
  assert.equal(did.findLastIndex(Boolean), 150, "15 s later");
  assert.equal(ladder.serving, "stream");
});

test("a network that changes while nothing works is tried at once", () => {
  const { ladder } = play([...refused, lost(s(60), "stream"), tick(s(60)), none(s(60.1))]);
  assert.ok(wakeAt(ladder) > s(60.1));
  assert.deepEqual(play([online(s(60.11))], ladder).did, ["control"]);
});

test("two WebSockets a minute, after that they rest", () => {
  const { ladder } = play([...refused, online(s(5)), lost(s(5.1), "socket"), fine(s(5.2))]);
  const { did } = play([online(s(25)), tick(s(40)), tick(s(59)), tick(s(60.1))], ladder);
  assert.deepEqual(did, ["", "", "", "open (trial) socket"]);
});

test("a server that was not there explains why WebSockets failed", () => {
  const down = [start(s(0)), lost(s(0.1), "socket"), none(s(0.1)), rest];
  const { ladder } = play([...down, ...down.map((e) => ("at" in e ? { ...e, at: e.at + 2000 } : e))]);
  const { did } = play([start(s(4)), none(s(4.1)), rest, start(s(8)), fine(s(8.1)), up(s(8.2), "socket")], ladder);
  assert.deepEqual(did, ["control", "", "", "control", "open socket", "take socket"]);
});

test("polling tries to stream again, too, and a stream in vain gives its place back", () => {
  const { ladder } = play(polling);
  const { did } = play([tick(s(32)), lost(s(32.1), "socket"), held(s(33.6)), fine(s(33.7))], ladder);
  assert.deepEqual(did, ["open (trial) socket, open (trial) stream", "control", "open poll, control", ""]);
  const better = play([tick(s(32)), up(s(32.4), "stream"), lost(s(42), "socket", "silent")], ladder);
  assert.deepEqual(better.did.slice(1), ["take stream", "control"]);
  assert.equal(blocked(better.ladder, "stream"), 0);
});

test("a stream that is held back later on: polls, without a word of the socket", () => {
  const { ladder, did } = play([held(s(60)), up(s(60.1), "poll")], play(refused).ladder);
  assert.deepEqual(did, ["open poll", "take poll"]);
  assert.equal(blocked(ladder, "stream"), s(60.1));
});

test("what is known of a network grows old", () => {
  const { ladder } = play([...refused, rest]);
  assert.deepEqual(play([start(s(60 + 31 * 60))], ladder).did, ["control, open socket"]);
});

test("every fourth start tries the better way all the same", () => {
  let { ladder } = play([...refused, rest]);
  const starts: (string | undefined)[] = [];
  for (let i = 0; i < 4; i++) {
    const at = s(100 * (i + 1));
    const played = play([start(at), fine(at + 10), up(at + 400, "stream"), rest], ladder);
    starts.push(played.did[0]);
    ladder = played.ladder;
  }
  assert.deepEqual(starts, ["control", "control", "control", "control, open socket"]);
});

test("a way that breaks soon after it answered has a strike; two put it out, longer each time", () => {
  const strike = (at: number): Event[] => [
    start(at),
    fine(at + 10),
    up(at + 100, "socket"),
    beat(at + 15_100, "socket"),
    lost(at + 20_000, "socket"),
    fine(at + 20_020),
    rest,
  ];
  const begins = (at: number, l: Ladder) => play([start(at)], l).did[0];
  const one = play(strike(s(0))).ladder;
  assert.equal(begins(s(21), one), "control, open socket");
  assert.equal(begins(s(21 + 60), play(strike(s(601)), one).ladder), "control, open socket", "ten minutes apart");
  let out = play(strike(s(100)), one).ladder;
  let from = s(120.02);
  for (const minutes of [10, 30, 24 * 60, 24 * 60]) {
    const until = from + minutes * 60_000;
    assert.equal(begins(until - 1, out), "control", `${minutes} min`);
    assert.equal(begins(until, out), "control, open socket", `${minutes} min`);
    out = play([...strike(until), ...strike(until + 100_000)], out).ladder;
    from = until + 120_020;
  }
});

test("no strike", async (t) => {
  const served = (seconds: number, why: Why, beats: number, control: Event): Event[] => [
    start(s(0)),
    fine(s(0.01)),
    up(s(0.1), "socket"),
    ...Array.from({ length: beats }, () => beat(s(15), "socket")),
    lost(s(seconds), "socket", why),
    control,
  ];
  const cases: [string, Event[], number][] = [
    ["after 30 s and two answers", served(31, "broke", 2, fine(s(31.1))), 0],
    ["when the server is not there", served(5, "broke", 0, none(s(5.1))), 0],
    ["for a sleep", served(5, "slept", 0, fine(s(5.1))), 0],
    ["for being taken over from", served(5, "moved", 0, fine(s(5.1))), 0],
    ["but for breaking soon", served(5, "broke", 0, fine(s(5.1))), 1],
    ["but for breaking before two answers", served(40, "broke", 1, fine(s(40.1))), 1],
    ["but for going silent while the server is there", served(900, "silent", 9, fine(s(900.1))), 1],
  ];
  for (const [name, events, strikes] of cases) {
    await t.test(name, () => assert.equal(play(events).ladder.known.ways.socket?.strikes.length ?? 0, strikes));
  }
});

test("an end after long good service is an ordinary loss: the same way again, with a control beside it", () => {
  const served = [start(s(0)), fine(s(0.01)), up(s(0.1), "socket"), beat(s(15), "socket"), beat(s(30), "socket")];
  const { ladder, did } = play([...served, lost(s(3600), "socket"), tick(s(3600)), up(s(3600.2), "socket")]);
  assert.deepEqual(did.slice(5), ["", "control, open socket", "take socket"]);
  assert.equal(wakeAt(play([...served, lost(s(3600), "socket")]).ladder), s(3600), "at once");
  assert.deepEqual(ladder.known, ground.known);
});

test("frames that are cut at once: two tries, then the stream", () => {
  const { ladder, did } = play([
    start(s(0)),
    fine(s(0.05)),
    up(s(0.1), "socket"),
    lost(s(0.11), "socket"),
    tick(s(0.4)),
    fine(s(0.45)),
    up(s(0.5), "socket"),
    lost(s(0.51), "socket"),
    tick(s(0.8)),
    fine(s(0.85)),
  ]);
  assert.deepEqual(did.slice(3), ["", "control, open socket", "", "take socket", "", "control", "open stream"]);
  assert.ok((ladder.known.ways.socket?.until ?? 0) > s(600));
});

test("another network is another chance for a way that is out", () => {
  const strike = (at: number) => [start(at), fine(at), up(at, "socket"), lost(at + 2000, "socket"), fine(at + 2010)];
  const out = play([...strike(s(0)), rest, ...strike(s(100)), lost(s(102.2), "socket"), up(s(102.3), "stream")]).ladder;
  assert.ok(wakeAt(out) > s(600), "it is not tried for ten minutes");
  const { did, ladder } = play([online(s(300)), up(s(300.1), "socket")], out);
  assert.deepEqual(did, ["open (trial) socket", "take socket"]);
  assert.ok((ladder.known.ways.socket?.until ?? 0) <= s(300.1), "and is no longer out");
});

test("the plan is the server's: what it does not name is not tried, and its order counts", () => {
  const plan = (...ways: Way[]): Ladder => ({ ...ground, plan: ways });
  assert.deepEqual(play([start(s(0)), fine(s(0.1))], plan("poll")).did, ["control", "open poll"]);
  assert.deepEqual(play([start(s(0)), lost(s(0.1), "socket"), fine(s(0.1))], plan("socket")).did, [
    "control, open socket",
    "",
    "",
  ]);
  const order = [start(s(0)), fine(s(0.1)), held(s(1.5)), up(s(1.6), "socket"), tick(s(31.6))];
  assert.deepEqual(play(order, plan("stream", "socket", "poll")).did, [
    "control",
    "open stream",
    "open socket",
    "take socket",
    "open (trial) stream",
  ]);
  const told: Event = { kind: "control", at: s(1), rtt: 10, plan: ["poll"] };
  assert.deepEqual(play([start(s(0)), lost(s(0.1), "socket"), told]).did.at(-1), "open poll");
});

test("forget: nothing is held against any way, and a better one is tried at once", () => {
  const { ladder, did } = play([{ kind: "forget", at: s(20) }], play(polling).ladder);
  assert.deepEqual(did, ["open (trial) socket, open (trial) stream"]);
  assert.equal(blocked(ladder, "socket"), 0);
});
