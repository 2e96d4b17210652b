import assert from "node:assert/strict";
import { test } from "node:test";
import { told } from "../words.check";
import { type Advice, advise, busy } from "./advice";
import { type Found, type Hello, noDirect, type Outcome, off, type Tried, untested } from "./found";

const ours: Hello = { kind: "ours", rtt: 40, ahead: 300 };
const site = { scheme: "https", host: "trellis.example.com", port: "443" };

const tried = (outcome: Outcome, took = outcome === "works" ? 200 : 0): Tried => ({ ...untested, outcome, took });
const ended = (code: number): Tried => ({ ...untested, code });

/** ways are how the three ways to the server fared. */
function ways(socket: Outcome | Tried, stream: Outcome | Tried, poll: Outcome | Tried): Partial<Found> {
  const one = (t: Outcome | Tried) => (typeof t === "string" ? tried(t) : t);
  return { ways: { direct: noDirect, socket: one(socket), stream: one(stream), poll: one(poll) } };
}

function found(change: Partial<Found>): Found {
  const base: Found = {
    at: 0,
    zone: { name: "UTC", minutes: 0 },
    browser: "",
    site,
    secureHost: "trellis.example.com",
    front: false,
    direct: "",
    hello: ours,
    ways: { direct: noDirect, socket: tried("works"), stream: tried("works"), poll: tried("works") },
    broker: { works: true, ms: 3 },
    seen: null,
    answer: null,
    devices: "",
  };
  return { ...base, ...change };
}

const none = ways("untested", "untested", "untested");
const answered = (hello: Hello): Partial<Found> => ({ ...none, hello });
const hours = 3_600_000;

const table: [string, Partial<Found>, Partial<Advice>][] = [
  ["everything works", {}, { mood: "fine", words: told.fine }],
  ["the broker is not known", { broker: null }, { words: told.fine }],
  ["no WebSocket, but streams", ways("blocked", "works", "works"), { mood: "fine", words: told.secondWay }],
  ["the first way is turned off", ways("off", "works", "works"), { mood: "fine", words: told.fine }],
  ["only a WebSocket", ways("works", "blocked", "blocked"), { words: told.fine }],
  ["a quiet device", { devices: "quiet" }, { mood: "fine", words: told.someQuiet }],
  [
    "quiet devices, by a second way",
    { ...ways("blocked", "works", "works"), devices: "silent" },
    { words: told.allQuiet },
  ],
  [
    "quiet devices behind a slow network",
    { ...ways("blocked", "held", "works"), devices: "silent" },
    { words: told.bundles },
  ],
  ["devices as usual", { devices: "works" }, { words: told.fine }],
  ["no devices yet", { devices: "none" }, { words: told.fine }],
  ["only polling", ways("blocked", "blocked", "works"), { mood: "slow", words: told.onlyPolling }],
  ["streams in bundles", ways("blocked", "held", "works"), { mood: "slow", words: told.bundles }],
  ["streams in bundles beside a WebSocket", ways("works", "held", "works"), { mood: "fine", words: told.fine }],
  ["only bundles", ways("blocked", "held", "blocked"), { mood: "slow", words: told.onlyBundles }],
  ["only polling, as the server wants it", ways("off", "off", "works"), { mood: "fine", words: told.fine }],
  ["nothing but pages", ways("blocked", "blocked", "blocked"), { mood: "trouble", words: told.onlyPages }],
  [
    "nothing but pages, and no broker",
    { ...ways("blocked", "blocked", "blocked"), broker: { works: false, ms: 0 } },
    { words: told.onlyPages },
  ],
  ["a slow network", ways(tried("works", 3100), "works", "works"), { mood: "slow", words: told.slow("3 seconds") }],
  ["no broker", { broker: { works: false, ms: 0 } }, { mood: "trouble", words: told.brokerDown }],
  [
    "a link to another service's broker that is down, and devices of which nothing is known",
    { front: true, broker: { works: false, ms: 0 }, devices: "unknown" },
    { mood: "trouble", words: told.linkDown },
  ],
  [
    "no broker, by a second way",
    { ...ways("blocked", "works", "works"), broker: { works: false, ms: 0 } },
    { words: told.brokerDown },
  ],
  [
    "a clock that is ahead",
    { hello: { ...ours, ahead: 3 * hours } },
    { mood: "trouble", words: told.clock("3 hours", true) },
  ],
  ["a clock that is behind", { hello: { ...ours, ahead: -3 * 60_000 } }, { words: told.clock("3 minutes", false) }],
  ["a clock that is nearly right", { hello: { ...ours, ahead: 110_000 } }, { mood: "fine", words: told.fine }],
  ["a login page", answered({ kind: "stranger", status: 200, type: "text/html" }), { words: told.login, act: "login" }],
  [
    "a redirect to a login page",
    answered({ kind: "stranger", status: 0, type: "" }),
    { words: told.login, act: "login" },
  ],
  [
    "a network that says so itself",
    answered({ kind: "stranger", status: 511, type: "text/html" }),
    { words: told.login, act: "login" },
  ],
  ["a filter", answered({ kind: "stranger", status: 403, type: "text/html" }), { words: told.somebodyElse }],
  ["an old answer", answered({ kind: "stale" }), { words: told.stale }],
  ["a proxy without the server", answered({ kind: "gateway", status: 502 }), { words: told.gateway }],
  ["no internet", answered({ kind: "nobody", offline: true }), { words: told.noInternet }],
  ["no answer", answered({ kind: "nobody", offline: false }), { words: told.notAnswering }],
  ["a proxy that hides the address", answered({ kind: "refused" }), { words: told.hiddenAddress }],
  ["too many checks", answered({ kind: "busy" }), { words: told.busy }],
  ["too many checks, found out later", ways(ended(4009), ended(4020), ended(4022)), { words: told.busy }],
  ["a server that starts anew", ways(ended(4012), "untested", "untested"), { words: told.restarting }],
  [
    "without https",
    { site: { ...site, scheme: "http", port: "80" }, hello: { kind: "unasked" } },
    { mood: "trouble", words: told.notSecure, act: "secure" },
  ],
  [
    "at another address",
    { site: { ...site, host: "192.168.1.20" } },
    { words: told.otherAddress("trellis.example.com"), act: "secure" },
  ],
  ["at another port", { site: { ...site, port: "8443" } }, { act: "secure" }],
  ["at its port", { site: { ...site, port: "8443" }, secureHost: "trellis.example.com:8443" }, { words: told.fine }],
  [
    "without https, as it is meant",
    { site: { ...site, scheme: "http", port: "8080" }, secureHost: "" },
    { words: told.fine },
  ],
];

for (const [name, change, want] of table) {
  test(`advice: ${name}`, () => {
    const advice = advise(found(change));
    for (const [key, value] of Object.entries(want)) assert.equal(advice[key as keyof Advice], value);
    if (!want.act) assert.equal(advice.act, undefined, "no link is offered");
  });
}

test("a check that found no room is told from one that was blocked", () => {
  assert.ok(busy(found(ways(ended(4020), "works", "works"))));
  assert.ok(busy(found(answered({ kind: "busy" }))));
  assert.ok(!busy(found(ways("blocked", "blocked", "blocked"))));
  assert.ok(!busy(found({ ways: { direct: noDirect, socket: off, stream: off, poll: off } })));
});
