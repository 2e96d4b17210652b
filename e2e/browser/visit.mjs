// What the browser tests do on pages again and again.
import assert from "node:assert/strict";

/** visitor opens a fresh browser profile and collects everything that its pages complain about. */
export async function visitor(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const complaints = [];
  context.on("console", (m) => {
    if (m.type() === "error" || m.type() === "warning") complaints.push(`${m.type()}: ${m.text()}`);
  });
  context.on("weberror", (e) => complaints.push(`uncaught: ${e.error().message}`));
  context.on("dialog", (d) => {
    complaints.push(`dialog: ${d.message()}`);
    d.dismiss().catch(() => {});
  });
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (e) => {
      console.error(`content policy: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`);
    });
  });
  return {
    context,
    page: () => context.newPage(),
    /** calm fails if a page complained, but for what is expected. */
    calm(...expected) {
      const left = complaints.filter((c) => !expected.some((e) => e.test(c)));
      assert.deepEqual(left, [], "the pages complained");
    },
    close: () => context.close(),
  };
}

/** enter opens the operator's link and waits for the board. */
export async function enter(page, link) {
  await page.goto(link);
  await board(page);
}

/** signIn pastes a key and waits for the board. */
export async function signIn(page, url, key) {
  await page.goto(url);
  await page.getByLabel("Paste your access key").fill(key);
  await page.getByRole("button", { name: "Connect" }).click();
  await board(page);
}

async function board(page) {
  await page.locator("html.board").waitFor();
}

/** live waits until the page says that it is live. */
export async function live(page) {
  await page.locator('[data-testid="link"][data-link="live"]').waitFor({ timeout: 15_000 });
}

/** card is the card of one reading of one entity. */
export const card = (page, entity, reading) =>
  page.locator(`[data-testid="card"][data-entity="${entity}"][data-reading="${reading}"]`);

/** shows waits until a card's value is this text. */
export async function shows(page, entity, reading, text, timeout = 10_000) {
  await card(page, entity, reading).locator("output", { hasText: new RegExp(`^${text}$`) }).waitFor({ timeout });
}

/** developer turns the developer view on. */
export async function developer(page) {
  const button = page.getByRole("button", { name: "Developer" });
  await button.waitFor();
  if ((await button.getAttribute("aria-pressed")) !== "true") await button.click();
  await page.getByTestId("developer").waitFor();
}

/** compose fills the send form and presses Send. */
export async function compose(page, { entity, tags, fields }) {
  await developer(page);
  await page.getByLabel("entity", { exact: true }).fill(entity ?? "");
  await page.getByLabel("tags", { exact: true }).fill(tags ?? "");
  const rows = page.locator("[data-field]");
  for (const [i, [name, value]] of Object.entries(fields).entries()) {
    if ((await rows.count()) <= i) await page.getByRole("button", { name: "Add a field" }).click();
    await rows.nth(i).getByLabel("name", { exact: true }).fill(name);
    await rows.nth(i).getByLabel("value", { exact: true }).fill(String(value));
  }
  await page.getByRole("button", { name: "Send", exact: true }).click();
}
