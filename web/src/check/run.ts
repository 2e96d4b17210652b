/** Runs a check: who answers a plain request, then every way at once, and what the server says beside them. */
import { answered, ask, greeted, type Reply } from "./ask";
import { tryDirect } from "./direct";
import {
  type Answer,
  type Broker,
  elsewhere,
  type Found,
  type Hello,
  noDirect,
  type Offered,
  off,
  type Patience,
  type Seen,
  type Tried,
  untested,
} from "./found";
import { tryRequests } from "./requests";
import { trySocket } from "./socket";

const live = "/check/live";
const helloWithin = 6000;
const hellos = 3; // the first of them also pays for the connection

/** Page is what the template says. */
export interface Page {
  readonly plan: readonly Offered[];
  readonly secureHost: string;
  readonly front: boolean;
  /** Where pages go past the server; empty where they do not. */
  readonly direct: string;
}

/** Devices is when devices were heard, in the server's words; only for somebody who is signed in. */
export interface Devices {
  readonly state: string;
  readonly words: string;
  readonly list: readonly {
    readonly name: string;
    readonly place: string;
    readonly age: string;
    readonly quiet: boolean;
  }[];
  readonly more: string;
}

export interface Watcher {
  way(name: Offered | "direct", tried: Tried): void;
  broker(broker: Broker | null): void;
  /** null: nobody is signed in; undefined: not known. */
  devices(devices: Devices | null | undefined): void;
}

/** run tries everything and tells the watcher as soon as something is known. */
export async function run(page: Page, watcher: Watcher): Promise<Found> {
  const site = { scheme: location.protocol.slice(0, -1), host: location.hostname, port: portOf(location) };
  const before = {
    ...around(),
    site,
    secureHost: page.secureHost,
    front: page.front,
    direct: page.direct,
    broker: null,
    seen: null,
    answer: null,
    devices: "",
  };
  const none = { direct: page.direct ? untested : noDirect, socket: untested, stream: untested, poll: untested };
  if (elsewhere(before)) {
    // Our server refuses pages of that address, so there is nothing to be tried.
    return { ...before, at: Date.now(), hello: { kind: "unasked" }, ways: none };
  }
  const { hello, answer } = await greet();
  if (hello.kind !== "ours") return { ...before, at: Date.now(), hello, answer, ways: none };
  const patience: Patience = { answer: Math.max(5000, 3 * hello.rtt), message: Math.max(2000, 4 * hello.rtt) };
  const [direct, socket, { stream, poll }, broker, told] = await Promise.all([
    tell(page.direct ? tryDirect(page.direct, patience) : Promise.resolve(noDirect), (t) => watcher.way("direct", t)),
    tell(page.plan.includes("socket") ? trySocket(origin() + live, patience) : Promise.resolve(off), (t) =>
      watcher.way("socket", t),
    ),
    tell(tryRequests(live, page.plan, patience), (t) => {
      watcher.way("stream", t.stream);
      watcher.way("poll", t.poll);
    }),
    tell(askBroker(patience), (b) => watcher.broker(b)),
    tell(askSeen(patience), (t) => watcher.devices(t ? (t.devices ?? null) : undefined)),
  ]);
  return {
    ...before,
    at: Date.now(),
    hello,
    answer,
    ways: { direct, socket, stream, poll },
    broker,
    seen: told && { protocol: String(told.protocol), added: told.added ?? [], missing: told.missing ?? [] },
    devices: told?.devices?.state ?? "",
  };
}

/** tell hands a result on as soon as it is there. */
async function tell<T>(running: Promise<T>, to: (result: T) => void): Promise<T> {
  const result = await running;
  to(result);
  return result;
}

/** greet says who answers, and keeps the fastest round trip. */
async function greet(): Promise<{ hello: Hello; answer: Answer | null }> {
  let best: Hello | null = null;
  let answer: Answer | null = null;
  for (let n = 0; n < hellos; n++) {
    const nonce = crypto.getRandomValues(new Uint32Array(2)).join("-");
    let hello: Hello;
    try {
      const reply = await ask(`${live}/hello`, { "X-Nonce": nonce }, null, helloWithin);
      hello = greeted(reply, nonce, Date.now());
      answer = answered(reply.headers, protocolOf(`${live}/hello`));
    } catch {
      hello = { kind: "nobody", offline: !navigator.onLine };
    }
    if (hello.kind !== "ours") return { hello: best ?? hello, answer };
    if (best?.kind !== "ours" || hello.rtt < best.rtt) best = hello;
    if (hello.rtt > helloWithin / hellos) break; // it is slow enough as it is
  }
  return { hello: best ?? { kind: "nobody", offline: false }, answer };
}

async function askBroker(patience: Patience): Promise<Broker | null> {
  const told = await asked<Broker>("/check/broker", {}, patience);
  return told && typeof told.works === "boolean" ? { works: told.works, ms: Number(told.ms) } : null;
}

/** askSeen sends the headers that the ways need, so that the server can say which of them do not come. */
async function askSeen(patience: Patience): Promise<(Seen & { devices?: Devices }) | null> {
  const headers = { "X-Trellis-Session": "none", "X-Pos": "0", "X-Ack": "0", "X-Mode": "none", "X-Nonce": "none" };
  return asked("/check/seen", headers, patience);
}

async function asked<T>(path: string, headers: Record<string, string>, patience: Patience): Promise<T | null> {
  let reply: Reply;
  try {
    reply = await ask(path, headers, null, patience.answer);
  } catch {
    return null;
  }
  return reply.status === 200 ? (reply.told as T | null) : null;
}

function around(): Pick<Found, "browser" | "zone"> {
  const name = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  return { browser: navigator.userAgent, zone: { name, minutes: -new Date().getTimezoneOffset() } };
}

const origin = () => location.origin.replace(/^http/, "ws");
const portOf = ({ port, protocol }: Location) => port || (protocol === "https:" ? "443" : "80");

/** protocolOf names what the browser spoke with whoever is first on the way: "h2". */
function protocolOf(path: string): string {
  const all = performance.getEntriesByName(new URL(path, location.href).href) as PerformanceResourceTiming[];
  return all.at(-1)?.nextHopProtocol ?? "";
}
