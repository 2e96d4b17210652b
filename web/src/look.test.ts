import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  before,
  callApart,
  cardWord,
  type Device,
  type Look,
  lookOf,
  sentence,
  silenceOf,
  stateOf,
  stranger,
} from "./look";
import { entityWords, span } from "./words";

process.env.TZ = "UTC";
const now = Date.UTC(2026, 4, 1, 12);

interface Vectors {
  spans: { ms: number; words: string }[];
  devices: {
    name: string;
    silent: number;
    value?: number;
    down?: boolean;
    rhythm: string;
    usual: number;
    old: number;
    quiet: number;
    look: Look;
    state: string;
    card: string;
    silence?: string;
  }[];
  sentences: {
    devices: { id: string; rhythm: string; values: number; silent?: number; beyond?: string[] }[];
    words: string;
  }[];
  orders: {
    name: string;
    devices: { id: string; rank?: number; needs?: boolean; minor?: boolean }[];
    order: string[];
  }[];
}

const vectors = JSON.parse(readFileSync("../templates/testdata/looks.json", "utf8")) as Vectors;

test("spans are said as the server says them", () => {
  for (const v of vectors.spans) assert.equal(span(v.ms), v.words);
});

test("devices look as the server says", () => {
  for (const v of vectors.devices) {
    const device: Device = {
      heard: now - v.silent * 1000,
      rhythm: v.rhythm,
      usual: v.usual * 1000,
      old: v.old * 1000,
      quiet: v.quiet * 1000,
    };
    const look = lookOf(device, now, !v.down);
    const card = cardWord(device, look, Math.max(v.silent, v.value ?? 0) * 1000);
    assert.deepEqual([look, stateOf(device, look, now), card], [v.look, v.state, v.card], v.name);
    assert.equal(silenceOf(device, look, now), v.silence ?? "", v.name);
  }
});

test("the sentence on top is the server's", () => {
  for (const v of vectors.sentences) {
    const named = v.devices.map((d) => {
      const { name, place } = entityWords(d.id);
      return { name, where: place, called: "" };
    });
    callApart(named);
    const told = v.devices.map((d, at) => {
      const name = named[at]?.called ?? "";
      const device = {
        heard: now - (d.silent ?? 0) * 1000,
        rhythm: d.rhythm,
        usual: 300_000,
        old: 300_000,
        quiet: 825_000,
      };
      const beyond = (d.beyond ?? []).map((words, i) => `${name} value ${i + 1} is ${words}`);
      return { name, device, look: lookOf(device, now, true), values: d.values, minor: 0, beyond };
    });
    assert.equal(sentence(told, now), v.words);
  }
});

test("devices stand where the server puts them", () => {
  for (const v of vectors.orders) {
    const placed = v.devices.map((d) => ({
      entity: d.id,
      name: entityWords(d.id).name,
      rank: d.rank ?? 0,
      needs: d.needs ?? false,
      major: !d.minor,
    }));
    assert.deepEqual(
      placed.sort(before).map((p) => p.entity),
      v.order,
      v.name,
    );
  }
});

test("nobody was quiet while we could not hear", () => {
  const device = { ...stranger, heard: now - 900_000, rhythm: "steady", usual: 300_000, old: 450_000, quiet: 825_000 };
  assert.equal(lookOf(device, now, true), "quiet");
  assert.equal(lookOf(device, now, true, 600_000), "live");
  assert.equal(lookOf(stranger, now, true), "live", "who was never heard");
});
