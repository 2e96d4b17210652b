import assert from "node:assert/strict";
import { test } from "node:test";
import { shown } from "./shown";
import { type Happening, initial, next, pause, type State } from "./state";

const noon = Date.UTC(2026, 4, 1, 12, 0, 0);

function after(...happenings: Happening[]): State {
  return happenings.reduce(next, initial(noon));
}

const opened: Happening = { kind: "opened", at: noon + 100 };
const lost = (code = 1006, at = noon + 60_000): Happening => ({ kind: "lost", at, code });

test("the trouble is as old as its first loss", () => {
  const state = after(opened, lost(1006, noon + 1000), lost(1006, noon + 5000));
  assert.equal(state.link, "waiting");
  assert.equal(state.since, noon + 1000);
  assert.equal(state.attempt, 2);
});

test("a refused key is final", () => {
  for (const end of [lost(4003), lost(4010), { kind: "refused", at: noon } as const]) {
    const state = after(opened, end, opened, lost(), { kind: "nudged" });
    assert.equal(state.link, "refused");
  }
});

test("being live forgets earlier trouble", () => {
  const state = after(lost(4012), lost(), opened);
  assert.deepEqual(state, { link: "live", attempt: 0, since: noon + 100, lastLive: noon + 100, code: 0, slow: false });
});

test("the next try comes after 0.5 to 30 s, spread over the whole of it", () => {
  for (let attempt = 0; attempt < 40; attempt++) {
    const state = { ...initial(noon), attempt };
    assert.equal(pause(state, 0), 500);
    assert.ok(pause(state, 1) <= 30_000);
  }
  assert.equal(pause({ ...initial(noon), attempt: 1 }, 1), 2000);
  assert.equal(pause({ ...initial(noon), attempt: 9 }, 1), 30_000);
  assert.ok(pause({ ...initial(noon), attempt: 1, code: 4005 }, 1) > 10_000, "a key used twice is tried slowly");
});

test("polling is said, a stream is not", () => {
  const slow = after(opened, { kind: "went", slow: true });
  assert.equal(shown(slow, noon + 1000, true, noon).strip, "Live, a little slower here.");
  assert.equal(shown(slow, noon + 1000, true, noon).look, "live");
  assert.equal(shown(after(opened, { kind: "went", slow: false }), noon + 1000, true, noon).strip, "");
});

test("words for trouble", async (t) => {
  const live = after(opened);
  const down = after(opened, lost());
  const at = (s: number) => noon + 60_000 + s * 1000;
  const from = /Showing values from \d\d:\d\d\./;
  const cases: [string, State, number, boolean, string, RegExp, string][] = [
    ["live says so and nothing else", live, at(0), true, "Live", /^$/, ""],
    ["nothing appears for less than 3 s", down, at(2.9), true, "Live", /^$/, ""],
    ["a strip after 3 s", down, at(3), true, "Reconnecting", /^Reconnecting\. Showing/, ""],
    ["a sentence after 15 s", down, at(15), true, "Not answering", /server is not answering/, "try"],
    ["no internet", down, at(15), false, "No internet", /You seem to have no internet/, "try"],
    ["a server that restarts", after(opened, lost(4012)), at(4), true, "Updating", /back in a moment/, ""],
    ["a key used elsewhere", after(opened, lost(4005)), at(4), true, "Reconnecting", /Something else is using/, ""],
    ["too many pages", after(opened, lost(4009)), at(4), true, "Busy", /very busy/, ""],
    ["a refused key at once", after(opened, lost(4003)), at(0), true, "Stopped", /no longer works\. Ask/, "again"],
    ["signed out elsewhere", after(opened, lost(4010)), at(0), true, "Stopped", /^You signed out in another/, "again"],
    ["a first connection in trouble", after(), noon + 4000, true, "Connecting", from, ""],
  ];
  for (const [name, state, now, online, word, strip, action] of cases) {
    await t.test(name, () => {
      const got = shown(state, now, online, noon);
      assert.equal(got.word, word);
      assert.match(got.strip, strip);
      assert.equal(got.action, action);
    });
  }
});

test("values are not known when our own link is down for long", () => {
  const down = after(opened, lost());
  assert.equal(shown(down, noon + 70_000, true, noon).known, true);
  assert.equal(shown(down, noon + 80_000, true, noon).known, false);
});
