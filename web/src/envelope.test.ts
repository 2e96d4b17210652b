import assert from "node:assert/strict";
import { test } from "node:test";
import { type Envelope, parse } from "./envelope";

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
