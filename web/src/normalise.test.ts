import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { normalise } from "./normalise";

interface Vectors {
  readonly path: string;
  readonly received: string;
  readonly known: string[];
  readonly vectors: {
    case: string;
    own?: boolean;
    payload?: string;
    base64?: string;
    want: unknown[];
    raw?: string;
  }[];
}

const all = JSON.parse(readFileSync("../message/testdata/normalise.json", "utf8")) as Vectors;

test("there are as many shared vectors as Go has", () => assert.ok(all.vectors.length >= 50));

for (const v of all.vectors) {
  test(`normalise: ${v.case}`, () => {
    const payload = v.base64 ? Buffer.from(v.base64, "base64") : Buffer.from(v.payload ?? "");
    const got = normalise(payload, {
      path: all.path,
      own: v.own ?? false,
      received: Date.parse(all.received),
      known: (name) => all.known.includes(name),
    });
    assert.deepEqual(
      got.map((g) => JSON.parse(g)),
      v.want,
    );
    assert.ok((got[0] ?? "").includes(v.raw ?? ""), `${got[0]} does not hold ${v.raw}`);
  });
}
