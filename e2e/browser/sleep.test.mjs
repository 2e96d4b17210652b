// A machine that sleeps: the whole browser stands still for longer than a page may be away, and wakes to the right values.
// SLEEP=600 node --test e2e/browser/sleep.test.mjs sleeps for ten minutes.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readdirSync, readFileSync } from "node:fs";
import { between } from "./network.mjs";
import { launch, Server } from "./trellis.mjs";
import { live, shows, signIn, visitor } from "./visit.mjs";

// The server hears nothing for 40 s before it takes a page that has not hung up for away.
const seconds = Number(process.env.SLEEP ?? 43);
const backWithin = 5000;

let browser, server;
before(async () => {
  browser = await launch();
  server = await Server.start("--page-away", "1s");
});
after(async () => {
  await browser?.close();
  await server?.end();
});

/** family gives the processes of the browser that this one has started. */
function family() {
  const parents = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const [, name, parent] = /\((.*)\) \w (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"));
      parents.set(Number(pid), { name, parent: Number(parent) });
    } catch {
      // it has ended meanwhile
    }
  }
  const ours = (pid) => pid === process.pid || (parents.has(pid) && ours(parents.get(pid).parent));
  return [...parents].filter(([pid, { name }]) => /chrom/i.test(name) && ours(pid)).map(([pid]) => pid);
}

/** all sends a signal to every process of the browser. */
function all(pids, signal) {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // it has ended meanwhile
    }
  }
}

test(`live again after a sleep of ${seconds} s`, { timeout: (seconds + 60) * 1000 }, async (t) => {
  const who = await visitor(browser);
  t.after(() => who.close());
  const network = await between(server);
  t.after(() => network.close());
  const page = await who.page();
  const k = await server.key("shed");
  await signIn(page, network.url, k.key);
  await live(page);
  await server.send(k, { temperature: 20 });
  await shows(page, "shed", "temperature", "20", 3000);

  const pids = family();
  assert.ok(pids.length > 2, `the browser has the processes ${pids}`);
  t.after(() => all(pids, "SIGCONT"));
  all(pids, "SIGSTOP");
  for (const temperature of [21, 22, 23]) await server.send(k, { temperature });
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  await network.become({});
  const began = performance.now();
  all(pids, "SIGCONT");
  await shows(page, "shed", "temperature", "23", 2 * backWithin);
  const right = Math.round(performance.now() - began);
  await live(page);
  await server.send(k, { temperature: 24 });
  await shows(page, "shed", "temperature", "24", 3000);
  const first = Math.round(performance.now() - began);
  await network.sees("open"); // its session was over, so this is another
  console.log(`asleep for ${seconds} s: the last value after ${right} ms, the next one after ${first} ms`);
  assert.ok(first < backWithin, `live after ${first} ms`);
  who.calm(/WebSocket connection|Failed to load resource/);
});
