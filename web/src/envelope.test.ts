import assert from "node:assert/strict";
import { test } from "node:test";
import { type Envelope, parse, when } from "./envelope";

function read(changes: object): Envelope | null {
  return parse(JSON.stringify({ msg_type: "publish", data: {}, source: "acme:eu:shed", ...changes }));
}

test("what a person sent is told from what was measured", () => {
  assert.equal(read({ context: { by: "page" } })?.byHand, true);
  assert.equal(read({ source: "acme:eu:operator" })?.byHand, true);
  assert.equal(read({})?.byHand, false);
  assert.equal(read({ source: "acme:eu:operators", context: { by: 1 } })?.byHand, false);
});

test("a message is for somebody or about something", () => {
  assert.equal(read({ entity: "pump" })?.to, "pump");
  assert.equal(read({ entity: "pump", dest: "fan" })?.to, "fan");
  assert.equal(read({ entity: "shed:soil", context: { about: "shed:soil" } })?.to, "");
});

test("a value is of when its sender says, if the sender's clock can be right", () => {
  const received = "2026-05-01T12:00:00Z";
  for (const [stamp, want] of [
    ["2026-05-01T09:00:00Z", "2026-05-01T09:00:00Z"],
    ["2025-11-01T09:00:00Z", "2025-11-01T09:00:00Z"],
    ["2019-01-01T00:03:00Z", received],
    ["2031-01-01T00:00:00Z", received],
    ["nonsense", received],
  ] as const) {
    const envelope = parse(JSON.stringify({ data: 1, timestamp: stamp, context: { received } }));
    assert.ok(envelope);
    assert.equal(when(envelope, 0), Date.parse(want), stamp);
  }
});
