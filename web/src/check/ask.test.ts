import assert from "node:assert/strict";
import { test } from "node:test";
import type { Told } from "../carrier/events";
import { answered, greeted, type Reply } from "./ask";

const reply = (status: number, told: Partial<Told> | null, type = told ? "application/json" : "text/html"): Reply => ({
  status,
  type,
  told,
  took: 40,
  headers: new Headers(),
});

test("who answers a hello is known by the nonce", () => {
  assert.deepEqual(greeted(reply(200, { nonce: "n", t: 1000 }), "n", 1520), { kind: "ours", rtt: 40, ahead: 500 });
  assert.deepEqual(greeted(reply(200, { nonce: "other", t: 1000 }), "n", 0), { kind: "stale" });
  assert.deepEqual(greeted(reply(200, {}), "n", 0), { kind: "stranger", status: 200, type: "application/json" });
  assert.deepEqual(greeted(reply(200, null), "n", 0), { kind: "stranger", status: 200, type: "text/html" });
  assert.deepEqual(greeted(reply(0, null, ""), "n", 0), { kind: "stranger", status: 0, type: "" });
  assert.deepEqual(greeted(reply(403, null), "n", 0), { kind: "stranger", status: 403, type: "text/html" });
  assert.deepEqual(greeted(reply(403, { code: 1008 }), "n", 0), { kind: "refused" });
  assert.deepEqual(greeted(reply(429, { code: 4009 }), "n", 0), { kind: "busy" });
  assert.deepEqual(greeted(reply(502, null), "n", 0), { kind: "gateway", status: 502 });
});

test("headers that were put in and taken off are named, not quoted", () => {
  const whole = {
    "Cache-Control": "no-store, no-transform",
    "Content-Length": "50",
    "Content-Security-Policy": "default-src 'none'",
    "Content-Type": "application/json",
    "Permissions-Policy": "camera=()",
    "Referrer-Policy": "same-origin",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
    Date: "now",
  };
  assert.deepEqual(answered(new Headers(whole), "h2"), { protocol: "h2", added: [], missing: [] });
  const changed = new Headers({ ...whole, Via: "1.1 proxy.secret.example", "Cache-Control": "max-age=60" });
  changed.delete("X-Accel-Buffering");
  assert.deepEqual(answered(changed, ""), {
    protocol: "",
    added: ["via"],
    missing: ["x-accel-buffering", "cache-control"],
  });
});
