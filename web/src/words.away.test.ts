import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { awayWords, gapsSaid, type HappenedEvent } from "./words.away";

const now = new Date(2026, 4, 1, 15, 0).getTime(); // in the reader's zone, whatever that is; the server says all in UTC
const iso = (minutesAgo: number) => new Date(now - minutesAgo * 60_000).toISOString();

function event(kind: HappenedEvent["kind"], more: Partial<HappenedEvent>): HappenedEvent {
  const plain = { entity: "", called: "", reading: "", label: "", value: "", unit: "", count: 0, reason: "", who: "" };
  return { kind, from: iso(80), to: iso(33), ...plain, ...more };
}

const said = (events: HappenedEvent[], values = 0, more = false, minutes = 90) =>
  awayWords({ events, values, more }, now - minutes * 60_000, now, "app.tendrl.com");

const quiet = event("quiet", { entity: "greenhouse" });
const door = event("changed", { entity: "door", reading: "door", label: "Door", value: "closed", count: 3 });

test("what matters is said, in the reader's time", () => {
  assert.equal(
    said([door, quiet], 214, false, 47),
    "While you were away (47 min): Greenhouse was quiet from 13:40 to 14:27; Door changed 3 times.",
  );
});

test("where nothing happened that is said", () => {
  assert.equal(said([], 214), "While you were away: nothing unusual, 214 new values.");
  assert.equal(said([], 1), "While you were away: nothing unusual, 1 new value.");
});

test("changes of several days are counted together, and one says what is so now", () => {
  const one = event("changed", { entity: "shed", reading: "pump", label: "Pump", value: "on", count: 1 });
  assert.equal(said([one], 0, false, 3 * 24 * 60), "While you were away (3 days): Pump is now On.");
  assert.equal(said([door, { ...door, count: 4 }]), "While you were away (2 h): Door changed 7 times.");
  assert.equal(said([one, door]), "While you were away (2 h): Shed pump is now On; Door changed 3 times.");
});

test("quiet devices: again and again, still, and since a day before", () => {
  assert.equal(said([quiet, quiet]), "While you were away (2 h): Greenhouse was quiet 2 times, 2 h in all.");
  assert.equal(
    said([{ ...quiet, from: iso(22 * 60), to: null }]),
    "While you were away (2 h): Greenhouse has been quiet since Apr 30, 17:00.",
  );
});

test("a clock does not show the same time twice", () => {
  const soon = { from: iso(80), to: new Date(Date.parse(iso(80)) + 35_000).toISOString() };
  const level = event("outside", { entity: "shed", reading: "level", label: "Level", reason: "below 20", ...soon });
  assert.equal(said([level]), "While you were away (2 h): Level was below 20 at 13:40 for 35 s.");
  assert.equal(
    said([event("gap", { reason: "stopped", ...soon })]),
    "While you were away (2 h): this page's server was off at 13:40 for 35 s.",
  );
  const ago = (minutes: number) => new Date(Date.parse(iso(minutes)) - 86_400_000).toISOString();
  const before = said([event("outside", { reason: "below 20", label: "Level", from: ago(80), to: ago(33) })]);
  assert.match(before, /: Level was below 20 from [^:]*\d, 13:40 to 14:27\.$/, "the day is said once");
});

test("gaps are said in the server's words", () => {
  const vectors = JSON.parse(readFileSync("../templates/testdata/gaps.json", "utf8")) as Record<
    string,
    { was: string; has: string }
  >;
  const said = Object.entries(gapsSaid).map(([reason, [was, has]]) => [reason, { was, has }] as const);
  assert.deepEqual(Object.fromEntries(said), vectors);
});

test("gaps of ours come first, each with its reason", () => {
  const gap = (reason: string, to: string | null = iso(33)) => event("gap", { reason, to });
  const words = (reason: string, to?: string | null) =>
    said([door, gap(reason, to)])
      .split(": ")[1]
      ?.split(";")[0];
  assert.equal(words("stopped"), "this page's server was off between 13:40 and 14:27");
  assert.equal(words("upstream"), "our link to app.tendrl.com was down between 13:40 and 14:27");
  assert.equal(words("upstream", null), "our link to app.tendrl.com has been down since 13:40");
  assert.equal(words("unheard"), "this page's server did not listen between 13:40 and 14:27");
  assert.equal(words("unheard", null), "this page's server has not listened since 13:40");
  assert.equal(words("full"), "the disk of this page's server was full between 13:40 and 14:27");
  assert.equal(words("failing"), "this page's server could not record between 13:40 and 14:27");
  assert.equal(words("full", null), "the disk of this page's server has been full since 13:40");
  assert.equal(words("something"), "nothing could be recorded between 13:40 and 14:27");
  assert.equal(words("failing", null), "this page's server has not been able to record since 13:40");
  assert.equal(
    said([gap("unheard"), gap("unheard")]),
    "While you were away (2 h): this page's server did not listen 2 times, 2 h in all.",
  );
});

test("what somebody else pressed is said before what changed", () => {
  const gate = event("pressed", { entity: "gate", label: "Open the gate", who: "Operator", reason: "answered" });
  assert.equal(said([door, gate]), "While you were away (2 h): Operator pressed Open the gate; Door changed 3 times.");
  const late = { ...gate, reason: "not_sent" };
  assert.equal(said([gate, late]), "While you were away (2 h): Open the gate was pressed 2 times.");
});

test("a line is a line: what is too much is counted", () => {
  const hot = event("highest", {
    entity: "a:climate",
    reading: "t",
    label: "Temperature",
    value: "31.2",
    unit: "°C",
  });
  const cold = { ...hot, kind: "lowest", value: "2" } as const;
  assert.equal(
    said([door, hot, cold, quiet]),
    "While you were away (2 h): Greenhouse was quiet from 13:40 to 14:27; Climate temperature reached 31.2 °C, the highest in a week; " +
      "Climate temperature fell to 2 °C, the lowest in a week; and 1 more.",
  );
  assert.match(said([door], 0, true), /Door changed 3 times; and more\.$/);
});
