// Takes the pictures of the documentation from a running demo: node e2e/browser/screenshots.mjs
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { e2e, launch, Server } from "./trellis.mjs";
import { developer, enter, live, visitor } from "./visit.mjs";

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
  await page.locator("[data-graph] path[d]").first().waitFor({ state: "attached", timeout: 60_000 });
}

try {
  const early = await visitor(browser);
  const page = await early.page();
  await enter(page, server.link);
  await page.waitForTimeout(growing);
  await early.close();
  const desk = { width: 1280, height: 800 };
  const phone = { width: 390, height: 844 };
  await picture("board", "light", desk, board);
  await picture("board-dark", "dark", desk, board);
  await picture("board-phone", "light", phone, board);
  await picture("board-phone-dark", "dark", phone, board);
  await picture("developer", "light", desk, async (p) => {
    await board(p);
    await developer(p);
    await p.getByTestId("row").nth(5).waitFor({ timeout: 60_000 });
  });
  await picture("sign-in", "light", desk, (p) => p.goto(server.url));
} finally {
  await browser.close();
  await server.end();
}
