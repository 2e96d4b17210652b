// What is told of a past that is days old, in the line on the board and on the page of what happened.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, Server } from "./trellis.mjs";
import { live, signIn, visitor } from "./visit.mjs";

const minute = 60_000;
const hour = 60 * minute;

let browser, server, home, gate;
before(async () => {
  browser = await launch();
  server = await Server.start();
  [home, gate] = [await server.key("home"), await server.key("gate")];
  const now = Date.now();
  const every5 = (silent, entity, data) => {
    const all = [];
    for (let ago = 60 * 60 - 5; ago >= silent; ago -= 5) all.push({ at: now - ago * minute, entity, data: data(ago) });
    return all;
  };
  const damp = (ago) => (ago > 120 && ago < 180) || (ago > 3000 && ago < 3060); // now, and two days ago
  const greenhouse = every5(1, "home:greenhouse", (ago) => ({ humidity: damp(ago) ? 80 : 60 }));
  await server.seed(home, [
    ...greenhouse.filter(({ at }) => at < now - 69 * minute || at > now - 22 * minute),
    ...every5(40, "home:pump", () => ({ flow: 4 })),
  ]);
  await server.seed(gate, every5(1, "gate", (ago) => ({ temperature: ago === 15 ? 31.2 : 20 + (ago % 3) })));
});
after(async () => {
  await browser?.close();
  await server?.end();
});

const at = String.raw`(?:\w+ \d+, |yesterday, )?\d\d:\d\d`;
const words = (page) => page.getByTestId("away").locator("[data-away-words]");

/** back opens a board again that this browser looked at so long ago, which no test can wait for. */
async function back(page, ago) {
  await page.goto(`${server.url}/check`);
  await page.evaluate((ms) => {
    const earlier = Object.entries(JSON.parse(localStorage["trellis.looked"])).map(([id, t]) => [id, t - ms]);
    localStorage["trellis.looked"] = JSON.stringify(Object.fromEntries(earlier));
  }, ago);
  await page.goto(server.url);
  await words(page).filter({ hasText: "While you were away" }).waitFor();
}

/** told are the lines of the page of what happened. */
async function told(page) {
  await page.getByTestId("happened").first().waitFor();
  return (await page.getByTestId("happened").locator("p").allTextContents()).map((t) => t.replace(/\s+/g, " ").trim());
}

const has = (lines, pattern) => assert.ok(lines.some((l) => new RegExp(pattern).test(l)), `${pattern} is not among ${lines.join(" | ")}`);

test("a number beyond its week, and who pressed what", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  await signIn(page, server.url, gate.key);
  await live(page);
  await page.evaluate(() => {
    const made = { label: "Blink twice", data: "blink", entity: "gate", risk: "plain", answer: "-" };
    return fetch("/buttons", { method: "POST", body: new URLSearchParams(made) });
  });
  await page.reload();
  await page.getByRole("button", { name: "Blink twice" }).click();
  await page.getByTestId("button").getByText(/^Accepted \d\d:\d\d$/).waitFor();

  await back(page, hour);
  assert.match(await words(page).textContent(), /^While you were away \(60 min\): Temperature reached 31\.2 °C, the highest in a week; gate pressed Blink twice\.$/);
  await page.getByRole("link", { name: "See what happened" }).click();
  const lines = await told(page);
  has(lines, "^Temperature reached 31\\.2 °C, the highest in a week \\(before that 22 °C\\)\\.");
  has(lines, `^Blink twice was pressed by gate\\. Accepted ${at}`);
  assert.match(await page.getByTestId("summary").textContent(), /1 number was unusual and 1 button was pressed\./);
  who.calm();
  await who.close();
});

// The last one, since it has the server be away, which the others would be told too.
test("devices that were quiet, that still are, and values beyond a limit", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  await signIn(page, server.url, home.key);
  await live(page);
  await page.getByRole("link", { name: "Change", exact: true }).click();
  const form = page.locator('[data-change-of="home:greenhouse"][data-change-reading="humidity"]');
  await form.locator("summary").click();
  await form.getByLabel("Above").fill("70");
  await form.getByLabel("Above").press("Tab");
  await page.locator("[data-status]").filter({ hasText: "Saved." }).waitFor({ state: "attached" });

  await back(page, 4 * hour);
  const quiet = `Greenhouse was quiet from ${at} to ${at}; Pump has been quiet since ${at}`;
  assert.match(await words(page).textContent(), new RegExp(`^While you were away \\(4 h\\): ${quiet}; Humidity was above 70 % from ${at} to ${at}\\.$`));
  await page.getByRole("link", { name: "See what happened" }).click();
  let lines = await told(page);
  has(lines, `^Greenhouse is back\\. It was quiet for 50 min, since ${at} \\(usually every 5 min\\)\\.`);
  has(lines, `^Pump has been quiet since ${at} \\(usually every 5 min\\)\\.`);
  has(lines, `^Humidity was above 70 % from ${at} to ${at}, up to 80 %\\.`);

  // From here on nothing could be heard: the pump may have spoken again.
  await server.down();
  await server.wasDown(12);
  await server.up();
  await page.goto(`${server.url}/happened`);
  lines = await told(page);
  has(lines, `^Pump was quiet from ${at} to ${at} \\(usually every 5 min\\)\\. Nothing could be heard after that\\.`);
  has(lines, `^This page's server was off between ${at} and ${at}`);
  who.calm();
  await who.close();
});
