import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { initial, next } from "../state";
import { type ToHub, type ToPage, version } from "./protocol";
import { Room } from "./room";
import type { Supervisor } from "./supervisor";

/** Hub stands where a supervisor would be: it connects nowhere and can be refused. */
class Hub {
  state = initial(0);
  memory = { snapshot: () => [] };
  started = 0;
  rested = 0;

  constructor(private readonly say: (message: ToPage) => void) {}

  start() {
    this.started++;
  }

  rest() {
    this.rested++;
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
  const hello = (page: string) => {
    const message: ToHub = { kind: "hello", version, page, name: "n", settings: { subscribe: [], publish: "" } };
    const mine = heard.get(page) ?? [];
    heard.set(page, mine);
    made.take(page, message, (m) => mine.push(m));
  };
  const links = (page: string) =>
    (heard.get(page) ?? []).flatMap((m) => (m.kind === "state" || m.kind === "snapshot" ? [m.state.link] : [m.kind]));
  return { made, hubs, hello, links };
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
