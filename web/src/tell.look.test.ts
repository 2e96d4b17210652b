import assert from "node:assert/strict";
import { test } from "node:test";
import type { Look } from "./look";
import {
  asleep,
  type Kept,
  missed,
  mostWishes,
  read,
  settled,
  told,
  unwatched,
  type Watch,
  type Wish,
  watched,
  wished,
  wishOf,
} from "./tell.look";
import { backWords, missedWords, quietWords } from "./words.tell";

const minute = 60_000;
const nothing: Kept = { wishes: [], told: null };
const start = Date.UTC(2026, 4, 1, 14);
const ask = (entity: string, back: number, next: number | null, board = "b"): Wish => ({ board, entity, back, next });
const kept = (...wishes: Wish[]): Kept => ({ ...nothing, wishes });

/** Page is a page that looks every five seconds, hearing. */
class Page {
  watch: Watch = unwatched;
  constructor(
    public at: number,
    public kept: Kept,
  ) {}

  look(devices: Record<string, [Look, number]>, after = 5000, hears = true) {
    this.at += after;
    const [next, blind] = watched(this.watch, this.at, hears);
    const gap = blind && missed(this.kept, "b", blind) ? blind : null;
    const seen = Object.entries(devices).map(([entity, [look, heard]]) => ({ entity, look, heard }));
    const [left, news] = told(next, this.kept, "b", seen);
    this.watch = next;
    this.kept = gap ? { ...left, told: { board: "b", at: this.at, words: [] } } : left;
    return { quiet: news.quiet.map((q) => q.entity), back: news.back, missed: gap };
  }

  /** settle looks until a silence would be believed. */
  settle(devices: Record<string, [Look, number]>): void {
    for (let t = 0; t < settled; t += 5000) assert.deepEqual(this.look(devices), none);
  }
}

const none = { quiet: [], back: [], missed: null };

test("a device that is back is told once, with how long it was quiet, and then the wish is over", () => {
  const gone = start - 40 * minute;
  const page = new Page(start, kept(ask("a", gone, null)));
  page.settle({ a: ["quiet", gone] });
  const back = gone + 47 * minute;
  assert.deepEqual(page.look({ a: ["live", back] }), { ...none, back: [{ entity: "a", length: 47 * minute }] });
  assert.deepEqual(page.kept.wishes, []);
  assert.deepEqual(page.look({ a: ["live", back] }), none);
});

test("how long it was quiet is not said where its end was not watched", () => {
  const page = new Page(start, kept(ask("a", start - minute * 40, null)));
  assert.deepEqual(page.look({ a: ["live", start] }).back, [{ entity: "a", length: 0 }], "no page was open");
  const cut = new Page(start, kept(ask("a", start - minute * 40, null)));
  cut.settle({ a: ["quiet", start - minute * 40] });
  assert.deepEqual(cut.look({ a: ["unknown", start - minute * 40] }, 5000, false), none);
  assert.deepEqual(cut.look({ a: ["live", start + 10_000] }).back, [{ entity: "a", length: 0 }], "our link was down");
});

test("a device that came back and went again while nobody watched is not back", () => {
  const page = new Page(start, kept(ask("a", start - 90 * minute, null)));
  assert.deepEqual(page.look({ a: ["quiet", start - 30 * minute] }), none);
  assert.deepEqual(page.look({ a: ["live", start + 8000] }).back, [{ entity: "a", length: 30 * minute + 8000 }]);
});

test("a silence is told once, the next one again, until it is taken back", () => {
  const page = new Page(start, kept(ask("a", 0, 0)));
  page.settle({ a: ["live", start] });
  assert.deepEqual(page.look({ a: ["quiet", start] }).quiet, ["a"]);
  assert.deepEqual(
    page.look({ a: ["quiet", start + 400] }),
    none,
    "the server counts the same moment a little otherwise",
  );
  assert.deepEqual(page.look({ a: ["live", page.at] }), none);
  assert.deepEqual(page.look({ a: ["quiet", start + 5 * minute] }).quiet, ["a"]);
  page.kept = wished(page.kept, ask("a", 0, null)) ?? page.kept;
  assert.deepEqual(page.look({ a: ["quiet", start + 50 * minute] }), none);
});

test("those that go quiet in the same look, or come back in it, are told together", () => {
  const page = new Page(start, kept(ask("a", 0, 0), ask("b", 0, 0), ask("c", 0, 0)));
  page.settle({ a: ["live", start], b: ["live", start], c: ["live", start] });
  const gone = { a: ["quiet", start], b: ["quiet", start], c: ["live", start] } as const;
  assert.deepEqual(page.look({ a: [...gone.a], b: [...gone.b], c: [...gone.c] }).quiet, ["a", "b"]);
});

test("nothing is told of devices while we hear nothing, and what was not watched is told after", () => {
  const page = new Page(start, kept(ask("a", 0, 0)));
  page.settle({ a: ["live", start] });
  const cut = page.at;
  for (let t = 0; t < 7 * minute; t += 5000) assert.deepEqual(page.look({ a: ["quiet", start] }, 5000, false), none);
  assert.deepEqual(page.look({ a: ["quiet", start] }), { ...none, missed: { from: cut, to: page.at } });
  const back = page.at;
  while (page.at - back < settled - 5000)
    assert.deepEqual(page.look({ a: ["quiet", start] }), none, "it may still speak");
  assert.deepEqual(page.look({ a: ["quiet", start] }).quiet, ["a"]);
});

test("what was not watched is told where it took a while, and by one tab", () => {
  const blind = (all: Kept, time: number) => {
    const page = new Page(start, all);
    page.settle({});
    page.look({}, 5000, false);
    return [page.look({}, time).missed, page.kept] as const;
  };
  assert.equal(blind(nothing, 30_000)[0], null);
  const [first, noted] = blind(nothing, 10 * minute);
  assert.notEqual(first, null);
  assert.equal(blind(noted, 10 * minute)[0], null, "another tab has told it");
});

test("a machine that slept did not watch, and believes no silence before it has heard for a while", () => {
  const page = new Page(start, kept(ask("a", 0, 0)));
  page.settle({ a: ["live", start] });
  const slept = page.at;
  assert.deepEqual(page.look({ a: ["quiet", start] }, asleep + minute).missed, { from: slept, to: page.at });
  assert.deepEqual(page.look({ a: ["live", page.at] }), none);
});

test("wishes are bounded: the oldest makes room", () => {
  let all = kept(ask("x", 0, 0, "other"));
  for (let i = 0; i < mostWishes; i++) all = wished(all, ask(`d${i}`, 0, 0));
  assert.deepEqual([all.wishes.length, all.wishes[0]?.entity], [mostWishes, "d0"]);
  assert.equal(wished(all, ask("d7", 1, 0)).wishes.length, mostWishes);
  assert.equal(wished(all, ask("d7", 0, null)).wishes.length, mostWishes - 1);
  assert.deepEqual(wishOf(all, "b", "nobody"), ask("nobody", 0, null));
});

test("what was kept is read back, and what anything else wrote is not believed", () => {
  const all: Kept = { wishes: [ask("a", 5, null)], told: { board: "b", at: 7, words: ["A is back."] } };
  assert.deepEqual(read(JSON.stringify(all)), all);
  for (const bad of [null, "", "5", "null", "[]", "{", '{"wishes":5,"told":5}'])
    assert.deepEqual(read(bad), nothing, `${bad}`);
  const odd = {
    wishes: [ask("a".repeat(300), 1, 1), { board: "b" }, ask("a", 1, 1)],
    told: { at: 1, board: "b", words: [5] },
  };
  assert.deepEqual(read(JSON.stringify(odd)), { ...nothing, wishes: [ask("a", 1, 1)] });
});

test("the words", () => {
  const ways = {
    clock: (at: number) => new Date(at).toISOString().slice(11, 16),
    span: (ms: number) => `${Math.round(ms / minute)} min`,
  };
  const one = { name: "Greenhouse", heard: start - 20 * minute, usual: "usually every 5 min", last: "21.4 °C" };
  const said = (words: readonly string[]) => words.join(" ").trim();
  assert.equal(
    said(quietWords([one], ways, start)),
    "Greenhouse has been quiet since 13:40 (usually every 5 min). Last value 21.4 °C.",
  );
  assert.equal(
    said(quietWords([{ ...one, usual: "", last: "" }], ways, start)),
    "Greenhouse has been quiet since 13:40.",
  );
  const many = ["Pump", "Zone", "Soil", "Door", "Roof", "Well"].map((name) => ({ ...one, name }));
  assert.equal(said(quietWords(many.slice(0, 3), ways, start)), "3 devices went quiet: Pump, Zone, Soil.");
  assert.equal(said(quietWords(many, ways, start)), "6 devices went quiet: Pump, Zone, Soil, Door, Roof and 1 more.");
  assert.equal(
    said(backWords([{ name: "Greenhouse", length: 47 * minute }], ways)),
    "Greenhouse is back. It was quiet for 47 min.",
  );
  assert.equal(said(backWords([{ name: "Greenhouse", length: 0 }], ways)), "Greenhouse is back.");
  assert.equal(
    said(
      backWords(
        [
          { name: "Pump", length: 0 },
          { name: "Zone", length: 5 },
        ],
        ways,
      ),
    ),
    "2 devices are back: Pump, Zone.",
  );
  const between = { from: start + 2 * minute, to: start + 9 * minute };
  assert.equal(said(missedWords(between, ways, start)), "I could not watch between 14:02 and 14:09.");
  assert.ok(said(backWords([{ name: "n".repeat(900), length: 0 }], ways)).length < 100);
});
