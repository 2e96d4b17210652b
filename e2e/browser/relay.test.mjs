// The board on networks that let no WebSocket through: live within 4 s, and back on the socket when the network heals.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { join } from "node:path";
import { e2e, launch, Program, Server } from "./trellis.mjs";
import { live, shows, signIn, visitor } from "./visit.mjs";

let browser, server;
before(async () => {
  browser = await launch();
  server = await Server.start();
});
after(async () => {
  await browser?.close();
  await server?.end();
});

/** between puts a hostile network in front of the server. */
async function between(bad) {
  const program = new Program("go", ["run", "-C", join(e2e, ".."), "./e2e/hostile/proxy", server.listen, JSON.stringify(bad)]);
  const [, url] = await program.says(/^listening (\S+)$/m, 60_000);
  return {
    url,
    /** sees waits for what comes from now on. */
    sees(what) {
      program.text = "";
      return program.says(new RegExp(`^seen ${what}`, "m"), 20_000);
    },
    async become(other) {
      program.text = "";
      program.child.stdin.write(`${JSON.stringify(other)}\n`);
      await program.says(/^set /m);
    },
    close() {
      program.child.stdin.end();
      return program.gone;
    },
  };
}

const slower = "Live, a little slower here.";
const held = { Hold: -1 };
const networks = [
  ["upgrades refused", { Upgrade: "403" }, false],
  ["upgrades answered with a page", { Upgrade: "page" }, false],
  ["frames swallowed", { Upgrade: "swallow" }, false],
  ["upgrades refused and streams held back", { Upgrade: "403", ...held }, true],
  ["frames swallowed and streams held back", { Upgrade: "swallow", ...held }, true],
];

for (const [name, bad, slow] of networks) {
  test(`live within 4 s, and back on the socket: ${name}`, async () => {
    const network = await between(bad);
    const who = await visitor(browser);
    const page = await who.page();
    const entity = name.replaceAll(" ", "-");
    const k = await server.key(entity);
    const words = page.locator("[data-strip-words]", { hasText: slower });
    const began = performance.now();
    await signIn(page, network.url, k.key);
    await live(page);
    const took = Math.round(performance.now() - began);
    console.log(`${name}: live after ${took} ms`);
    assert.ok(took < 4000, `live after ${took} ms`);
    await server.send(k, { temperature: 20 });
    await shows(page, entity, "temperature", "20", 3000);
    if (slow) await words.waitFor();
    else assert.equal(await words.count(), 0, "a stream is nothing to speak of");

    await network.become({});
    const upgraded = network.sees("upgrade");
    await page.evaluate(() => dispatchEvent(new Event("online")));
    await upgraded;
    if (slow) await words.waitFor({ state: "hidden" });
    await server.send(k, { temperature: 21 });
    await shows(page, entity, "temperature", "21", 3000);
    who.calm(/WebSocket connection|Failed to load resource/);
    await who.close();
    await network.close();
  });
}
