import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { axeSource, launch, Server } from "./trellis.mjs";
import { live, signIn, visitor } from "./visit.mjs";

let browser, server;
before(async () => {
  browser = await launch();
  server = await Server.start();
});
after(async () => {
  await browser?.close();
  await server?.end();
});

/** Of each test its own device, whose holder looks at the page. */
async function holder(name, options = {}) {
  const who = await visitor(browser, options);
  const page = await who.page();
  const key = await server.key(name);
  await signIn(page, server.url, key.key);
  if (options.javaScriptEnabled !== false) await live(page);
  return { who, page, key };
}

/** make makes a button as its owner does: in place, by the form at the end of the board. */
async function make(page, fields) {
  const fold = page.locator('[data-fold="made"]');
  if ((await fold.getAttribute("open")) === null) await fold.locator("> summary").click();
  const form = page.getByTestId("make");
  if ((await form.getAttribute("open")) === null) await form.locator("> summary").click();
  for (const [name, value] of Object.entries(fields)) {
    const field = form.locator(`[name="${name}"]`);
    if (value === true) await field.check();
    else if (["risk", "answer", "per"].includes(name)) await field.selectOption(value);
    else await field.fill(value);
  }
  await form.getByRole("button", { name: "Make the button" }).click();
  await item(page, fields.label).waitFor();
}

const item = (page, label) => page.getByTestId("button").filter({ hasText: label });
const says = (page, label, words, timeout = 8000) =>
  item(page, label).locator("[data-stage-words]").filter({ hasText: words }).waitFor({ timeout });

/** pressed is what the server's log has, the newest first. */
const pressed = (page) => page.evaluate(async () => (await (await fetch("/history/presses")).json()).presses);

/** untilPressed waits until the log has so many. */
async function untilPressed(page, n) {
  for (const end = Date.now() + 8000; (await pressed(page)).length < n; ) {
    assert.ok(Date.now() < end, `there are no ${n} presses`);
    await page.waitForTimeout(50);
  }
}

const accepted = /^Accepted \d\d:\d\d$/;
const blink = { label: "Blink twice", data: '{"led":"blink"}', risk: "plain" };

test("a button is made in place, pressed once however often it is clicked, and answered by the device", async () => {
  const { who, page, key } = await holder("lamp");
  await page.evaluate(() => {
    window.neverReloaded = true;
  });
  await make(page, { ...blink, number: true, name: "times", min: "1", max: "9", step: "2", start: "3", unit: "x" });
  const other = await who.page(); // of somebody else, who looks at the log later
  await other.goto(server.url);
  const one = item(page, blink.label);
  await one.getByRole("button", { name: "More" }).click();
  const button = await one.getByRole("button", { name: blink.label }).boundingBox();
  await page.mouse.move(button.x + button.width / 2, button.y + button.height / 2);
  await page.mouse.down({ clickCount: 1 });
  await page.mouse.up({ clickCount: 1 });
  await says(page, blink.label, accepted); // near the server the answer is there before the second click
  await page.mouse.down({ clickCount: 2 });
  await page.mouse.up({ clickCount: 2 });
  assert.equal(await one.locator("[data-stage]").getAttribute("data-state"), "accepted", "no tick before the answer");
  const log = await pressed(page);
  assert.equal(log.length, 1, "a double click presses once");
  assert.equal(log[0].chosen, "5 x");
  await server.send(key, { msg_type: "publish", data: { answer: "5 times" }, dest: "lamp", context: { answers: log[0].id } });
  await says(page, blink.label, "Device answered: 5 times");
  await page.getByText("Who pressed what").click();
  await page.getByTestId("pressed").filter({ hasText: /lamp.*Blink twice: 5 x.*Device answered: 5 times/s }).waitFor();
  await other.getByText("Who pressed what").click();
  await other.getByTestId("pressed").filter({ hasText: /Blink twice: 5 x.*Device answered: 5 times/s }).waitFor();
  assert.equal(await page.evaluate(() => window.neverReloaded), true, "pressing and making leave the page alone");
  await page.reload();
  await says(page, blink.label, "Device answered: 5 times");
  who.calm();
  await who.close();
});

test("the owner changes, moves and removes buttons in place", async () => {
  const { who, page } = await holder("owner");
  await make(page, blink);
  await make(page, { label: "Sing a song", data: "sing", risk: "plain" });
  const made = (label) => page.getByTestId("made").filter({ hasText: label });
  await made("Sing a song").locator("> summary").click();
  await made("Sing a song").getByRole("button", { name: "Move up" }).click();
  await page.getByTestId("button").first().filter({ hasText: "Sing a song" }).waitFor();
  await made("Sing a song").getByLabel("What it says").fill("Unlock the box");
  await made("Sing a song").getByRole("button", { name: "Save" }).click();
  await item(page, "Unlock the box…").waitFor(); // what matters asks first by itself
  assert.equal(await item(page, "Unlock the box").getAttribute("data-risk"), "confirm");
  await made("Unlock the box").getByLabel("What the device is told").fill("{broken");
  await made("Unlock the box").getByRole("button", { name: "Save" }).click();
  await made("Unlock the box").getByText("begins like JSON, and is none").waitFor();
  await made("Unlock the box").getByText("Remove…").click();
  await made("Unlock the box").getByRole("button", { name: "Remove this button" }).click();
  await item(page, "Unlock the box").waitFor({ state: "detached" });
  who.calm(/422/);
  await who.close();
});

test("what can be undone waits for five seconds, also over a reload", async () => {
  const { who, page } = await holder("undoer");
  await make(page, { ...blink, undo: true, answer: "-" });
  const one = item(page, blink.label);
  await one.getByRole("button", { name: blink.label }).click();
  await says(page, blink.label, /^Sends in \d s, also when you leave this page\.$/);
  await one.getByRole("button", { name: "Undo" }).click();
  await says(page, blink.label, "Undone. Nothing was sent.");
  await one.getByRole("button", { name: blink.label }).click();
  await says(page, blink.label, /^Sends in/);
  await one.getByRole("button", { name: blink.label }).click(); // what can still be undone is not made two
  await page.reload();
  await says(page, blink.label, /^Sends in/);
  await says(page, blink.label, accepted, 9000);
  assert.deepEqual((await pressed(page)).map((p) => p.state), ["accepted", "undone"]);
  who.calm();
  await who.close();
});

test("a key that is held presses once, and answers no question", async () => {
  const { who, page } = await holder("keys");
  await make(page, { label: "Sing a song", data: "sing", risk: "plain", answer: "-" });
  await make(page, { label: "Close the gate", data: "shut", risk: "confirm", answer: "-" });
  const hold = async (key) => {
    for (let n = 0; n < 8; n++) {
      await page.keyboard.down(key); // again while it is down: that is what a keyboard does
      await page.waitForTimeout(60); // as long as a press here takes, and longer
    }
    await page.keyboard.up(key);
  };
  await item(page, "Sing a song").getByRole("button", { name: "Sing a song" }).focus();
  await hold("Enter");
  await says(page, "Sing a song", accepted);
  assert.equal((await pressed(page)).length, 1, "Enter that is held");
  await make(page, { label: "Heat", data: "", risk: "confirm", answer: "-", number: true, name: "to", min: "5", max: "30", step: "1", start: "19", unit: "°C" });
  await item(page, "Heat").getByRole("spinbutton").fill("25");
  await page.keyboard.press("Enter"); // would be the answer to a question that nobody has asked
  const gate = item(page, "Close the gate");
  await gate.locator("summary").focus();
  await hold("Enter");
  await gate.getByRole("button", { name: "Close the gate", exact: true }).and(page.locator(":focus")).waitFor();
  assert.equal((await pressed(page)).length, 1, "Enter that is held answers the question that it has opened");
  who.calm();
  await who.close();
});

test("a risky one asks with its result, or is held: by mouse, finger or keys", async () => {
  const { who, page } = await holder("gate");
  await make(page, { label: "Open the gate", data: "open", risk: "plain", answer: "-" });
  await make(page, { label: "Reset it all", data: "reset", risk: "hold", answer: "-" });
  const gate = item(page, "Open the gate");
  await gate.getByText("Open the gate…").click();
  const answer = gate.getByRole("button", { name: "Open the gate", exact: true });
  await answer.waitFor();
  await page.keyboard.press("Escape");
  await answer.waitFor({ state: "hidden" });
  await page.keyboard.press("Enter"); // the focus is back where it was
  await answer.and(page.locator(":focus")).waitFor();
  await page.keyboard.press("Enter"); // the second of two in a row was meant for what it was before
  assert.equal((await pressed(page)).length, 0, "two Enters in a row are no answer");
  await page.waitForTimeout(600); // this is somebody's own second thought: nothing happens meanwhile
  await page.keyboard.press("Enter");
  await says(page, "Open the gate", accepted);
  await untilPressed(page, 1);

  const reset = item(page, "Reset it all");
  const hold = reset.getByText("Reset it all…");
  await hold.click(); // too short: it asks
  await reset.getByRole("button", { name: "Not now" }).click();
  assert.equal((await pressed(page)).length, 1, "a short press does nothing");
  await reset.locator("[data-stage-words]").evaluate((words) => {
    window.heldSaid = [];
    new MutationObserver(() => window.heldSaid.push(words.textContent)).observe(words, { childList: true, characterData: true, subtree: true });
  });
  await hold.hover();
  await page.mouse.down();
  await says(page, "Reset it all", accepted);
  assert.ok(await page.evaluate(() => window.heldSaid.includes("Keep holding…")), "nothing says how long to hold");
  await page.mouse.up();
  assert.equal(await reset.locator("details").getAttribute("open"), null, "letting go opens nothing");
  await page.evaluate(() => {
    window.heldSaid = [];
  });
  for (const key of ["Space", "Enter"]) {
    const before = (await pressed(page)).length;
    await reset.locator("summary").focus();
    await page.keyboard.down(key);
    await untilPressed(page, before + 1);
    await page.keyboard.up(key);
    await says(page, "Reset it all", accepted);
    assert.equal((await pressed(page)).length, before + 1, `held with ${key} it is done once`);
  }
  const heldSaid = await page.evaluate(() => window.heldSaid);
  assert.deepEqual(heldSaid.slice(0, 2), ["Keep holding…", "Sending…"], "what it said before comes in between");
  await reset.locator("summary").focus();
  await page.keyboard.press("Enter"); // for who cannot hold
  await reset.getByRole("button", { name: "Reset it all", exact: true }).click();
  await untilPressed(page, 5);
  who.calm();
  await who.close();
});

test("a device that does not answer is said to be silent, and never ticked", async () => {
  const { who, page } = await holder("mute");
  await make(page, blink);
  await item(page, blink.label).getByRole("button", { name: blink.label }).click();
  await says(page, blink.label, accepted);
  await says(page, blink.label, "Accepted, but the device has not answered yet. It may do it when it is back.", 15_000);
  assert.equal(await item(page, blink.label).locator("[data-stage]").getAttribute("data-state"), "silent");
  who.calm();
  await who.close();
});

test("without a network a press is given back after ten seconds, and not sent later", async () => {
  const { who, page } = await holder("island");
  await make(page, { ...blink, answer: "-" });
  await who.context.setOffline(true);
  await item(page, blink.label).getByRole("button", { name: blink.label }).click();
  await says(page, blink.label, "Sending…");
  await says(page, blink.label, "Not sent. Press again if you still want it.", 14_000);
  await who.context.setOffline(false);
  await live(page);
  assert.deepEqual(await pressed(page), []);
  await item(page, blink.label).getByRole("button", { name: blink.label }).click();
  await says(page, blink.label, accepted);
  who.calm(/ERR_INTERNET_DISCONNECTED|WebSocket connection/);
  await who.close();
});

test("while the server is away nobody knows; when it is back it is said", async () => {
  const { who, page } = await holder("blackout");
  await make(page, { ...blink, answer: "-" });
  await server.down();
  try {
    await item(page, blink.label).getByRole("button", { name: blink.label }).click();
    await says(page, blink.label, "No answer came, so we do not know whether it was sent.", 14_000);
  } finally {
    await server.up();
  }
  await says(page, blink.label, "Not sent. Press again if you still want it.", 14_000);
  assert.deepEqual(await pressed(page), []);
  who.calm(/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY|WebSocket connection|404/);
  await who.close();
});

const often = "Not sent: it was pressed as often as it may be. It can be pressed again in";

test("every limit is kept by the server, which says in words what it did not do", async () => {
  const { who, page } = await holder("limits");
  const press = (label) => item(page, label).getByRole("button", { name: label }).click();
  for (const [label, per, words] of [
    ["Blink", "60", /^\d\d s\.$/],
    ["Sing a song", "3600", /^60 min\.$/],
    ["Take a picture", "86400", /^24 h\.$/],
  ]) {
    await make(page, { label, data: "do it", risk: "plain", answer: "-", most: "1", per });
    await press(label);
    await says(page, label, accepted);
    await press(label);
    await says(page, label, often);
    const said = await item(page, label).locator("[data-stage-words]").textContent();
    assert.match(said.slice(often.length + 1), words);
  }
  const now = new Date().getUTCHours();
  const hour = (n) => `${String((now + n) % 24).padStart(2, "0")}:00`;
  await make(page, { ...blink, answer: "-", from: hour(2), to: hour(3), zone: "UTC" });
  await press(blink.label);
  await says(page, blink.label, `Not sent: it may be pressed only between ${hour(2)} and ${hour(3)} (UTC).`);

  await make(page, { label: "Dim it", data: '{"led":"dim"}', risk: "plain", answer: "-", number: true, name: "to", min: "1", max: "9", step: "2", start: "3", unit: "%" });
  // The page keeps to the numbers too, so it is made to forget them, as that of somebody who tries would.
  await item(page, "Dim it").locator('[name="value"]').evaluate((e) => {
    e.type = "text";
    e.value = "12";
  });
  await press("Dim it");
  await says(page, "Dim it", "Not sent: choose a number from 1 to 9 %, in steps of 2.");

  // Meanwhile its owner changes it elsewhere, and takes it away.
  const other = await who.page();
  await other.goto(server.url);
  await live(other);
  const made = other.getByTestId("made").filter({ hasText: "Dim it" });
  await other.locator('[data-fold="made"] > summary').click();
  await made.locator("> summary").click();
  await made.getByLabel("Largest").fill("11");
  await made.getByRole("button", { name: "Save" }).click();
  await item(other, "Dim it").locator('[name="value"][max="11"]').waitFor();
  await press("Dim it");
  await says(page, "Dim it", "This button has been changed since this page was loaded. Nothing was done; look at it again.");
  await made.getByText("Remove…").click();
  await made.getByRole("button", { name: "Remove this button" }).click();
  await item(other, "Dim it").waitFor({ state: "detached" });
  await press("Dim it");
  await says(page, "Dim it", "This button is not there any more. Nothing was done.");
  assert.equal((await pressed(page)).length, 3);
  who.calm(/status of 4(03|04|09|22|29)/);
  await who.close();
});

test("what could not be undone is said until it is known how far it got", async () => {
  const { who, page } = await holder("torn");
  await make(page, { ...blink, undo: true, answer: "-" });
  await item(page, blink.label).getByRole("button", { name: blink.label }).click();
  await says(page, blink.label, /^Sends in/);
  await server.down();
  try {
    await item(page, blink.label).getByRole("button", { name: "Undo" }).click();
    const words = "That could not be undone: this page's server is not answering.";
    await says(page, blink.label, words);
    await page.locator("[data-strip-words]").filter({ hasText: /^Reconnecting\. Showing values from \d\d:\d\d\.$/ }).waitFor();
    assert.equal(await item(page, blink.label).locator("[data-stage-words]").textContent(), words, "it is gone within seconds");
  } finally {
    await server.up();
  }
  await says(page, blink.label, "Not sent. Press again if you still want it.", 14_000);
  who.calm(/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY|WebSocket connection/);
  await who.close();
});

test("all of it works with scripts off", async () => {
  const { who, page } = await holder("plain", { javaScriptEnabled: false });
  await page.getByRole("link", { name: "Make and change buttons" }).click();
  await page.getByText("Make a new button").click();
  assert.equal(await page.locator("meta[http-equiv=refresh]").count(), 0, "it reloads under who types");
  const form = page.getByTestId("make");
  await form.getByLabel("What it says").fill("Open the lid");
  await form.getByLabel("What the device is told").fill("open");
  await form.getByLabel("What counts as the device's answer").selectOption("-");
  await form.getByRole("button", { name: "Make the button" }).click();
  await page.getByText("Open the lid…").first().click();
  await page.getByRole("button", { name: "Open the lid", exact: true }).click();
  await item(page, "Open the lid").getByText(/^Accepted \d\d:\d\d [-+:\w]+$/).waitFor();
  who.calm();
  await who.close();
});

for (const [width, height] of [
  [390, 844],
  [320, 640],
]) {
  test(`at ${width} px everything is in reach and says what it is`, async () => {
    const { who, page } = await holder(`phone${width}`, { viewport: { width, height }, hasTouch: true, reducedMotion: "reduce" });
    await make(page, { ...blink, number: true, name: "times", min: "1", max: "9", step: "1", start: "3" });
    await make(page, { label: "Open the gate", data: "open", risk: "hold", most: "3", per: "60" });
    await item(page, "Open the gate").getByText("Open the gate…").tap();
    await item(page, "Open the gate").getByRole("button", { name: "Open the gate", exact: true }).waitFor();
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `the page is ${wide} px too wide`);
    const small = await page.evaluate(() =>
      [...document.querySelectorAll("[data-buttons] button, [data-buttons] summary, [data-buttons] input:not([type=hidden])")]
        .map((e) => ({ is: e.textContent || e.getAttribute("name"), ...e.getBoundingClientRect().toJSON() }))
        .filter((e) => e.width > 0 && (e.width < 44 || e.height < 44)),
    );
    assert.deepEqual(small, [], "targets below 44 px");
    await page.getByTestId("make").locator("> summary").tap();
    const often = await page.getByTestId("make").evaluate((form) => {
      const [legend, label, per] = ["legend:not(.unseen)", ".ask > label", '[name="per"]'].map((s) => form.querySelector(s));
      const is = per.offsetWidth;
      per.style.cssText = "flex: none; width: max-content";
      const needs = per.offsetWidth;
      per.style.cssText = "";
      return { cut: Math.max(0, needs - is), beside: legend.getBoundingClientRect().left - label.getBoundingClientRect().left };
    });
    assert.deepEqual(often, { cut: 0, beside: 0 }, "how often it may be pressed is cut off, or stands beside the other labels");
    await page.evaluate(axeSource());
    const found = await page.evaluate(() => axe.run("main", { runOnly: ["wcag2a", "wcag2aa"] }));
    assert.deepEqual(
      found.violations.map((v) => `${v.id}: ${v.nodes[0].html}`),
      [],
    );
    who.calm();
    await who.close();
  });
}
