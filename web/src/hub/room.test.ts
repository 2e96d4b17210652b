import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { initial, next } from "../state";
import { type ToHub, type ToPage, version } from "./protocol";
import { Room } from "./room";
import type { Said, Supervisor } from "./supervisor";

/** Hub stands where a supervisor would be: it connects nowhere and can be refused. */
class Hub {
  state = initial(0);
  memory = { snapshot: () => [] };
  started = 0;
  rested = 0;

  constructor(private readonly say: (said: Said) => void) {}

  start() {
    this.started++;
  }

  rest() {
    this.rested++;
  }

  hear(n: number) {
    const heard = { topic: "a/shed/publish", payload: `${n}`, retained: false, at: Date.now() };
    this.say({ kind: "came", kept: { heard, n, of: n, parts: [], values: 0 } });
  }

  end(code: number) {
    this.state = next(this.state, { kind: "lost", at: 1, code });
    this.say({ kind: "state", state: this.state });
    this.say({ kind: "unsent", id: "p", why: "refused", words: "" });
  }
}

function room() {
  const hubs: Hub[] = [];
  const made = new Room(
    (_, say) => {
      const hub = new Hub(say);
      hubs.push(hub);
      return hub as unknown as Supervisor;
    },
    () => {},
  );
  made.lead();
  const heard = new Map<string, ToPage[]>();
  const hello = (page: string, seen = true, of = version) => {
    const settings = { subscribe: [], publish: "", ways: [] };
    const message: ToHub = { kind: "hello", version: of, page, name: "n", settings, seen };
    const mine = heard.get(page) ?? [];
    heard.set(page, mine);
    made.take(page, message, (m) => mine.push(m));
  };
  const links = (page: string) =>
    (heard.get(page) ?? []).flatMap((m) => (m.kind === "state" || m.kind === "snapshot" ? [m.state.link] : [m.kind]));
  const see = (page: string, on: boolean) => made.take(page, { kind: "seen", on }, () => {});
  return { made, hubs, hello, see, links, heard };
}

test("a page that was let in after a refusal gets a connection, and the others hear of it", () => {
  mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
  const { hubs, hello, links } = room();
  hello("old");
  hubs[0]?.end(4003);
  hello("old");
  assert.equal(hubs.length, 1, "a page that says hello again was not let in anew");
  hello("new");
  assert.equal(hubs.length, 2);
  assert.equal(hubs[0]?.rested, 1);
  assert.equal(hubs[1]?.started, 1);
  assert.deepEqual(links("old"), ["connecting", "refused", "unsent", "refused", "connecting"]);
  assert.deepEqual(links("new"), ["connecting"]);
  hubs[0]?.end(4003);
  assert.equal(links("new").includes("refused"), false, "the old hub speaks for nobody any more");
  mock.timers.reset();
});

test("the end of an earlier sign-in that is heard late does not stop a page that has just come", () => {
  mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
  const { hubs, hello, links } = room();
  hello("old");
  hello("new");
  hubs[0]?.end(4010);
  assert.equal(hubs.length, 2);
  assert.equal(hubs[1]?.started, 1);
  assert.deepEqual(links("old"), ["connecting", "connecting", "unsent"]);
  hubs[1]?.end(4003);
  assert.equal(hubs.length, 2, "it tries once");
  assert.equal(hubs[1]?.state.code, 4010, "the first refusal knew why");
  assert.equal(links("new").at(-2), "refused");
  mock.timers.reset();
});

test("a refusal long after the last page came is final", () => {
  mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
  const { hubs, hello, links } = room();
  hello("one");
  hello("two");
  mock.timers.tick(10_001);
  hubs[0]?.end(4003);
  assert.equal(hubs.length, 1);
  assert.equal(links("one").at(-2), "refused");
  mock.timers.reset();
});

test("when nobody has looked at any page for 5 minutes the hub rests, and works again at the first look", () => {
  mock.timers.enable({ apis: ["Date", "setTimeout"], now: 1_000_000 });
  const { hubs, hello, see } = room();
  hello("one");
  hello("two", false);
  const [hub] = hubs;
  assert.ok(hub);
  see("one", false);
  mock.timers.tick(299_999);
  see("two", true);
  see("two", false);
  mock.timers.tick(299_999);
  assert.equal(hub.rested, 0, "somebody looked in between");
  mock.timers.tick(1);
  assert.equal(hub.rested, 1);
  const { started } = hub;
  hello("two", false);
  assert.equal(hub.started, started, "a hello of a hidden page is no look");
  see("two", true);
  assert.equal(hub.started, started + 1);
  mock.timers.reset();
});

test("whoever no longer leads lets the connection and its pages go", () => {
  const { made, hubs, hello, links } = room();
  hello("mine");
  made.retire();
  assert.equal(hubs[0]?.rested, 1);
  const before = links("mine").length;
  hubs[0]?.end(1006);
  assert.equal(links("mine").length, before, "another one speaks to the pages now");
  const { started } = hubs[0] ?? { started: 0 };
  hello("mine");
  assert.equal(hubs[0]?.started, started, "without the lead nothing connects");
  made.lead();
  assert.equal(hubs[0]?.started, started + 1);
});

test("a page is given its next batch when it is done with the last one; others do not wait for it", () => {
  mock.timers.enable({ apis: ["Date", "setTimeout"], now: 1_000_000 });
  const { made, hubs, hello, heard } = room();
  hello("slow");
  hello("quick");
  const payloads = (page: string) =>
    (heard.get(page) ?? []).flatMap((m) => (m.kind === "batch" ? [m.heard.map((h) => h.payload)] : []));
  const took = (page: string) => made.take(page, { kind: "took" }, () => {});
  for (let n = 1; n <= 3; n++) {
    hubs[0]?.hear(n);
    took("quick");
    mock.timers.tick(200);
  }
  assert.deepEqual(payloads("quick"), [["1"], ["2"], ["3"]]);
  assert.deepEqual(payloads("slow"), [["1"]]);
  took("slow");
  mock.timers.tick(1000);
  assert.deepEqual(payloads("slow"), [["1"], ["2", "3"]]);
  made.take("slow", { kind: "search", search: "gate" }, () => {});
  took("slow");
  mock.timers.tick(1000);
  hubs[0]?.hear(4);
  const last = heard.get("slow")?.at(-1);
  assert.deepEqual(last?.kind === "batch" && [last.search, last.found.came, last.others.came], ["gate", 0, 1]);
  made.leave("slow");
  made.leave("quick");
  mock.timers.reset();
});

test("a page that says hello again misses nothing and is told nothing as new that it may have", () => {
  mock.timers.enable({ apis: ["Date", "setTimeout"], now: 1_000_000 });
  const { made, hubs, hello, heard } = room();
  hello("page");
  for (let n = 1; n <= 3; n++) hubs[0]?.hear(n);
  hello("page"); // the first batch was under way
  made.take("page", { kind: "took" }, () => {});
  mock.timers.tick(1000);
  const batches = (heard.get("page") ?? []).flatMap((m) => (m.kind === "batch" ? [m] : []));
  assert.deepEqual(
    batches.map((b) => b.heard.map((h) => h.payload)),
    [["1"], ["1"], ["2", "3"]],
  );
  assert.equal(batches[0]?.no, batches[1]?.no);
  assert.notEqual(batches[1]?.no, batches[2]?.no);
  made.leave("page");
  mock.timers.reset();
});

test("a page of before there were batches is told every message by itself", () => {
  mock.timers.enable({ apis: ["Date", "setTimeout"], now: 1_000_000 });
  const { made, hubs, hello, heard } = room();
  hello("old", true, 3);
  for (let n = 1; n <= 3; n++) hubs[0]?.hear(n);
  mock.timers.tick(200);
  assert.deepEqual(
    heard.get("old")?.flatMap((m) => (m.kind === "heard" ? [m.heard.payload] : [])),
    ["1", "2", "3"],
  );
  made.leave("old");
  mock.timers.reset();
});
