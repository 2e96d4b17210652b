// A moment that somebody sends: what its visitor gets, and that it lasts.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { axeSource, launch, Server } from "./trellis.mjs";
import { live, signIn, visitor } from "./visit.mjs";

let browser, server, shed, gate;
const hour = 3_600_000;
before(async () => {
  browser = await launch();
  server = await Server.start();
  shed = await server.key("house:shed");
  gate = await server.key("neighbour");
  const day = [];
  for (let ago = 23 * hour; ago > 2 * hour; ago -= hour / 4) {
    day.push({ data: { temp_c: 20 + (ago % (8 * hour)) / hour, hidden_word: "nobody-sees-this" }, timestamp: new Date(Date.now() - ago).toISOString() });
  }
  await server.sendAll(shed, day);
  await server.send(gate, { data: { secret_level: 1234 } });
});
after(async () => {
  await browser?.close();
  await server?.end();
});

/** owner is signed in as the shed, on the page of its temperature. */
async function owner(options = {}) {
  const who = await visitor(browser, options);
  const page = await who.page();
  await signIn(page, server.url, shed.key);
  await page.goto(`${server.url}/value?${new URLSearchParams({ entity: "house:shed", reading: "temp_c" })}`);
  return { who, page };
}

async function sendMoment(page, title, until = "No end") {
  await page.getByLabel("Title").fill(title);
  await page.getByLabel("Until").selectOption({ label: until });
  await page.getByRole("button", { name: "Make the link" }).click();
  await page.locator("[data-made]").getByText(title).waitFor();
  const link = await page.getByTestId("made-link").inputValue();
  assert.match(link, /^http:\/\/[^/]+\/moment#[A-Z2-7]{26}$/);
  return link;
}

const sent = (page, title) => page.getByTestId("sent-link").filter({ hasText: title });

/** guest opens a link in a browser of its own, and keeps every byte that it gets. */
async function guest(link, options = {}) {
  const who = await visitor(browser, options);
  const got = [];
  const asked = [];
  who.context.on("request", (r) => asked.push(r.url()));
  // Of what is whole only: a body that a reload abandoned never comes to its end, nor does waiting for it.
  const hear = async (request) => {
    const answer = await request.response();
    const moved = answer.status() >= 300 && answer.status() < 400;
    const body = moved || request.url().includes("/static/") ? "" : await answer.text();
    return `${JSON.stringify(await answer.allHeaders())}\n${body}`;
  };
  who.context.on("requestfinished", (r) => got.push(hear(r).catch((e) => `unread: ${e.message}`)));
  const page = await who.page();
  await page.goto(link);
  return { who, page, asked, bytes: async () => (await Promise.all(got)).join("\n") };
}

test("a moment shows one value in one time, and not a byte of anything else", async () => {
  const { who, page } = await owner();
  const link = await sendMoment(page, "A <i>warm</i> day");
  assert.equal(new URL(page.url()).pathname, "/value", "the address is that of the form");
  const visit = await guest(link);
  await visit.page.getByRole("heading", { level: 1, name: "A <i>warm</i> day" }).waitFor();
  assert.match(visit.page.url(), /\/moment\/[a-z2-7]{10}$/, "the code stays in the address");
  await visit.page.locator(".fact", { hasText: "Lowest" }).waitFor();
  const chart = visit.page.locator("[data-chart]");
  await chart.focus();
  await visit.page.locator("[data-readout]").filter({ hasText: "°C" }).waitFor();
  await server.send(shed, { data: { temp_c: 7777.25 } });
  await visit.page.reload();
  await visit.page.locator(".fact", { hasText: "Highest" }).waitFor();
  const content = await visit.page.content();
  assert.ok(!content.includes("7777") && !content.includes("7,777"), "what came later is shown");

  const all = await visit.bytes();
  assert.ok(all.includes("A &lt;i&gt;warm&lt;/i&gt; day") && all.includes("content-security-policy"), "what the visitor got was not read");
  const code = link.split("#")[1];
  const [account, region] = shed.sub.split(":");
  for (const foreign of [
    shed.key, shed.jti, shed.sub, "house:shed", "hidden_word", "nobody-sees-this", "secret_level", "neighbour", gate.jti, `${account}:`, `${account}/${region}`, "/publish",
    server.mqtt, "/history/", code,
  ]) {
    assert.ok(!all.includes(foreign), `a visitor is told of ${foreign}`);
  }
  assert.ok(visit.asked.every((url) => url.startsWith(server.url) && !url.includes(code)), "the code was asked for, or another site was");
  for (const path of ["/history/latest", "/history/messages", "/value?entity=house%3Ashed&reading=temp_c", "/history/export?entity=house%3Ashed&reading=temp_c"]) {
    const answer = await visit.page.request.get(server.url + path, { headers: { Accept: "application/json" } });
    assert.ok(!answer.ok() || answer.url() === `${server.url}/`, `${path} is open to a visitor`);
  }
  const socket = await visit.page.evaluate(
    () =>
      new Promise((resolve) => {
        const s = new WebSocket(`${location.origin.replace("http", "ws")}/live`, "mqtt");
        s.onclose = (e) => resolve(e.code);
        s.onmessage = () => resolve("heard");
      }),
  );
  assert.notEqual(socket, "heard");
  await page.reload();
  await sent(page, "warm").getByText(/Opened once, last/).waitFor();
  assert.equal(await page.getByTestId("made-link").count(), 0, "the link is shown a second time");
  visit.who.calm();
  who.calm();
  await visit.who.close();
  await who.close();
});

test("a link that was withdrawn says so, and so does one that ended", async () => {
  const { who, page } = await owner();
  const link = await sendMoment(page, "Soon over", "1 day");
  await sent(page, "Soon over").getByText(/Ends on \w+day/).waitFor();
  const visit = await guest(link);
  await visit.page.locator(".fact", { hasText: "Highest" }).waitFor();
  await visit.page.getByText(/This link ends on \w+day\./).waitFor();
  await sent(page, "Soon over").getByRole("button", { name: "Withdraw" }).click();
  await sent(page, "Soon over").getByText(/Withdrawn today/).waitFor();
  await visit.page.reload();
  await visit.page.getByText("This link was withdrawn. Ask whoever sent it to you for a new one.").waitFor();
  await visit.page.goto(`${server.url}/check`); // the same address with another # would be no new page
  await visit.page.goto(link);
  await visit.page.getByRole("alert").filter({ hasText: "This link was withdrawn." }).waitFor();
  const wrong = await guest(`${server.url}/moment#AAAAAAAAAAAAAAAAAAAAAAAAAA`);
  await wrong.page.getByRole("alert").filter({ hasText: "This link is not known here." }).waitFor();
  visit.who.calm(/status of 410/);
  await wrong.who.close();
  await visit.who.close();
  await who.close();
});

test("without scripts a link is made by the form, and opened by its code", async () => {
  const { who: first, page: signed } = await owner();
  const storageState = await first.context.storageState();
  const who = await visitor(browser, { javaScriptEnabled: false, storageState });
  const page = await who.page();
  await page.goto(signed.url());
  const link = await sendMoment(page, "By hand");
  const visit = await guest(link, { javaScriptEnabled: false });
  await visit.page.getByLabel("Code of the link").fill(link.split("#")[1]);
  await visit.page.getByRole("button", { name: "Open" }).click();
  await visit.page.getByRole("heading", { level: 1, name: "By hand" }).waitFor();
  await visit.page.getByText("Times are UTC.").waitFor();
  assert.ok((await visit.page.locator("[data-line]").getAttribute("d")).length > 50);
  for (const one of [visit.who, who, first]) await one.close();
});

for (const [size, viewport] of [["phone", { width: 360, height: 740 }], ["desk", { width: 1280, height: 800 }]]) {
  test(`axe-core finds nothing on a moment, ${size}`, async () => {
    const { who, page } = await owner();
    const link = await sendMoment(page, `To be looked at, ${size}`);
    for (const colorScheme of ["light", "dark"]) {
      const visit = await guest(`${server.url}/moment`, { viewport, colorScheme, bypassCSP: true });
      const inspect = async (name) => {
        await visit.page.evaluate(axeSource());
        const found = await visit.page.evaluate(async () => (await window.axe.run(document)).violations);
        assert.deepEqual(found.map((v) => `${v.id}: ${v.nodes[0].target}`), [], name);
        const wide = await visit.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.ok(wide <= 0, `${name} can be scrolled to the side`);
      };
      await inspect("the door");
      await visit.page.getByLabel("Code of the link").fill(link.split("#")[1]);
      await visit.page.getByRole("button", { name: "Open" }).click();
      await visit.page.locator(".fact", { hasText: "Highest" }).waitFor();
      await visit.page.getByText("Table", { exact: true }).click();
      await inspect("the moment");
      await visit.who.close();
    }
    await who.close();
  });
}

// Last, because what it was made of is gone then. The record is swept a few seconds after a start.
test("a moment outlives the record that it was made of", async () => {
  const { who, page } = await owner();
  const link = await sendMoment(page, "To be kept");
  await server.down();
  server.args = ["--keep", "1h"];
  await server.up();
  const past = new URLSearchParams({ entity: "house:shed", reading: "temp_c", to: new Date(Date.now() - 90 * 60_000).toISOString() });
  for (const began = Date.now(); ; ) {
    const answer = await page.request.get(`${server.url}/value?${past}`);
    if ((await answer.text()).includes("Nothing was heard in this time.")) break;
    assert.ok(Date.now() - began < 30_000, "the record is still there");
    await page.waitForTimeout(500);
  }
  const visit = await guest(link.replace(/^http:\/\/[^/]+/, server.url));
  await visit.page.getByRole("heading", { level: 1, name: "To be kept" }).waitFor();
  assert.ok((await visit.page.locator("[data-line]").getAttribute("d")).length > 200, "its line is gone");
  assert.ok((await visit.page.locator("tbody tr").count()) > 20, "its table is gone");
  visit.who.calm();
  await visit.who.close();
  await who.close();
});
