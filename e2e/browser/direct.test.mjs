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
import { compose, live, shows, signIn, visitor } from "./visit.mjs";

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
  way.open = () => pairs.size;
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

/** upstreamClients are the client ids that logged in to the service's broker for a key, by its log. */
const upstreamClients = (key) => [...back.program.text.matchAll(/client[_ ]?id="?([^\s"]+)"?/gi)].map(([, id]) => id).filter((id) => id.startsWith(`${key.sub}#`));

/** device is one that stays connected under the entity's own name; it ends when it is thrown off. */
function device(key) {
  const [host, port] = back.mqtt.split(":");
  const login = ["-h", host, "-p", port, "-i", key.sub, "-u", key.jti, "-P", key.key];
  return new Program("stdbuf", ["-oL", "mosquitto_sub", ...login, "-q", "1", "-t", key.messages, "-d"]);
}

/** numbers sends numbered values at QoS 1, one after another, until it is told to stop. */
function numbers(key) {
  const [host, port] = back.mqtt.split(":");
  const login = ["-h", host, "-p", port, "-i", `${key.sub}#sender`, "-u", key.jti, "-P", key.key];
  const sender = new Program("mosquitto_pub", [...login, "-q", "1", "-t", key.publish, "-l"]);
  let sent = 0;
  const timer = setInterval(() => sender.child.stdin.write(`{"msg_type":"publish","data":{"n":${++sent}}}\n`), 125); // seldom enough that a page is given each of them
  return async () => {
    clearInterval(timer);
    sender.child.stdin.end();
    await sender.ended();
    return sent;
  };
}

/** count keeps every n that a page is told, in the order in which it came. */
async function count(context) {
  await context.addInitScript(() => {
    window.told = [];
    const Plain = window.SharedWorker;
    window.SharedWorker = class extends Plain {
      constructor(...words) {
        super(...words);
        const note = ({ payload }) => {
          const n = JSON.parse(payload).data?.n;
          if (n !== undefined) window.told.push(n);
        };
        this.port.addEventListener("message", ({ data }) => {
          if (data.kind === "batch") data.heard.forEach(note);
        });
      }
    };
  });
  return (page) => page.evaluate(() => window.told);
}

test("the value comes past the server: tabs share one line, the device stays, the key is found nowhere", async () => {
  const front = await inFront();
  const who = await visitor(browser);
  const page = await who.page();
  const shed = await back.key("shed");
  const own = device(shed);
  await own.says(/Subscribed/);
  const before = way.connections;
  const requests = [];
  who.context.on("request", (r) => requests.push(`${r.method()} ${r.url()} ${r.postData() ?? ""}`));
  await signIn(page, front.url, shed.key);
  await live(page);
  await page.getByTestId("unrecorded").filter({ hasText: "What comes now goes past this page's server." }).waitFor();
  const links = front.links(); // one, where the line took so long that the server's was tried beside it
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), "MAIN");
  assert.match(await page.title(), /^shed · Trellis$/);
  await back.send(shed, { temperature: 20.5 });
  await shows(page, "shed", "temperature", "20\\.5", 3000);

  const second = await who.page();
  await second.goto(front.url);
  await live(second);
  const third = await who.page();
  await third.goto(front.url);
  await live(third);
  await back.send(shed, { temperature: 21 });
  for (const p of [page, second, third]) await shows(p, "shed", "temperature", "21", 3000);
  assert.equal(front.links(), links, "the server made a link of its own");
  assert.equal(way.connections - before, 1, "the tabs do not share one connection");

  await compose(page, { fields: { led: "on" } });
  await page.getByTestId("said").filter({ hasText: /^Accepted/ }).waitFor({ timeout: 5000 });
  await shows(second, "shed", "led", "[Oo]n", 5000);
  assert.equal(own.child.exitCode, null, "the device was thrown off");

  const kept = await page.evaluate(async () => {
    const bases = (await indexedDB.databases?.()) ?? [];
    const all = (store) => Object.entries(store).flat().join("\n");
    return [all(localStorage), all(sessionStorage), JSON.stringify(bases), document.documentElement.outerHTML, location.href, JSON.stringify(history.state), document.cookie].join("\n");
  });
  const everywhere = [kept, front.program.text, back.program.text, ...requests.filter((r) => !/^POST \S+\/session /.test(r))].join("\n");
  assert.ok(!everywhere.includes(shed.key) && !everywhere.includes(encodeURIComponent(shed.key)), "the key is somewhere");
  assert.equal(requests.filter((r) => r.includes(shed.key) || r.includes(encodeURIComponent(shed.key))).length, 1, "the key was sent to the server more than once");

  // One signs out: the others stop too, and the line is gone.
  await third.getByRole("button", { name: "Sign out" }).click();
  await third.getByLabel("Paste your access key").waitFor();
  for (const p of [page, second]) await p.locator("[data-strip]:not([hidden])").filter({ hasText: "signed out" }).waitFor({ timeout: 10_000 });
  await until(() => way.open() === 0, 5000, "the line is closed");
  await back.send(shed, { temperature: 99 });
  assert.equal(await page.getByText("99", { exact: true }).count(), 0);

  await own.kill();
  who.calm();
  await who.close();
  await front.end();
});

for (const [size, viewport] of Object.entries({ phone: { width: 390, height: 844 }, desk: { width: 1280, height: 800 } })) {
  for (const colorScheme of ["light", "dark"]) {
    test(`the board in the sign-in page's place looks like the board: ${size}, ${colorScheme}`, async () => {
      const front = await inFront();
      const who = await visitor(browser, { viewport, colorScheme, reducedMotion: "reduce" });
      const page = await who.page();
      const key = await back.key(`look-${size}-${colorScheme}`);
      await signIn(page, front.url, key.key);
      await live(page);
      await page.mouse.move(0, 0); // it may be on a button of the board where the one to sign in was
      const look = () =>
        page.evaluate(() => {
          const parts = [...document.querySelectorAll("body, main, header, h1, .empty, .button, [data-strip], .developer")];
          const box = (e) => Object.values(e.getBoundingClientRect().toJSON()).map(Math.round).join(" ");
          const style = (e) => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor, getComputedStyle(e).fontSize].join(" ");
          const root = [...document.documentElement.attributes].map((a) => `${a.name}=${a.value}`).sort();
          return { parts: parts.map((e) => `${e.tagName} ${box(e)} ${style(e)}`), root, title: document.title, scroll: scrollY };
        });
      await page.locator('[data-step="listening"].done').waitFor();
      // What only a board that goes past the server says is looked at without it.
      await page.getByTestId("unrecorded").filter({ hasText: "past this page's server" }).evaluate((note) => {
        note.remove();
      });
      const inPlace = await look();
      if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `${size}-${colorScheme}.png`) });
      await page.reload();
      await live(page);
      await page.locator('[data-step="listening"].done').waitFor();
      assert.deepEqual(inPlace, await look());
      who.calm();
      await who.close();
      await front.end();
    });
  }
}

test("after a reload the key is gone, and the page goes by the server", async () => {
  const front = await inFront();
  const who = await visitor(browser);
  const page = await who.page();
  const barn = await back.key("barn");
  await page.goto("about:blank");
  await signIn(page, front.url, barn.key);
  await live(page);
  await page.getByTestId("unrecorded").filter({ hasText: "What comes now goes past this page's server." }).waitFor();
  await page.reload();
  await page.locator("html.board").waitFor();
  await live(page);
  await page.getByTestId("unrecorded").waitFor({ state: "hidden" });
  await front.program.says(/link to the upstream broker is up/, 15_000);
  await back.send(barn, { temperature: 7 });
  await shows(page, "barn", "temperature", "7", 5000);
  await page.goBack();
  assert.equal(page.url(), "about:blank", "the sign-in page is no step of its own in the history");
  who.calm();
  await who.close();
  await front.end();
});

for (const [how, within] of [
  ["refuse", 8000],
  ["swallow", 32_000],
]) {
  test(`the way to the service is blocked (${how}): by the server within seconds, nothing lost or double, and back`, async () => {
    const front = await inFront();
    const who = await visitor(browser);
    const told = await count(who.context);
    const page = await who.page();
    const shown = () => told(page);
    const key = await back.key(`field-${how}`);
    await signIn(page, front.url, key.key);
    await live(page);
    const stop = numbers(key);
    await until(async () => (await shown()).length > 20, 10_000, "values directly");
    await page.getByTestId("unrecorded").filter({ hasText: "What comes now goes past this page's server." }).waitFor();
    const links = front.links();

    way[how]();
    const blocked = Date.now();
    const then = (await shown()).length;
    await until(() => front.links() > links, within, "the relay");
    await until(async () => (await shown()).length > then + 40, 10_000, "values by the server");
    console.log(`${how}: by the server after ${Date.now() - blocked} ms`);
    await live(page);
    // A broker sends again what was on its way to a line that had fallen silent; ours takes its half minute for that.
    const gaps = (all) => all.length > 0 && new Set(all).size < Math.max(...all) - Math.min(...all) + 1;
    await until(async () => !gaps(await shown()), 60_000, "what waited for the page");

    const connections = way.connections;
    way.heal();
    await until(async () => {
      await page.evaluate(() => dispatchEvent(new Event("online")));
      await new Promise((r) => setTimeout(r, 500));
      return way.connections > connections && way.open() > 0;
    }, 40_000, "the way back");
    const again = (await shown()).length;
    await until(async () => (await shown()).length > again + 50, 15_000, "values directly again");
    const sent = await stop();
    await until(async () => new Set(await shown()).size >= sent, 10_000, "all numbers").catch(() => {});
    const all = await shown();
    const missing = Array.from({ length: sent }, (_, i) => i + 1).filter((n) => n > all[0] && !all.includes(n));
    const double = all.filter((n, i) => all.indexOf(n) !== i);
    if (missing.length > 0) console.log(`first ${all[0]}, ${sent} sent, ${all.length} came, missing: ${missing}`);
    assert.deepEqual({ missing, double }, { missing: [], double: [] });
    await shows(page, `field-${how}`, "n", String(sent), 3000);
    who.calm(/WebSocket connection to 'wss:/);
    await who.close();
    await front.end();
  });
}

test("the switch turns on the board in the sign-in page's place, which stays, and says when no answer comes", async () => {
  const front = await inFront();
  const who = await visitor(browser);
  const page = await who.page();
  const key = await back.key("cellar");
  await signIn(page, front.url, key.key);
  await live(page);
  await page.evaluate(() => {
    window.here = true;
  });
  const button = page.getByRole("switch");
  await page.route("**/watch", () => {}); // a network that swallows it
  await button.click();
  await page.locator('[role=switch][aria-busy="true"]').waitFor();
  await page.locator("[data-watch-said]", { hasText: "No answer came" }).waitFor({ timeout: 15_000 });
  assert.equal(await button.getAttribute("aria-busy"), null);
  await page.unroute("**/watch");
  await button.click();
  await page.locator('[role=switch][aria-checked="true"]').waitFor();
  assert.equal(await page.evaluate(() => window.here), true, "another page was loaded");
  assert.equal(await page.locator("[data-watch-said]").textContent(), "");
  await live(page);
  who.calm();
  await who.close();
  await front.end();
});

test("the check tries the direct line each time anew, and its report says how that went and what to allow", async () => {
  const front = await inFront();
  const who = await visitor(browser);
  const page = await who.page();
  const went = (outcome) => page.locator(`[data-way="direct"][data-outcome="${outcome}"]`).waitFor({ timeout: 15_000 });
  const again = page.locator('[data-again]:not([aria-disabled="true"])');
  await page.goto(`${front.url}/check`);
  await went("works");
  await again.waitFor();
  const report = await page.locator("[data-report]").textContent();
  assert.match(report, /Direct line \(past the server, to the broker\): works/);
  assert.ok(report.includes(`WebSocket to wss://localhost:${way.port}, subprotocol mqtt`), report);
  way.swallow();
  await again.click();
  await went("checking");
  await went("blocked");
  way.heal();
  await page.route("**/check/live/hello*", (route) => route.abort());
  await again.click();
  await went("untested");
  who.calm(/Failed to load resource/, /WebSocket connection to 'wss:/);
  await who.close();
  await front.end();
});
