// What people see while nothing can be recorded: on a disk of its own that somebody else fills, and on one that fails.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { axeSource, e2e, launch, Program, Server } from "./trellis.mjs";
import { enter, live, shows, signIn, visitor } from "./visit.mjs";

const binary = process.env.TRELLIS_BIN ?? join(e2e, "..", "bin", "trellis");

let browser;
let server;
let unable = "";

before(async () => {
  browser = await launch();
  server = new Server();
  server.args = ["--keep-size", "16MiB"];
  try {
    mount(server.data);
  } catch (error) {
    unable = `a disk that can be full needs the right to mount one (root): ${error.message}`;
    return;
  }
  await server.up();
});

after(async () => {
  await browser.close();
  if (unable) return;
  await server.program.kill("SIGTERM");
  execFileSync("umount", ["-l", server.data]);
  rmSync(server.data, { recursive: true, force: true });
});

function mount(folder) {
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], { stdio: "pipe" });
}

const filler = (folder = server.data) => join(folder, "somebody else's");

function fill(folder = server.data) {
  for (const size of [1 << 20, 1 << 12]) {
    try {
      for (;;) appendFileSync(filler(folder), Buffer.alloc(size));
    } catch (error) {
      assert.equal(error.code, "ENOSPC");
    }
  }
}

test("a full disk is said on every board, printed and live, and taken back", async (t) => {
  if (unable) return t.skip(unable);
  const shed = await server.key("shed");
  const operator = await visitor(browser);
  const page = await operator.page();
  await enter(page, server.link);
  await live(page);
  await server.send(shed, { msg_type: "publish", data: { temperature: 21.4 } });
  await shows(page, "shed", "temperature", "21.4");
  assert.ok(await page.getByTestId("record").isHidden());

  const holder = await visitor(browser, { javaScriptEnabled: false });
  const plain = await holder.page();
  await plain.goto(server.url);
  await plain.getByLabel("Paste your access key").fill(shed.key);
  await plain.getByRole("button", { name: "Connect" }).click();
  await plain.locator("html.board").waitFor();

  fill();
  const banner = page.getByTestId("record");
  await banner.waitFor({ timeout: 10_000 });
  const said = /^This page's server cannot record: its disk is full since \d\d:\d\d\. Values are live but not kept\. Make room on that disk; then it goes on by itself\.$/;
  assert.match(await banner.textContent(), said);
  assert.match(await page.getByTestId("status").textContent(), said); // aloud, once
  assert.equal(await page.locator("[data-link-word]").textContent(), "Live");
  await page.evaluate(axeSource());
  const faults = await page.evaluate(() => globalThis.axe.run({ runOnly: ["wcag2a", "wcag2aa"] }));
  assert.deepEqual(faults.violations.map((v) => v.id), []);
  if (process.env.LOOK) {
    for (const [name, width, height, colorScheme] of [["phone", 390, 844, "light"], ["desk", 1280, 800, "dark"]]) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(process.env.LOOK, `full-${name}.png`) });
    }
  }

  await plain.reload();
  await plain.getByText("Whoever runs it has to make room.").waitFor();
  const stranger = await visitor(browser, { javaScriptEnabled: false });
  const late = await stranger.page();
  await late.goto(server.url);
  await late.getByLabel("Paste your access key").fill(shed.key);
  await late.getByRole("button", { name: "Connect" }).click();
  await late.getByText("its disk is full").waitFor(); // on a board, or in place of one

  rmSync(filler());
  await banner.waitFor({ state: "hidden", timeout: 15_000 });
  assert.equal(await page.getByTestId("status").textContent(), "This page's server records again.");
  await server.send(shed, { msg_type: "publish", data: { temperature: 22.5 } });
  await shows(page, "shed", "temperature", "22.5");
  operator.calm();
  holder.calm();
  await operator.close();
  await holder.close();
  await stranger.close();
});

test("in front of a service nothing is shown that cannot be recorded: values stand still, and go on afterwards", async (t) => {
  if (unable) return t.skip(unable);
  const back = await Server.start();
  const data = mkdtempSync(join(tmpdir(), "trellis-front-"));
  mount(data);
  const front = new Program(binary, ["serve", "--listen", "127.0.0.1:0", "--data", data, "--upstream", back.url, "--ways", "socket,stream,poll"]);
  t.after(async () => {
    await front.kill();
    execFileSync("umount", ["-l", data]);
    rmSync(data, { recursive: true, force: true });
    await back.end();
  });
  const [, url] = await front.says(/^Open\s+(http:\/\/\S+)$/m);
  const shed = await back.key("shed");
  const who = await visitor(browser);
  const page = await who.page();
  await signIn(page, url, shed.key);
  await live(page);
  await front.says(/link to the upstream broker is up/);
  await back.send(shed, { temperature: 21.4 });
  await shows(page, "shed", "temperature", "21\\.4");
  fill(data);
  const banner = page.getByTestId("record");
  await banner.waitFor({ timeout: 10_000 });
  const said = /^This page's server cannot record: its disk is full since \d\d:\d\d\. Values stand still until it can\. Whoever runs it has to make room\.$/;
  assert.match(await banner.textContent(), said);
  await back.send(shed, { temperature: 22.5 });
  rmSync(filler(data));
  await banner.waitFor({ state: "hidden", timeout: 15_000 });
  await shows(page, "shed", "temperature", "22\\.5");
  who.calm();
  await who.close();
});

test("what was not recorded is counted, and told in the reader's own time", async () => {
  const other = await Server.start();
  const shed = await other.key("shed");
  const who = await visitor(browser, { timezoneId: "Asia/Kathmandu" });
  const page = await who.page();
  await signIn(page, other.url, shed.key);
  await other.down();
  // As a flood leaves it; e2e makes a real one, which keeps a machine busy for long.
  const [from, to] = [40, 25].map((ago) => Math.floor(Date.now() / 60_000 - ago) * 60_000);
  await other.alter(`INSERT INTO unrecorded (minute, topic, first, last, n) VALUES (${to}000, '${shed.publish}', ${from}000, ${to}000, 12)`);
  await other.up();
  await page.goto(other.url);
  await live(page);
  const clock = (at) => {
    const time = { timeZone: "Asia/Kathmandu", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    return new Intl.DateTimeFormat("en", time).format(at);
  };
  const said = new RegExp(`^12 messages were not recorded, between (\\w+ \\d+, )?${clock(from)} and (\\w+ \\d+, )?${clock(to)}\\.$`);
  await page.locator("[data-unrecorded]").filter({ hasText: said }).waitFor();
  const stranger = await visitor(browser);
  const elsewhere = await stranger.page();
  await signIn(elsewhere, other.url, (await other.key("gate")).key);
  await live(elsewhere);
  assert.ok(await elsewhere.locator("[data-unrecorded]").isHidden(), "it is told to somebody whose messages they were not");
  who.calm(/ERR_CONNECTION_REFUSED|WebSocket connection/);
  for (const w of [who, stranger]) await w.close();
  await other.end();
});

/** fails has the kernel say of every sync of what the broker inside took that it failed, as a dying disk does. */
async function fails(t, s) {
  const taken = join(s.data, "state", "jetstream/jetstream/$G/streams/$MQTT_msgs/msgs");
  const files = readdirSync(taken).filter((name) => name.endsWith(".blk"));
  assert.ok(files.length > 0, "nothing was taken yet");
  const what = ["-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO", ...files.flatMap((name) => ["-P", join(taken, name)])];
  const strace = new Program("strace", ["-f", "-p", String(s.program.child.pid), "-o", "/dev/null", ...what]);
  t.after(() => strace.kill("SIGINT"));
  return /not permitted/.test(await strace.says(/attached|not permitted/)) ? "this machine lets nobody trace a program" : "";
}

test("a disk that fails is said to, and a press on it to be unsure or not accepted", { skip: process.platform !== "linux" }, async (t) => {
  const other = await Server.start();
  t.after(async () => {
    await other.down(); // it has lost its trust in its disk
    rmSync(other.data, { recursive: true, force: true });
  });
  const shed = await other.key("shed");
  const who = await visitor(browser);
  const page = await who.page();
  await signIn(page, other.url, shed.key);
  await live(page);
  await other.send(shed, { temperature: 21.4 });
  await page.evaluate(() => {
    const made = { label: "Blink twice", data: "blink", entity: "shed", risk: "plain", answer: "-" };
    return fetch("/buttons", { method: "POST", body: new URLSearchParams(made) });
  });
  await page.reload();
  await live(page);
  const no = await fails(t, other);
  if (no) return t.skip(no);
  const button = page.getByRole("button", { name: "Blink twice" });
  const stage = (words) => page.getByTestId("button").locator("[data-stage-words]").filter({ hasText: words }).waitFor({ timeout: 14_000 });
  await button.click();
  await stage("It was sent, but nobody confirmed it. It may have been done: look before you press again.");
  const banner = page.getByTestId("record");
  await banner.waitFor({ timeout: 10_000 });
  const said = "This page's server cannot record: its disk has been failing since";
  assert.match(await banner.textContent(), new RegExp(`^${said} \\d\\d:\\d\\d\\. Values are live but not kept\\. Whoever runs it has to check that disk\\.$`));
  await button.click();
  await stage("Not accepted: This page's server cannot record now: its disk failed. Nothing was sent.");
  const operator = await visitor(browser);
  const own = await operator.page();
  await enter(own, other.link);
  await own.getByTestId("record").filter({ hasText: "Check that disk, then start the server again." }).waitFor();
  for (const w of [who, operator]) {
    w.calm();
    await w.close();
  }
});
