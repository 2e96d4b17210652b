import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { e2e, launch, pahoSource, Server, watch } from "./trellis.mjs";
import { visitor } from "./visit.mjs";

let browser, server, between;
before(async () => {
  browser = await launch();
  server = await Server.start();
  between = await watch(server);
});
after(async () => {
  await browser?.close();
  await between?.close();
  await server?.end();
});

/** page serves the documented JavaScript sample, letter by letter but for its place-holders, on an origin of its own. */
async function page({ id, user, password, topic }) {
  const { hostname, port } = new URL(between.url);
  const sample = readFileSync(join(e2e, "testdata", "seed.mjs"), "utf8")
    .replace("'mqtt-ws.tendrl.com'", JSON.stringify(hostname))
    .replace("443", port)
    .replace("'client_id'", JSON.stringify(id))
    .replace("useSSL: true", "useSSL: false")
    .replace("'your_username'", JSON.stringify(user))
    .replace("'your_password'", JSON.stringify(password))
    .replace("'your/messages/topic'", JSON.stringify(topic));
  // The package is a script from before modules; this gives it the name that the sample imports.
  const library = `const module = { exports: {} }, exports = module.exports;\n${pahoSource()}\nexport const Client = module.exports.Client;`;
  const files = {
    "/": ["text/html", '<script type="importmap">{"imports":{"paho-mqtt":"/paho.mjs"}}</script><script type="module" src="/seed.mjs"></script>'],
    "/seed.mjs": ["text/javascript", sample],
    "/paho.mjs": ["text/javascript", library],
  };
  const site = createServer((request, response) => {
    const [type, text] = files[request.url] ?? ["text/plain", ""];
    response.writeHead(200, { "content-type": `${type}; charset=utf-8` }).end(text);
  });
  await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${site.address().port}/`, close: () => new Promise((r) => site.close(r).closeAllConnections()) };
}

/** hears collects what the sample writes on the console and lets a test wait for it. */
async function hears(context, words) {
  const message = await context.waitForEvent("console", { predicate: (m) => m.text().includes(words), timeout: 15_000 });
  return message.text();
}

test("the documented JavaScript sample connects from another origin and hears its messages", async () => {
  const k = await server.key("browser");
  const other = await server.key("phone");
  const site = await page({ id: k.sub, user: k.jti, password: k.key, topic: k.messages });
  const who = await visitor(browser);
  const tab = await who.page();
  const connected = hears(who.context, "Connected to Tendrl MQTT");
  await tab.goto(site.url);
  await connected;

  const received = hears(who.context, "Received message:");
  let heard = false;
  received.then(() => (heard = true));
  // It subscribes after it has connected: what comes before that has nowhere to go.
  for (let tries = 0; !heard && tries < 40; tries++) {
    await server.send(other, { msg_type: "publish", data: { temperature: 25.5 }, tags: ["sensor"], entity: "browser" });
  }
  await received;
  assert.equal(between.opened("/ws"), 1, "connections of one sample");
  who.calm();
  await who.close();
  await site.close();
});

test("with a wrong password the sample is refused twice, and then it is quiet", async () => {
  const k = await server.key("forgetful");
  const site = await page({ id: k.sub, user: k.jti, password: "wrong", topic: k.messages });
  const who = await visitor(browser);
  const tab = await who.page();
  const before = between.opened("/ws");
  const failed = hears(who.context, "Connection failed");
  await tab.goto(site.url);
  await failed;
  // Silence is what is waited for: a client or server that starts a storm has begun within this time.
  await tab.waitForTimeout(3000);
  assert.equal(between.opened("/ws") - before, 2, "logins tried: MQTT 3.1.1, and the library's own second try with 3.1");
  assert.equal(between.open("/ws"), 0, "connections left open");
  who.calm(/Connection failed/, /WebSocket connection/);
  await who.close();
  await site.close();
});
