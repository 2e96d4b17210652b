// Starts bin/trellis and a browser for the tests beside this file, and talks to the server as devices do.
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const require = createRequire(new URL("../../web/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const patience = 60_000; // ms that anything we start may take to end
const run = (command, words) => promisify(execFile)(command, words, { timeout: patience });

// Whenever this runs it is a little after noon, here, for the servers and in the browsers: what was heard an hour ago was heard today.
// TRELLIS_TZ names another zone, to see what is said at other times of the day.
process.env.TZ = process.env.TRELLIS_TZ ?? zoneOfNoon(new Date().getUTCHours());

function zoneOfNoon(hour) {
  const ahead = 12 - hour; // such zones are named the other way round
  return ahead === 0 ? "UTC" : `Etc/GMT${ahead > 0 ? "-" : "+"}${Math.abs(ahead)}`;
}

export const e2e = fileURLToPath(new URL("..", import.meta.url));
export const pahoSource = () => readFileSync(require.resolve("paho-mqtt"), "utf8");
export const axeSource = () => readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const binary = process.env.TRELLIS_BIN ?? join(e2e, "..", "bin", "trellis");

/** launch starts the Chromium of this machine. */
export async function launch(...args) {
  const places = ["/usr/bin", "/usr/local/bin", "/opt/google/chrome"];
  const names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
  const found = places.flatMap((p) => names.map((n) => join(p, n))).find((file) => existsSync(file));
  if (!found) throw new Error("there is no Chromium; e2e/need installs one");
  return chromium.launch({ executablePath: found, args: ["--no-sandbox", ...args] });
}

/** Program is a child whose output can be awaited. */
export class Program {
  text = "";
  #waiting = new Set();
  constructor(command, args, env = {}) {
    this.child = spawn(command, args, { env: { ...process.env, ...env } });
    const hear = (part) => {
      this.text += part;
      for (const look of this.#waiting) look();
    };
    this.child.stdout.setEncoding("utf8").on("data", hear);
    this.child.stderr.setEncoding("utf8").on("data", hear);
    this.gone = new Promise((resolve) => this.child.once("close", (code) => resolve(code)));
  }

  /** says waits for words and gives what matched. */
  says(pattern, within = 10_000) {
    return new Promise((resolve, reject) => {
      const look = (over) => {
        const found = this.text.match(pattern);
        if (!found && !over) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        if (found) resolve(found);
        else reject(new Error(`${this.child.spawnfile} did not say ${pattern} (${over}):\n${this.text.slice(-4000)}`));
      };
      const timer = setTimeout(() => look(`within ${within} ms`), within);
      this.#waiting.add(look);
      this.gone.then(() => this.#waiting.has(look) && look("it has ended"));
      look();
    });
  }

  async kill(signal = "SIGKILL") {
    this.child.kill(signal);
    return this.ended();
  }

  /** ended gives its exit code. A Go program that does not end says what it is at. */
  async ended(within = patience) {
    const timer = setTimeout(() => this.child.kill("SIGQUIT"), within);
    const code = await this.gone;
    clearTimeout(timer);
    return code;
  }
}

/** Server is one trellis serve on a folder of its own, over its restarts. */
export class Server {
  data = mkdtempSync(join(tmpdir(), "trellis-"));
  listen = "127.0.0.1:0";
  mqtt = "127.0.0.1:0";

  static async start(...args) {
    const s = new Server();
    s.args = args;
    await s.up();
    return s;
  }

  async up() {
    const words = ["serve", "--listen", this.listen, "--mqtt", this.mqtt, "--data", join(this.data, "state"), ...this.args];
    this.program = new Program(binary, words);
    const [, link, url] = await this.program.says(/^Open\s+((http:\/\/\S+)\/enter#\S+)$/m);
    const [, mqtt] = await this.program.says(/^Devices mqtt:\/\/(\S+) and ws:\S+$/m);
    Object.assign(this, { link, url, mqtt, listen: new URL(url).host });
  }

  down() {
    return this.program.kill();
  }

  async end() {
    const code = await this.program.kill("SIGTERM");
    rmSync(this.data, { recursive: true, force: true });
    if (code !== 0) throw new Error(`trellis serve ended with ${code}:\n${this.program.text.slice(-20_000)}`);
  }

  async trellis(...words) {
    const { stdout } = await run(binary, [...words, "--data", join(this.data, "state")]);
    return stdout;
  }

  /** newLink makes another one-time link for the operator. */
  async newLink() {
    return (await this.trellis("link", "--listen", this.listen)).match(/http\S+/)[0];
  }

  /** key makes an access key, with the topics that follow from it. */
  async key(name) {
    const k = JSON.parse(await this.trellis("key", "add", name, "--json"));
    const [account, region] = k.sub.split(":");
    return { ...k, publish: `${account}/${region}/${k.jti}/publish`, messages: `${account}/${region}/${k.jti}/messages` };
  }

  /** send publishes a payload with this key, as a device does, and waits until it is accepted. */
  async send(k, payload) {
    const [host, port] = this.mqtt.split(":");
    const text = typeof payload === "string" ? payload : JSON.stringify(payload);
    const login = ["-h", host, "-p", port, "-i", `${k.sub}#${Math.random()}`, "-u", k.jti, "-P", k.key];
    await run("mosquitto_pub", [...login, "-q", "1", "-t", k.publish, "-m", text]);
  }

  /** seed records what this key sent in the past, see seed below, and waits until it is known how often its devices speak. */
  async seed(k, messages) {
    await seed(join(this.data, "state"), k, messages);
    await this.until(k, "/api/history/happened", ({ learning }) => learning === 0);
  }

  /** recorded says how many messages of this key are in the record, at most a hundred; with a number it waits until there are so many. */
  async recorded(k, atLeast = 0) {
    const { messages } = await this.until(k, "/api/history/messages?limit=100", ({ messages }) => messages.length >= atLeast);
    return messages.length;
  }

  /** until asks for something as a program until it is so. */
  async until(k, path, so) {
    for (const late = Date.now() + 10_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
      const answer = await fetch(this.url + path, { headers: { Authorization: `Bearer ${k.key}` } });
      const told = await answer.json();
      if (so(told)) return told;
      if (Date.now() > late) throw new Error(`${path}: ${JSON.stringify(told).slice(0, 300)}`);
    }
  }

  /** sendAll publishes many payloads in their order over one connection. */
  async sendAll(k, payloads) {
    const [host, port] = this.mqtt.split(":");
    const login = ["-h", host, "-p", port, "-i", `${k.sub}#${Math.random()}`, "-u", k.jti, "-P", k.key];
    const lines = new Program("mosquitto_pub", [...login, "-q", "1", "-t", k.publish, "-l"]);
    lines.child.stdin.end(payloads.map((p) => `${JSON.stringify(p)}\n`).join(""));
    const code = await lines.ended();
    if (code !== 0) throw new Error(`mosquitto_pub ended with ${code}: ${lines.text}`);
  }

  /** wasDown makes a server that is down believe that it has been for so many minutes. */
  wasDown(minutes) {
    return this.alter(`UPDATE alive SET at = at - ${minutes * 60_000_000}`);
  }

  /** hadGap notes that nothing could be recorded in a time of the past. */
  hadGap(reason, began, ended) {
    return this.alter(`INSERT INTO gaps (whose, reason, began, ended) VALUES ('', '${reason}', ${began * 1000}, ${ended * 1000})`);
  }

  /** alter changes the record of a server that is down: what is there then is what a past that takes too long for a test would have left. */
  async alter(query) {
    const words = "import sqlite3,sys\ndb = sqlite3.connect(sys.argv[1])\ndb.execute(sys.argv[2])\ndb.commit()";
    await run("/usr/bin/python3", ["-c", words, join(this.data, "state", "trellis.db"), query]);
  }

  /** sample runs the documented Python sample with this key. */
  sample(k) {
    const [host, port] = this.listen.split(":");
    const words = [join(e2e, "testdata", "run_seed.py"), host, port, `${this.url}/api/claims`, "websockets"];
    return new Program("/usr/bin/python3", words, { TRELLIS_KEY: k.key, PYTHONUNBUFFERED: "1", PYTHONIOENCODING: "utf-8" });
  }
}

/** seed records in a data folder what a key sent in the past: each message is { at, data } and, for a probe behind it, { entity }. */
export async function seed(folder, k, messages) {
  const inTime = messages.toSorted((a, b) => a.at - b.at); // as a server hears them
  const lines = inTime.map(({ at, ...payload }) =>
    JSON.stringify({ topic: k.publish, source: k.sub, entity: k.sub.split(":").slice(2).join(":"), received: new Date(at), payload }),
  );
  const env = { ...process.env, CGO_ENABLED: "0" }; // as the program was built, so that little is left to compile
  const seeding = spawn("go", ["run", "-trimpath", "./seed", folder], { cwd: e2e, env, stdio: ["pipe", "inherit", "inherit"] });
  seeding.stdin.end(`${lines.join("\n")}\n`);
  const code = await new Promise((resolve) => seeding.once("close", resolve));
  if (code !== 0) throw new Error(`seed ended with ${code}`);
}

/** watch stands between browser and server, hands everything on and counts the WebSockets by path. */
export async function watch(server) {
  const opened = [];
  const sockets = new Set();
  let away = false;
  const front = createServer((client) => {
    if (away) return client.destroy();
    const [host, port] = server.listen.split(":");
    const up = connect(Number(port), host);
    const end = () => {
      client.destroy();
      up.destroy();
      sockets.delete(client);
      for (const o of opened) if (o.client === client) o.open = false;
    };
    sockets.add(client);
    client.on("data", (part) => {
      for (const [, path] of part.toString("latin1").matchAll(/^GET (\/live|\/ws)\b/gm)) opened.push({ path, client, open: true });
      up.write(part);
    });
    up.on("data", (part) => client.write(part));
    for (const side of [client, up]) side.on("close", end).on("error", end);
  });
  await new Promise((resolve) => front.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${front.address().port}`;
  return {
    url,
    link: server.link.replace(server.url, url),
    opened: (path) => opened.filter((o) => o.path === path).length,
    open: (path) => opened.filter((o) => o.path === path && o.open).length,
    /** breaks off all there is, and lets nobody through until it heals. */
    breaks() {
      away = true;
      for (const s of sockets) s.destroy();
    },
    heals() {
      away = false;
    },
    close() {
      for (const s of sockets) s.destroy();
      return new Promise((resolve) => front.close(resolve));
    },
  };
}
