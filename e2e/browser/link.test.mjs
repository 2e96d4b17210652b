import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, Server, watch } from "./trellis.mjs";
import { compose, developer, live, shows, signIn, visitor } from "./visit.mjs";

let browser, server;
before(async () => {
  browser = await launch();
  server = await Server.start();
});
after(async () => {
  await browser?.close();
  await server?.end();
});

/** says waits for the sentence of the strip. */
const says = (page, words) => page.locator("[data-strip]:not([hidden]) [data-strip-words]").filter({ hasText: words }).waitFor({ timeout: 20_000 });

test("a restart of the server under an open page mends itself", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  const k = await server.key("shed");
  await signIn(page, server.url, k.key);
  await live(page);
  await server.send(k, { temperature: 20 });
  await shows(page, "shed", "temperature", "20");
  await page.evaluate(() => {
    window.neverReloaded = true;
  });

  await server.down();
  await page.locator('[data-testid="link"]:not([data-link="live"])').waitFor({ timeout: 20_000 });
  await says(page, /^Reconnecting\. Showing values from \d\d:\d\d\.$/);
  await shows(page, "shed", "temperature", "20");
  await server.up();
  const began = performance.now();
  await live(page);
  console.log(`live again ${Math.round(performance.now() - began)} ms after the server`);
  await server.send(k, { temperature: 22 });
  await shows(page, "shed", "temperature", "22", 5000);
  assert.equal(await page.evaluate(() => window.neverReloaded), true, "the page was loaded again");
  who.calm(/ERR_CONNECTION_REFUSED|WebSocket connection/);
  await who.close();
});

test("a server that is stopped in peace is said to be updating", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  await signIn(page, server.url, (await server.key("patient")).key);
  await live(page);
  await server.program.kill("SIGTERM");
  await says(page, /^Updating, back in a moment\.$/);
  await page.locator("[data-link-word]", { hasText: /^Updating$/ }).waitFor();
  await server.up();
  await page.evaluate(() => dispatchEvent(new Event("online"))); // or it waits for its turn
  await live(page);
  who.calm(/ERR_CONNECTION_REFUSED|WebSocket connection/);
  await who.close();
});

test("what came while the network was away is counted when it is back", async () => {
  const network = await watch(server);
  const who = await visitor(browser);
  const page = await who.page();
  const k = await server.key("tunnel");
  await signIn(page, network.url, k.key);
  await live(page);
  await server.send(k, { n: 0 });
  await shows(page, "tunnel", "n", "0");
  network.breaks();
  await says(page, /^Reconnecting\. Showing values from \d\d:\d\d\.$/);
  await server.sendAll(k, Array.from({ length: 14 }, (_, i) => ({ n: i + 1 })));
  await shows(page, "tunnel", "n", "0"); // nothing else
  network.heals();
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await says(page, /^Back\. 14 values came in meanwhile\.$/);
  await shows(page, "tunnel", "n", "14");
  who.calm(/ERR_CONNECTION|ERR_EMPTY|WebSocket connection/);
  await who.close();
  await network.close();
});

test("what cannot be sent stays in the form", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  await signIn(page, server.url, (await server.key("writer")).key);
  await live(page);
  await developer(page);
  await page.locator("[data-field]").first().waitFor();
  await server.down();
  try {
    await compose(page, { entity: "shed", tags: "kept", fields: { temperature: 19.5 } });
    await page.getByTestId("said").filter({ hasText: /^Not sent|^No answer/ }).waitFor({ timeout: 30_000 });
    assert.equal(await page.getByLabel("tags", { exact: true }).inputValue(), "kept");
    assert.equal(await page.getByLabel("value", { exact: true }).first().inputValue(), "19.5");
  } finally {
    await server.up();
  }
  who.calm(/ERR_CONNECTION_REFUSED|WebSocket connection/);
  await who.close();
});

test("two tabs share one MQTT connection", async () => {
  const between = await watch(server);
  const who = await visitor(browser);
  const one = await who.page();
  const k = await server.key("tabs");
  await signIn(one, between.url, k.key);
  await live(one);
  const two = await who.page();
  await two.goto(between.url);
  await live(two);
  await server.send(k, { n: 1 });
  await Promise.all([one, two].map((page) => shows(page, "tabs", "n", "1")));
  assert.equal(between.open("/live"), 1, "open connections of two tabs");

  await one.close();
  await server.send(k, { n: 2 });
  await shows(two, "tabs", "n", "2", 15_000);
  assert.equal(between.open("/live"), 1, "open connections after one tab was closed");
  who.calm();
  await who.close();
  await between.close();
});
