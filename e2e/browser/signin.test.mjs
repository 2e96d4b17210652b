import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, Server } from "./trellis.mjs";
import { live, signIn, visitor } from "./visit.mjs";

let browser, server;
before(async () => {
  browser = await launch();
  server = await Server.start();
});
after(async () => {
  await browser?.close();
  await server?.end();
});

test("a refused key is said in words, and the field keeps it", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  await page.goto(server.url);
  const field = page.getByLabel("Paste your access key");
  await field.fill("not a key at all");
  await page.getByRole("button", { name: "Connect" }).click();
  await page.getByRole("alert").filter({ hasText: "This access key was not accepted. Check that you copied all of it." }).waitFor();
  assert.equal(await field.inputValue(), "not a key at all");
  who.calm(/status of 401/);
  await who.close();
});

test("signing in works without scripts", async () => {
  const who = await visitor(browser, { javaScriptEnabled: false });
  const page = await who.page();
  const k = await server.key("plain");
  await server.send(k, { temperature: 18.5 });
  await page.goto(server.url);
  await page.getByLabel("Paste your access key").fill("wrong");
  await page.getByRole("button", { name: "Connect" }).click();
  await page.getByText("This access key was not accepted.").waitFor();
  await page.getByLabel("Paste your access key").fill(k.key);
  await page.getByRole("button", { name: "Connect" }).click();
  await page.getByTestId("card").filter({ hasText: "18.5" }).waitFor();
  who.calm(/status of 401/);
  await who.close();
});

test("a key that is withdrawn while its page is open stops the page, which says so", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  const k = await server.key("withdrawn");
  await signIn(page, server.url, k.key);
  await live(page);
  const began = performance.now();
  await server.trellis("key", "revoke", "withdrawn");
  await page.getByText("This access key no longer works.").first().waitFor({ timeout: 5000 });
  console.log(`said after ${Math.round(performance.now() - began)} ms`);
  await page.getByTestId("link").filter({ hasText: "Stopped" }).waitFor();
  await page.reload();
  await page.getByLabel("Paste your access key").waitFor();
  who.calm(/status of 403/); // of the sign-in page, which says that the key was withdrawn
  await who.close();
});

test("signing out ends the session for good", async () => {
  const who = await visitor(browser);
  const page = await who.page();
  await signIn(page, server.url, (await server.key("leaver")).key);
  await live(page);
  const other = await who.page();
  await other.goto(server.url);
  await live(other);
  await page.getByRole("button", { name: "Sign out" }).click();
  await other.locator("[data-strip]:not([hidden])").filter({ hasText: "You signed out in another tab." }).waitFor({ timeout: 10_000 });
  await page.getByLabel("Paste your access key").waitFor();
  await other.locator("[data-strip-words]").filter({ hasText: /^You signed out in another tab\.$/ }).waitFor();
  await other.getByTestId("link").filter({ hasText: "Stopped" }).waitFor();
  await page.goto(server.url);
  await page.getByLabel("Paste your access key").waitFor();
  who.calm();
  await who.close();
});
