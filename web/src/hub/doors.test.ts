import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { initial } from "../state";
import { openOwn, type Port } from "./doors";
import { type HeldKey, type ToHub, type ToPage, version } from "./protocol";
import { Room } from "./room";
import type { Supervisor } from "./supervisor";

/** Locks and Channel are the browser's own, as far as workers of one page each need them. */
class Locks {
  private readonly held = new Map<string, (() => void)[]>();

  request(name: string, options: { signal: AbortSignal } | (() => void), then?: () => Promise<void>): Promise<void> {
    if (!then || typeof options === "function") return new Promise(() => {}); // of a page: it lives
    return new Promise((resolve, reject) => {
      const waiting = this.held.get(name);
      const enter = () => {
        void then().then(() => {
          const next = this.held.get(name)?.shift();
          if (next) next();
          else this.held.delete(name);
          resolve();
        });
      };
      options.signal.addEventListener("abort", () => {
        this.held.set(name, this.held.get(name)?.filter((e) => e !== enter) ?? []);
        reject(new Error("AbortError"));
      });
      if (waiting) waiting.push(enter);
      else {
        this.held.set(name, []);
        enter();
      }
    });
  }
}

class Channel {
  static all = new Set<Channel>();
  onmessage: ((event: { data: unknown }) => void) | null = null;

  constructor(readonly name: string) {
    Channel.all.add(this);
  }

  postMessage(data: unknown): void {
    for (const other of Channel.all) {
      if (other !== this && other.name === this.name) queueMicrotask(() => other.onmessage?.({ data }));
    }
  }
}

const saved = globalThis.BroadcastChannel;
const browser = (locks?: Locks) =>
  Object.defineProperty(globalThis, "navigator", { value: { locks }, configurable: true });
beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  globalThis.BroadcastChannel = Channel as unknown as typeof BroadcastChannel;
});
afterEach(() => {
  mock.timers.reset();
  Channel.all.clear();
  globalThis.BroadcastChannel = saved;
});

const soon = () => new Promise((done) => setImmediate(done));

/** tab is a page with a worker of its own. */
function tab(name: string) {
  const heard: ToPage[] = [];
  const port: Port = { onmessage: null, postMessage: (m) => heard.push(m) };
  const page = { name, heard, live: false, published: [] as string[], keys: [] as string[], send: (_: ToHub) => {} };
  const hub = {
    state: initial(0),
    memory: { snapshot: () => [] },
    start: () => {
      page.live = true;
    },
    rest: () => {
      page.live = false;
    },
    nudge() {},
    publish: (id: string) => page.published.push(id),
    give: (key: HeldKey) => page.keys.push(key.key),
  };
  openOwn(
    port,
    new Room(
      (_settings, _say, _known, key) => {
        if (key) hub.give(key);
        return hub as unknown as Supervisor;
      },
      () => {},
    ),
  );
  page.send = (data) => port.onmessage?.({ data } as MessageEvent<ToHub>);
  return page;
}

const hello = (page: string, seen: boolean): ToHub => ({
  kind: "hello",
  version,
  page,
  name: "n",
  settings: { subscribe: [], publish: "", ways: [] },
  seen,
});
const see = (on: boolean): ToHub => ({ kind: "seen", on });

test("of six tabs with workers of their own one has the connection; it goes to one that is looked at", async () => {
  browser(new Locks());
  const tabs = Array.from({ length: 6 }, (_, i) => tab(`tab ${i}`));
  for (const t of tabs) {
    t.send(hello(t.name, true));
    await soon();
  }
  const live = () => tabs.filter((t) => t.live).map((t) => t.name);
  assert.deepEqual(live(), ["tab 0"]);
  for (const t of tabs.slice(0, 5)) t.send(see(false));
  mock.timers.tick(9999);
  await soon();
  assert.deepEqual(live(), ["tab 0"]);
  mock.timers.tick(1);
  await soon();
  assert.deepEqual(live(), ["tab 5"], "the hidden one has let go");
  tabs[2]?.send({ kind: "publish", id: "p", payload: "{}" });
  await soon();
  assert.deepEqual(tabs[5]?.published, ["p"], "a hidden page still speaks through the one that leads");
});

test("when nobody looks at any tab the connection rests, and the first look brings it back", async () => {
  browser(new Locks());
  const [one, two] = [tab("one"), tab("two")];
  one.send(hello("one", true));
  two.send(hello("two", false));
  await soon();
  assert.deepEqual([one.live, two.live], [true, false]);
  one.send(see(false));
  mock.timers.tick(10_000);
  await soon();
  assert.deepEqual([one.live, two.live], [false, false]);
  two.send(see(true));
  await soon();
  assert.deepEqual([one.live, two.live], [false, true]);
  one.send(see(true));
  one.send(see(false));
  mock.timers.tick(10_000);
  await soon();
  assert.deepEqual([one.live, two.live], [false, true], "a look that ended waits for no lock");
});

test("without locks each tab has its own, but none that is hidden keeps it from one that is looked at", async () => {
  browser();
  const tabs = Array.from({ length: 6 }, (_, i) => tab(`tab ${i}`));
  for (const [i, t] of tabs.entries()) {
    if (i > 0) tabs[i - 1]?.send(see(false));
    t.send(hello(t.name, true));
    await soon();
    assert.deepEqual(
      tabs.filter((other) => other.live).map((other) => other.name),
      [t.name],
    );
  }
  tabs[0]?.send(hello("tab 0", false));
  assert.equal(tabs[0]?.live, false, "a page that is hidden from the start does not begin");
});

test("the room is given the key once, however often its page hides and shows again", async () => {
  for (const locks of [new Locks(), undefined]) {
    browser(locks);
    const one = tab("one");
    const pasted = { ...hello("one", true), key: { key: "secret", user: "k1", print: "p" } } as ToHub;
    const hide = async () => {
      one.send(see(false));
      mock.timers.tick(10_000);
      await soon();
      one.send(see(true));
      await soon();
    };
    one.send(pasted);
    await soon();
    await hide();
    assert.equal(one.live, true);
    assert.deepEqual(one.keys, ["secret"]);
    one.send(pasted); // to a worker that leads
    await hide();
    assert.deepEqual(one.keys, ["secret", "secret"]);
  }
});
