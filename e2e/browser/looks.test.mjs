// The looks of the board and the words it says of devices, on a record that is days old: printed by the server, and counted on by the script.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { axeSource, launch, Server } from "./trellis.mjs";
import { card, enter, live, shows, signIn, visitor } from "./visit.mjs";

const minute = 60_000;
const day = 24 * 60 * minute;

let browser, server, place, farm;
before(async () => {
  browser = await launch();
  server = await Server.start();
  place = await server.key("place");
  farm = await server.key("farm");
  await seed();
  await seedFarm();
});
after(async () => {
  await browser?.close();
  await server?.end();
});

/** said is what a device said so often until so long ago. */
function said(entity, every, silent, since, data) {
  const all = [];
  for (let at = Date.now() - silent; at > Date.now() - since; at -= every) all.unshift({ at, entity, data: data(at) });
  return all;
}

/** warmth is highest now and a day ago, and lowest between, whatever time of the day the test runs at. */
const began = Date.now();
const warmth = (at) => ({ temperature: Math.round((19 + 4 * Math.cos(((at - began) / day) * 2 * Math.PI)) * 10) / 10, humidity: 60 });

/** moved is a door: now after an hour, now after a day. */
function moved() {
  const hours = [1, 14, 3, 20, 2, 9, 26, 1, 11, 5, 18, 2, 7, 13, 4, 22, 6, 1, 16, 8, 3, 12];
  let at = Date.now() - 60 * minute;
  const all = hours.map((h, i) => ({ at: (at -= h * 60 * minute) + h * 60 * minute, entity: "home:door", data: { door: i % 2 ? "open" : "closed" } }));
  return all.reverse();
}

async function seed() {
  await server.seed(place, [
    ...said("home:climate", 5 * minute, minute, 16 * day, warmth).filter(({ at }) => at < Date.now() - 8 * 60 * minute || at > Date.now() - 6 * 60 * minute),
    ...said("home:soil", 10 * minute, 17 * minute, 2 * day, () => ({ moisture: 41 })),
    ...said("barn:zone", 5 * minute, 22 * minute, 2 * day, () => ({ flow: 3, battery: 8 })),
    ...said("barn:pump", 5 * minute, 22 * minute, 2 * day, () => ({ flow: 4 })),
    ...moved(),
    ...said("home:gateway", 5 * minute, minute, 2 * day, () => ({ mem_free: 12_000, mem_total: 512_000, disk_free: 9e9, disk_size: 16e9 })),
    ...said("new", 7000, 3 * minute, 4 * minute, () => ({ level: 1 })),
  ]);
}

/** seedFarm is four devices of one place that went quiet together, one that did so alone, and one that speaks now sooner, now later. */
async function seedFarm() {
  const quiet = (entity, data) => said(entity, 5 * minute, 22 * minute, day, data);
  const room = (free) => ({ mem_free: free, mem_total: 512_000, disk_free: 2e8, disk_size: 16e9 });
  const letters = [];
  for (let at = Date.now() - 5 * minute, n = 0; n < 200; n++) letters.unshift({ at: (at -= [2, 9, 4, 17, 3, 12, 6, 25][n % 8] * minute), entity: "mail", data: { letters: n } });
  await server.seed(farm, [
    ...quiet("byre:leaky", (at) => room(12_000 + Math.round((Date.now() - 22 * minute - at) / minute) * 100)),
    ...quiet("byre:small", () => room(12_000)),
    ...quiet("byre:fan", () => ({ speed: 3 })),
    ...quiet("byre:lamp", () => ({ light: 40 })),
    ...said("well", 5 * minute, 70 * minute, day, () => ({ depth: 7 })),
    ...letters,
  ]);
}

const group = (page, entity) => page.locator(`[data-group="${entity}"]`);
const state = (page, entity, words) => group(page, entity).locator("[data-group-state]").filter({ hasText: words }).waitFor();
const first = (page) => page.locator("[data-group]").evaluateAll((all) => all.map((e) => e.dataset.group));

/** drawn gives how something looks: what styles make of it. */
const drawn = (locator, ...names) => locator.evaluate((e, of) => of.map((name) => getComputedStyle(e)[name]), names);

/** above says that one stands over the other. */
const above = async (one, other) => (await one.boundingBox()).y < (await other.boundingBox()).y;

/** drawnSo are the forms of the looks, which say the same to whoever sees no colours. */
async function drawnSo(page) {
  const of = (entity, reading) => {
    const one = card(page, entity, reading);
    return { one, age: one.locator(".card-age"), value: one.locator(".card-value") };
  };
  const [fresh, old, quiet] = [of("home:climate", "temperature"), of("home:soil", "moisture"), of("barn:zone", "flow")];
  const clear = "rgba(0, 0, 0, 0)";
  for (const { one } of [fresh, old]) assert.notEqual((await drawn(one, "backgroundColor"))[0], clear, "it is hollow, and not quiet");
  assert.deepEqual(await drawn(quiet.one, "backgroundColor", "boxShadow"), [clear, "none"], "what is quiet is not hollow");
  const weights = [];
  for (const { age } of [fresh, old]) weights.push(Number((await drawn(age, "fontWeight"))[0]));
  assert.ok(weights[0] <= 400 && weights[1] >= 700, `the age of what is live, and of what gets old, is as bold as ${weights}`);
  assert.ok(await above(quiet.age, quiet.value), "the age of what is quiet does not come first");
  for (const { age, value } of [fresh, old]) assert.ok(await above(value, age), "the value does not come first");
  const [shape] = await drawn(old.one.locator('[data-trend="steady"]'), "clipPath");
  assert.equal(shape.split(",").length, 4, "what is steady has an arrow");
}

/** looks are what must be true with scripts and without. */
async function looks(page) {
  await page.locator("[data-summary]").filter({ hasText: /^2 of 7 are quiet\. (Pump|Zone) since \d\d:\d\d\. Gateway memory is low: 12 kB left\.$/ }).waitFor();
  await state(page, "home:climate", /^Live \(usually every 5 min\)$/);
  await state(page, "home:soil", /^Last heard 1[78] min ago \(usually every 10 min\)$/);
  await state(page, "barn:zone", /^Quiet since \d\d:\d\d \(usually every 5 min\)$/);
  await state(page, "home:door", /^Reports only when something happens$/);
  assert.equal(await group(page, "new").locator("[data-group-state]").textContent(), "", "a few values are a rhythm");
  for (const [entity, reading, look, words] of [
    ["home:climate", "temperature", "live", /^Live · [12] min ago$/],
    ["home:soil", "moisture", "old", /^Last heard 1[78] min ago$/],
    ["barn:zone", "flow", "quiet", /^Quiet · 2[23] min ago$/],
    ["home:door", "door", "live", /^Last heard 1 h ago$/],
  ]) {
    const one = card(page, entity, reading);
    assert.equal(await one.getAttribute("data-look"), look, entity);
    const age = (await one.locator(".card-age").innerText()).replace(/\s+/g, " ").trim();
    assert.match(age, words, entity);
  }
  const order = await first(page);
  assert.deepEqual(order.slice(0, 3).sort(), ["barn:pump", "barn:zone", "home:gateway"], `attention first: ${order}`);
  const memory = card(page, "home:gateway", "mem_free");
  assert.match((await memory.innerText()).replace(/\s+/g, " "), /^Memory 12 kB left steady Low: 12 kB left 2 % of 512 kB Live · \d min ago$/);
  await drawnSo(page);
}

/** explains opens what is said of a silence, and looks for all of it. */
async function explains(page, entity, ...words) {
  const fold = group(page, entity).locator("[data-help]");
  if (!(await fold.evaluate((e) => e.open))) await fold.locator("summary").click();
  assert.equal(await fold.locator("summary").innerText(), "What can I do?");
  for (const one of words) await fold.getByText(one, { exact: true }).waitFor({ timeout: 5000 });
}

const todo = [
  "Has it power? Look at the plug, the battery, the light on it.",
  "Has it Wi-Fi? Is the router on, did its name or password change?",
  "Is it too far away? Bring it nearer to the router for a try.",
  "Did its access key change? It must use the newest one.",
];

/** silences are what must be true of the farm with scripts and without. */
async function silences(page) {
  const together = "All 4 devices in this place went quiet in the same minute: probably the Wi-Fi or power there.";
  await page.locator("[data-summary]").filter({ hasText: /^5 of 6 are quiet\. Well since (\w+ \d+, )?\d\d:\d\d\. 4 values need a look\. (Leaky|Small) (memory was low: 12 kB|disk was low: 200 MB) left\.$/ }).waitFor();
  await state(page, "mail", /^Live \(usually within \d+ min\)$/);
  const silent = (entity) => group(page, entity).locator("[data-silence]").innerText();
  await explains(page, "byre:leaky", together, "Memory was shrinking before: 12 kB left.", "Disk was low: 200 MB left.");
  await explains(page, "byre:small", together, "Memory was low: 12 kB left.", "Disk was low: 200 MB left.");
  await explains(page, "byre:fan", together, ...todo);
  await explains(page, "well", "Usually every 5 minutes. Nothing for 1 hour.", "Last message was normal: it said nothing of a low battery or little memory.");
  const minutes = Number((await silent("byre:fan")).match(/^Usually every 5 minutes\. Nothing for (2\d)\.$/)?.[1]);
  const ago = Number((await card(page, "byre:fan", "speed").locator("[data-age]").innerText()).match(/^(2\d) min ago$/)?.[1]);
  assert.ok(Math.abs(minutes - ago) <= 1, `nothing for ${minutes} min, and the last value is ${ago} min old`);
  assert.equal(await group(page, "mail").locator("[data-silence]").isVisible(), false);
}

test("every look is printed by the server, with scripts off", async () => {
  const who = await visitor(browser, { javaScriptEnabled: false });
  const page = await who.page();
  await signIn(page, server.url, place.key);
  await looks(page);
  assert.equal(await page.getByTestId("link").innerText(), "Refreshes every 30 s");
  const graph = card(page, "home:climate", "temperature").locator("[data-graph]");
  assert.match(await graph.getAttribute("aria-label"), /^Temperature over the last day: from 15\S* to 23/);
  const [line, band] = [await graph.locator("[data-line]").getAttribute("d"), await graph.locator("[data-band]").getAttribute("d")];
  assert.equal(line.split("M").length, 3, `two hours without a value are a gap: ${line}`);
  assert.match(band, /^M.*Z$/, "what is usual after two weeks");
  assert.equal(await card(page, "home:soil", "moisture").locator("[data-band]").getAttribute("d"), "", "a band of two days");
  await group(page, "barn:zone").getByText("What can I do?").click();
  assert.match(await group(page, "barn:zone").locator("[data-silence]").innerText(), /^Usually every 5 minutes\. Nothing for 2\d\.$/);
  for (const words of ["Both devices in this place went quiet in the same minute", "Battery said 8 %.", "Has it power?"]) {
    await group(page, "barn:zone").locator("li", { hasText: words }).waitFor();
  }
  assert.equal(await group(page, "home:climate").getByText("What can I do?").isVisible(), false);
  assert.match(await page.content(), /Times of the day are by the clock of this page's server \([-+:\w]+\)\./); // this browser draws no noscript
  who.calm();
  await who.close();
});

test("the script says the same, and counts on: a device that speaks again is live, and moves when nobody is at it", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  await signIn(page, server.url, place.key);
  await live(page);
  await looks(page);
  await page.locator("[data-read]").focus(); // no finger on the board
  await server.send(place, { entity: "barn:zone", data: { flow: 5 } });
  await state(page, "barn:zone", /^Live \(usually every 5 min\)$/);
  await page.locator("[data-summary]").filter({ hasText: /^1 of 7 is quiet: Pump, since \d\d:\d\d\. Gateway/ }).waitFor();
  await page.locator('[data-group="barn:pump"]:first-child, [data-group="home:gateway"]:first-child').waitFor();
  assert.equal((await first(page)).indexOf("barn:zone") > 1, true, "it stays among those that need attention");
  await group(page, "barn:zone").getByText("What can I do?").waitFor({ state: "hidden" });
  // Nothing moves while somebody is at the board.
  await group(page, "barn:pump").getByText("What can I do?").click();
  await server.send(place, { entity: "barn:pump", data: { flow: 5 } });
  await state(page, "barn:pump", /^Live/);
  const held = await first(page);
  await page.waitForFunction((words) => document.querySelector("[data-summary]").textContent === words, "Gateway memory is low: 12 kB left.");
  assert.deepEqual(await first(page), held, "it moved away under a finger");
  await page.locator("[data-read]").focus();
  await page.waitForFunction(() => document.querySelector("[data-group]").dataset.group === "home:gateway");
  who.calm();
  await who.close();
});

test("what is known of a silence, and what can be done, is printed by the server, with scripts off", async () => {
  const who = await visitor(browser, { javaScriptEnabled: false });
  const page = await who.page();
  await signIn(page, server.url, farm.key);
  await silences(page);
  who.calm();
  await who.close();
});

test("the script says the same of a silence, and counts on", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  await page.clock.install();
  await signIn(page, server.url, farm.key);
  await live(page);
  await silences(page);
  const silence = group(page, "byre:fan").locator("[data-silence]");
  const minutes = Number((await silence.innerText()).match(/(\d+)\.$/)[1]);
  await page.clock.fastForward(10 * minute);
  await silence.filter({ hasText: new RegExp(`^Usually every 5 minutes\\. Nothing for (${minutes + 10}|${minutes + 11})\\.$`) }).waitFor();
  await server.send(farm, { entity: "byre:fan", data: { speed: 4 } });
  await silence.waitFor({ state: "hidden" });
  who.calm();
  await who.close();
});

test("with scripts off a new value comes by itself", async () => {
  const who = await visitor(browser, { javaScriptEnabled: false });
  const page = await who.page();
  const pond = await server.key("pond");
  await server.send(pond, { level: 3 });
  await signIn(page, server.url, pond.key);
  await shows(page, "pond", "level", "3");
  await server.send(pond, { level: 4 });
  await shows(page, "pond", "level", "4", 40_000);
  who.calm();
  await who.close();
});

test("a heartbeat without a value keeps a device live", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  await signIn(page, server.url, place.key);
  await live(page);
  await state(page, "home:soil", /^Last heard/);
  await server.send(place, { msg_type: "heartbeat", entity: "home:soil", data: {} });
  await state(page, "home:soil", /^Live \(usually every 10 min\)$/);
  const age = await card(page, "home:soil", "moisture").locator("[data-age]").textContent();
  assert.match(age, /^(1[789]|2\d) min ago$/, "the value is as old as it was");
  who.calm();
  await who.close();
});

test("that silence is normal is taught and taken back, without scripts", async () => {
  const who = await visitor(browser, { javaScriptEnabled: false });
  const page = await who.page();
  const yard = await server.key("yard");
  await server.seed(yard, said("yard", 5 * minute, 30 * minute, 2 * day, () => ({ level: 1 })));
  await signIn(page, server.url, yard.key);
  await page.locator("[data-summary]").filter({ hasText: /^Yard is quiet since \d\d:\d\d\.$/ }).waitFor();
  await page.getByText("What can I do?").click();
  await page.getByRole("button", { name: "This is normal for this device" }).click();
  await page.locator("[data-summary]").filter({ hasText: "Everything is as usual." }).waitFor();
  await state(page, "yard", "Reports only when something happens");
  await page.getByText("About its silence").click();
  await page.getByRole("button", { name: "Its silence is not normal any more" }).click();
  await page.locator("[data-summary]").filter({ hasText: /^Yard is quiet/ }).waitFor();
  who.calm();
  await who.close();
});

test("what is read aloud can be seen too", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  await signIn(page, server.url, place.key);
  await live(page);
  const read = page.getByRole("button", { name: "Read me the values" });
  await read.click();
  await page.locator("[data-aloud]").filter({ hasText: /Climate: .*Temperature [\d.]+ °C, \d+ min ago/ }).waitFor();
  assert.match(await page.getByTestId("status").textContent(), /Climate: /);
  await read.click();
  await page.locator("[data-aloud]").waitFor({ state: "hidden" });
  who.calm();
  await who.close();
});

test("what is read aloud begins with what needs attention, in the words of the cards", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  const ward = await server.key("ward");
  await server.send(ward, { entity: "ward:attic", data: { level: 2 } });
  await server.seed(ward, [
    ...said("ward:hall", 5 * minute, minute, 2 * day, () => ({ humidity: 60 })),
    ...said("ward:shed:hall", 5 * minute, minute, 2 * day, () => ({ humidity: 61 })), // of the same name
    ...said("ward:cellar", 5 * minute, 22 * minute, 2 * day, () => ({ level: 3 })),
    ...said("ward:garden", 10 * minute, 17 * minute, 2 * day, () => ({ moisture: 41 })),
    ...said("ward:stove", 5 * minute, minute, 2 * day, () => ({ humidity: 20, temperature: 34 })),
  ]);
  await signIn(page, server.url, ward.key);
  const set = (wanted) => page.evaluate((all) => fetch("/settings", { method: "POST", body: new URLSearchParams(all) }).then((r) => r.status), wanted);
  assert.equal(await set({ do: "change", entity: "ward:stove", reading: "temperature", high: "30" }), 200);
  assert.equal(await set({ do: "hide", entity: "ward:attic" }), 200);
  await page.reload();
  await live(page);
  await page.locator("[data-summary]").filter({ hasText: /^1 of 5 is quiet: .* Stove temperature is above 30 °C\.$/ }).waitFor();
  await page.getByRole("button", { name: "Read me the values" }).click();
  const words = await page.getByTestId("status").textContent();
  assert.equal(
    words.replace(/\d\d:\d\d/g, "12:00").replace(/\d+ min ago/g, "5 min ago"),
    "1 of 5 is quiet: Cellar, since 12:00. Stove temperature is above 30 °C. " +
      "Cellar: Quiet since 12:00 (usually every 5 min). Stove: Temperature 34 °C, above 30 °C, 5 min ago. " +
      "Cellar: Level 3, 5 min ago. Stove: Humidity 20 %, 5 min ago. " +
      "Garden: Last heard 5 min ago (usually every 10 min); Moisture 41 %, 5 min ago. Hall (Ward): Humidity 60 %, 5 min ago. " +
      "Hall (Ward, shed): Humidity 61 %, 5 min ago.",
  );
  assert.equal(await page.locator("[data-aloud]").textContent(), words);
  who.calm();
  await who.close();
});

test("the head of the page keeps its lines on a phone, whatever it says", async () => {
  const who = await visitor(browser, { viewport: { width: 360, height: 740 } });
  const page = await who.page();
  await signIn(page, server.url, place.key);
  await live(page);
  const height = () => page.locator(".top").evaluate((e) => e.offsetHeight);
  const usual = await height();
  for (const word of ["Connecting", "Reconnecting", "Not answering", "No internet"]) {
    const tall = await page.evaluate((said) => {
      const link = document.querySelector("[data-link]");
      link.dataset.link = "waiting";
      link.querySelector("[data-link-word]").textContent = said;
      return document.querySelector(".top").offsetHeight;
    }, word);
    assert.equal(tall, usual, word);
  }
  await who.close();
});

for (const colorScheme of ["light", "dark"]) {
  for (const [size, viewport] of Object.entries({ phone: { width: 390, height: 844 }, desk: { width: 1280, height: 800 } })) {
    test(`axe-core finds nothing on a board with every look, ${colorScheme}, ${size}`, async () => {
      const who = await visitor(browser, { colorScheme, viewport, bypassCSP: true, reducedMotion: "reduce" });
      const page = await who.page();
      await enter(page, await server.newLink());
      await live(page);
      await page.getByText("What can I do?").first().waitFor({ state: "attached" });
      await page.evaluate(axeSource());
      const found = await page.evaluate(async () => (await window.axe.run(document)).violations);
      assert.deepEqual(found.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(" ")}: ${n.any[0]?.message ?? ""}`)), []);
      if (process.env.LOOKS) await page.screenshot({ path: `${process.env.LOOKS}/looks-${size}-${colorScheme}.png`, fullPage: true });
      await who.close();
    });
  }
}
