// A page that has its access key goes to the broker of the service itself, past the server that it came from. A second trellis behind
// TLS plays the service; a network between the browser and that can refuse, swallow, and let through again.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { e2e, launch, Program, Server } from "./trellis.mjs";
import { compose, developer, live, shows, signIn, visitor } from "./visit.mjs";

const binary = process.env.TRELLIS_BIN ?? join(e2e, "..", "bin", "trellis");
const dir = mkdtempSync(join(tmpdir(), "direct-"));
let browser, back, tls, way, print;

/** freePort is one that nobody listens on now. */
const freePort = () =>
  new Promise((resolve) => {
    const s = createServer().listen(0, "127.0.0.1", () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });

/** certificate makes one for localhost, and gives the hash of its key, by which the browser is told to believe it. */
function certificate() {
  const [key, cert] = ["key", "cert"].map((name) => join(dir, `${name}.pem`));
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", ...names, "-keyout", key, "-out", cert], { stdio: "ignore" });
  writeFileSync(join(dir, "both.pem"), readFileSync(cert, "utf8") + readFileSync(key, "utf8"));
  const spki = new X509Certificate(readFileSync(cert)).publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(spki).digest("base64");
}

/** between is the network on the way to the service: it hands on, refuses, or swallows. */
async function between(to) {
  const pairs = new Set();
  const way = { mode: "open", connections: 0 };
  const front = createServer((client) => {
    if (way.mode === "refuse") return client.resetAndDestroy();
    const up = connect(to, "127.0.0.1");
    const pair = { client, up };
    pairs.add(pair);
    way.connections++;
    client.on("data", (part) => way.mode !== "swallow" && up.write(part));
    up.on("data", (part) => way.mode !== "swallow" && client.write(part));
    const end = () => {
      if (way.mode === "swallow") return; // nobody hears of it
      pairs.delete(pair);
      client.destroy();
      up.destroy();
    };
    for (const side of [client, up]) side.on("close", end).on("error", end);
  });
  await new Promise((resolve) => front.listen(0, "127.0.0.1", resolve));
  way.port = front.address().port;
  way.cut = () => {
    for (const { client, up } of pairs) {
      client.destroy();
      up.destroy();
    }
    pairs.clear();
  };
  way.refuse = () => {
    way.mode = "refuse";
    way.cut();
  };
  way.swallow = () => {
    way.mode = "swallow";
  };
  way.heal = () => {
    way.mode = "open";
    way.cut();
  };
  way.close = () => {
    way.cut();
    return new Promise((resolve) => front.close(resolve));
  };
  return way;
}

before(async () => {
  print = certificate();
  browser = await launch(`--ignore-certificate-errors-spki-list=${print}`);
  back = await Server.start("--log-level", "debug");
  const port = await freePort();
  writeFileSync(
    join(dir, "haproxy.conf"),
    `defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n  timeout tunnel 60s\n` +
      `frontend f\n  bind 127.0.0.1:${port} ssl crt ${dir}/both.pem alpn http/1.1\n  default_backend b\nbackend b\n  server s ${back.listen}\n`,
  );
  tls = new Program("haproxy", ["-f", join(dir, "haproxy.conf")]);
  for (let n = 0; ; n++) {
    const open = await new Promise((resolve) => {
      const s = connect(port, "127.0.0.1", () => resolve(true)).on("error", () => resolve(false));
      s.unref();
    });
    if (open) break;
    if (n > 100) throw new Error(`haproxy does not listen:\n${tls.text}`);
    await new Promise((r) => setTimeout(r, 50));
  }
  way = await between(port);
});
after(async () => {
  await browser?.close();
  await way?.close();
  await tls?.kill();
  await back?.end();
  rmSync(dir, { recursive: true, force: true });
});

/** inFront runs a server in front of the service. It reaches the broker by TCP of its own, whatever happens to the browser's way. */
async function inFront(...args) {
  const data = mkdtempSync(join(tmpdir(), "trellis-front-"));
  const words = ["serve", "--listen", "127.0.0.1:0", "--data", join(data, "state"), "--log-level", "debug", "--upstream", back.url];
  words.push("--upstream-mqtt", `mqtt://${back.mqtt}`, "--upstream-ws", `wss://localhost:${way.port}/ws`, ...args);
  const program = new Program(binary, words);
  const [, url] = await program.says(/^Open\s+(http:\/\/\S+)$/m);
  return {
    url: url.replace("127.0.0.1", "localhost"),
    program,
    links: () => (program.text.match(/link to the upstream broker is up/g) ?? []).length,
    async end() {
      assert.equal(await program.kill("SIGTERM"), 0, program.text.slice(-2000));
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/** until waits for something that nothing tells us of. */
async function until(what, within, why) {
  for (const began = Date.now(); !(await what()); ) {
    if (Date.now() - began > within) throw new Error(`${why} not within ${within} ms`);
    await new Promise((r) => setTimeout(r, 50));
  }
}

test("the value comes past the server: tabs share one line, the device stays, the key is found nowhere", async () => {
  const front = await inFront();
  const who = await visitor(browser);
  const page = await who.page();
  const shed = await back.key("shed");
  let loads = 0;
  page.on("framenavigated", () => loads++);
  await signIn(page, front.url, shed.key);
  await live(page);
  await until(() => way.connections >= 1, 5000, "a connection to the service");
  await back.send(shed, { temperature: 20.5 });
  await shows(page, "shed", "temperature", "20\\.5", 3000);
  assert.equal(front.links(), 0, "the server made a link of its own");
  console.log(`navigations: ${loads}`);
  await page.close();
  await who.close();
  await front.end();
});
