import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { clock, FakeServer } from "../carrier/fake";
import type { Known } from "../carrier/known";
import type { Way } from "../carrier/ladder";
import { FakeBroker } from "./broker.fake";
import { pahoClient } from "./client";
import { type Said, Supervisor } from "./supervisor";

(globalThis as { WebSocket?: unknown }).WebSocket ??= class {}; // paho-mqtt looks whether there is one

const hubs: Supervisor[] = [];
beforeEach(() => clock.start());
afterEach(() => {
  for (const hub of hubs.splice(0)) hub.rest();
  clock.stop();
});

function open(ways: Way[] = ["socket", "stream", "poll"], known?: Known) {
  const broker = new FakeBroker();
  const server = new FakeServer(broker.take);
  const said: Said[] = [];
  const settings = { subscribe: ["a/+/publish"], publish: "a/page/publish", ways };
  const network = { wire: server, newClient: () => pahoClient("ws://trellis.test/live"), line: () => server.socket() };
  const hub = new Supervisor(settings, network, (m) => said.push(m), known);
  hubs.push(hub);
  const kinds = (kind: Said["kind"]) => said.filter((m) => m.kind === kind);
  const payloads = () => said.flatMap((m) => (m.kind === "came" ? [m.kept.heard.payload] : []));
  const links = () => said.flatMap((m) => (m.kind === "state" ? [m.state.link] : []));
  return { hub, broker, server, said, kinds, payloads, links };
}

async function live(ways?: Way[], known?: Known) {
  const page = open(ways, known);
  page.hub.start();
  page.hub.start();
  await clock.pass(500);
  assert.equal(page.hub.state.link, "live");
  return page;
}

test("live: one session, and what comes is told once", async () => {
  const page = await live();
  assert.deepEqual(page.broker.heard, ["CONNECT", "SUBSCRIBE"]);
  page.broker.publish(page.server.only, "a/shed/publish", '{"data":{"n":1}}');
  await clock.pass(50);
  assert.deepEqual(page.payloads(), ['{"data":{"n":1}}']);
  await clock.pass(600_000, 500);
  assert.deepEqual(page.broker.heard, ["CONNECT", "SUBSCRIBE"], "an idle page says nothing but beats");
  assert.deepEqual(page.server.seen, ["open", "socket"]);
});

test("the session outlives every move: down, up, cut, and no message is lost or double", async () => {
  const page = await live();
  const { server, broker } = page;
  let sent = 0;
  const talk = async (seconds: number) => {
    for (let i = 0; i < seconds * 2; i++) {
      broker.publish(server.only, "a/shed/publish", `{"data":{"n":${++sent}}}`);
      page.hub.publish(`p${sent}`, `press ${sent}`);
      await clock.pass(500);
    }
  };
  await talk(40);
  for (const bad of [{ socket: "refuse" }, { socket: "refuse", stream: "hold" }, {}, { socket: 20 }, {}] as const) {
    server.bad = bad;
    server.cut();
    await talk(10);
    page.hub.nudge(true);
    await talk(140);
  }
  await clock.pass(5000);
  assert.deepEqual(broker.count("CONNECT"), 1);
  assert.equal(server.pipes.size, 1);
  assert.equal(page.payloads().length, sent);
  assert.equal(new Set(page.payloads()).size, sent);
  assert.equal(broker.heard.filter((h) => h.startsWith("PUBLISH")).length, sent);
  assert.equal(page.kinds("accepted").length, sent);
  assert.deepEqual(page.kinds("unsent"), []);
});

test("a press while the way is lost is sent when there is one, once", async () => {
  const page = await live(["stream"]);
  page.server.bad = { everything: "lost" };
  page.server.cut();
  await clock.pass(1000);
  assert.equal(page.hub.state.link, "waiting");
  page.hub.publish("p", "now");
  await clock.pass(2000);
  page.server.bad = {};
  await clock.pass(4000);
  assert.equal(page.broker.count("PUBLISH now"), 1);
  assert.equal(page.kinds("accepted").length, 1);
});

test("polls are slower, and that is told", async () => {
  const page = await live(["poll"]);
  assert.equal(page.hub.state.slow, true);
});

test("ten minutes of sleep: back at once, in a new session, with nothing held against the network", async () => {
  const page = await live();
  await clock.pass(60_000, 100);
  mock.timers.setTime(Date.now() + 600_000);
  page.server.restart(); // the server has long ended the session
  await clock.pass(1000);
  assert.equal(page.hub.state.link, "live");
  assert.equal(page.broker.count("CONNECT"), 2);
  assert.equal(page.kinds("away").length, 1);
  assert.deepEqual(page.kinds("known"), []);
});

test("half a minute of sleep, and the session is still there", async () => {
  const page = await live();
  await clock.pass(60_000, 100);
  mock.timers.setTime(Date.now() + 30_000);
  page.broker.publish(page.server.only, "a/shed/publish", '{"data":{"n":1}}');
  await clock.pass(6000);
  assert.equal(page.hub.state.link, "live");
  assert.equal(page.broker.count("CONNECT"), 1);
  assert.equal(page.payloads().length, 1);
});

test("a storm of nudges opens nothing while the connection answers", async () => {
  const page = await live();
  for (let i = 0; i < 500; i++) page.hub.nudge(true);
  await clock.pass(10_000);
  assert.deepEqual(page.server.seen, ["open", "socket"]);
  assert.equal(page.broker.count("CONNECT"), 1);
});

test("a nudge finds out in 4 s that the way is dead, and the session goes on over another", async () => {
  const page = await live();
  await clock.pass(60_000, 100);
  page.server.bad = { socket: "swallow" };
  page.hub.nudge();
  await clock.pass(6500);
  assert.equal(page.hub.state.link, "live");
  assert.equal(page.broker.count("CONNECT"), 1);
  assert.ok(page.server.seen.includes("down stream"));
});

test("a server that restarts: its code, a pause that is spread, a new session, and nothing remembered", async () => {
  const page = await live();
  await clock.pass(60_000, 100);
  mock.method(Math, "random", () => 0.99);
  page.server.only.end(4012, "Updating, back in a moment.");
  await clock.pass(1500);
  assert.equal(page.hub.state.link, "waiting");
  assert.equal(page.hub.state.code, 4012);
  assert.equal(page.server.pipes.size, 1, "it waits");
  page.server.restart();
  await clock.pass(1000);
  assert.equal(page.hub.state.link, "live");
  assert.equal(page.broker.count("CONNECT"), 2);
  assert.deepEqual(page.kinds("known"), []);
});

test("a session that was idle for too long is opened anew at once", async () => {
  const page = await live();
  page.server.only.end(4025);
  await clock.pass(100);
  assert.equal(page.hub.state.link, "live");
  assert.equal(page.server.pipes.size, 2);
});

test("a limit is told in the server's words, and tried slowly", async () => {
  const page = open();
  page.server.refuse = { code: 4021, words: "Too many pages are open with this access key." };
  page.hub.start();
  await clock.pass(300);
  assert.deepEqual([page.hub.state.code, page.hub.state.words], [4021, page.server.refuse.words]);
  await clock.pass(60_000, 100);
  assert.ok(page.server.seen.length < 30);
  page.server.refuse = null;
  await clock.pass(31_000, 100);
  assert.equal(page.hub.state.link, "live");
});

test("a key that was withdrawn stops everything", async () => {
  const page = await live();
  page.broker.mute = true;
  page.hub.publish("p", "press");
  await clock.pass(50);
  page.server.only.end(4003, "This access key no longer works.");
  await clock.pass(60_000, 100);
  assert.equal(page.hub.state.link, "refused");
  assert.deepEqual(page.server.seen, ["open", "socket"]);
  assert.equal(page.kinds("unsent").length, 1);
  page.hub.publish("q", "late");
  assert.equal(page.kinds("unsent").length, 2);
});

test("a login page in the way is told, and left as soon as it opens", async () => {
  const page = open();
  page.server.bad = { everything: "portal" };
  page.hub.start();
  await clock.pass(5000);
  assert.equal(page.hub.state.stranger, "portal");
  page.server.bad = {};
  page.hub.nudge();
  await clock.pass(300);
  assert.equal(page.hub.state.link, "live");
  assert.equal(page.hub.state.stranger, "");
});

test("rest says goodbye and gives presses back; the next start is as if it had never been away", async () => {
  const page = await live();
  page.broker.mute = true;
  page.hub.publish("p", "press");
  await clock.pass(50);
  page.hub.rest();
  await clock.pass(100);
  assert.deepEqual(page.kinds("unsent"), [{ kind: "unsent", id: "p", why: "unsure", words: "" }]);
  assert.equal(page.broker.count("DISCONNECT"), 1);
  assert.equal(page.server.lines.size, 0);
  await clock.pass(600_000, 500);
  assert.deepEqual(page.server.seen, ["open", "socket"]);
  page.hub.start();
  assert.equal(page.hub.state.link, "waiting");
  await clock.pass(100);
  assert.equal(page.hub.state.link, "live");
  assert.equal(page.kinds("away").length, 1);
});

test("what was learned of a network is told, kept and known to the next hub, until it is forgotten", async () => {
  const first = open();
  first.server.bad = { socket: "refuse" };
  first.hub.start();
  await clock.pass(1000);
  const told = first.kinds("known").at(-1);
  assert.ok(told?.kind === "known");
  const second = await live(["socket", "stream", "poll"], JSON.parse(JSON.stringify(told.known)) as Known);
  assert.deepEqual(second.server.seen, ["open", "down stream", "up", "up"]);
  second.hub.forget();
  await clock.pass(500);
  assert.equal(second.server.seen.filter((s) => s === "socket").length, 1);
  assert.deepEqual(second.kinds("known").at(-1), { kind: "known", known: { ways: {}, skipped: 0, knocks: [] } });
  assert.equal(second.broker.count("CONNECT"), 1);
});
