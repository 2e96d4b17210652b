// The operator's board in front of a mosquitto of one's own, whose devices send plain payloads.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { axeSource, e2e, launch, Program } from "./trellis.mjs";
import { card, compose, developer, enter, live, shows, visitor } from "./visit.mjs";

const run = promisify(execFile);
const binary = process.env.TRELLIS_BIN ?? join(e2e, "..", "bin", "trellis");
const sizes = { phone: { width: 390, height: 844 }, desk: { width: 1280, height: 800 } };

let browser, broker, front;
const dir = mkdtempSync(join(tmpdir(), "other-"));
const running = []; // what a test that fails leaves behind
before(async () => {
  browser = await launch();
  broker = await startBroker();
  front = await startFront();
});
after(async () => {
  for (const program of running) await program.kill();
  await browser?.close();
  rmSync(dir, { recursive: true, force: true });
});

async function startBroker() {
  const port = await new Promise((resolve) => {
    const s = createServer().listen(0, "127.0.0.1", () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });
  writeFileSync(join(dir, "conf"), `listener ${port} 127.0.0.1\nuser root\nallow_anonymous true\n`);
  const program = new Program("mosquitto", ["-c", join(dir, "conf")]);
  running.push(program);
  await program.says(/ running/);
  return { port: String(port), program };
}

async function startFront() {
  const topics = "zigbee2mqtt/{entity},tele/{entity}/SENSOR,home/{entity}/#";
  const words = ["serve", "--listen", "127.0.0.1:0", "--data", join(dir, "state"), "--broker", `mqtt://127.0.0.1:${broker.port}`];
  const program = new Program(binary, [...words, "--broker-topics", topics, "--broker-send", "home/{entity}/set"]);
  running.push(program);
  const [, link, url] = await program.says(/^Open\s+((http:\/\/\S+)\/enter#\S+)$/m);
  await program.says(/link to the upstream broker is up/);
  return { link, url, program };
}

/** say publishes as a device does that knows nothing of us. */
const say = (topic, payload) => run("mosquitto_pub", ["-p", broker.port, "-q", "1", "-t", topic, "-m", payload]);

/** newLink makes another one-time link for the operator. */
async function newLink() {
  const { stdout } = await run(binary, ["link", "--listen", new URL(front.url).host, "--data", join(dir, "state")]);
  return stdout.match(/http\S+/)[0];
}

test("the empty board says what is listened to, and offers no test value", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  await enter(page, front.link);
  await live(page);
  await page.getByText("zigbee2mqtt/{entity}").waitFor();
  assert.equal(await page.getByRole("button", { name: "Send a test value" }).count(), 0);
  who.calm();
  await who.close();
});

for (const colorScheme of ["light", "dark"]) {
  for (const [size, viewport] of Object.entries(sizes)) {
    test(`three devices with topics of their own, ${colorScheme}, ${size}`, async () => {
      const who = await visitor(browser, { colorScheme, viewport, bypassCSP: true, reducedMotion: "reduce" });
      const page = await who.page();
      await enter(page, await newLink());
      await live(page);
      await say("zigbee2mqtt/Living room lamp", '{"state":"ON","brightness":127,"linkquality":92}');
      await say("tele/boiler/SENSOR", '{"DS18B20":{"Temperature":58.4},"TempUnit":"C"}');
      await say("home/kitchen/temperature", "21.5");
      await say("home/kitchen/window/state", "open");
      await shows(page, "Living room lamp", "brightness", "127");
      await shows(page, "boiler", "Temperature", "58\\.4");
      await shows(page, "kitchen", "temperature", "21\\.5");
      await shows(page, "kitchen", "window", "Open");
      await page.evaluate(axeSource());
      const found = await page.evaluate(async () => (await window.axe.run(document)).violations.map((v) => v.id));
      assert.deepEqual(found, [], "axe-core finds nothing");
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wide <= 0, `it can be scrolled to the side by ${wide} px`);
      if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `${colorScheme}-${size}.png`), fullPage: true });
      who.calm();
      await who.close();
    });
  }
}

test("what the operator sends reaches the device as plain data, and is no value", async () => {
  const device = new Program("stdbuf", ["-oL", "mosquitto_sub", "-p", broker.port, "-q", "1", "-t", "home/kitchen/set", "-v", "-d"]);
  running.push(device);
  await device.says(/SUBACK/);
  const who = await visitor(browser);
  const page = await who.page();
  await enter(page, await newLink());
  await live(page);
  await compose(page, { fields: { led: "on" } });
  await page.getByTestId("said").filter({ hasText: "Say which device it is for" }).waitFor();
  await compose(page, { entity: "kitchen", fields: { led: "on" } });
  await page.getByTestId("said").filter({ hasText: "Accepted" }).waitFor();
  await device.says(/^home\/kitchen\/set \{"led":"on"\}$/m);
  await developer(page);
  await page.getByTestId("row").filter({ hasText: "led" }).first().waitFor();
  await say("home/kitchen/temperature", "22.5"); // what the broker brought back would have come before
  await shows(page, "kitchen", "temperature", "22\\.5");
  assert.equal(await page.getByTestId("row").filter({ hasText: "led" }).count(), 1);
  assert.equal(await card(page, "kitchen", "led").count(), 0);
  assert.equal(await card(page, "kitchen", "set.led").count(), 0);
  who.calm();
  await who.close();
});

test("a page says that the link to the host of the broker is down, and when it is back", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  await enter(page, await newLink());
  await live(page);
  await broker.program.kill();
  await page.locator("[data-strip]:not([hidden]) [data-strip-words]").filter({ hasText: /^Our link to 127\.0\.0\.1 is down since \d\d:\d\d\. Nothing you can do; we keep trying\.$/ }).waitFor({ timeout: 25_000 });
  const again = new Program("mosquitto", ["-c", join(dir, "conf")]);
  running.push(again);
  await page.locator("[data-strip][hidden]").waitFor({ state: "attached", timeout: 40_000 });
  await say("home/kitchen/temperature", "23");
  await shows(page, "kitchen", "temperature", "23");
  who.calm();
  await who.close();
  assert.equal(await front.program.kill("SIGTERM"), 0, front.program.text.slice(-2000));
});
