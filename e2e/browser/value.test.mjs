// The page of one value: what it shows with scripts and without, by pointer and by keys, and while values come in.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { axeSource, launch, Server } from "./trellis.mjs";
import { live, signIn, visitor } from "./visit.mjs";

const minute = 60_000;
let browser, server, shed;
before(async () => {
  browser = await launch();
  server = await Server.start();
  shed = await server.key("house:shed");
  // A day of every five minutes, an hour of silence in it, told afterwards: a device that had no network meanwhile.
  const now = Date.now();
  const day = [];
  for (let ago = 24 * 60 - 5; ago > 0; ago -= 5) {
    if (ago > 600 && ago < 660) continue;
    const data = { temp_c: 20 + (ago % 40) / 10, door: ["open", "shut"][Math.floor(ago / 300) % 2] };
    day.push({ data, timestamp: new Date(now - ago * minute).toISOString() });
  }
  await server.sendAll(shed, day);
  await server.down();
  await server.wasDown(12);
  await server.up();
});
after(async () => {
  await browser?.close();
  await server?.end();
});

const address = (reading, span = "day", entity = "house:shed") =>
  `${server.url}/value?${new URLSearchParams({ entity, reading, span })}`;

/** holder opens a browser that is signed in as the shed. */
async function holder(options) {
  const first = await visitor(browser);
  const page = await first.page();
  await signIn(page, server.url, shed.key);
  const storageState = await first.context.storageState();
  await first.close();
  return visitor(browser, { ...options, storageState });
}

const gapText = (page, text) => page.locator("[data-gaps] li", { hasText: text });

test("a day is shown with its gaps and why, in the reader's own time", async () => {
  const who = await holder({ timezoneId: "Asia/Kathmandu" });
  const page = await who.page();
  await page.goto(address("temp_c"));
  await live(page);
  await page.getByRole("heading", { level: 1, name: "Temperature" }).waitFor();
  await page.getByText("Times are yours, Asia/Kat").waitFor();
  const off = gapText(page, /^This page's server was off,/);
  const from = new Date(await off.locator("time").first().getAttribute("datetime"));
  const told = from.toLocaleTimeString("en", { timeZone: "Asia/Kathmandu", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  assert.match(await off.textContent(), new RegExp(`off,\\s*(\\w+ \\d+, )?${told}–`));
  assert.ok((await page.locator(".plot-gap").count()) >= 1, "the gap is not drawn");
  for (const name of ["Lowest", "Mean", "Highest"]) await page.locator(".fact", { hasText: name }).waitFor();
  await page.getByText("Table", { exact: true }).click();
  assert.ok((await page.locator("tbody tr").count()) <= 60);
  await page.getByRole("cell", { name: /This page's server was off/ }).waitFor();

  for (const [name, span] of [["Hour", "hour"], ["Week", "week"], ["Month", "month"]]) {
    await page.getByRole("link", { name, exact: true }).click();
    await page.getByRole("heading", { name: `The last ${span}` }).waitFor();
    assert.equal(await page.getByRole("link", { name, exact: true }).getAttribute("aria-current"), "true");
  }
  await page.locator("body").press("+");
  await page.getByRole("heading", { name: "The last week" }).waitFor();
  await page.getByRole("link", { name: "← Earlier" }).click();
  await page.getByText("Nothing was heard in this time.").waitFor();
  await page.getByRole("link", { name: "Later →" }).click();
  await page.getByRole("heading", { name: /week/ }).waitFor();
  who.calm();
  await who.close();
});

test("what was the device's silence, and what was a time in which nobody could hear it, is told apart", async () => {
  const well = await server.key("house:well");
  const [now, hour] = [Date.now(), 60 * minute];
  const holes = [[12, 10], [8, 7], [4, 3]]; // of it, of the disk, of nobody who listens: hours ago
  const spoke = [];
  for (let at = now - 47 * hour; at < now; at += 5 * minute) {
    if (!holes.some(([from, to]) => at > now - from * hour && at < now - to * hour)) spoke.push({ at, data: { depth: 7 + (at % 3) } });
  }
  await server.seed(well, spoke);
  await server.hadGap("full", now - 8 * hour, now - 7 * hour);
  await server.hadGap("unheard", now - 4 * hour, now - 3 * hour);
  const scripted = await visitor(browser);
  const page = await scripted.page();
  await signIn(page, server.url, well.key);
  const storageState = await scripted.context.storageState();
  await page.goto(address("depth", "day", "house:well"));
  await live(page);
  const plain = await visitor(browser, { javaScriptEnabled: false, storageState });
  const bare = await plain.page();
  await bare.goto(address("depth", "day", "house:well"));
  for (const one of [page, bare]) {
    for (const words of [
      /^\s*Quiet \(usually every 5 min\),/,
      /^\s*The disk of this page's server was full,/,
      /^\s*This page's server did not listen: pages were closed, or went past it,/,
    ]) {
      await gapText(one, words).waitFor({ timeout: 5000 });
    }
  }
  assert.equal(await gapText(page, /^\s*Quiet/).count(), 1, "our own gaps are called its silence");
  const chart = page.getByRole("slider", { name: "Depth over time" });
  await chart.focus();
  const walked = new Set();
  for (let left = 400; left > 0 && ![...walked].some((w) => w.startsWith("Quiet (usually every 5 min)")); left--) {
    walked.add(await chart.getAttribute("aria-valuetext"));
    await chart.press("ArrowLeft");
  }
  for (const words of ["This page's server did not listen: pages were closed, or went past it", "The disk of this page's server was full", "Quiet (usually every 5 min)"]) {
    assert.ok([...walked].some((w) => w.startsWith(words)), `${words}: is not walked over`);
  }
  await page.getByText("Table", { exact: true }).click();
  await page.getByRole("cell", { name: /Quiet \(usually every 5 min\)/ }).waitFor();
  for (const who of [scripted, plain]) {
    who.calm();
    await who.close();
  }
});

test("the chart is walked through by keys, and says what is there", async () => {
  const who = await holder();
  const page = await who.page();
  await page.goto(address("temp_c"));
  const chart = page.getByRole("slider", { name: "Temperature over time" });
  await chart.focus();
  const said = () => chart.getAttribute("aria-valuetext");
  const readout = page.locator("[data-readout]");
  await readout.waitFor();
  const last = await said();
  await chart.press("Home");
  const first = await said();
  assert.notEqual(first, last);
  assert.match(first, /: .*°C/);
  assert.equal(await readout.textContent(), first);
  await chart.press("ArrowRight");
  assert.notEqual(await said(), first);
  await chart.press("ArrowLeft");
  assert.equal(await said(), first);
  await chart.press("PageUp");
  assert.ok(Number(await chart.getAttribute("aria-valuenow")) > 5);
  await chart.press("End");
  const walked = new Set();
  for (let i = 0; i < 8; i++) {
    walked.add(await said());
    await chart.press("ArrowLeft");
  }
  assert.ok([...walked].some((w) => w.startsWith("This page's server was off")), `a gap is walked over: ${[...walked]}`);
  const box = await chart.boundingBox();
  await page.mouse.move(box.x + box.width / 4, box.y + box.height / 2);
  const pointed = await said();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  assert.notEqual(await said(), pointed);
  assert.ok(await page.locator("[data-cursor]").getAttribute("d"));
  who.calm();
  await who.close();
});

test("touch points at a value, and the page can still be scrolled", async () => {
  const who = await holder({ hasTouch: true, viewport: { width: 390, height: 844 } });
  const page = await who.page();
  await page.goto(address("temp_c"));
  const chart = page.locator("[data-chart]");
  await chart.scrollIntoViewIfNeeded();
  const box = await chart.boundingBox();
  await page.touchscreen.tap(box.x + box.width / 3, box.y + box.height / 2);
  await page.locator("[data-readout]").filter({ hasText: "°C" }).waitFor();
  assert.equal(await chart.evaluate((e) => getComputedStyle(e).touchAction), "pan-y");
  who.calm();
  await who.close();
});

test("two fingers and the wheel bring a part of the chart closer, and a drag moves along it", async () => {
  const who = await holder({ hasTouch: true, viewport: { width: 390, height: 844 } });
  const page = await who.page();
  await page.goto(address("temp_c"));
  const chart = page.locator("[data-chart]");
  await chart.scrollIntoViewIfNeeded();
  const box = await chart.boundingBox();
  const [left, middle] = [box.x, box.y + box.height / 2];
  const count = async () => Number(await chart.getAttribute("aria-valuemax"));
  const times = () => page.locator("[data-ticks] text").allTextContents();
  const [all, whole] = [await count(), await times()];
  const cdp = await page.context().newCDPSession(page);
  const touch = (type, ...xs) => cdp.send("Input.dispatchTouchEvent", { type, touchPoints: xs.map((x, id) => ({ x: left + x, y: middle, id })) });
  await touch("touchStart", 150, 200);
  for (const out of [20, 40, 60, 80]) await touch("touchMove", 150 - out, 200 + out);
  await touch("touchEnd");
  const close = await count();
  assert.ok(close < all / 2, `${close} of ${all} are left`);
  const there = await times();
  assert.notDeepEqual(there, whole);
  assert.equal(await page.evaluate(() => visualViewport.scale), 1, "the page itself was brought closer");
  await touch("touchStart", 100);
  for (const x of [140, 180, 220, 260]) await touch("touchMove", x);
  await touch("touchEnd");
  assert.notDeepEqual(await times(), there, "a drag moves nothing");
  assert.ok(Math.abs((await count()) - close) < all / 4);
  // A finger that goes up scrolls the page, and what is looked at stays.
  const moved = await times();
  const scrolled = await page.evaluate(() => scrollY);
  const finger = (type, ...ys) => cdp.send("Input.dispatchTouchEvent", { type, touchPoints: ys.map((y) => ({ x: left + 100, y })) });
  await finger("touchStart", middle);
  for (const up of [20, 50, 90, 130]) await finger("touchMove", middle - up);
  await finger("touchEnd");
  await page.waitForFunction((y) => scrollY !== y, scrolled);
  assert.deepEqual(await times(), moved);
  // By the wheel, with the key that zooms; without it the page is scrolled.
  await chart.dblclick();
  assert.deepEqual(await times(), whole);
  const now = await chart.boundingBox();
  await page.mouse.move(now.x + 200, now.y + 60);
  await page.mouse.wheel(0, -40);
  assert.deepEqual(await times(), whole);
  await page.keyboard.down("Control");
  for (let n = 0; n < 4; n++) await page.mouse.wheel(0, -40);
  await page.waitForFunction((n) => Number(document.querySelector("[data-chart]").getAttribute("aria-valuemax")) < n / 2, all);
  await page.keyboard.up("Control");
  who.calm();
  await who.close();
});

test("new values appear while the page is open", async () => {
  const who = await holder();
  const page = await who.page();
  await page.goto(address("temp_c", "hour"));
  await live(page);
  const before = await page.locator("[data-dots]").getAttribute("d");
  const line = await page.locator("[data-line]").getAttribute("d");
  await page.evaluate(() => {
    const say = () => window.ages.push(document.querySelector("[data-age]").textContent);
    window.ages = [];
    new MutationObserver(say).observe(document.querySelector("[data-value]"), { childList: true, characterData: true, subtree: true });
  });
  await server.send(shed, { data: { temp_c: 31.5 } });
  await page.locator("[data-value]", { hasText: /^31\.5$/ }).waitFor({ timeout: 5000 });
  await page.locator("[data-latest-list] li", { hasText: "31.5 °C" }).waitFor();
  await page.locator(".fact", { hasText: "Highest" }).getByText("31.5").waitFor();
  await page.getByText("Table", { exact: true }).click();
  await page.locator(".past-table tbody tr:last-child td", { hasText: "31.5 °C" }).first().waitFor();
  assert.ok((await page.locator(".past-table tbody tr").count()) <= 60);
  const drawn = [await page.locator("[data-dots]").getAttribute("d"), await page.locator("[data-line]").getAttribute("d")];
  assert.notDeepEqual(drawn, [before, line], "the chart stayed as it was");
  // What a person sends is shown as that, and is in no chart.
  await server.send(shed, { data: { temp_c: 99 }, context: { by: "page" } });
  await page.locator("[data-value]", { hasText: /^99$/ }).waitFor({ timeout: 5000 });
  await page.getByText("Sent by hand ·").waitFor();
  assert.equal(await page.locator("[data-latest-list] li").count(), 1);
  for (let n = 0; n < 12; n++) await server.send(shed, { data: { temp_c: 20 + n } });
  await page.locator("[data-latest-list] li", { hasText: /\b31 °C/ }).waitFor();
  assert.equal(await page.locator("[data-latest-list] li").count(), 10);
  assert.equal((await page.evaluate(() => window.ages))[0], "just now", "a new value stood beside an old age");
  const [from, to] = await page.locator("time[data-from], time[data-to]").evaluateAll((all) => all.map((e) => Date.parse(e.dateTime)));
  assert.equal(to - from, 3_600_000, "the hour that is shown is none");
  who.calm();
  await who.close();
});

test("words are rows of their own, and change live", async () => {
  const who = await holder();
  const page = await who.page();
  await page.goto(address("door", "hour"));
  await live(page);
  await page.locator('[data-plot="lanes"]').waitFor();
  await server.send(shed, { data: { door: "ajar" } });
  await page.locator("[data-level-words] text", { hasText: /^Ajar$/ }).waitFor({ timeout: 5000 });
  await page.locator("[data-value]", { hasText: /^Ajar$/ }).waitFor();
  await page.locator("[data-chart]").focus();
  await page.keyboard.press("End");
  assert.match(await page.locator("[data-readout]").textContent(), /Ajar|Quiet|off/);
  who.calm();
  await who.close();
});

test("without scripts the page is true, and says that its times are UTC", async () => {
  const who = await holder({ javaScriptEnabled: false, timezoneId: "Asia/Kathmandu" });
  const page = await who.page();
  await page.goto(address("temp_c"));
  await page.getByText("Times are UTC.").waitFor();
  const off = gapText(page, "This page's server was off");
  const at = await off.locator("time").first().getAttribute("datetime");
  assert.ok((await off.textContent()).includes(at.slice(11, 16)), "the gap is not told in UTC");
  assert.ok((await page.locator("[data-line]").getAttribute("d")).length > 100);
  assert.ok((await page.locator("[data-ticks] text").count()) >= 4);
  await page.locator("output", { hasText: /\d/ }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Copy" }).count(), 0, "a button that does nothing is shown");
  await page.getByText("curl", { exact: true }).click();
  await page.getByTestId("code-curl").filter({ hasText: "/api/history/export?" }).waitFor();
  await page.getByRole("link", { name: "Week" }).click();
  await page.getByRole("heading", { name: "The last week" }).waitFor();
  await who.close();
});

test("code is copied, and a file is taken", async () => {
  const who = await holder({ permissions: ["clipboard-read", "clipboard-write"] });
  const page = await who.page();
  await page.goto(address("temp_c"));
  await page.getByText("Python", { exact: true }).click();
  await page.locator('[data-copy="code-python"]').click();
  await page.getByTestId("status").filter({ hasText: "Copied" }).waitFor({ state: "attached" });
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(copied, await page.getByTestId("code-python").textContent());
  assert.ok(!(await page.content()).includes(shed.key), "the page holds the key");
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "All values that are kept, as CSV" }).click()]);
  assert.match(file.suggestedFilename(), /^trellis-house-shed-temp_c-\d{8}T\d{4}\.csv$/);
  assert.equal(await file.failure(), null);
  who.calm();
  await who.close();
});

test("another's value and one that does not exist are answered alike", async () => {
  await server.send(await server.key("gate"), { data: { secret: 7 } });
  const who = await holder();
  const page = await who.page();
  const words = [];
  for (const [reading, entity] of [["secret", "gate"], ["nothing", "nowhere"]]) {
    await page.goto(address(reading, "day", entity));
    words.push(await page.locator("main").textContent());
  }
  assert.equal(words[0], words[1]);
  assert.match(words[0], /There is no such value, or it is not shown to you\./);
  who.calm(/status of 404/);
  await who.close();
});

const hostile = [
  "<script>window.pwned=1</script>",
  "<img src=x onerror=window.pwned=1>",
  '"><svg onload=window.pwned=1>',
  "</script><script>window.pwned=1</script>",
  "'-window.pwned=1-'",
  "`$(x)\\\"'",
  "__proto__",
];

test("what devices write is text on the page of a value", async () => {
  const k = await server.key("hostile");
  for (const [n, p] of hostile.entries()) {
    await server.send(k, { entity: `${n}:${p}`, data: { [`n ${p}`]: n, [`w ${p}`]: p } });
    await server.send(k, { entity: `${n}:${p}`, data: { [`w ${p}`]: `${p} again` } });
  }
  const who = await visitor(browser);
  const page = await who.page();
  await signIn(page, server.url, k.key);
  await live(page);
  await page.getByTestId("card").nth(hostile.length).waitFor();
  const cards = await page.getByTestId("card").evaluateAll((all) => all.map((c) => [c.dataset.entity, c.dataset.reading]));
  for (const [entity, reading] of cards) {
    await page.goto(address(reading, "hour", entity));
    await live(page);
    await page.locator("[data-chart]").focus();
    await page.getByText("Table", { exact: true }).click();
    assert.equal(await page.evaluate(() => window.pwned), undefined, `${reading}: a payload ran`);
    assert.equal(await page.locator("main script:not([type='application/json']), main img, output svg").count(), 0);
  }
  who.calm();
  await who.close();
});

/** faults gives what axe-core finds, in words. */
async function faults(page) {
  await page.evaluate(axeSource());
  const found = await page.evaluate(async () => (await window.axe.run(document)).violations);
  return found.flatMap((v) => v.nodes.map((n) => `${v.id}: ${v.help}: ${n.target.join(" ")}: ${n.any[0]?.message ?? ""}`));
}

const wide = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

for (const [size, viewport] of [["phone", { width: 360, height: 740 }], ["desk", { width: 1280, height: 800 }]]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`axe-core finds nothing on it, ${colorScheme}, ${size}`, async () => {
      const who = await holder({ colorScheme, viewport, bypassCSP: true, reducedMotion: "reduce" });
      const page = await who.page();
      for (const [name, to] of [
        ["numbers", address("temp_c")],
        ["words", address("door")],
        ["nothing", `${address("door")}&to=2020-01-01T00:00:00Z`],
      ]) {
        await page.goto(to);
        await live(page);
        for (const fold of await page.locator("main summary").all()) await fold.click();
        if (name !== "nothing") await page.locator("[data-chart]").focus();
        assert.deepEqual(await faults(page), [], name);
        assert.ok((await wide(page)) <= 0, `${name} can be scrolled to the side`);
        const small = await page.locator("main a, main button, main summary").evaluateAll((all) =>
          all.filter((e) => e.offsetParent && e.getBoundingClientRect().height < 43.5).map((e) => e.outerHTML.slice(0, 80)));
        assert.deepEqual(small, [], `${name}: too small to be touched`);
      }
      await who.close();
    });
  }
}
