// Coming back to a board: what is said after more than ten minutes, what is not said before, and the page of what happened.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { axeSource, launch, Server } from "./trellis.mjs";
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

const line = (page) => page.getByTestId("away");
const words = (page) => line(page).locator("[data-away-words]");

/** look has the browser show a tab or hide it, which a browser without a window does not do. */
const look = (page, state) =>
  page.evaluate((now) => {
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => now });
    document.dispatchEvent(new Event("visibilitychange"));
  }, state);

/** asks counts how often a page asks what happened. */
function asks(page) {
  const all = [];
  page.on("request", (r) => {
    if (new URL(r.url()).pathname === "/history/happened") all.push(r.url());
  });
  return all;
}

/** someone is a visitor on the board of a key that has said one word. */
async function someone(name, options = {}, script = () => {}) {
  const who = await visitor(browser, options);
  await who.context.addInitScript(script);
  const page = await who.page();
  await page.clock.install();
  const asked = asks(page);
  const k = await server.key(name);
  await server.send(k, { door: "closed", level: 1 });
  await signIn(page, server.url, k.key);
  await live(page);
  await shows(page, name, "door", "Closed");
  return { who, page, k, asked };
}

/** goAway leaves a page open and hidden for so long, while the door opens and closes. */
async function goAway(page, k, time, doors = ["open", "closed", "open"]) {
  await look(page, "hidden");
  const before = await server.recorded(k);
  for (const door of doors) await server.send(k, { door });
  await server.recorded(k, before + doors.length); // what the line says is asked for once
  await page.clock.fastForward(time);
  await look(page, "visible");
}

const blocked = () => Object.defineProperty(window, "localStorage", { get: () => { throw new DOMException("blocked", "SecurityError"); } });

for (const [name, script] of [["hidden", () => {}], ["forgetful", blocked]]) {
  test(`a tab that was hidden for 47 minutes says what happened, once, above the cards (${name})`, async () => {
    const { who, page, k, asked } = await someone(name, {}, script);
    await goAway(page, k, "47:00");
    await words(page).filter({ hasText: "While you were away (47 min): Door changed 3 times." }).waitFor();
    assert.equal(asked.length, 1);
    assert.equal(await page.getByTestId("status").textContent(), await words(page).textContent(), "what a screen reader is told");
    const [box, card] = [await line(page).boundingBox(), await page.getByTestId("card").first().boundingBox()];
    assert.ok(box.y + box.height <= card.y, "the line covers the cards");
    await shows(page, name, "door", "Open");
    await line(page).getByRole("link", { name: "See what happened" }).click();
    await page.getByRole("heading", { name: "What happened", exact: true }).waitFor();
    assert.equal(await page.getByTestId("summary").textContent(), "1 value changed. 3 messages came.");
    assert.deepEqual(
      (await page.getByTestId("happened").locator("p").allTextContents()).map((t) => t.replace(/\s+/g, " ").trim()),
      ["Door Closed → Open", "Door Open → Closed", "Door Closed → Open"].map((t) => `${t} ${name === "hidden" ? "Hidden" : "Forgetful"}`),
    );
    who.calm();
    await who.close();
  });
}

test("nothing is said of nine minutes, and the strip's link leads to what came in", async () => {
  const { who, page, k, asked } = await someone("short");
  const left = Date.now();
  await goAway(page, k, "09:00");
  await shows(page, "short", "door", "Open");
  await server.send(k, { level: 2 });
  await shows(page, "short", "level", "2");
  assert.deepEqual([asked.length, await line(page).isVisible()], [0, false]);
  const since = new URLSearchParams(new URL(await page.locator("[data-see]").evaluate((a) => a.href)).search).get("since");
  assert.ok(Math.abs(Date.parse(since) - left) < 5000, `the link begins at ${since}, and the page was left at ${new Date(left).toISOString()}`);
  who.calm();
  await who.close();
});

test("a machine that slept while its page was in sight says it when it wakes", async () => {
  const { who, page, k } = await someone("asleep");
  await server.send(k, { door: "open" });
  await shows(page, "asleep", "door", "Open");
  await page.clock.fastForward("03:00:00");
  await words(page).filter({ hasText: "While you were away (3 h): Door is now Open." }).waitFor();
  who.calm();
  await who.close();
});

test("a board that is opened again after an hour says what happened, and can be told to hide that", async () => {
  const { who, page } = await someone("again");
  await page.close();
  const again = await who.page();
  const asked = asks(again);
  await again.goto(server.url); // a moment later
  await live(again);
  await shows(again, "again", "door", "Closed");
  assert.deepEqual([asked.length, await line(again).isVisible()], [0, false]);
  await again.goto(`${server.url}/check`);
  await again.evaluate(() => {
    const hourAgo = Object.entries(JSON.parse(localStorage["trellis.looked"])).map(([id, at]) => [id, at - 3_600_000]);
    localStorage["trellis.looked"] = JSON.stringify(Object.fromEntries(hourAgo));
  });
  await again.goto(server.url);
  await words(again).filter({ hasText: "While you were away" }).waitFor();
  assert.equal(await words(again).textContent(), "While you were away (60 min): Door is now Closed.");
  await again.getByRole("button", { name: "Hide what happened while you were away" }).click();
  await line(again).waitFor({ state: "hidden" });
  assert.equal(await again.evaluate(() => document.activeElement.id), "values", "where the keyboard is afterwards");
  // Another board of the same browser was never looked at.
  const other = await server.key("other");
  await server.send(other, { door: "closed" });
  await again.getByRole("button", { name: "Sign out" }).click();
  await signIn(again, server.url, other.key);
  await live(again);
  await shows(again, "other", "door", "Closed");
  assert.deepEqual([asked.length, await line(again).isVisible()], [1, false]);
  who.calm();
  await who.close();
});

test("where nothing happened the line says so, with how many values are new", async () => {
  const { who, page, k } = await someone("calm");
  await goAway(page, k, "20:00", ["closed"]);
  await words(page).filter({ hasText: "While you were away: nothing unusual, 1 new value." }).waitFor();
  who.calm();
  await who.close();
});

test("without network the line comes as soon as there is one", async () => {
  const { who, page, k } = await someone("wakes");
  await look(page, "hidden");
  await server.send(k, { door: "open" });
  await server.recorded(k, 2);
  await who.context.setOffline(true);
  await page.clock.fastForward("47:00");
  const failed = page.waitForEvent("requestfailed");
  await look(page, "visible");
  await failed;
  assert.equal(await line(page).isVisible(), false);
  await who.context.setOffline(false);
  for (let n = 0; n < 60 && !(await line(page).isVisible()); n++) await page.clock.runFor(1000);
  await words(page).filter({ hasText: /^While you were away \(4[78] min\): Door is now Open\./ }).waitFor();
  who.calm(/WebSocket connection|Failed to load resource|ERR_INTERNET_DISCONNECTED/);
  await who.close();
});

test("without scripts a link leads to what happened in the last day", async () => {
  const k = await server.key("plain");
  for (const door of ["closed", "open"]) await server.send(k, { door });
  const who = await visitor(browser, { javaScriptEnabled: false });
  const page = await who.page();
  await signIn(page, server.url, k.key);
  assert.equal(await line(page).isVisible(), false);
  await page.getByRole("link", { name: "What happened lately" }).click();
  await page.getByTestId("happened").filter({ hasText: "Closed → Open" }).waitFor();
  assert.match(await page.locator("main").textContent(), /\(24 h\)/);
  await page.getByRole("link", { name: "Back to the values" }).click();
  await page.locator("html.board").waitFor();
  await who.close();
});

for (const colorScheme of ["light", "dark"]) {
  for (const [size, viewport] of Object.entries({ phone: { width: 390, height: 844 }, desk: { width: 1280, height: 800 } })) {
    test(`axe-core finds nothing on the line and the page, ${colorScheme}, ${size}`, async () => {
      const look = { colorScheme, viewport, bypassCSP: true, reducedMotion: "reduce", timezoneId: "Asia/Tokyo" };
      const { who, page, k } = await someone(`seen-${colorScheme}-${size}`, look);
      await goAway(page, k, "47:00");
      await line(page).waitFor();
      await picture(page, `line-${colorScheme}-${size}`);
      await inspect(page, "the line");
      await line(page).getByRole("link").click();
      await page.getByTestId("happened").first().waitFor();
      assert.match(await page.locator("main").textContent(), /Times are those of Asia\/Tokyo\./);
      await picture(page, `page-${colorScheme}-${size}`);
      await inspect(page, "the page");
      await who.close();
    });
  }
}

/** picture keeps what a page looks like, for whoever wants to see it: SHOTS=folder. */
async function picture(page, name) {
  if (!process.env.SHOTS) return;
  mkdirSync(process.env.SHOTS, { recursive: true });
  await page.screenshot({ path: `${process.env.SHOTS}/${name}.png` });
}

async function inspect(page, name) {
  await page.evaluate(axeSource());
  const found = await page.evaluate(async () => (await window.axe.run(document)).violations);
  assert.deepEqual(found.flatMap((v) => v.nodes.map((n) => `${v.id}: ${v.help}: ${n.target.join(" ")}`)), [], `axe-core on ${name}`);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth), `${name} can be scrolled to the side`);
}
