import assert from "node:assert/strict";
import { test } from "node:test";
import { compose, type Draft, fieldsOfJSON, jsonOfFields, jsonValue, tagsOf } from "./compose";

const at = new Date("2026-05-01T12:00:00Z");
const draft: Draft = {
  type: "publish",
  entity: "",
  tags: "",
  as: "fields",
  fields: [
    { name: "temperature", value: "21.5" },
    { name: "", value: "" },
  ],
  json: "",
};

function payload(changes: Partial<Draft>): unknown {
  const made = compose({ ...draft, ...changes }, at);
  return "payload" in made ? JSON.parse(made.payload) : made.problem;
}

test("fields become data", () => {
  assert.deepEqual(payload({}), {
    msg_type: "publish",
    data: { temperature: 21.5 },
    timestamp: "2026-05-01T12:00:00.000Z",
    context: { by: "page" },
  });
});

test("tags and entity go along when they are given", () => {
  assert.deepEqual(payload({ tags: "a, b ,a,", entity: " shed:pump ", type: "heartbeat" }), {
    msg_type: "heartbeat",
    data: { temperature: 21.5 },
    tags: ["a", "b"],
    timestamp: "2026-05-01T12:00:00.000Z",
    entity: "shed:pump",
    context: { by: "page" },
  });
});

test("what is missing is said", () => {
  assert.match(String(payload({ fields: [] })), /nothing to send/);
  assert.match(String(payload({ fields: [{ name: "", value: "1" }] })), /no name/);
  assert.match(String(payload({ as: "json", json: "{" })), /not JSON yet\. Line 1, column 2: a name/);
  assert.match(String(payload({ tags: Array.from({ length: 11 }, (_, i) => `t${i}`).join() })), /At most 10/);
});

test("values as people type them", () => {
  const typed: [string, unknown][] = [
    ["1", 1],
    ["-0.5", -0.5],
    ["1e3", 1000],
    ["true", true],
    ["null", null],
  ];
  for (const [text, value] of typed) assert.equal(jsonValue(text), value);
  for (const text of ["007", "1.", "open", "0x10", "", "+1"]) assert.equal(jsonValue(text), text);
});

test("a draft survives going to JSON and back", () => {
  const json = jsonOfFields([
    { name: "a", value: "1" },
    { name: "b", value: "x" },
  ]);
  assert.deepEqual(fieldsOfJSON(json), [
    { name: "a", value: "1" },
    { name: "b", value: "x" },
  ]);
  assert.equal(fieldsOfJSON('{"a":[1]}'), null);
  assert.equal(fieldsOfJSON("[1]"), null);
});

test("tags", () => {
  assert.deepEqual(tagsOf(" , "), []);
});
