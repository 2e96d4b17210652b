// "Check my connection": what it finds on good and bad networks, and what it tells to whom.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { between } from "./network.mjs";
import { launch, Server } from "./trellis.mjs";
import { signIn, visitor } from "./visit.mjs";

let browser, server;
before(async () => {
  browser = await launch();
  server = await Server.start();
});
after(async () => {
  await browser?.close();
  await server?.end();
});

const fine = "Everything works here. Nothing to do.";
const secondWay = "Everything works here, by a second way. Nothing to do.";
const works = /^works \(\d\.\d+ s\)$/;
const held = "held back (arrives in bundles)";

/** checked waits until the check that runs is over. */
async function checked(page) {
  await page.locator("[data-report-panel]:not([hidden])").waitFor({ timeout: 30_000 });
  await page.locator("[data-again]:not([aria-disabled])").waitFor({ timeout: 30_000 });
}

async function open(page, url) {
  await page.goto(`${url}/check`);
  await checked(page);
}

const advice = (page) => page.getByTestId("advice").textContent();
const report = (page) => page.getByTestId("report").textContent();
const result = (page, way) => page.locator(`[data-way="${way}"] [data-result]`).textContent();
const hop = (page, name) => page.locator(`[data-hop="${name}"]`);

/** finds compares what a page shows; a pattern stands for any text that it matches. */
async function finds(page, want) {
  assert.equal(await advice(page), want.advice);
  for (const [way, words] of Object.entries(want.ways)) {
    const got = await result(page, way);
    assert.ok(words instanceof RegExp ? words.test(got) : got === words, `${way}: "${got}", want ${words}`);
  }
}

test("a guest on a good network learns that all is well, and nothing of devices", async () => {
  const k = await server.key("secret_shed");
  await server.send(k, { temperature: 20 });
  const who = await visitor(browser);
  const page = await who.page();
  const opened = page.waitForResponse("**/check/live/open");
  await page.goto(server.url);
  await page.getByRole("link", { name: "Check my connection" }).click();
  await checked(page);
  await finds(page, { advice: fine, ways: { direct: "not needed", socket: works, stream: works, poll: works } });
  assert.equal(await page.getByTestId("status").textContent(), fine, "what is said to a screen reader");
  for (const name of ["server", "broker"]) assert.match(await hop(page, name).innerText(), /works \(\d\.\d+ s\)/);
  assert.equal(await hop(page, "device").getByRole("link").textContent(), "Sign in to see the devices");
  const text = await report(page);
  for (const want of ["WebSocket upgrade (RFC 6455) to /live", "POST to /live/*", "text/event-stream must not be buffered", `host 127.0.0.1, port ${new URL(server.url).port}`]) {
    assert.ok(text.includes(want), `the report lacks "${want}":\n${text}`);
  }
  const { id } = await (await opened).json();
  assert.ok(id.length > 30);
  for (const secret of [id, k.key, k.jti, "shed", "Cookie", "trellis="]) {
    assert.ok(!text.includes(secret), `the report holds ${secret}`);
    assert.ok(!(await page.content()).includes(secret), `the page holds ${secret}`);
  }
  who.calm();
  await who.close();
});

test("whoever is signed in sees when their devices were heard, anew with each check", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  const k = await server.key("greenhouse:climate");
  await signIn(page, server.url, k.key);
  await open(page, server.url);
  assert.match(await hop(page, "device").innerText(), /No device has sent anything yet\./);
  await server.send(k, { temperature: 20 });
  await server.recorded(k, 1);
  await page.getByRole("button", { name: "Check again" }).click();
  const device = page.getByTestId("device");
  await device.filter({ hasText: "Climate" }).waitFor();
  await checked(page);
  assert.equal(await device.count(), 1);
  assert.match(await device.innerText(), /Climate\s+Greenhouse\s+Last heard (just now|\d+ s ago)/);
  assert.match(await hop(page, "device").innerText(), /1 device heard\./);
  assert.ok(!(await report(page)).includes("limate"), "the report names a device");
  assert.equal(await advice(page), fine);
  who.calm();
  await who.close();
});

const networks = [
  ["upgrades refused", { Upgrade: "403" }, { advice: secondWay, ways: { socket: "blocked", stream: works, poll: works } }, /handshake refused.*ended before the upgrade/],
  ["upgrades answered with a page", { Upgrade: "page" }, { advice: secondWay, ways: { socket: "blocked", stream: works } }, /ended before the upgrade/],
  ["frames swallowed", { Upgrade: "swallow" }, { advice: secondWay, ways: { socket: "blocked", stream: works, poll: works } }, /handshake answered \(101\).*\n.*first frame was not answered.*ended after the upgrade/],
  ["cut after two frames", { Upgrade: "cut", Frames: 2 }, { advice: secondWay, ways: { socket: "blocked", stream: works } }, /broke the connection \(close code 1006\)/],
  ["streams held back", { Hold: -1 }, { advice: fine, ways: { socket: works, stream: held, poll: works } }, /bytes came in one bundle when the stream ended: a proxy buffers the response/],
  [
    "upgrades refused and streams held back",
    { Upgrade: "403", Hold: -1 },
    {
      advice: "It works here, a little slower: this network holds steady streams back and lets them go in bundles. If that is too slow, give the report to whoever looks after the network.",
      ways: { socket: "blocked", stream: held, poll: works },
    },
    /no byte within \d+ ms/,
  ],
  [
    "everything that lasts is cut",
    { Upgrade: "403", Last: 250e6 },
    {
      advice: "It works here, a little slower: this network lets only short questions and answers through. If that is too slow, give the report to whoever looks after the network.",
      ways: { socket: "blocked", stream: "blocked", poll: works },
    },
    /POST \/down as a stream: the connection broke|went up and did not come down while the stream was open/, // where two signs of life got through
  ],
  ["uploads limited", { MaxBody: 8192 }, { advice: fine, ways: { socket: works, stream: works, poll: works } }, /POST \/up of 12000 bytes: answered 413/],
  ["headers taken off", { Strip: true }, { advice: fine, ways: { socket: works } }, /taken off or changed: .*x-accel-buffering/],
];

for (const [name, bad, want, reported] of networks) {
  test(`the check tells what the network does: ${name}`, async () => {
    const network = await between(server, bad);
    const who = await visitor(browser);
    const page = await who.page();
    await open(page, network.url);
    await finds(page, want);
    assert.match(await report(page), reported);
    assert.match(await hop(page, "server").innerText(), /works \(/);
    who.calm(/WebSocket connection|Failed to load resource/);
    await who.close();
    await network.close();
  });
}

test("a login page that comes up is told from trouble, and gone when it is gone", async () => {
  const network = await between(server);
  const who = await visitor(browser);
  const page = await who.page();
  await open(page, network.url);
  assert.equal(await advice(page), fine);
  for (const portal of ["page", "redirect"]) {
    await network.become({ Portal: portal });
    await page.getByRole("button", { name: "Check again" }).click();
    await page.getByTestId("advice").filter({ hasText: "This Wi-Fi wants you to log in first." }).waitFor();
    await checked(page);
    await page.getByRole("link", { name: "Open its page" }).waitFor();
    assert.match(await hop(page, "server").innerText(), /broken here/);
  }
  await network.become({});
  await page.getByRole("button", { name: "Check again" }).click();
  await page.getByTestId("advice").filter({ hasText: fine }).waitFor();
  await network.close();
  await who.context.setOffline(true);
  await checked(page);
  await page.getByRole("button", { name: "Check again" }).click();
  await page.getByTestId("advice").filter({ hasText: "You seem to have no internet." }).waitFor();
  who.calm(/Failed to load resource/);
  await who.close();
});

test("a broker that takes no messages is the broken link", async () => {
  const broken = await Server.start();
  const who = await visitor(browser);
  const page = await who.page();
  await open(page, broken.url);
  assert.equal(await advice(page), fine);
  // From now on the server can write to no file, as on a full disk.
  execFileSync("prlimit", ["--pid", String(broken.program.child.pid), "--fsize=1"]);
  for (let n = 0; n < 10 && (await hop(page, "broker").getAttribute("data-state")) !== "broken"; n++) {
    await page.getByRole("button", { name: "Check again" }).click(); // for a moment the server answers from its last look
    await checked(page);
  }
  assert.match(await advice(page), /this page's server takes no messages from devices now/);
  assert.equal(await hop(page, "server").getAttribute("data-state"), "works");
  assert.match(await report(page), /From the server to its broker and back: takes no messages now/);
  who.calm();
  await who.close();
  await broken.down();
});

test("a way that the server does not offer is not tried", async () => {
  const plain = await Server.start("--ways", "stream");
  const who = await visitor(browser);
  const page = await who.page();
  await open(page, plain.url);
  await finds(page, { advice: fine, ways: { socket: "turned off here", stream: works, poll: "turned off here" } });
  const network = await between(plain, { Hold: -1 });
  await open(page, network.url);
  await finds(page, {
    advice: "This network delivers updates in bundles, so values come late. Give the report to whoever looks after the network, or try another one, such as mobile data.",
    ways: { socket: "turned off here", stream: held, poll: "turned off here" },
  });
  who.calm();
  await who.close();
  await network.close();
  await plain.end();
});

test("a page opened without https says so, and where to go", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  await page.route("**/check", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: (await answer.text()).replace('data-secure-host=""', 'data-secure-host="trellis.example.com"') });
  });
  await open(page, server.url);
  assert.match(await advice(page), /opened without https/);
  assert.equal(await page.getByRole("link", { name: "Open with https" }).getAttribute("href"), "https://trellis.example.com/check");
  assert.match(await report(page), /Host trellis\.example\.com, port 443 \(TCP\), https and wss/);
  who.calm();
  await who.close();
});

test("the report is copied by keyboard, or selected where the browser does not let us", async () => {
  const who = await visitor(browser, { permissions: ["clipboard-read", "clipboard-write"] });
  const page = await who.page();
  await open(page, server.url);
  const said = page.getByTestId("status");
  await page.getByRole("button", { name: "Copy report for IT" }).focus();
  await page.keyboard.press("Enter");
  await said.filter({ hasText: "The report is copied." }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await report(page));
  await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  await page.getByRole("button", { name: /Copy report for IT|Copied/ }).press("Enter");
  await said.filter({ hasText: "The report is selected" }).waitFor();
  assert.ok(await page.locator("[data-details]").getAttribute("open") !== null);
  assert.equal((await page.evaluate(() => String(getSelection()))).trim(), (await report(page)).trim());
  who.calm();
  await who.close();
});

test("the pages of this browser are told to forget", async () => {
  const who = await visitor(browser);
  const other = await who.page();
  await other.goto(server.url);
  const heard = other.evaluate(() => new Promise((resolve) => {
    new BroadcastChannel("trellis-ladder").onmessage = ({ data }) => resolve(data);
  }));
  const page = await who.page();
  await open(page, server.url);
  await page.getByRole("button", { name: "Forget what was learned about this network" }).click();
  assert.deepEqual(await heard, { kind: "forget" });
  await page.getByTestId("status").filter({ hasText: /Forgotten|Everything works/ }).waitFor();
  await checked(page);
  assert.equal(await advice(page), fine);
  who.calm();
  await who.close();
});

test("without scripts it says what the server knows", async () => {
  const who = await visitor(browser, { javaScriptEnabled: false });
  const page = await who.page();
  await page.goto(`${server.url}/check`);
  const note = await page.locator("noscript p").innerText();
  assert.match(note, /^This check needs scripts.*your request came over HTTP\/1\.1, and messages come through\.$/);
  assert.equal(await page.getByRole("button").count(), 0, "buttons that do nothing");
  assert.equal(await result(page, "socket"), "not tested");
  who.calm();
  await who.close();
});

test("everything to press is large enough for a thumb", async () => {
  const who = await visitor(browser, { viewport: { width: 390, height: 844 }, hasTouch: true });
  const page = await who.page();
  await open(page, server.url);
  for (const one of await page.locator("button:visible, summary:visible, main > .aside a").all()) {
    const { height, width } = await one.boundingBox();
    assert.ok(height >= 44 && width >= 44, `${await one.textContent()} is ${width} by ${height}`);
  }
  who.calm();
  await who.close();
});
