import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Place, shown } from "./shown";
import { type Happening, initial, next, pause, type State } from "./state";

const noon = Date.UTC(2026, 4, 1, 12, 0, 0);
const place: Place = { online: true, secure: true, opened: noon };

function after(...happenings: Happening[]): State {
  return happenings.reduce(next, initial(noon));
}

const opened: Happening = { kind: "opened", at: noon + 100 };
const lost = (code = 1006, at = noon + 60_000) => ({ kind: "lost", at, code }) as const;

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
  const state = after(lost(4012), { ...lost(4020), words: "Too many.", stranger: "portal" }, lost(), opened);
  assert.deepEqual(state, { ...initial(noon + 100), link: "live", lastLive: noon + 100 });
});

test("the server's last word stays while further tries fail, a stranger's does not", () => {
  const refused = after({ ...lost(4021), words: "Too many pages." }, { ...lost(0), stranger: "gateway" });
  assert.deepEqual([refused.code, refused.words, refused.stranger], [4021, "Too many pages.", "gateway"]);
  assert.equal(next(refused, lost(0)).stranger, "");
});

test("a connection that was let go begins anew, without trouble from before", () => {
  const resumed: Happening = { kind: "resumed", at: noon + 500_000 };
  assert.equal(after(resumed).link, "connecting");
  const state = after(opened, { ...lost(4012), at: noon + 400_000 }, lost(), resumed);
  assert.deepEqual(state, { ...initial(noon + 500_000), link: "waiting", lastLive: noon + 400_000 });
  assert.equal(shown(state, noon + 502_000, place).word, "Live", "it was, and is again in a moment");
  assert.equal(after(opened, resumed).lastLive, noon + 500_000);
  assert.equal(after(lost(4003), resumed).link, "refused");
});

test("the next try comes after 0.5 to 30 s, spread over the whole of it", () => {
  for (let attempt = 0; attempt < 40; attempt++) {
    const state = { ...initial(noon), attempt };
    assert.equal(pause(state, 0), 500);
    assert.ok(pause(state, 1) <= 30_000);
  }
  assert.equal(pause({ ...initial(noon), attempt: 1 }, 1), 2000);
  assert.equal(pause({ ...initial(noon), attempt: 9 }, 1), 30_000);
  for (const code of [4005, 4009, 4020, 4024]) {
    assert.ok(pause({ ...initial(noon), attempt: 1, code }, 1) > 10_000, `${code} is tried slowly`);
  }
  assert.equal(pause({ ...initial(noon), attempt: 1, code: 4025 }, 1), 2000);
});

test("what a live page says of its network", () => {
  const went = (slow: boolean, bundles = 0) =>
    shown(after(opened, { kind: "went", slow, bundles }), noon + 1000, place);
  assert.deepEqual([went(false).strip, went(false).check], ["", ""]);
  assert.deepEqual([went(true).strip, went(true).check], ["Live, a little slower here.", "Why?"]);
  const bundles = went(true, 20);
  assert.equal(bundles.strip, "Your network delivers updates in bundles, about every 20 s.");
  assert.deepEqual([bundles.look, bundles.word, bundles.check], ["live", "Live", "Why?"]);
});

type Case = [
  name: string,
  state: State,
  now: number,
  where: Place,
  word: string,
  strip: RegExp,
  action: string,
  check?: string,
];

/** at is s seconds after what was lost. */
const at = (s: number) => noon + 60_000 + s * 1000;

async function hold(t: TestContext, cases: Case[]): Promise<void> {
  for (const [name, state, now, where, word, strip, action, check = ""] of cases) {
    await t.test(name, () => {
      const got = shown(state, now, where);
      assert.equal(got.word, word);
      assert.match(got.strip, strip);
      assert.equal(got.action, action);
      assert.equal(got.check, check);
    });
  }
}

test("words for trouble", async (t) => {
  const live = after(opened);
  const down = after(opened, lost());
  const strange = (stranger: State["stranger"]) => after(opened, { ...lost(), stranger });
  const limit = after(opened, { ...lost(4020), words: "Too many pages are open from your network." });
  const from = /Showing values from \d\d:\d\d\./;
  const offline = { ...place, online: false };
  const open = { ...place, secure: false };
  const gone = /server is not answering\. Your internet is fine\./;
  const cases: Case[] = [
    ["live says so and nothing else", live, at(0), place, "Live", /^$/, ""],
    ["nothing appears for less than 3 s", down, at(2.9), place, "Live", /^$/, ""],
    ["a strip after 3 s", down, at(3), place, "Reconnecting", /^Reconnecting\. Showing/, ""],
    [
      "a sentence after 15 s",
      down,
      at(15),
      place,
      "Not answering",
      /not answering\. Showing/,
      "try",
      "Check my connection",
    ],
    ["no internet", down, at(15), offline, "No internet", /You seem to have no internet/, "try"],
    ["a login page", strange("portal"), at(3), open, "No internet", /^This Wi-Fi wants you to log in first\.$/, "page"],
    ["one that holds a certificate", strange("portal"), at(3), place, "No internet", /^Something between you/, "page"],
    [
      "a gateway without a server",
      strange("gateway"),
      at(15),
      place,
      "Not answering",
      gone,
      "try",
      "Check my connection",
    ],
    [
      "anybody may say so without https",
      strange("gateway"),
      at(15),
      open,
      "Not answering",
      /answering\. Showing/,
      "try",
      "Check my connection",
    ],
    ["a key used elsewhere", after(opened, lost(4005)), at(4), place, "Reconnecting", /Something else is using/, ""],
    ["a limit without words", after(opened, lost(4009)), at(4), place, "Reconnecting", /^Reconnecting\. Showing/, ""],
    ["a limit with words of its own", limit, at(4), place, "Busy", /^Too many pages are open from your network\.$/, ""],
    ["a refused key at once", after(opened, lost(4003)), at(0), place, "Stopped", /no longer works\. Ask/, "again"],
    ["signed out elsewhere", after(opened, lost(4010)), at(0), place, "Stopped", /^You signed out in another/, "again"],
    ["a first connection in trouble", after(), noon + 4000, place, "Connecting", from, ""],
  ];
  await hold(t, cases);
});

test("words for a server that restarts", async (t) => {
  await hold(t, [
    ["a server that restarts", after(opened, lost(4012)), at(4), place, "Updating", /back in a moment/, ""],
    [
      "and meanwhile does not answer",
      after(opened, lost(4012), lost(1006)),
      at(4),
      place,
      "Updating",
      /back in a moment/,
      "",
    ],
    [
      "and does not come back",
      after(opened, lost(4012)),
      at(15),
      place,
      "Not answering",
      /not answering\. Showing/,
      "try",
      "Check my connection",
    ],
  ]);
});

test("values are not known when our own link is down for long", () => {
  const down = after(opened, lost());
  assert.equal(shown(down, noon + 70_000, place).known, true);
  assert.equal(shown(down, noon + 80_000, place).known, false);
});
