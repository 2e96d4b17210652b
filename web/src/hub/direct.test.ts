import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { clock, FakeServer, type Remote } from "../carrier/fake";
import type { Line, Wire } from "../carrier/wire";
import { FakeBroker } from "./broker.fake";
import { pahoClient } from "./client";
import { type Said, Supervisor } from "./supervisor";

(globalThis as { WebSocket?: unknown }).WebSocket ??= class {}; // paho-mqtt looks whether there is one

const key = { key: "secret", user: "k1", print: "p" };
const [own, messages] = ["acme/eu/k1/publish", "acme/eu/k1/messages"];
const again = (n: number) =>
  `{"msg_type":"publish","data":{"n":${n}},"tags":[],"timestamp":"2026-05-01T12:00:05.000Z","source":"acme:eu:barn",` +
  '"context":{"about":"barn","envelope":false,"hops":1,"received":"2026-05-01T12:00:05.000Z"}}';
const hubs: Supervisor[] = [];
beforeEach(() => clock.start());
afterEach(() => {
  for (const hub of hubs.splice(0)) hub.rest();
  clock.stop();
});

/** There is the service's broker, and the way to it. */
class There {
  readonly broker = new FakeBroker();
  bad: "" | "refuse" | "swallow" = "";
  readonly lines: { line: Line; remote: Remote }[] = [];

  open(): Line {
    const close = () => {
      line.readyState = 3;
    };
    const line = {
      binaryType: "",
      readyState: 0,
      onopen: null,
      onmessage: null,
      onclose: null,
      close,
      send: (data: Uint8Array) => {
        if (this.bad === "") setTimeout(() => this.broker.take(remote, [...data]), 5);
      },
    } as { -readonly [name in keyof Line]: Line[name] };
    const remote = {
      send: (bytes: Iterable<number>) => {
        const data = new Uint8Array([...bytes]).buffer;
        if (this.bad === "") setTimeout(() => line.onmessage?.({ data }), 5);
      },
      end: (code: number) => line.onclose?.({ code, reason: "" }),
    } as unknown as Remote;
    this.lines.push({ line, remote });
    setTimeout(() => {
      if (this.bad === "refuse") return line.onclose?.({ code: 1006, reason: "" });
      line.readyState = 1;
      if (this.bad === "") line.onopen?.();
    }, 5);
    return line;
  }

  get remote(): Remote {
    return this.lines.at(-1)?.remote as Remote;
  }

  cut(): void {
    this.remote.end(1006);
  }
}

/** page has a key, a server that answers as told, and the service's broker. */
async function page(answer: () => object = () => ({}), there = new There()) {
  const relay = new FakeBroker();
  const server = new FakeServer(relay.take);
  let lent = 0;
  const asked: object[] = [];
  const wire: Wire = {
    socket: () => server.socket(),
    async post(path, headers, body, signal) {
      if (!path.startsWith("/direct")) return server.post(path, headers, body, signal);
      const question = JSON.parse(new TextDecoder().decode(body ?? undefined)) as { nonce: string; client: string };
      asked.push(question);
      const { status = 200, ...rest } = answer() as { status?: number };
      const client = `acme:eu:shed#${lent++}`;
      const said = {
        nonce: question.nonce,
        t: Date.now(),
        user: "k1",
        print: "p",
        address: "wss://there.test/ws",
        client,
        ...rest,
      };
      return new Response(JSON.stringify(said), { status });
    },
  };
  const said: Said[] = [];
  const settings = {
    subscribe: [messages, own],
    publish: own,
    entity: "shed",
    ways: ["direct", "socket", "stream", "poll"],
  };
  const network = { wire, newClient: () => pahoClient("ws://trellis.test/live"), line: () => there.open() };
  const hub = new Supervisor(settings, network, (m) => said.push(m), undefined, key);
  hubs.push(hub);
  hub.start();
  await clock.pass(500);
  const datas = () => said.flatMap((m) => (m.kind === "came" ? [JSON.parse(m.kept.heard.payload).data] : []));
  const kinds = (kind: Said["kind"]) => said.filter((m) => m.kind === kind);
  return { hub, there, relay, server, said, asked, datas, kinds };
}

test("what a page has the key for comes past the server, which is not connected to", async () => {
  const { hub, there, server, datas, said, kinds } = await page();
  assert.equal(hub.state.link, "live");
  assert.deepEqual(there.broker.heard, ["CONNECT", "SUBSCRIBE", "SUBSCRIBE"]);
  assert.equal(server.pipes.size, 0);
  there.broker.publish(there.remote, messages, '{"data":{"t":1},"source":"acme:eu:barn"}');
  there.broker.publish(there.remote, "acme/eu/k9/messages", "stray");
  await clock.pass(100);
  assert.deepEqual(datas(), [{ t: 1 }]);
  hub.publish("p", '{"data":{"led":"on"}}');
  await clock.pass(2500);
  assert.equal(kinds("accepted").length, 1);
  assert.deepEqual(datas().at(-1), { led: "on" }, "shown as sent, since it did not come back");
  assert.ok(!JSON.stringify(said).includes("secret"), "the key goes to no page");
});

test("a line that breaks where it is refused from then on: the relay, and what comes again is shown once", async () => {
  const { hub, there, relay, server, datas } = await page();
  there.broker.publish(there.remote, messages, '{"data":{"n":1},"source":"acme:eu:barn"}');
  await clock.pass(100);
  there.bad = "refuse";
  there.cut();
  await clock.pass(500);
  assert.equal(hub.state.link, "live");
  assert.deepEqual(relay.heard, ["CONNECT", "SUBSCRIBE", "SUBSCRIBE"]);
  relay.publish(server.only, messages, again(1));
  relay.publish(server.only, messages, again(2));
  await clock.pass(100);
  assert.deepEqual(datas(), [{ n: 1 }, { n: 2 }]);
  there.bad = "";
  await clock.pass(40_000, 50);
  assert.equal(server.lines.size, 0, "directly again, and the relay is let go");
  assert.equal(hub.state.link, "live");
});

test("a line that falls silent is noticed within 25 s", async () => {
  const { hub, there, relay } = await page();
  there.bad = "swallow";
  await clock.pass(25_000, 50);
  assert.ok(relay.heard.includes("SUBSCRIBE"));
  assert.equal(hub.state.link, "live");
});

test("a broker that refuses the login is not asked again", async () => {
  const there = new There();
  there.broker.code = 5;
  const { hub, relay } = await page(undefined, there);
  await clock.pass(700_000, 500);
  assert.equal(there.broker.count("CONNECT"), 1);
  assert.equal(hub.state.link, "live");
  assert.equal(relay.count("CONNECT"), 1);
});

test("while others need the server's link everything goes by it, and nothing is held against the network", async () => {
  const { hub, there, relay, kinds } = await page(() => ({ why: "shared" }));
  await clock.pass(5000);
  assert.deepEqual([there.lines.length, relay.count("CONNECT"), hub.state.link], [0, 1, "live"]);
  const known = kinds("known").at(-1);
  assert.equal(known?.kind === "known" && known.known.ways.direct?.blocked, 0);
});

test("another key than that of the sign-in is offered to nobody", async () => {
  const { hub, there, relay } = await page(() => ({ print: "other" }));
  assert.deepEqual([there.lines.length, relay.heard.length, hub.state.code], [0, 0, 4010]);
});

test("a sign-in that is over ends the line", async () => {
  let status = 200;
  const { hub, there } = await page(() => (status === 200 ? {} : { status, code: 4010 }));
  status = 403;
  hub.look();
  await clock.pass(100);
  assert.equal(hub.state.link, "refused");
  assert.equal(there.broker.count("DISCONNECT"), 1);
});

test("an idle line stays up, and says to the server once a minute that it is there", async () => {
  const { hub, there, server, asked } = await page();
  await clock.pass(600_000, 100);
  assert.equal(hub.state.link, "live");
  assert.equal(there.broker.count("CONNECT"), 1);
  assert.equal(server.pipes.size, 0);
  const still = asked.filter((a) => (a as { client: string }).client === "acme:eu:shed#0").length;
  assert.ok(still >= 7 && still <= 10, `${still} times in ten minutes`);
});

test("three losses soon after the login are somebody else with our name: it is left alone", async () => {
  const { hub, there, relay, said } = await page();
  for (let n = 0; n < 3; n++) {
    there.cut();
    await clock.pass(3000);
  }
  await clock.pass(700_000, 500);
  assert.ok(there.broker.count("CONNECT") <= 3);
  assert.deepEqual([hub.state.link, relay.count("CONNECT")], ["live", 1]);
  assert.equal(said.filter((m) => m.kind === "state" && m.state.attempt > 1).length, 0, "each loss is told once");
});

test("what a lost line brought is not shown again however late the next line is there", async () => {
  const { hub, there, relay, server, datas } = await page();
  there.broker.publish(there.remote, messages, '{"data":{"n":1},"source":"acme:eu:barn"}');
  await clock.pass(100);
  there.bad = "refuse";
  server.bad = { everything: "lost" };
  there.cut();
  await clock.pass(90_000, 50);
  assert.notEqual(hub.state.link, "live");
  server.bad = {};
  await clock.pass(10_000, 50);
  assert.equal(hub.state.link, "live");
  relay.publish(server.only, messages, again(1));
  relay.publish(server.only, messages, again(2));
  await clock.pass(100);
  assert.deepEqual(datas(), [{ n: 1 }, { n: 2 }]);
});

test("nor after a rest", async () => {
  const { hub, there, datas } = await page();
  const one = '{"data":{"n":1},"source":"acme:eu:barn"}';
  there.broker.publish(there.remote, messages, one);
  await clock.pass(100);
  hub.rest();
  await clock.pass(90_000, 500);
  hub.start();
  await clock.pass(500);
  there.broker.publish(there.remote, messages, one); // the broker was never told that it had come
  await clock.pass(100);
  assert.deepEqual(datas(), [{ n: 1 }]);
});

test("a line that serves ends as soon as the server says that no page is let in any more", async () => {
  let why = "";
  const { hub, there, relay } = await page(() => ({ why }));
  why = "never";
  await clock.pass(80_000, 100);
  assert.deepEqual([hub.state.link, relay.count("CONNECT"), there.broker.count("DISCONNECT")], ["live", 1, 1]);
  await clock.pass(700_000, 500);
  assert.equal(there.broker.count("CONNECT"), 1);
});

test("while others need the server's link it is asked again every two minutes", async () => {
  const { asked } = await page(() => ({ why: "shared" }));
  await clock.pass(1_210_000, 500);
  assert.ok(asked.length >= 10 && asked.length <= 12, `${asked.length} times in twenty minutes`);
});

test("that our server's link is down is not told to a page that goes past it", async () => {
  const { hub, there, relay, server, kinds } = await page();
  there.bad = "refuse";
  there.cut();
  await clock.pass(5000);
  there.bad = "";
  for (let n = 0; n < 4000 && there.broker.count("CONNECT") < 2; n++) await clock.pass(10);
  await clock.pass(100);
  assert.equal(server.lines.size, 1, "the relay sees through what is on its way");
  relay.publish(server.only, "$trellis/session", '{"link":{"up":false,"since":"2026-05-01T12:00:00Z","why":"lost"}}');
  await clock.pass(3000);
  assert.deepEqual([hub.state.link, hub.upstream, kinds("upstream")], ["live", null, []]);
});

test("a page that goes past our server says that nothing of it is kept, and by our server what that says", async () => {
  const { hub, there, relay, server, kinds } = await page();
  const told = () => kinds("record").map((m) => (m as { why: string }).why);
  assert.deepEqual([told(), hub.recorded], [["past"], false]);
  there.bad = "refuse";
  there.cut();
  await clock.pass(5000);
  assert.deepEqual([told(), hub.recorded], [["past", ""], true]);
  relay.publish(server.only, "$trellis/session", '{"record":{"why":"full","since":"2026-05-01T12:00:00Z"}}');
  await clock.pass(100);
  assert.deepEqual([told().at(-1), hub.recorded], ["full", false]);
  there.bad = "";
  for (let n = 0; n < 4000 && there.broker.count("CONNECT") < 2; n++) await clock.pass(10);
  await clock.pass(100);
  relay.publish(server.only, "$trellis/session", '{"record":{"why":""}}');
  await clock.pass(1000);
  assert.deepEqual(
    [told().at(-1), hub.recording?.why, hub.recorded],
    ["past", "past", false],
    "that is of no concern there",
  );
});

test("another key takes a serving line's place: it ends, and nothing of it is taken for the new one's", async () => {
  const { hub, there, relay, kinds } = await page();
  there.broker.mute = true;
  hub.publish("old", '{"data":{"led":"on"}}');
  await clock.pass(100);
  hub.give(key);
  assert.deepEqual(kinds("unsent"), [{ kind: "unsent", id: "old", why: "unsure", words: "" }]);
  await clock.pass(100);
  assert.equal(there.broker.count("DISCONNECT"), 1);
  there.broker.mute = false;
  await clock.pass(500);
  hub.publish("new", '{"data":{"led":"off"}}');
  await clock.pass(5000);
  assert.deepEqual([hub.state.link, there.broker.count("CONNECT"), relay.heard.length], ["live", 2, 0]);
  assert.deepEqual(
    kinds("came").map((m) => m.kind === "came" && JSON.parse(m.kept.heard.payload).data),
    [{ led: "off" }],
    "what nobody knows to have been sent is not shown",
  );
});

test("an answer about a key that is no longer used ends nothing", async () => {
  let print = "p";
  const { hub, there } = await page(() => ({ print }));
  print = "other";
  hub.look(); // its answer comes when another line is there
  hub.give({ ...key, print: "other" });
  await clock.pass(500);
  assert.deepEqual([hub.state.link, there.broker.count("CONNECT")], ["live", 2]);
});
