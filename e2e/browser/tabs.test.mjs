// Six tabs over HTTP/1.1, where a browser opens six connections to a host: none keeps another one from being live.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { between } from "./network.mjs";
import { launch, Server, watch } from "./trellis.mjs";
import { live, shows, signIn, visitor } from "./visit.mjs";

let browser, server;
before(async () => {
  browser = await launch("--host-resolver-rules=MAP plain.test 127.0.0.1");
  server = await Server.start();
});
after(async () => {
  await browser?.close();
  await server?.end();
});

/** lookAt has the browser show one tab and hide the others: a browser without a window shows them all. */
async function lookAt(tab, others) {
  const show = (page, state) =>
    page.evaluate((now) => {
      Object.defineProperty(document, "visibilityState", { configurable: true, get: () => now });
      document.dispatchEvent(new Event("visibilitychange"));
    }, state);
  for (const other of others) await show(other, "hidden");
  await show(tab, "visible");
}

const ways = [
  ["with a SharedWorker", () => {}, (url) => url, true],
  ["with a worker for each", () => delete globalThis.SharedWorker, (url) => url, true],
  // Another name is no secure context, so its workers have no locks to agree by.
  ["with a worker for each and no locks", () => delete globalThis.SharedWorker, (url) => url.replace("127.0.0.1", "plain.test"), false],
];

for (const [name, prepare, at, all] of ways) {
  test(`six tabs over streams are live within 4 s each, ${name}`, async () => {
    const network = await between(server, { Upgrade: "403" });
    const url = at(network.url);
    const who = await visitor(browser);
    await who.context.addInitScript(prepare);
    const k = await server.key(name.replaceAll(" ", "-"));
    const tabs = [await who.page()];
    await signIn(tabs[0], url, k.key);
    await live(tabs[0]);
    const took = [];
    while (tabs.length < 6) {
      const tab = await who.page();
      await lookAt(tabs.at(-1), tabs.slice(0, -1));
      const began = performance.now();
      await tab.goto(url);
      tabs.push(tab);
      await lookAt(tab, tabs.slice(0, -1));
      await live(tab);
      took.push(Math.round(performance.now() - began));
    }
    console.log(`${name}: live after ${took} ms`);
    assert.ok(took.every((ms) => ms < 4000), `live after ${took} ms`);
    await server.send(k, { n: 7 });
    const entity = name.replaceAll(" ", "-");
    await Promise.all((all ? tabs : tabs.slice(-1)).map((tab) => shows(tab, entity, "n", "7", 4000)));

    // Back to the first one: it is up to date at once.
    await server.send(k, { n: 8 });
    const began = performance.now();
    await lookAt(tabs[0], tabs.slice(1));
    await shows(tabs[0], entity, "n", "8", 4000);
    console.log(`${name}: the first tab was up to date ${Math.round(performance.now() - began)} ms after it was looked at again`);
    who.calm(/WebSocket connection|Failed to load resource/);
    await who.close();
    await network.close();
  });
}

test("a hidden page lets its connection go after 10 s, and is back at once with what is new", async () => {
  const front = await watch(server);
  const who = await visitor(browser);
  await who.context.addInitScript(() => delete globalThis.SharedWorker);
  const page = await who.page();
  const k = await server.key("hidden");
  await signIn(page, front.url, k.key);
  await live(page);
  await server.send(k, { n: 1 });
  await shows(page, "hidden", "n", "1");
  assert.equal(front.open("/live"), 1);
  await page.evaluate(() => {
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => "hidden" });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  const hidden = performance.now();
  while (front.open("/live") > 0) {
    assert.ok(performance.now() - hidden < 15_000, "it is still connected");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(performance.now() - hidden > 9000, "it let go at once");
  await server.send(k, { n: 2 });
  const began = performance.now();
  await lookAt(page, []);
  await shows(page, "hidden", "n", "2", 5000);
  console.log(`up to date ${Math.round(performance.now() - began)} ms after it was looked at again`);
  await page.locator("[data-strip-words]", { hasText: "While you were away: 1 new value." }).waitFor();
  who.calm();
  await who.close();
  await front.close();
});
