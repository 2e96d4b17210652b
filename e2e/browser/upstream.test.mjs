// Pages of a trellis that stands in front of another one, which plays the service that the keys belong to.
import assert from "node:assert/strict";
import { pbkdf2Sync } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { e2e, launch, Program, Server } from "./trellis.mjs";
import { live, shows, signIn, visitor } from "./visit.mjs";

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
  const [, url] = await program.says(/^Open\s+(http:\/\/\S+)$/m);
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
  assert.equal(await page.locator("[data-agree]").isVisible(), false);
  const late = await who.page(); // a tab that comes now shares the connection that was told
  await late.goto(front.url);
  await live(late);
  await strip(late, "Our link to the broker is down since").waitFor();

  await back.up();
  for (const p of [page, late]) await p.locator("[data-strip][hidden]").waitFor({ state: "attached", timeout: 40_000 });
  await back.send(shed, { temperature: 22 });
  for (const p of [page, late]) await shows(p, "shed", "temperature", "22", 5000);
  who.calm();
  await who.close();
  await front.end();
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
  const port = await new Promise((resolve) => {
    const s = createServer().listen(0, "127.0.0.1", () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });
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
