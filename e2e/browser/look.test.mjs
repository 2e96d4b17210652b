import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { axeSource, launch, Server } from "./trellis.mjs";
import { developer, enter, live, signIn, visitor } from "./visit.mjs";

let browser, server;
before(async () => {
  browser = await launch();
  server = await Server.start("--demo");
});
after(async () => {
  await browser?.close();
  await server?.end();
});

const sizes = { phone: { width: 390, height: 844 }, desk: { width: 1280, height: 800 } };

/** faults gives what axe-core finds, in words. */
async function faults(page) {
  await page.evaluate(axeSource());
  const found = await page.evaluate(async () => (await window.axe.run(document)).violations);
  return found.flatMap((v) => v.nodes.map((n) => `${v.id}: ${v.help}: ${n.target.join(" ")}: ${n.any[0]?.message ?? ""}`));
}

/** wide gives how far the page can be scrolled to the side. */
const wide = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

async function inspect(page, name) {
  assert.deepEqual(await faults(page), [], `axe-core on ${name}`);
  assert.ok((await wide(page)) <= 0, `${name} can be scrolled to the side by ${await wide(page)} px`);
}

/** check runs the check of the connection and opens all there is to see. */
async function check(page) {
  await page.goto(`${server.url}/check`);
  await page.locator("[data-report-panel]:not([hidden])").waitFor();
  await page.getByText("Details for IT").click();
}

for (const colorScheme of ["light", "dark"]) {
  for (const [size, viewport] of Object.entries(sizes)) {
    test(`axe-core finds nothing on any page, ${colorScheme}, ${size}`, async () => {
      // axe is put in from outside, past the page's content policy; the policy itself is tested everywhere else.
      const who = await visitor(browser, { colorScheme, viewport, bypassCSP: true, reducedMotion: "reduce" });
      const page = await who.page();
      await page.goto(server.url);
      await page.getByLabel("Paste your access key").waitFor();
      await inspect(page, "the sign-in page");
      await page.goto(`${server.url}/enter`);
      await page.getByLabel("One-time code").waitFor();
      await inspect(page, "the enter page");
      await page.goto(`${server.url}/no-such-page`);
      await inspect(page, "an error page");
      await check(page);
      await inspect(page, "the check");
      await enter(page, await server.newLink());
      await live(page);
      await page.getByTestId("card").first().waitFor();
      await inspect(page, "the board");
      await developer(page);
      await page.getByTestId("row").first().waitFor({ timeout: 20_000 });
      await page.getByTestId("row").first().locator("summary").click();
      await inspect(page, "the developer view");
      await check(page);
      await page.getByTestId("device").first().waitFor();
      await inspect(page, "the check with devices");
      who.calm(/status of 404/);
      await who.close();
    });
  }
}

test("pages fit a screen of 360 px", async () => {
  const who = await visitor(browser, { viewport: { width: 360, height: 640 } });
  const page = await who.page();
  await page.goto(server.url);
  assert.ok((await wide(page)) <= 0, "the sign-in page");
  await check(page);
  assert.ok((await wide(page)) <= 0, "the check");
  await enter(page, await server.newLink());
  await page.getByTestId("card").first().waitFor();
  assert.ok((await wide(page)) <= 0, "the board");
  who.calm();
  await who.close();
});

test("a name that is one long word breaks, and not the page", async () => {
  const who = await visitor(browser, { viewport: { width: 360, height: 640 } });
  const page = await who.page();
  const key = await server.key("w".repeat(64));
  await server.send(key, { temperature: 21, ["q".repeat(60)]: 4 });
  await signIn(page, server.url, key.key);
  await live(page);
  const renamed = page.evaluate(() => {
    const wanted = { do: "change", entity: document.querySelector("[data-group]").dataset.group, reading: "temperature", name: "W".repeat(60), high: "3" };
    return fetch("/settings", { method: "POST", body: new URLSearchParams(wanted) }).then((r) => r.status);
  });
  assert.equal(await renamed, 200);
  for (const path of ["/", "/?change", "/happened"]) {
    await page.goto(server.url + path);
    await page.getByText("W".repeat(60)).first().waitFor();
    assert.ok((await wide(page)) <= 0, path);
  }
  who.calm();
  await who.close();
});
