// Pages of a trellis that stands in front of another one, which plays the service that the keys belong to.
import assert from "node:assert/strict";
import { pbkdf2Sync } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createSecureServer } from "node:tls";
import { after, before, test } from "node:test";
import { e2e, launch, Program, Server } from "./trellis.mjs";
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
  const program = new Program(binary, words);
  running.push(program);
  const [, url] = await program.says(/^Open\s+(https?:\/\/\S+)$/m);
  return {
    url,
    program,
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
  await shows(page, "shed", "temperature", "20\\.5", 2000);

  await back.down();
  await strip(page, "Our link to the broker is down since").waitFor({ timeout: 25_000 });
  await says(page, "waiting", "Reconnecting"); // its values are not live, whatever its own connection is
  assert.equal(await page.locator("[data-agree]").isVisible(), false);
  const late = await who.page(); // a tab that comes now shares the connection that was told
  await late.goto(front.url);
  await strip(late, "Our link to the broker is down since").waitFor();

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
  assert.equal(await made.gone, 0, made.text);
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
  await signIn(page, proxy.url, shed.key);
  await live(page);
  await front.program.says(/link to the upstream broker is up/);

  // The device: it spoke every minute and has stopped.
  for (let ago = 15; ago >= 10; ago--) {
    const timestamp = new Date(Date.now() - ago * 60_000).toISOString();
    await back.send(shed, { msg_type: "publish", data: { level: ago }, timestamp });
  }
  await shows(page, "whose", "level", "10", 5000);
  const look = (is, words) => card(page, "whose", "level").and(page.locator(`[data-look="${is}"]`, { hasText: words })).waitFor({ timeout: 30_000 });
  await look("quiet", /Quiet since \d\d:\d\d \(usually every 60 s\)/);
  assert.equal(await page.locator("[data-strip]").isVisible(), false, "a quiet device is no trouble of ours");

  // Our link: nothing can be said about the device.
  await back.down();
  await sentence(page, /^Our link to the broker is down since \d\d:\d\d\. Nothing you can do; we keep trying\.$/).waitFor({ timeout: 25_000 });
  await look("unknown", "Not known right now.");
  await back.up();
  await live(page);
  await look("quiet", /Quiet since/); // it was so before
  assert.equal(await page.locator("[data-strip]").isVisible(), false);

  // This page's server, while a proxy that nobody on the way can play answers for it.
  await front.program.kill();
  await sentence(page, /^This page's server is not answering\. Your internet is fine\. Showing values from \d\d:\d\d\.$/).waitFor({ timeout: 40_000 });
  await says(page, "waiting", "Not answering");
  await look("unknown", "Not known right now.");

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
