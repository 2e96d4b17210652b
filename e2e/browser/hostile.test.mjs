import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, Server } from "./trellis.mjs";
import { developer, enter, live, visitor } from "./visit.mjs";

let browser, server;
before(async () => {
  browser = await launch();
  server = await Server.start();
});
after(async () => {
  await browser?.close();
  await server?.end();
});

// Each would run, load or break out somewhere if it were ever taken for anything but text.
const payloads = [
  "<script>window.pwned=1</script>",
  "<img src=x onerror=window.pwned=1>",
  "<svg onload=window.pwned=1>",
  '"><script>window.pwned=1</script>',
  "'-window.pwned=1-'",
  "javascript:window.pwned=1",
  "</script><script>window.pwned=1</script>",
  "<!--<script>window.pwned=1//-->",
  "<style>body{display:none}</style>",
  "<iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
  "{{constructor.constructor('window.pwned=1')()}}",
  "</template><img src=x onerror=window.pwned=1>",
  "<a href=javascript:window.pwned=1 autofocus onfocus=window.pwned=1>x</a>",
  "\u202e<b>backwards</b>\u0000",
  "__proto__",
];

/** A name that holds a control is no name of a value; it is recorded with its message, and has no card. */
const nameOf = (p) => p.replaceAll("\u0000", "");

/** everywhere puts a payload where a device may write: entity, names, values, tags, type, context. */
const everywhere = (p, n) => ({
  msg_type: p,
  data: { [`${n} ${nameOf(p)}`]: p, inner: { [nameOf(p)]: n } },
  tags: [p],
  entity: `${n}:${p}`,
  context: { [p]: p },
});

async function unharmed(page, where) {
  assert.equal(await page.evaluate(() => window.pwned), undefined, `${where}: a payload ran`);
  assert.equal(await page.evaluate(() => ({}).polluted), undefined);
  assert.ok(await page.locator("h1").first().isVisible(), `${where}: the page is gone`);
  assert.equal(await page.locator("output script, output img, output svg, .rows script, .rows img, iframe").count(), 0, `${where}: a payload became an element`);
}

test("what devices write is shown as text, live and printed by the server", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  await enter(page, server.link);
  await live(page);
  await developer(page);
  const k = await server.key("hostile");
  for (const [n, p] of payloads.entries()) await server.send(k, everywhere(p, n));
  await server.send(k, { last: 1 });

  const rows = page.getByTestId("row");
  await rows.filter({ hasText: "last" }).first().waitFor();
  for (const row of await rows.all()) await row.locator("summary").click();
  await unharmed(page, "live");
  for (const where of ["live", "printed"]) {
    const values = await page.getByTestId("card").locator("output").allTextContents();
    for (const p of payloads) {
      const text = p.replace(/[\u202e\u0000]/g, ""); // neither controls nor what turns the direction of a text is shown
      assert.ok(values.some((v) => v.replace("\u0000", "").replace("\ufffd", "").includes(text)), `${where}: ${p} is not among the values ${values}`);
    }
    await unharmed(page, where);
    if (where === "live") {
      await page.reload();
      await live(page);
    }
  }
  who.calm();
  await who.close();
});

test("a page of another site can do nothing with a visitor's session", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  await enter(page, await server.newLink());
  const evil = await who.page();
  // The same machine under another name is another site to a browser, and needs no network.
  const other = server.url.replace("127.0.0.1", "localhost");
  await evil.goto(`${other}/healthz`);
  const outcome = await evil.evaluate(async (target) => {
    const opened = await new Promise((resolve) => {
      const socket = new WebSocket(`${target.replace("http", "ws")}/live`, "mqtt");
      socket.onopen = () => resolve(true);
      socket.onerror = () => resolve(false);
    });
    const posted = await fetch(`${target}/session/end`, { method: "POST", credentials: "include", mode: "no-cors" }).then(
      () => "sent",
      () => "refused",
    );
    const read = await fetch(`${target}/`, { credentials: "include" }).then(
      () => "read",
      () => "refused",
    );
    return { opened, posted, read };
  }, server.url);
  assert.equal(outcome.opened, false, "/live opened for a foreign page");
  assert.equal(outcome.read, "refused", "a foreign page could read the board");
  await page.reload();
  await page.locator("html.board").waitFor();
  await who.close();
});
