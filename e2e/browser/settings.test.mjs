import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { axeSource, launch, Server } from "./trellis.mjs";
import { card, live, shows, signIn, visitor } from "./visit.mjs";

let browser, server, shed, name;
let made = 0;
before(async () => {
  browser = await launch();
  server = await Server.start();
});
beforeEach(async () => {
  name = `shed${++made}`;
  shed = await server.key(name);
  await server.send(shed, { temperature: 21.5, humidity: 63, door: "open" });
});
after(async () => {
  await browser?.close();
  await server?.end();
});

const form = (page, reading) => page.locator(`[data-change-of="${name}"][data-change-reading="${reading}"]`);
const said = (page, words = "Saved.") => page.locator("[data-status]").filter({ hasText: words }).waitFor({ state: "attached" });
const label = (page, reading) => card(page, name, reading).locator("[data-label]");
const group = (page) => page.locator(`[data-group="${name}"]`);
const readings = (page) => group(page).locator("[data-cards] > [data-reading]:visible").evaluateAll((all) => all.map((e) => e.dataset.reading));

/** change opens the form of a value. */
async function change(page, reading) {
  const link = page.getByRole("link", { name: "Change", exact: true });
  if (await link.isVisible()) await link.click();
  await form(page, reading).waitFor();
  if (!(await form(page, reading).evaluate((e) => e.open))) await form(page, reading).locator("summary").click();
  return form(page, reading);
}

async function open(options) {
  const who = await visitor(browser, options);
  const page = await who.page();
  await signIn(page, server.url, shed.key);
  if (options?.javaScriptEnabled !== false) await live(page);
  return { who, page };
}

test("a name is saved at once, survives a reload, and is there in another browser; it can be taken back", async () => {
  const { who, page } = await open();
  const f = await change(page, "temperature");
  await f.getByLabel("Name").fill("By the window");
  await f.getByLabel("Name").press("Enter");
  await said(page);
  await label(page, "temperature").filter({ hasText: "By the window" }).waitFor();
  const device = page.locator(`[data-change-of="${name}"][data-change-reading=""]`);
  await device.locator("summary").click();
  await device.getByLabel("Name").fill("Old shed");
  await device.getByLabel("Name").press("Tab");
  await group(page).getByRole("heading", { name: "Old shed", exact: true }).waitFor();
  await server.send(shed, { temperature: 22.5 });
  await shows(page, name, "temperature", "22\\.5");
  assert.equal(await label(page, "temperature").textContent(), "By the window", "the next value has the old name");
  await page.reload();
  assert.equal(await label(page, "temperature").textContent(), "By the window");

  const other = await open();
  assert.equal(await label(other.page, "temperature").textContent(), "By the window");
  await group(other.page).getByRole("heading", { name: "Old shed", exact: true }).waitFor();

  const undo = await change(page, "temperature");
  await undo.getByRole("button", { name: "Back to what it was" }).click();
  await label(page, "temperature").filter({ hasText: /^Temperature$/ }).waitFor();
  for (const w of [who, other.who]) {
    w.calm();
    await w.close();
  }
});

test("what is hidden is listed, and shown again with its newest value; the order is the owner's", async () => {
  const { who, page } = await open();
  assert.deepEqual(await readings(page), ["door", "humidity", "temperature"]);
  let f = await change(page, "temperature");
  await f.getByRole("button", { name: "Move up" }).click();
  await page.waitForFunction(
    (n) => document.querySelector(`[data-group="${n}"] [data-cards] > :nth-child(2)`)?.dataset.reading === "temperature",
    name,
  );
  assert.equal(await page.evaluate(() => document.activeElement?.value), "up", "whoever moves something goes on from there");
  await page.keyboard.press("Enter");
  await page.waitForFunction(
    (n) => document.querySelector(`[data-group="${n}"] [data-cards] > :first-child`)?.dataset.reading === "temperature",
    name,
  );
  assert.deepEqual(await readings(page), ["temperature", "door", "humidity"]);

  f = await change(page, "door");
  await f.getByRole("button", { name: "Hide" }).click();
  await said(page, "Hidden. It is listed at the end of the page.");
  await card(page, name, "door").waitFor({ state: "hidden" });
  const hidden = page.getByTestId("hidden");
  await hidden.getByText("Hidden: 1").click();
  await server.send(shed, { door: "shut" });
  await page.reload();
  assert.deepEqual(await readings(page), ["temperature", "humidity"], "after a reload");
  await live(page);
  await hidden.getByText("Hidden: 1").click();
  await hidden.getByRole("button", { name: "Show again" }).click();
  await card(page, name, "door").waitFor();
  await shows(page, name, "door", "Shut");
  await hidden.waitFor({ state: "hidden" });
  assert.deepEqual(await readings(page), ["temperature", "door", "humidity"]);
  assert.equal(await page.locator("[data-change-of]").count(), 0, "showing something again opens no forms");
  who.calm();
  await who.close();
});

for (const javaScriptEnabled of [true, false]) {
  test(`a device that needs attention stands in the owner's order while that is changed, scripts ${javaScriptEnabled ? "on" : "off"}`, async () => {
    const [attic, hall] = [`${name}:attic`, `${name}:hall`];
    for (const entity of [attic, hall]) await server.send(shed, { entity, data: { temperature: 31 } });
    const { who, page } = await open({ javaScriptEnabled });
    const order = (...ids) => page.locator(ids.map((id) => `[data-group="${id}"]`).join(" + ")).waitFor();
    const press = async (button) => {
      const device = page.locator(`[data-change-of="${hall}"][data-change-reading=""]`);
      if (!(await device.evaluate((e) => e.open))) await device.locator("summary").click();
      await device.getByRole("button", { name: button }).click();
    };
    await page.getByRole("link", { name: "Change", exact: true }).click();
    const f = page.locator(`[data-change-of="${hall}"][data-change-reading="temperature"]`);
    await f.locator("summary").click();
    await f.getByLabel("Above").fill("30");
    await f.getByLabel("Above").press("Enter");
    await card(page, hall, "temperature").locator("[data-outside]").filter({ hasText: "Above 30 °C" }).waitFor();
    await order(attic, hall, name);
    await press("Move down");
    await order(attic, name, hall);
    await press("Move down");
    await page.getByText("It stands last already.").first().waitFor({ state: "attached" });
    await press("Move up");
    await order(attic, hall, name);
    await page.getByRole("link", { name: "Done" }).click();
    await order(hall, attic, name);
    who.calm();
    await who.close();
  });
}

test("after a change whose form needed no script a reload shows the board, and says nothing again", async () => {
  const { who, page } = await open();
  await page.goto(`${server.url}/?change=saved#of-${name}/humidity`); // where such a form ends
  await page.locator("html[data-changing]").waitFor();
  await page.waitForURL(`${server.url}/`);
  await page.getByText("Saved.").waitFor();
  await card(page, name, "humidity").and(page.locator(":target")).waitFor();
  await page.reload();
  await live(page);
  assert.equal(await page.locator("[data-change-of], [data-change-saved]").count(), 0);
  who.calm();
  await who.close();
});

test("a unit converts what is there, what comes and the limits", async () => {
  const { who, page } = await open();
  const f = await change(page, "temperature");
  await f.getByRole("combobox", { name: "Unit", exact: true }).selectOption("°F");
  await shows(page, name, "temperature", "70\\.7");
  await f.getByText("Needs attention, in °F").waitFor();
  await f.getByLabel("Above").fill("86");
  await f.getByLabel("Above").press("Tab");
  await said(page);
  await server.send(shed, { temperature: 31 });
  await shows(page, name, "temperature", "87\\.8");
  assert.equal(await card(page, name, "temperature").locator("[data-unit]").textContent(), "°F");
  await card(page, name, "temperature").locator("[data-outside]").filter({ hasText: "Above 86 °F" }).waitFor();
  const top = page.locator("[data-summary]");
  await top.filter({ hasText: `${name[0].toUpperCase()}${name.slice(1)} temperature is above 86 °F.` }).waitFor();
  await page.reload();
  await shows(page, name, "temperature", "87\\.8");
  await top.filter({ hasText: "temperature is above 86 °F." }).waitFor();
  const again = await change(page, "temperature");
  await again.getByRole("combobox", { name: "Unit", exact: true }).selectOption("");
  await shows(page, name, "temperature", "31");
  await again.getByText("Needs attention, in °C").waitFor();
  assert.equal(await again.getByLabel("Above").inputValue(), "30");
  await again.getByRole("combobox", { name: "Digits" }).selectOption("2");
  await shows(page, name, "temperature", "31\\.00");
  await again.getByLabel("Below").fill("40");
  await again.getByLabel("Below").press("Tab");
  await again.getByText("The lower limit must be below the upper one.").waitFor();
  await again.getByRole("combobox", { name: "Unit", exact: true }).selectOption("=");
  await again.getByLabel("Another unit").fill("degrees");
  await again.getByLabel("Another unit").press("Enter");
  await card(page, name, "temperature").locator("[data-unit]").filter({ hasText: "degrees" }).waitFor();
  who.calm(/status of 400/);
  await who.close();
});

test("on a desk a card keeps its column while the form of another is open", async () => {
  const { who, page } = await open({ viewport: { width: 1280, height: 800 } });
  const widths = () => group(page).locator("[data-cards] > [data-reading]").evaluateAll((all) => all.map((e) => Math.round(e.offsetWidth / 4)));
  await page.getByRole("link", { name: "Change", exact: true }).click();
  await form(page, "door").waitFor();
  const before = await widths();
  await form(page, "humidity").locator("summary").click();
  const [door, humidity, temperature] = await widths();
  assert.deepEqual([door, temperature], [before[0], before[2]]);
  assert.ok(humidity > 2 * door, "the form has the row");
  who.calm();
  await who.close();
});

test("another tab of the board learns of a change by itself", async () => {
  const { who, page } = await open();
  const other = await who.page();
  await other.goto(server.url);
  await live(other);
  const f = await change(page, "humidity");
  await f.getByLabel("Name").fill("Damp");
  await f.getByLabel("Name").press("Enter");
  await label(other, "humidity").filter({ hasText: "Damp" }).waitFor();
  who.calm();
  await who.close();
});

test("it works without scripts", async () => {
  const { who, page } = await open({ javaScriptEnabled: false });
  await page.getByRole("link", { name: "Change", exact: true }).click();
  const f = form(page, "temperature");
  await f.locator("summary").click();
  await f.getByLabel("Name").fill("Warmth");
  await f.getByRole("combobox", { name: "Unit", exact: true }).selectOption("°F");
  await f.getByLabel("Above").fill("20"); // in the unit that the form says
  await f.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved.").waitFor();
  assert.equal(await label(page, "temperature").textContent(), "Warmth");
  assert.equal(await card(page, name, "temperature").locator("output").textContent(), "70.7");
  assert.equal(await card(page, name, "temperature").locator("[data-outside]").textContent(), "Above 68 °F");
  assert.match(await page.locator("[data-summary]").textContent(), /warmth is above 68 °F\.$/);
  await f.locator("summary").click();
  await f.getByRole("button", { name: "Move up" }).click();
  assert.deepEqual(await readings(page), ["door", "temperature", "humidity"]);
  await form(page, "door").locator("summary").click();
  await form(page, "door").getByRole("button", { name: "Hide" }).click();
  assert.deepEqual(await readings(page), ["temperature", "humidity"]);
  await page.getByRole("link", { name: "Done" }).click();
  await page.getByText("Hidden: 1").click();
  await page.getByRole("button", { name: "Show again" }).click();
  assert.deepEqual(await readings(page), ["door", "temperature", "humidity"]);
  assert.equal(await page.locator("[data-change-of]").count(), 0);
  await who.close();
});

test("it works with nothing but a keyboard, and axe-core finds nothing while it does", async () => {
  const { who, page } = await open({ bypassCSP: true, viewport: { width: 390, height: 844 } });
  const press = async (key, until) => {
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press(key);
      if (await page.evaluate(until)) return;
    }
    assert.fail(`the keyboard does not get to ${until}`);
  };
  await press("Tab", () => document.activeElement?.matches("[data-change]"));
  await page.keyboard.press("Enter");
  await page.locator("[data-change-of]").first().waitFor();
  await press("Tab", () => document.activeElement?.closest("[data-reading='humidity']") !== null && document.activeElement?.matches("summary"));
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.type("Damp");
  await page.keyboard.press("Enter");
  await label(page, "humidity").filter({ hasText: "Damp" }).waitFor();
  await said(page);
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("name")), "name", "the field keeps the focus");
  await page.evaluate(axeSource());
  const faults = await page.evaluate(async () => (await window.axe.run(document)).violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target)}`));
  assert.deepEqual(faults, []);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `the page can be scrolled to the side by ${wide} px`);
  const small = await page.locator(".change-form button:visible, .change-form .field:visible, .change > summary:visible").evaluateAll((all) =>
    all.filter((e) => e.getBoundingClientRect().height < 44).map((e) => e.outerHTML.slice(0, 80)),
  );
  assert.deepEqual(small, [], "targets that a thumb misses");
  who.calm();
  await who.close();
});
