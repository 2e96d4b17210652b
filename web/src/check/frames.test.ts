import assert from "node:assert/strict";
import { test } from "node:test";
import { joining, reading, sending } from "./frames";

const hex = (b: Uint8Array) => Buffer.from(b).toString("hex");
const buffer = (text: string) => new Uint8Array(Buffer.from(text, "hex")).buffer;

test("frames go up as the server reads them", () => {
  assert.equal(Buffer.from(joining()).toString(), '\x01{"id":"","have":0,"take":true}');
  assert.equal(hex(sending(258, 3, new Uint8Array([9, 8]))), "0200000000000001020000000000000003" + "0908");
});

test("frames that come down are read, and anything else is nobody's", () => {
  assert.deepEqual(reading(buffer(`81${Buffer.from('{"id":"a.1","up":7,"down":0,"t":1}').toString("hex")}`)), {
    kind: "told",
    up: 7,
  });
  const data = reading(buffer("82" + "0000000000000102" + "0000000000000003" + "0908"));
  assert.deepEqual(data, { kind: "data", pos: 258, bytes: new Uint8Array([9, 8]) });
  for (const bad of ["", "81", "817b7d", "810a", "82", "8200", "83", "01"])
    assert.equal(reading(buffer(bad)), null, bad);
  assert.equal(reading("<html>"), null);
});
