import assert from "node:assert/strict";
import { test } from "node:test";
import { type Found, noDirect, type Outcome, untested } from "./found";
import { report } from "./report";

const found: Found = {
  at: Date.UTC(2026, 4, 1, 12, 2, 11),
  zone: { name: "Europe/Berlin", minutes: 120 },
  browser: "Mozilla/5.0 (a browser)",
  site: { scheme: "https", host: "trellis.example.com", port: "443" },
  secureHost: "trellis.example.com",
  front: false,
  direct: "",
  hello: { kind: "ours", rtt: 41.2, ahead: -1300 },
  ways: {
    direct: noDirect,
    socket: {
      ...untested,
      outcome: "blocked",
      steps: ["WebSocket handshake refused after 35 ms: it ended before the upgrade"],
    },
    stream: { ...untested, outcome: "held", steps: ["POST /down as a stream: no byte within 2000 ms"] },
    poll: {
      ...untested,
      outcome: "works",
      took: 212,
      steps: ["POST /down as a poll: a message of 100 bytes there and back in 212 ms"],
    },
  },
  broker: { works: true, ms: 3.21 },
  seen: { protocol: "HTTP/1.1", added: ["Via", "X-Forwarded-For"], missing: ["X-Mode"] },
  devices: "silent",
  answer: { protocol: "h2", added: ["x-cache"], missing: ["x-accel-buffering"] },
};

test("the report says what was tried, where it ended and what to allow", () => {
  const text = report(found);
  for (const want of [
    "Time     2026-05-01 14:02:11 +02:00 (Europe/Berlin)",
    "Site     https, host trellis.example.com, port 443",
    "answered by the server after 41 ms; this device's clock is 1.3 s behind",
    "Line through the server (WebSocket): blocked\n    WebSocket handshake refused after 35 ms: it ended before the upgrade",
    "Steady stream (POST, answered as text/event-stream): held back: bytes arrive in bundles",
    "Asking again and again (POST, short answers): works, 212 ms there and back",
    "Direct line (past the server, to the broker): not needed",
    "From the server to its broker and back: works, 3.2 ms there and back",
    "The browser spoke h2 with the first on the way, inside TLS",
    "Headers of answers that were put in: x-cache",
    "Headers of answers that were taken off or changed: x-accel-buffering",
    "The last on the way spoke HTTP/1.1 with the server",
    "Headers of requests that were put in: Via, X-Forwarded-For",
    "Headers of requests that were taken off: X-Mode",
    "- Host trellis.example.com, port 443 (TCP), https and wss",
    "- WebSocket upgrade (RFC 6455) to /live",
    "- POST to /live/*",
    "text/event-stream must not be buffered",
  ]) {
    assert.ok(text.includes(want), `the report lacks "${want}":\n${text}`);
  }
});

test("of another service's broker the report says that it can be reached, and no more", () => {
  const text = report({ ...found, front: true });
  assert.ok(text.includes("From the server to the broker: can be reached, 3.2 ms for a connection"), text);
  assert.ok(text.includes("not needed: pages go through the server, which logs in to the broker"), text);
  assert.doesNotMatch(text, /inside the server|broker and back|3\.2 ms there and back/);
});

test("where pages go past the server the report says how that went, and what to allow for it", () => {
  const said = (outcome: Outcome, step: string) => {
    const direct = { ...untested, outcome, took: outcome === "works" ? 80 : 0, steps: [step] };
    return report({ ...found, front: true, direct: "wss://broker.example.net/ws", ways: { ...found.ways, direct } });
  };
  const works = said("works", "wss://broker.example.net: opens");
  const line = "Direct line (past the server, to the broker): ";
  assert.ok(works.includes(`${line}works, 80 ms there and back\n    wss://broker.example.net: opens`), works);
  const blocked = said("blocked", "wss://broker.example.net: no answer");
  assert.ok(blocked.includes(`${line}blocked\n    wss://broker.example.net: no answer`), blocked);
  for (const text of [works, blocked]) {
    assert.match(
      text,
      /- For the direct line, if you like: WebSocket to wss:\/\/broker\.example\.net, subprotocol mqtt\n/,
    );
    assert.doesNotMatch(text, /not needed/);
  }
  assert.doesNotMatch(report({ ...found, front: true }), /For the direct line/);
});

test("the report says nothing of devices", () => {
  assert.doesNotMatch(report(found).replace("this device's clock", ""), /device/i);
});

test("the report of a page opened at the wrong address names the right one", () => {
  const text = report({
    ...found,
    site: { scheme: "http", host: "10.0.0.7", port: "8080" },
    secureHost: "trellis.example.com:8443",
  });
  assert.ok(text.includes("Site     http, host 10.0.0.7, port 8080"));
  assert.ok(text.includes("- Host trellis.example.com, port 8443 (TCP), https and wss"));
});

test("a proxy that cannot upgrade is told", () => {
  const seen = { protocol: "HTTP/1.0", added: [], missing: [] };
  assert.match(report({ ...found, seen }), /spoke HTTP\/1\.0 with the server, which knows no upgrade to WebSocket/);
});

test("time zones west and by half hours", () => {
  assert.match(report({ ...found, zone: { name: "", minutes: -210 } }), /Time {5}2026-05-01 08:32:11 -03:30\n/);
});

test("every way a plain request can end is said", () => {
  const said = (hello: Found["hello"]) => report({ ...found, hello });
  assert.match(said({ kind: "stranger", status: 0, type: "" }), /by somebody else: a redirect/);
  assert.match(said({ kind: "stranger", status: 403, type: "text/html" }), /by somebody else: status 403, text\/html/);
  assert.match(said({ kind: "gateway", status: 502 }), /answered 502 by a proxy/);
  assert.doesNotMatch(said({ kind: "stranger", status: 200, type: "text/html" }), /taken off or changed/);
  assert.match(said({ kind: "stale" }), /caches answers to POST/);
  assert.match(said({ kind: "refused" }), /start it with --public-url=https:\/\/trellis\.example\.com, or/);
  assert.match(said({ kind: "nobody", offline: true }), /offline/);
  assert.match(said({ kind: "nobody", offline: false }), /not answered/);
  assert.match(said({ kind: "busy" }), /429/);
});
