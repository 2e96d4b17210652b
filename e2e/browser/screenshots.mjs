// Takes the pictures of the documentation from a running demo: node e2e/browser/screenshots.mjs
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { e2e, launch, Server } from "./trellis.mjs";
import { developer, enter, live, signIn, visitor } from "./visit.mjs";

const folder = join(e2e, "..", "docs", "images");
const growing = 30_000; // so long the demo runs before the pictures: graphs need points

mkdirSync(folder, { recursive: true });
const browser = await launch();
const server = await Server.start("--demo");

async function picture(name, colorScheme, viewport, prepare) {
  const who = await visitor(browser, { colorScheme, viewport, deviceScaleFactor: 2, reducedMotion: "reduce" });
  const page = await who.page();
  await prepare(page);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  console.log(`docs/images/${name}.png`);
  await who.close();
}

async function board(page) {
  await enter(page, await server.newLink());
  await live(page);
  await page.locator("[data-summary]").filter({ hasText: /^1 of 5 is quiet: Cold frame, since/ }).waitFor();
  await page.locator("[data-graph] path[d]").first().waitFor({ state: "attached", timeout: 60_000 });
}

async function stream(page) {
  await board(page);
  await developer(page);
  await page.getByTestId("row").nth(5).waitFor({ timeout: 60_000 });
  if (page.viewportSize().width < 1000) await page.getByTestId("developer").scrollIntoViewIfNeeded();
}

const minute = 60_000;
const day = 24 * 60 * minute;

/** warmth is what it is like in a greenhouse: warmer by day, and on some days than on others. */
function warmth(at) {
  const sun = Math.sin((at / day - 0.375) * 2 * Math.PI);
  return Math.round((19 + 5 * sun + 1.5 * Math.sin(at / day) + 0.4 * Math.sin(at / (7 * minute))) * 10) / 10;
}

/** spoken is what a device said every five minutes until so long ago: for long enough that it is known what is usual. */
function spoken(silent, data) {
  const now = Date.now();
  const all = [];
  for (let at = now - silent; at > now - 16 * day; at -= 5 * minute) all.push({ at, data: data(at) });
  return all.reverse();
}

/** past is a server with 16 days behind it. Its sensor was silent for an hour of the last one. */
async function past() {
  const server = await Server.start();
  const sensor = await server.key("greenhouse:climate");
  const silent = Date.now() - 7 * 60 * minute;
  const heard = spoken(4 * minute, (at) => ({ temperature: warmth(at) })).filter(({ at }) => Math.abs(at - silent) > 30 * minute);
  await server.seed(sensor, heard);
  return { server, sensor };
}

// Beside the pretend greenhouse stands a cold frame, which is known for as long and has gone quiet.
const frame = await server.key("cold_frame");
await server.seed(frame, spoken(22 * minute, (at) => ({ temperature: Math.round((warmth(at) - 8) * 10) / 10 })));
const { server: full, sensor } = await past();

async function detail(page) {
  await signIn(page, full.url, sensor.key);
  await page.goto(`${full.url}/value?${new URLSearchParams({ entity: "greenhouse:climate", reading: "temperature" })}`);
  await live(page);
  await page.getByText("Quiet (usually every 5 min)").first().waitFor({ state: "attached" });
  await full.send(sensor, { data: { temperature: warmth(Date.now()) } });
  await page.locator("[data-latest-list] li").first().waitFor();
  await page.locator("[data-age]").filter({ hasText: "just now" }).waitFor();
}

try {
  const early = await visitor(browser);
  const page = await early.page();
  await enter(page, server.link);
  await page.waitForTimeout(growing);
  await early.close();
  const sizes = { "": { width: 1280, height: 800 }, "-phone": { width: 390, height: 844 } };
  for (const [size, viewport] of Object.entries(sizes)) {
    for (const [look, scheme] of [["", "light"], ["-dark", "dark"]]) {
      await picture(`board${size}${look}`, scheme, viewport, board);
      await picture(`detail${size}${look}`, scheme, viewport, detail);
      await picture(`developer${size}${look}`, scheme, viewport, stream);
    }
  }
  await picture("sign-in", "light", sizes[""], (p) => p.goto(server.url));
} finally {
  await browser.close();
  await server.end();
  await full.end();
}
