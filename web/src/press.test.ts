import assert from "node:assert/strict";
import { test } from "node:test";
import { follow, post, pressId, type World, whatBecame, within } from "./press";

/** A world without a network, or with answers one after the other; its clock stands still but for waiting. */
function worldOf(answers: (Response | Error)[], online = true): World & { asked: string[]; at: number } {
  const world = {
    asked: [] as string[],
    at: 0,
    fetch: (_: string, init?: RequestInit) => {
      world.asked.push(String(init?.body));
      const next = answers.shift() ?? new TypeError("no network");
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
    },
    now: () => world.at,
    online: () => online,
    wait: async (ms: number) => {
      world.at += ms;
    },
  };
  return world;
}

const json = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers });
const busy = () => json(429, { message: "Too many tries.", reason: "rate_limited" }, { "Retry-After": "2" });
const signedOut = () => json(401, { message: "You are not signed in here.", reason: "signed_out" });
const form = () => new URLSearchParams({ press: "p1" });

test("a press is asked for again under the same id until there is an answer", async () => {
  const world = worldOf([new TypeError("lost"), json(502, {}), json(200, { id: "p1", state: "accepted" })]);
  const outcome = await post(world, form());
  assert.equal(outcome.kind, "press");
  assert.deepEqual(world.asked, ["press=p1", "press=p1", "press=p1"]);
});

test("after ten seconds it is given back", async () => {
  const world = worldOf([]);
  assert.deepEqual(await post(world, form()), { kind: "lost", maybe: true });
  assert.ok(world.at <= within && world.at > within - 1500, `given back after ${world.at} ms`);
});

test("without any network it was certainly not sent", async () => {
  assert.deepEqual(await post(worldOf([], false), form()), { kind: "lost", maybe: false });
});

test("the server's no is said in its own words, and not asked again", async () => {
  const world = worldOf([json(403, { message: "Not at night.", reason: "hours" })]);
  assert.deepEqual(await post(world, form()), { kind: "refused", words: "Not at night.", reason: "hours" });
  assert.equal(world.asked.length, 1);
});

test("who asks too often asks again when he may, under the same id", async () => {
  const world = worldOf([busy(), busy(), json(200, { id: "p1", state: "accepted" })]);
  assert.equal((await post(world, form())).kind, "press");
  assert.equal(world.at, 4000);
  const refused = await post(worldOf([busy(), busy(), busy(), busy(), busy()]), form());
  assert.deepEqual(refused, { kind: "refused", words: "Too many tries.", reason: "" });
});

test("a button that was pressed as often as it may be says so at once", async () => {
  const world = worldOf([json(429, { message: "Not sent: as often as it may be.", reason: "too_often" })]);
  assert.equal((await post(world, form())).kind, "refused");
});

test("a press that may have arrived is not refused by what is said of somebody who is signed out, or asks too often", async () => {
  for (const no of [signedOut, busy]) {
    const lost = worldOf([new TypeError("lost"), ...Array.from({ length: 20 }, no)]);
    assert.deepEqual(await post(lost, form()), { kind: "lost", maybe: true }, String(no));
    const back = worldOf([new TypeError("lost"), no(), json(200, { id: "p1", state: "accepted" })]);
    assert.equal((await post(back, form())).kind, "press", String(no));
  }
  const looked = worldOf([
    new TypeError("lost"),
    json(409, { message: "It has been changed.", reason: "button_changed" }),
  ]);
  assert.equal((await post(looked, form())).kind, "refused");
});

test("what became of a press is not known until the server has looked for it", async () => {
  const held = json(403, { message: "This access key was withdrawn.", reason: "key_revoked" });
  const none = () => json(404, { message: "Nothing is known of this press.", reason: "press_unknown" });
  const world = worldOf([busy(), signedOut(), held, json(502, {}), json(200, { id: "p1", state: "accepted" }), none()]);
  assert.equal((await whatBecame(world, "p1", () => true))?.kind, "press");
  assert.equal(world.at, 3000 + 30_000 + 30_000 + 3000);
  assert.equal((await whatBecame(world, "p1", () => true))?.kind, "refused");
});

/** followed is what a page has shown of a press, and when it asked last, of a device that answers so late. */
async function followed(answers: number, patient?: number) {
  const pressed = Date.parse("2026-05-01T12:00:00Z");
  const iso = (ms: number) => new Date(pressed + ms).toISOString();
  const accepted = { id: "p1", state: "accepted", pressed: iso(0), ...(patient && { patient: iso(patient) }) };
  const world = worldOf([]);
  let asked = -1;
  world.fetch = async () => {
    asked = world.at;
    return json(200, world.at >= answers ? { ...accepted, state: "answered", words: "19 °C" } : accepted);
  };
  const states: string[] = [];
  const serverNow = () => pressed + world.at;
  await follow(
    world,
    accepted,
    serverNow,
    () => true,
    (p) => states.push(p.state),
  );
  return { last: states.at(-1), asked, times: states.length };
}

test("an answer is shown as soon as it comes while it may be expected, and later too", async () => {
  const [minute, hour] = [60_000, 3_600_000];
  for (const [late, patient] of [[3, 5] as const, [9.5, 10] as const]) {
    const { last, asked } = await followed(late * minute, patient * minute);
    assert.equal(last, "answered");
    assert.ok(asked - late * minute < 2000, `shown ${asked - late * minute} ms late`);
  }
  const { last, asked } = await followed(40 * minute, 10_000);
  assert.equal(last, "answered");
  assert.ok(asked - 40 * minute <= 30_000);
  const never = await followed(2 * hour, 10_000);
  assert.equal(never.last, "accepted");
  assert.ok(never.asked >= hour && never.asked <= hour + 30_000, `asked until ${never.asked}`);
  assert.ok(never.times < 250, `${never.times} requests in an hour`);
});

test("nobody asks after a press whose answer is not awaited", async () => {
  assert.equal((await followed(0)).asked, -1);
});

test("every press has an id of its own", () => {
  const ids = new Set(Array.from({ length: 1000 }, pressId));
  assert.equal(ids.size, 1000);
  for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
});
