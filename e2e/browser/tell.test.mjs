// "Tell me when it is back" and "Tell me next time": what is told, once, by which tab, and what is not.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { axeSource, launch, Server } from "./trellis.mjs";
import { live, signIn, visitor } from "./visit.mjs";

const minute = 60_000;
let browser, server;
before(async () => {
  browser = await launch();
  server = await Server.start();
});
after(async () => {
  await browser?.close();
  await server?.end();
});

/** said is what a device said so often until so long ago. */
function said(entity, every, silent, since, data) {
  const all = [];
  for (let at = Date.now() - silent; at > Date.now() - since; at -= every) all.unshift({ at, entity, data });
  return all;
}

/** collect keeps the notices of a page, and counts how often it asks whether it may show any. */
function collect() {
  const Real = window.Notification;
  Object.assign(window, { notices: [], asked: 0, looks: 0 });
  const set = Storage.prototype.setItem;
  Storage.prototype.setItem = function (key, value) {
    if (key === "trellis.tell") window.looks++;
    set.call(this, key, value);
  };
  window.Notification = class {
    static get permission() {
      return Real.permission;
    }
    static requestPermission() {
      window.asked++;
      return Real.requestPermission();
    }
    constructor(title, { body }) {
      window.notices.push(`${title} ${body}`.trim());
    }
    close() {}
  };
}

/** unasked is a browser in which nobody was asked yet, and which says yes. */
function unasked() {
  let answer = "default";
  window.asked = 0;
  window.Notification = class {
    static get permission() {
      return answer;
    }
    static async requestPermission() {
      window.asked++;
      answer = "granted";
      return answer;
    }
  };
}

/** someone has a board of this name, seeded, in a browser that allows notices. */
async function someone(name, messages, { speaks = [], script = collect, options = {} } = {}) {
  const k = await server.key(name);
  await server.seed(k, messages);
  const who = await visitor(browser, options);
  if (script === collect) await who.context.grantPermissions(["notifications"], { origin: server.url });
  await who.context.addInitScript(script);
  const page = await who.page();
  await page.clock.install();
  await signIn(page, server.url, k.key);
  await live(page);
  for (const [entity, data] of speaks) {
    await server.send(k, { msg_type: "publish", entity, data });
    await group(page, entity).and(page.locator('[data-look="live"]')).waitFor();
  }
  return { who, page, k };
}

const group = (page, entity) => page.locator(`[data-group="${entity}"]`);
const button = (page, entity, name) => group(page, entity).getByRole("button", { name, exact: true });
const aside = (page, entity) => group(page, entity).locator(".tell .help");
const pageOnly = (page, entity) => group(page, entity).getByText("It is said on the page only");
const pressed = (page, entity, name, on = true) => button(page, entity, name).and(page.locator(`[aria-pressed="${on}"]`)).waitFor();
const line = (page, words) => page.getByTestId("told").filter({ hasText: words });
const notices = (page) => page.evaluate(() => window.notices);
const wishes = (page) => page.evaluate(() => JSON.parse(localStorage["trellis.tell"] ?? "{}").wishes ?? []);
const open = (page, entity, summary) => group(page, entity).locator("summary:visible").filter({ hasText: summary }).click();

test("a device that is back is told once, by one of two tabs, on both, and then no more", async () => {
  const { who, page, k } = await someone("shed", said("shed", 5 * minute, 22 * minute, 2 * 24 * 60 * minute, { temperature: 21 }));
  assert.equal(await page.evaluate(() => window.asked), 0, "asked at load");
  await open(page, "shed", "What can I do?");
  await button(page, "shed", "Tell me next time").waitFor();
  await aside(page, "shed").filter({ hasText: "While a page of this board is open in this browser. Press again to take it back." }).waitFor();
  await button(page, "shed", "Tell me when it is back").click();
  await pressed(page, "shed", "Tell me when it is back");
  assert.equal(await pageOnly(page, "shed").isVisible(), false);
  const other = await who.page();
  await other.goto(server.url);
  await live(other);
  await group(other, "shed").locator('[data-tell-back][aria-pressed="true"]').waitFor({ state: "attached" });
  await other.evaluate(() => {
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => "hidden" });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await other.locator('[data-testid="told"]').waitFor({ state: "hidden" });
  const words = /^\s*\d\d:\d\d · Shed is back\. It was quiet for 2[234] min\.\s*Hide$/;
  await looked(page, other); // both have begun to watch
  await server.send(k, { msg_type: "publish", data: { temperature: 21.4 } });
  await line(page, words).waitFor({ timeout: 15_000 });
  await line(other, words).waitFor({ timeout: 15_000 });
  assert.match(await page.getByTestId("status").textContent(), /^Shed is back\. It was quiet for 2\d min\.$/);
  const all = [...(await notices(page)), ...(await notices(other))];
  assert.match(all.join("|"), /^Shed is back\. It was quiet for 2\d min\.$/, "one notice of both tabs");
  assert.deepEqual(await wishes(page), []);
  await page.getByRole("button", { name: "Hide what you were told" }).click();
  await page.getByTestId("told").waitFor({ state: "hidden" });
  who.calm();
  await who.close();
});

/** looked waits until each page has had another look at the devices, which it has every five seconds. */
const looked = (...pages) =>
  Promise.all(
    pages.map(async (page) => {
      const before = await page.evaluate(() => window.looks);
      await page.waitForFunction((n) => window.looks > n, before);
    }),
  );

const lively = (entity, data) => said(entity, 10_000, 5000, 30 * minute, data);

test("a device that goes quiet is told once with its last value, which is kept, and no more once taken back", async () => {
  const { who, page } = await someone("tank", lively("tank", { temperature: 21 }), { speaks: [["tank", { temperature: 21.4 }]] });
  await open(page, "tank", "About its silence");
  assert.equal(await button(page, "tank", "Tell me when it is back").isVisible(), false, "it is not away");
  await button(page, "tank", "Tell me next time").click();
  await pressed(page, "tank", "Tell me next time");
  await page.clock.fastForward(25_000); // heard for long enough to believe a silence
  await page.locator("[data-read]").focus();
  await page.clock.fastForward(100_000);
  const words = /Tank has been quiet since \d\d:\d\d \(usually every 10 s\)\. Last value 21\.4 °C\./;
  await line(page, words).waitFor();
  const told = await notices(page);
  assert.equal(told.length, 1, told.join("|"));
  assert.match(told[0], words);
  await page.clock.fastForward(60_000);
  assert.equal((await notices(page)).length, 1, "told twice");
  const [wish] = await wishes(page);
  assert.ok(wish.next > 0, "what was told is kept, so that a reload says nothing again");
  await open(page, "tank", "What can I do?");
  await button(page, "tank", "Tell me next time").click();
  await pressed(page, "tank", "Tell me next time", false);
  assert.deepEqual(await wishes(page), []);
  who.calm();
  await who.close();
});

test("those that are found quiet in one look are one alert", async () => {
  const { who, page } = await someone("barn", [...lively("barn:pump", { flow: 4 }), ...lively("barn:zone", { flow: 3 })], {
    speaks: [["barn:pump", { flow: 4 }], ["barn:zone", { flow: 3 }]],
  });
  for (const entity of ["barn:pump", "barn:zone"]) {
    await open(page, entity, "About its silence");
    await button(page, entity, "Tell me next time").click();
    await pressed(page, entity, "Tell me next time");
  }
  await page.clock.fastForward(25_000);
  await page.clock.fastForward(100_000);
  await line(page, /2 devices went quiet: (Pump, Zone|Zone, Pump)\./).waitFor();
  assert.equal((await notices(page)).length, 1);
  who.calm();
  await who.close();
});

test("while our own link is down nothing is told of devices, and then what was not watched", async () => {
  const { who, page } = await someone("pond", lively("pond", { level: 1 }), { speaks: [["pond", { level: 1 }]] });
  await open(page, "pond", "About its silence");
  await button(page, "pond", "Tell me next time").click();
  await pressed(page, "pond", "Tell me next time");
  await server.down();
  await page.locator('[data-testid="link"]:not([data-link="live"])').waitFor({ timeout: 20_000 });
  await page.clock.fastForward(140_000);
  await page.clock.fastForward(140_000);
  await group(page, "pond").and(page.locator('[data-look="unknown"]')).waitFor();
  assert.deepEqual(await notices(page), []);
  await server.up();
  await line(page, /I could not watch between \d\d:\d\d and \d\d:\d\d\./).waitFor({ timeout: 45_000 });
  assert.match((await notices(page)).join("|"), /^I could not watch between [\d:]+ and [\d:]+\.$/);
  await who.close();
});

test("the browser asks only after the tap", async () => {
  const { who, page } = await someone("hive", lively("hive", { weight: 30 }), { speaks: [["hive", { weight: 31 }]], script: unasked });
  await open(page, "hive", "About its silence");
  assert.equal(await page.evaluate(() => window.asked), 0);
  await button(page, "hive", "Tell me next time").click();
  await pressed(page, "hive", "Tell me next time");
  await page.waitForFunction(() => window.asked === 1);
  await pageOnly(page, "hive").waitFor({ state: "hidden" });
  who.calm();
  await who.close();
});

test("without scripts nobody is offered what only a script can do", async () => {
  const k = await server.key("well");
  await server.seed(k, said("well", 5 * minute, 22 * minute, 2 * 24 * 60 * minute, { level: 1 }));
  const who = await visitor(browser, { javaScriptEnabled: false });
  const page = await who.page();
  await signIn(page, server.url, k.key);
  await page.getByText("What can I do?").click();
  await page.getByRole("button", { name: "This is normal for this device" }).waitFor();
  assert.equal(await page.getByText(/Tell me/).count(), 0);
  who.calm();
  await who.close();
});

for (const [size, viewport] of Object.entries({ phone: { width: 390, height: 844 }, desk: { width: 1280, height: 800 } })) {
  test(`axe-core finds nothing where it is offered, and nothing is cut off, ${size}`, async () => {
    const quiet = said(`${size}:attic`, 5 * minute, 22 * minute, 2 * 24 * 60 * minute, { temperature: 21 });
    const { who, page } = await someone(size, [...quiet, ...lively(`${size}:cellar`, { temperature: 12 })], {
      speaks: [[`${size}:cellar`, { temperature: 12 }]],
      options: { viewport, bypassCSP: true, reducedMotion: "reduce" },
    });
    await open(page, `${size}:attic`, "What can I do?");
    await open(page, `${size}:cellar`, "About its silence");
    await button(page, `${size}:cellar`, "Tell me next time").click();
    await button(page, `${size}:attic`, "Tell me when it is back").click();
    await pressed(page, `${size}:attic`, "Tell me when it is back");
    await page.evaluate(axeSource());
    const found = await page.evaluate(async () => (await window.axe.run(document)).violations);
    assert.deepEqual(found.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(" ")}`)), []);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "it is wider than the screen");
    if (process.env.LOOKS) await page.screenshot({ path: `${process.env.LOOKS}/tell-${size}.png`, fullPage: true });
    await who.close();
  });
}
