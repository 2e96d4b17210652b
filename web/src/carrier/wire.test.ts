import assert from "node:assert/strict";
import { test } from "node:test";
import { EventReader } from "./events";
import { Broken, Flow } from "./flow";
import { ackFrame, dataFrame, joinFrame, pingFrame, readFrame, takeFrame } from "./frames";

const bytes = (text: string) => new TextEncoder().encode(text);
const hex = (b: Uint8Array) => Buffer.from(b).toString("hex");

test("frames up: a kind, numbers of eight bytes, the rest", () => {
  assert.equal(new TextDecoder().decode(joinFrame("a.1", 7, true)), '\u0001{"id":"a.1","have":7,"take":true}');
  assert.equal(hex(dataFrame(258, 2 ** 53 - 1, bytes("hi"))), "02" + "0000000000000102" + "001fffffffffffff" + "6869");
  assert.equal(hex(ackFrame(1)), "03" + "0000000000000001");
  assert.equal(hex(pingFrame(1)), "04" + "0000000000000001");
  assert.equal(hex(takeFrame(1)), "05" + "0000000000000001");
});

test("frames down", () => {
  const read = (b: Uint8Array) => readFrame(b.slice().buffer as ArrayBuffer);
  const told = read(new Uint8Array([0x81, ...bytes('{"up":1,"down":2,"t":3}')]));
  assert.deepEqual(told, { kind: "told", told: { up: 1, down: 2, t: 3 } });
  const data = read(new Uint8Array([0x82, ...dataFrame(5, 6, bytes("abc")).slice(1)]));
  assert.ok(data.kind === "data");
  assert.deepEqual([data.pos, data.up, new TextDecoder().decode(data.data)], [5, 6, "abc"]);
  for (const wrong of [[], [0x02, 1], [0x82, 1, 2], [0x81, 123], [...bytes("<html>")]]) {
    assert.throws(() => read(new Uint8Array(wrong)), `${wrong}`);
  }
});

const beat = 'event: beat\ndata: {"up":1,"down":2,"t":3}\n\n';
const stream = `${beat}id: 40\ndata: ${btoa("hello")}\n\n${beat}event: end\ndata: {"up":0,"down":0,"t":0,"code":4012,"words":"Überholt"}\n\n`;

test("events come whole, wherever the text that carries them is cut", () => {
  const whole = new EventReader().read(bytes(stream));
  assert.deepEqual(
    whole.map((e) => e.kind),
    ["beat", "data", "beat", "end"],
  );
  const all = bytes(stream);
  for (let cut = 0; cut <= all.length; cut++) {
    const reader = new EventReader();
    assert.deepEqual([...reader.read(all.slice(0, cut)), ...reader.read(all.slice(cut))], whole, `cut at ${cut}`);
    assert.deepEqual(
      new EventReader().read(all.slice(0, cut)),
      whole.slice(0, new EventReader().read(all.slice(0, cut)).length),
    );
  }
});

test("what is no event of ours is an error", () => {
  for (const text of ["<html>\n\n", "event: other\ndata: {}\n\n", "id: x\n\n", "x".repeat(200_001)]) {
    assert.throws(() => new EventReader().read(bytes(text)));
  }
});

test("a flow gives what may not have arrived, and takes what is new", () => {
  const flow = new Flow();
  flow.write(bytes("abc"));
  flow.write(bytes("def"));
  assert.ok(flow.arrived(2));
  assert.ok(flow.arrived(1), "older news is no news");
  assert.deepEqual([flow.start, flow.end], [2, 6]);
  assert.equal(new TextDecoder().decode(flow.from(3, 2)), "de");
  assert.equal(flow.arrived(7), false);
  const take = (pos: number, text: string) => {
    const fresh = flow.take(pos, bytes(text));
    return fresh && new TextDecoder().decode(fresh);
  };
  assert.equal(take(0, "hel"), "hel");
  assert.equal(take(0, "hel"), null);
  assert.equal(take(1, "ello"), "lo");
  assert.equal(flow.have, 5);
  assert.throws(() => take(6, "!"), Broken);
});
