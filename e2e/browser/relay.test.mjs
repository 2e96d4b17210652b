// The board on networks that let no WebSocket through, or only for a while: live within 4 s, on a busy machine 8, and when the network heals back
// on the WebSocket, in the same MQTT session.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { between } from "./network.mjs";
import { launch, Server } from "./trellis.mjs";
import { live, shows, signIn, visitor } from "./visit.mjs";

let browser, server;
before(async () => {
  browser = await launch();
  server = await Server.start();
});
after(async () => {
  await browser?.close();
  await server?.end();
});

const slower = "Live, a little slower here.";
const noise = /WebSocket connection|Failed to load (resource|module script)/;

/** wayOf is the carrier that bytes came down by last. */
const wayOf = (seen) => seen.findLast((s) => /^(upgrade|down)/.test(s))?.replace(/^upgrade .*/, "socket").replace("down ", "");

/**
 * sessions counts what was opened on the way: on each pipe there is one MQTT session, since the server ends one that says
 * CONNECT twice. Where requests pass, a page opens its pipes by them.
 */
const sessions = (seen) => seen.filter((s) => s === "open").length;

const held = { Hold: -1 };
const networks = [
  ["a good network", {}, "socket"],
  ["upgrades refused", { Upgrade: "403" }, "stream"],
  ["upgrades answered with a page", { Upgrade: "page" }, "stream"],
  ["upgrades sent to a login", { Upgrade: "redirect" }, "stream"],
  ["frames swallowed", { Upgrade: "swallow" }, "stream"],
  ["cut after one frame", { Upgrade: "cut", Frames: 1 }, "stream"],
  ["upgrades refused, streams held back", { Upgrade: "403", ...held }, "poll"],
  ["upgrades refused, streams held back to 4 KB", { Upgrade: "403", Hold: 4096 }, "poll"],
  ["frames swallowed, streams held back", { Upgrade: "swallow", ...held }, "poll"],
  ["uploads doubled, their answers lost, headers stripped", { Upgrade: "403", Double: true, Drop: 5, Strip: true }, "stream"],
  ["bodies up to 8 KB", { Upgrade: "403", MaxBody: 8192 }, "stream"],
];

// 4 s are promised; on a machine that is busy, where three things are started in the place of one, it may be as much again.
const allowed = 8000;
const firsts = [];

for (const [name, bad, way] of networks) {
  test(`live, and back in the same session: ${name}`, async () => {
    const network = await between(server, bad);
    const who = await visitor(browser);
    const page = await who.page();
    const entity = name.replaceAll(/\W+/g, "-");
    const k = await server.key(entity);
    const words = page.locator("[data-strip-words]", { hasText: slower });
    await page.goto(network.url); // the browser itself takes its time at first
    const began = performance.now();
    const since = () => Math.round(performance.now() - began);
    await signIn(page, network.url, k.key);
    await live(page);
    const up = since();
    await server.send(k, { temperature: 20 });
    await shows(page, entity, "temperature", "20");
    const first = since();
    const before = network.seen();
    console.log(`${name}: live after ${up} ms by ${wayOf(before)}, first value after ${first} ms`);
    firsts.push(first);
    assert.ok(first < allowed, `first value after ${first} ms`);
    assert.equal(wayOf(before), way);
    assert.equal(sessions(before), 1);
    if (way === "poll") await words.waitFor();
    else assert.equal(await words.count(), 0, "a stream is nothing to speak of");

    const healed = performance.now();
    await network.become({});
    if (way !== "socket") await backOn(page, network, k, entity);
    if (way === "poll") await words.waitFor({ state: "hidden" });
    console.log(`${name}: back after ${Math.round(performance.now() - healed)} ms`);
    assert.equal(sessions(network.seen()), 0, "another session was opened");
    who.calm(noise);
    await who.close();
    await network.close();
  });
}

test("of most the first value is there within 4 s", () => {
  const inTime = firsts.filter((ms) => ms < 4000);
  assert.ok(inTime.length > firsts.length / 2, `first values after ${firsts} ms`);
});

/** backOn waits until values come by the WebSocket and nothing else moves. */
async function backOn(page, network, k, entity) {
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await network.sees("upgrade", 90_000); // two that failed rest for a minute
  for (let n = 21; ; n++) {
    const before = network.seen().length;
    await server.send(k, { temperature: n });
    await shows(page, entity, "temperature", String(n), 30_000); // a way that falls silent in the change is left within 25 s
    const moved = network.seen().slice(before);
    if (moved.length === 0) return;
    assert.ok(n < 40, `requests go on: ${moved}`);
  }
}

test("a way that breaks while the board is live is left, and the session goes on", async () => {
  const network = await between(server);
  const who = await visitor(browser);
  const page = await who.page();
  const k = await server.key("falls");
  await signIn(page, network.url, k.key);
  await live(page);
  await server.send(k, { n: 1 });
  await shows(page, "falls", "n", "1");
  assert.equal(sessions(network.seen()), 1);
  // To another address, from which what is open is cut, and where first no WebSocket passes and then no stream.
  for (const [n, bad, way] of [
    [2, { Upgrade: "403", From: "127.0.0.2" }, "stream"],
    [3, { Upgrade: "403", ...held, From: "127.0.0.3" }, "poll"],
  ]) {
    await network.become(bad);
    await network.sees(`down ${way}`);
    const began = performance.now();
    await server.send(k, { n });
    await shows(page, "falls", "n", String(n), 8000);
    console.log(`to ${way}: a value ${Math.round(performance.now() - began)} ms after the device sent it`);
    assert.equal(sessions(network.seen()), 0);
  }
  who.calm(noise);
  await who.close();
  await network.close();
});

test("a network that keeps even polls back is said to deliver in bundles", async () => {
  const bad = { Upgrade: "403", ...held };
  const network = await between(server, bad);
  const who = await visitor(browser);
  const page = await who.page();
  const k = await server.key("bundles");
  await signIn(page, network.url, k.key);
  await live(page);
  await network.sees("down poll");
  await network.become({ ...bad, Keep: 4_200_000_000 }); // ns
  const words = page.locator("[data-strip-words]").filter({ hasText: /^Your network delivers updates in bundles, about every 5 s\.$/ });
  for (const n of [1, 2, 3]) {
    await server.send(k, { n });
    await shows(page, "bundles", "n", String(n)); // the first by the poll that was under way; one late answer is an accident, two are none
  }
  await words.waitFor();
  await page.getByRole("link", { name: "Why?" }).waitFor();
  assert.equal(await page.locator("[data-link-word]").textContent(), "Live");
  who.calm(noise);
  await who.close();
  await network.close();
});

test("a page for which there is no room now says so, and that it tries again", async () => {
  const small = await Server.start("--max-pages-per-address", "1");
  const network = await between(small, { Upgrade: "403" });
  const neighbour = await visitor(browser); // behind the same address, who opens one page after another
  const crowd = await neighbour.page();
  await crowd.goto(small.url);
  // Without a pause: whenever there is room for one again, it is one of theirs.
  await crowd.evaluate(async () => {
    const ask = async () => (await fetch("/live/open", { method: "POST" })).status;
    while ((await ask()) !== 429);
    for (let n = 0; n < 2; n++) (async () => { for (;;) await ask(); })();
  });
  const who = await visitor(browser);
  const page = await who.page();
  await signIn(page, network.url, (await small.key("late")).key);
  const words = page.locator("[data-strip-words]").filter({ hasText: /^This page is very busy\. We try again by ourselves\.$/ });
  await words.waitFor({ timeout: 15_000 });
  await page.locator("[data-link-word]", { hasText: /^Busy$/ }).waitFor();
  who.calm(noise);
  for (const w of [neighbour, who]) await w.close();
  await network.close();
  await small.end();
});

test("a login page is told from trouble, and its page can be opened", async () => {
  const network = await between(server);
  const who = await visitor(browser);
  const page = await who.page();
  const k = await server.key("hotel");
  await signIn(page, network.url, k.key);
  await live(page);
  await network.become({ Portal: "page", From: "127.0.0.2" });
  await page.locator("[data-strip-words]", { hasText: "This Wi-Fi wants you to log in first." }).waitFor({ timeout: 20_000 });
  const link = page.getByRole("link", { name: "Open its page" });
  assert.equal(await link.getAttribute("target"), "_blank");
  assert.equal(new URL(await link.getAttribute("href"), page.url()).href, `${network.url}/`);
  await network.become({});
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await live(page);
  await page.locator("[data-strip]").waitFor({ state: "hidden" });
  who.calm(noise);
  await who.close();
  await network.close();
});

test("what was learned of a network is known to the next visit, until it is forgotten", async () => {
  const network = await between(server, { Upgrade: "403" });
  const who = await visitor(browser);
  const page = await who.page();
  const k = await server.key("again");
  await signIn(page, network.url, k.key);
  await live(page);
  await network.sees("down stream");
  await page.waitForFunction(() => /"blocked":[1-9]/.test(localStorage.getItem("trellis-ladder") ?? ""));
  await page.goto("about:blank"); // the worker ends with its last page
  await network.become({ Upgrade: "403" });
  await page.goto(network.url);
  await live(page);
  assert.deepEqual(network.seen().filter((s) => s.startsWith("upgrade")), []);
  await page.goto(`${network.url}/check`);
  await page.getByRole("button", { name: "Forget what was learned about this network" }).click();
  await network.become({});
  await page.goto(network.url);
  await live(page);
  await network.sees("upgrade trellis.pipe");
  who.calm(noise);
  await who.close();
  await network.close();
});
