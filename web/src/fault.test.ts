import assert from "node:assert/strict";
import { test } from "node:test";
import { type Fault, fault } from "./fault";

test("the first place where a text stops being JSON", async (t) => {
  const cases: [string, string, Fault["what"], number, number][] = [
    ["an object that does not end", '{"a": 1', "comma", 1, 8],
    ["a name without quotes", "{a: 1}", "name", 1, 2],
    ["a comma too many", '{"a": 1,}', "name", 1, 9],
    ["single quotes", "{'a': 1}", "name", 1, 2],
    ["no colon", '{"a" 1}', "colon", 1, 6],
    ["no value", '{\n  "a":\n}', "value", 3, 1],
    ["no comma between members", '{\n  "a": 1\n  "b": 2\n}', "comma", 3, 3],
    ["no comma in a list", "[1 2]", "comma", 1, 4],
    ["text without an end", '["a]', "quote", 1, 2],
    ["an escape that there is not", '"\\x"', "quote", 1, 1],
    ["a number with a plus", "[+1]", "value", 1, 2],
    ["a number that does not end", "[1.]", "value", 1, 2],
    ["a word", "open", "value", 1, 1],
    ["two values", "1 2", "end", 1, 3],
  ];
  for (const [name, text, what, line, column] of cases) {
    await t.test(name, () => {
      assert.throws(() => JSON.parse(text));
      assert.deepEqual(fault(text), { what, line, column });
    });
  }
});

test("nothing is wrong with JSON before its end", () => {
  for (const text of ['{"a": [1, -0.5e3, true, null, {"b": "\\u00e9\\n"}], "c": {}}', "[]", ' "x" ']) {
    assert.doesNotThrow(() => JSON.parse(text));
    assert.deepEqual(fault(text), { what: "end", line: 1, column: text.length + 1 });
  }
});
