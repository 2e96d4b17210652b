// Pages of a trellis that stands in front of another one, which plays the service that the keys belong to.
import assert from "node:assert/strict";
import { pbkdf2Sync } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createSecureServer } from "node:tls";
import { after, before, test } from "node:test";
import { e2e, launch, Program, seed, Server } from "./trellis.mjs";
import { card, live, shows, signIn, visitor } from "./visit.mjs";

const binary = process.env.TRELLIS_BIN ?? join(e2e, "..", "bin", "trellis");
const plugin = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so";

const running = []; // what a test that fails leaves behind
let browser, back;
before(async () => {
  browser = await launch();
  back = await Server.start();
});
after(async () => {
  for (const program of running) await program.kill();
  await browser?.close();
  await back?.end();
});

/** inFront runs a server in front of back. */
async function inFront(...args) {
  const data = mkdtempSync(join(tmpdir(), "trellis-front-"));
  const words = ["serve", "--listen", "127.0.0.1:0", "--data", join(data, "state"), "--upstream", back.url, ...args];
  words.push("--ways", "socket,stream,poll"); // these tests are about the link that this server makes
  const program = new Program(binary, words);
  running.push(program);
  const [, url] = await program.says(/^Open\s+(https?:\/\/\S+)$/m);
  return {
    url,
    program,
    seed: (key, messages) => seed(join(data, "state"), key, messages),
    async end() {
      assert.equal(await program.kill("SIGTERM"), 0, program.text.slice(-2000));
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/** strip is the sentence above the values. */
const strip = (page, words) => page.locator("[data-strip]:not([hidden])").filter({ hasText: words });

test("a key of the service shows its values live, and says when the link to the service is down", async () => {
  const front = await inFront();
  const who = await visitor(browser);
  const page = await who.page();
  const shed = await back.key("shed");
  await signIn(page, front.url, shed.key);
  await live(page);
  await front.program.says(/link to the upstream broker is up/);
  await back.send(shed, { temperature: 20.5 });
  await shows(page, "shed", "temperature", "20\\.5");

  await back.down();
  await strip(page, /Our link to 127\.0\.0\.1:\d+ is down since \d\d:\d\d/).waitFor({ timeout: 25_000 });
  await says(page, "waiting", "Reconnecting"); // its values are not live, whatever its own connection is
  assert.equal(await page.locator("[data-agree]").isVisible(), false);
  const late = await who.page(); // a tab that comes now shares the connection that was told
  await late.goto(front.url);
  await strip(late, /Our link to 127\.0\.0\.1:\d+ is down since \d\d:\d\d/).waitFor();

  await back.up();
  for (const p of [page, late]) await p.locator("[data-strip][hidden]").waitFor({ state: "attached", timeout: 40_000 });
  await back.send(shed, { temperature: 22 });
  for (const p of [page, late]) {
    await shows(p, "shed", "temperature", "22", 5000);
    await live(p);
  }
  who.calm();
  await who.close();
  await front.end();
});

/** freePort is one where nobody listens at this moment. */
function freePort() {
  return new Promise((resolve) => {
    const s = createServer().listen(0, "127.0.0.1", () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });
}

/** sentence is the whole of what the strip says, without its buttons. */
const sentence = (page, words) => page.locator("[data-strip]:not([hidden]) [data-strip-words]").filter({ hasText: words });

/** says waits until the word at the top is this, and looks so. */
const says = (page, look, word) => page.locator(`[data-link="${look}"] [data-link-word]`, { hasText: new RegExp(`^${word}$`) }).waitFor();

/** gateway is a proxy that takes the https off: people trust its word, and it says so when nobody is behind it. */
async function gateway(t) {
  const dir = mkdtempSync(join(tmpdir(), "gateway-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
  const words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"];
  const made = new Program("openssl", [...words, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert]);
  assert.equal(await made.ended(), 0, made.text);
  const open = new Set();
  let to = 1; // nobody is there
  const proxy = createSecureServer({ key: readFileSync(key), cert: readFileSync(cert) }, (client) => {
    open.add(client);
    const up = connect({ port: to, host: "127.0.0.1" });
    const end = () => {
      client.destroy();
      up.destroy();
      open.delete(client);
    };
    up.once("error", () => client.once("data", () => client.end("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")));
    up.once("connect", () => {
      client.pipe(up).pipe(client);
      for (const side of [client, up]) side.on("close", end);
      up.on("error", end);
    });
    client.on("error", end);
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  t.after(async () => {
    for (const client of open) client.destroy();
    await new Promise((resolve) => proxy.close(resolve));
  });
  return {
    url: `https://127.0.0.1:${proxy.address().port}`,
    leads(port) {
      to = port;
    },
  };
}

test("a page says whose trouble it is: the device's, our link's, this server's, or yours", { timeout: 180_000 }, async (t) => {
  const trusting = await launch("--ignore-certificate-errors");
  t.after(() => trusting.close());
  const proxy = await gateway(t);
  const port = await freePort();
  const front = await inFront("--public-url", proxy.url, "--listen", `127.0.0.1:${port}`);
  proxy.leads(port);
  const who = await visitor(trusting);
  t.after(() => who.close());
  const page = await who.page();
  const shed = await back.key("whose");
  // The device: it spoke every minute and has stopped.
  const spoke = Array.from({ length: 60 }, (_, i) => ({ at: Date.now() - (69 - i) * 60_000, data: { level: i } }));
  await front.seed(shed, spoke);
  await signIn(page, proxy.url, shed.key);
  await live(page);
  await front.program.says(/link to the upstream broker is up/);
  await shows(page, "whose", "level", "59", 5000);
  const look = (is, words) => card(page, "whose", "level").and(page.locator(`[data-look="${is}"]`, { hasText: words })).waitFor({ timeout: 30_000 });
  const top = (words) => page.locator("[data-summary]").filter({ hasText: words }).waitFor({ timeout: 30_000 });
  await look("quiet", /Quiet ·/);
  await page.getByText(/^Quiet since \d\d:\d\d \(usually every 60 s\)$/).waitFor();
  await top(/^Whose is quiet since \d\d:\d\d\.$/);
  assert.equal(await page.locator("[data-strip]").isVisible(), false, "a quiet device is no trouble of ours");

  // Our link: nothing can be said about the device.
  await back.down();
  await sentence(page, /^Our link to 127\.0\.0\.1:\d+ is down since \d\d:\d\d\. Nothing you can do; we keep trying\.$/).waitFor({ timeout: 25_000 });
  await look("unknown", "Not known right now ·");
  const form = await card(page, "whose", "level").evaluate((e) => [getComputedStyle(e).borderTopStyle, getComputedStyle(e).backgroundColor]);
  assert.deepEqual(form, ["dashed", "rgba(0, 0, 0, 0)"], "what is not known has no form of its own");
  await page.getByText(/^Not known right now$/).first().waitFor();
  await top(/^We lost our link to 127\.0\.0\.1:\d+ at \d\d:\d\d\. Values below are from then\.$/);
  const value = await who.page(); // the page of a value says the same
  await value.goto(`${proxy.url}/value?entity=whose&reading=level`);
  await sentence(value, /^Our link to 127\.0\.0\.1:\d+ is down since \d\d:\d\d\. Nothing you can do; we keep trying\.$/).waitFor();
  await value.close();
  const printed = await (await page.request.get(proxy.url, { ignoreHTTPSErrors: true })).text(); // for whoever runs no scripts
  assert.match(printed, />We lost our link to 127\.0\.0\.1:\d+ at \d\d:\d\d\. Values below are from then\.</);
  assert.match(printed, /data-reading="level" data-look="unknown"/);
  await back.up();
  await page.locator("[data-strip][hidden]").waitFor({ state: "attached", timeout: 40_000 }); // the pause before the next try may be long
  await live(page);
  await look("quiet", /Quiet ·/); // it was so before
  assert.equal(await page.locator("[data-strip]").isVisible(), false);

  // This page's server, while a proxy that nobody on the way can play answers for it.
  await front.program.kill();
  await sentence(page, /^This page's server is not answering\. Your internet is fine\. Showing values from \d\d:\d\d\.$/).waitFor({ timeout: 40_000 });
  await says(page, "waiting", "Not answering");
  await look("unknown", "Not known right now ·");
  await top(/^Values below are from \d\d:\d\d\.$/);

  // The person's own network.
  await who.context.setOffline(true);
  await sentence(page, /^You seem to have no internet\. Showing values from \d\d:\d\d\.$/).waitFor({ timeout: 20_000 });
  await says(page, "waiting", "No internet");
});

/** strictBroker is a mosquitto that lets a key in under its entity's name only. */
async function strictBroker(key) {
  const dir = mkdtempSync(join(tmpdir(), "strict-"));
  const salt = Buffer.from("twelve-bytes");
  const password = pbkdf2Sync(key.key, salt, 101, 64, "sha512").toString("base64");
  const acl = (acltype, topic) => ({ acltype, topic, priority: 0, allow: true });
  const rules = {
    defaultACLAccess: { publishClientSend: false, publishClientReceive: true, subscribe: false, unsubscribe: true },
    clients: [
      {
        username: key.jti,
        clientid: key.sub,
        password,
        salt: salt.toString("base64"),
        iterations: 101,
        roles: [{ rolename: "key" }],
      },
    ],
    roles: [{ rolename: "key", acls: [acl("publishClientSend", key.publish), acl("subscribeLiteral", key.messages)] }],
  };
  writeFileSync(join(dir, "rules.json"), JSON.stringify(rules), { mode: 0o600 });
  const port = await freePort();
  const conf = ["listener", `${port} 127.0.0.1\nuser root\nallow_anonymous false\nplugin`, `${plugin}\nplugin_opt_config_file`, `${dir}/rules.json\n`];
  writeFileSync(join(dir, "conf"), conf.join(" "));
  const program = new Program("mosquitto", ["-c", join(dir, "conf")]);
  running.push(program);
  await program.says(/ running/);
  return { address: `mqtt://127.0.0.1:${port}`, program, dir };
}

/** rival is another program with the same key, which always comes back. */
function rival(key, broker) {
  const at = new URL(broker.address);
  const who = ["-h", at.hostname, "-p", at.port, "-i", key.sub, "-u", key.jti, "-P", key.key];
  const program = new Program("mosquitto_sub", [...who, "-t", key.messages]);
  running.push(program);
  return program;
}

test("a fight for the one connection: the server offers to hold it", { skip: !existsSync(plugin) }, async () => {
  const loft = await back.key("loft");
  const broker = await strictBroker(loft);
  const front = await inFront("--upstream-mqtt", broker.address);
  const who = await visitor(browser);
  const page = await who.page();
  await signIn(page, front.url, loft.key);
  await page.getByRole("button", { name: "Disconnect it and use this key here" }).click({ timeout: 15_000 });
  await front.program.says(/link to the upstream broker is up/);
  const other = rival(loft, broker);
  await strip(page, "Something else is using the same access key").waitFor({ timeout: 40_000 });
  const offer = page.getByRole("button", { name: "Let this server hold the connection" });
  await offer.waitFor();
  assert.match(await page.locator("[data-offer]").innerText(), /everything that is open here shares it/);
  await shoot(page, "offer");
  const tries = front.program.text.split("link to the upstream broker is up").length;
  await offer.click();
  await page.getByRole("switch", { name: "Keep listening when no page is open", checked: true }).waitFor();
  await strip(page, "Something else is using the same access key").waitFor();
  assert.equal(await offer.count(), 0, "what is done is offered again");
  await front.program.says(new RegExp(`(?:link to the upstream broker is up[^]*){${tries}}`)); // at once, not in a minute
  await other.kill();
  await page.reload();
  await page.locator("[data-strip][hidden]").waitFor({ state: "attached", timeout: 90_000 });
  who.calm();
  await who.close();
  await front.end();
  await broker.program.kill();
  rmSync(broker.dir, { recursive: true, force: true });
});

/** shoot takes the pictures that somebody looks at: SHOTS is the folder for them. */
async function shoot(page, name) {
  if (!process.env.SHOTS) return;
  for (const colorScheme of ["light", "dark"]) {
    for (const [width, height] of [[390, 844], [1280, 800]]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height });
      await page.screenshot({ path: join(process.env.SHOTS, `${name}-${colorScheme}-${width}.png`), fullPage: name !== "offer" });
    }
  }
  await page.setViewportSize({ width: 1280, height: 800 });
}

test("the holder of a key has this server keep listening, by keyboard, and without scripts", async () => {
  const front = await inFront();
  const who = await visitor(browser);
  const page = await who.page();
  const hall = await back.key("hall");
  await signIn(page, front.url, hall.key);
  await live(page);
  await front.program.says(/link to the upstream broker is up/);
  await back.send(hall, { temperature: 20.5, humidity: 61 });
  await shows(page, "hall", "temperature", "20\\.5");
  const control = page.getByRole("switch", { name: "Keep listening when no page is open" });
  assert.equal(await control.getAttribute("aria-checked"), "false");
  assert.match(await control.evaluate((e) => document.getElementById(e.getAttribute("aria-describedby")).innerText), /day and night/);
  const box = await control.boundingBox();
  assert.ok(box.width >= 44 && box.height >= 44, `the switch is ${box.width} by ${box.height}`);
  await shoot(page, "off");
  await control.focus();
  await page.keyboard.press("Space");
  await page.getByRole("switch", { checked: true }).waitFor();
  assert.ok(await control.evaluate((e) => e === document.activeElement), "the focus is lost");
  await front.program.says(/watched"?[=:]true/);
  await shoot(page, "on");
  await control.press("Enter");
  await page.getByRole("switch", { checked: false }).waitFor();

  const plain = await visitor(browser, { javaScriptEnabled: false, storageState: await who.context.storageState() });
  const bare = await plain.page();
  await bare.goto(front.url);
  await bare.getByRole("switch", { checked: false }).click();
  await bare.getByRole("switch", { checked: true }).waitFor();
  await plain.close();

  await front.program.kill();
  await control.click(); // nobody is there to do it
  await page.locator("[data-watch-said]", { hasText: "That was not done" }).waitFor();
  assert.equal(await control.getAttribute("aria-checked"), "false");
  await who.close();
});

test("a broker that insists on the device's name: the page asks first", { skip: !existsSync(plugin) }, async () => {
  const barn = await back.key("barn");
  const broker = await strictBroker(barn);
  const front = await inFront("--upstream-mqtt", broker.address);
  const who = await visitor(browser);
  const page = await who.page();
  await signIn(page, front.url, barn.key);
  await strip(page, "it would be disconnected").waitFor({ timeout: 15_000 });
  if (process.env.SHOT) await page.screenshot({ path: process.env.SHOT });
  await page.getByRole("button", { name: "Disconnect it and use this key here" }).click();
  await live(page);
  await front.program.says(/link to the upstream broker is up/);
  await page.locator("[data-strip][hidden]").waitFor({ state: "attached" });
  assert.equal(await page.locator("[data-agree]").isVisible(), false);
  who.calm();
  await who.close();
  await front.end();
  await broker.program.kill();
  rmSync(broker.dir, { recursive: true, force: true });
});
