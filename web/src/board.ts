/** The board's script: joins the hub to what the server rendered. */
import { beside } from "./beside";
import { mark, mib, newest } from "./bounds";
import { parse } from "./envelope";
import { take as takeKey } from "./handed";
import { type Batch, type Heard, type HubSettings, randomId, type ToPage, type Upstream } from "./hub/protocol";
import { Link } from "./link";
import { usually } from "./look";
import { shown } from "./shown";
import { initial, type State } from "./state";
import { Board } from "./view/board";
import { loadPen } from "./view/card";
import type { Developer } from "./view/developer";
import { find, hide, put } from "./view/find";
import { drawSoon } from "./view/frame";
import { Hand } from "./view/hand";
import { sendWords } from "./view/sent";
import { Status } from "./view/status";
import { Switch } from "./view/switch";
import { clock, owner, say, span } from "./words";

interface Settings extends Omit<HubSettings, "ways"> {
  readonly entity: string;
  readonly now: string;
}

const settings = JSON.parse(find(document, "#settings").textContent ?? "{}") as Settings;
const opened = Date.now();
const ahead = Date.parse(settings.now) - opened; // the server's clock against ours, without what a slow answer took
const skew = Math.abs(ahead) > 5000 ? ahead : 0;
const now = () => Date.now() + skew;

const values = find(document, "[data-groups]");
const hand = new Hand(values);
const board = new Board(values, now, () => hand.busy());
owner.again = (moved) => {
  board.again(moved);
  refresh();
};
const status = new Status();
const answers = [
  [document.querySelector<HTMLElement>("[data-agree]"), "consent"],
  [document.querySelector<HTMLElement>("[data-offer]"), "taken"],
] as const;
const ways = (document.documentElement.dataset.ways ?? "").split(" ");
const link = new Link({ ...settings, ways }, hear, takeKey());

let state: State = initial(opened);
let developer: Developer | null = null;
let missed = 0; // messages the server had to drop
let troubled = false; // people were told about the trouble that is over now
let away = false; // the machine slept, or nobody looked, until now
let meanwhile: number | null = null; // values that came in right after either
const summary = find(document, "[data-summary]");
const linkTo = summary.dataset.linkTo ?? "";
const dropped = find(document, "[data-dropped]");
const empty = find(document, "[data-empty]");
const read = find(document, "[data-read]");
let pretend = document.querySelector<HTMLElement>("[data-pretend]");
const listening = find(document, '[data-step="listening"]');
let lost = Number(summary.dataset.lost ?? 0); // since when the server had no link when it printed this page
let upstream: Upstream | null = null; // how the server's own link is, while it is down
let early: Heard[] = []; // for the developer view, until it is loaded
let earlyLeft = { left: 0, recorded: true }; // out of what it will list
let refreshing = false;
let refreshed = 0; // ms that it took
let record: Promise<typeof import("./view/record")> | undefined; // what says of it, once there is something to say
const presses = new Map<string, (message: ToPage) => void>();

function hear(message: ToPage): void {
  switch (message.kind) {
    case "snapshot":
      become(message.state);
      break;
    case "batch":
      takeAll(message);
      refreshSoon();
      return;
    case "state":
      become(message.state);
      break;
    case "upstream":
      upstream = message.up ? null : message;
      lost = 0;
      break;
    case "record":
      record ??= beside(() => import("./view/record"));
      void record.then((view) => view.show(message, (at) => clock(at, now())));
      return;
    case "away":
      away = true;
      if (state.link === "live") countNew();
      break;
    case "accepted":
    case "unsent":
      presses.get(message.id)?.(message);
      presses.delete(message.id);
      break;
  }
  refresh();
}

const seen = new Set<string>(); // what a new snapshot would repeat

function takeAll(batch: Batch): void {
  for (const [i, heard] of batch.heard.entries()) take(heard, batch.listed[i] === true);
  if (meanwhile !== null) meanwhile += batch.values;
  missed += batch.lost;
  const left = batch.found.left + batch.others.left;
  if (developer) developer.count(batch);
  else earlyLeft = { left: earlyLeft.left + left, recorded: earlyLeft.recorded && batch.recorded };
}

function take(heard: Heard, listed: boolean): void {
  const id = mark(`${heard.at} ${heard.topic} ${heard.payload}`);
  if (seen.has(id)) return;
  seen.add(id);
  if (seen.size > 2000) seen.delete(seen.values().next().value ?? "");
  const envelope = parse(heard.payload);
  const newer = envelope ? board.hear(envelope, heard.at + skew) : 0;
  if (pretend && newer > 0 && !envelope?.byHand && !pretend.dataset.pretend?.split(" ").includes(heard.topic)) {
    pretend.remove(); // it is somebody's now
    pretend = null;
  }
  if (!listed) return;
  if (developer) developer.hear(heard);
  else early = newest([...early, heard], 1000, 8 * mib, (h) => h.payload.length + h.topic.length);
}

function become(to: State): void {
  const back = to.link === "live" && state.link !== "live";
  state = to;
  if (back) freshDeveloper();
  if (back) setTimeout(() => (lost = 0), 3000); // by then we are told if it is so
  if (!back) {
    if (state.link !== "live") meanwhile ??= 0; // some ways bring values before it is sure that they hold
  } else if (troubled || away) countNew();
  else meanwhile = null;
}

/** countNew tells people, a moment later, how many values came in that they could not see coming. */
function countNew(): void {
  troubled = false;
  meanwhile ??= 0;
  setTimeout(() => {
    if (state.link !== "live") return; // it turned out to be lost: what counts comes when it is back
    // After a long absence the line says it: see away.ts.
    if (meanwhile && !(away && document.documentElement.dataset.absent))
      status.say((away ? say.away : say.back)(meanwhile), Date.now());
    meanwhile = null;
    away = false;
    refresh();
  }, 1500);
}

/** deaf is what is shown while we hear nothing of any device, and this page's own connection is fine. */
const deaf = ({ words, since }: Upstream, at: number) =>
  ({
    look: "waiting",
    word: words ? say.stopped : say.reconnecting,
    strip: words || say.upstreamDown(linkTo, since, at),
    known: false,
  }) as const;

/** hears says whether devices could be heard now. */
const hears = () => state.link === "live" && !upstream;

/** refresh says what is true this second. */
function refresh(): void {
  const began = performance.now();
  const at = Date.now();
  let what = shown(state, at, { online: navigator.onLine, secure: location.protocol === "https:", opened });
  if (what.strip === "" && upstream) what = { ...what, ...deaf(upstream, at) };
  if (lost > 0) what = { ...what, known: false }; // as it was printed, until we are told otherwise
  const why = upstream && what.strip === upstream.words ? upstream.why : ""; // what the strip speaks of now
  for (const [form, when] of answers) if (form) form.hidden = why !== when;
  if (what.strip !== "" && state.lastLive > 0 && state.link !== "live") troubled = true;
  status.show(what, at);
  board.tick(what.known);
  put(summary, headline(what.known, hears(), at));
  const less = [missed > 0 ? say.dropped(missed) : "", board.missing()].filter(Boolean).join(" ");
  put(dropped, less);
  hide(dropped, less === "");
  hideEmpty(board.size > 0 || state.link === "refused");
  developer?.offer(board.entities());
  hide(read, board.size === 0);
  listening.classList.toggle("done", hears());
  refreshed = performance.now() - began;
}

/** headline is the sentence on top. What is not known because of us is said as that. */
function headline(known: boolean, hears: boolean, at: number): string {
  const since = upstream?.since || lost;
  if (known || board.size === 0) return board.summary(hears);
  if ((upstream || lost > 0) && since > 0) return say.lost(linkTo, clock(since, at));
  return say.from(clock(state.lastLive || opened, at));
}

/** refreshSoon is for messages, which may come a thousand a second: of a slow page it takes a twentieth of its time. */
function refreshSoon(): void {
  if (refreshing) return;
  refreshing = true;
  setTimeout(
    () => {
      refreshing = false;
      drawSoon(refresh);
    },
    Math.max(100, 20 * refreshed),
  );
}

/** hideEmpty takes the hints away, but nobody's place on the page with them. */
function hideEmpty(hidden: boolean): void {
  if (hidden && empty.contains(document.activeElement)) find(document, "main").focus();
  hide(empty, hidden);
}

/** press sends a message and reports each stage; the hub gives it back when it could not be sent in time. */
function press(payload: string, stage: (message: ToPage) => void): void {
  const id = randomId();
  presses.set(id, stage);
  link.publish(id, payload);
}

function testValue(): void {
  const button = document.querySelector<HTMLButtonElement>("[data-test-value]");
  let sending = false;
  button?.addEventListener("click", () => {
    if (sending) return;
    const said = find(document, "[data-test-said]");
    sending = true; // without disabling the button, which would lose its focus
    put(said, say.sending);
    press(testPayload(), (message) => {
      sending = false;
      put(said, sendWords(message, Date.now()));
    });
  });
}

/** The operator is no device, so what the operator tries out is about an entity of its own. */
function testPayload(): string {
  return JSON.stringify({
    msg_type: "publish",
    data: { temperature: 21.4 },
    tags: ["test"],
    ...(settings.entity === "" && { entity: "test" }),
    context: { by: "page" },
  });
}

const loadDeveloper = () => import("./view/developer");

async function openDeveloper(): Promise<void> {
  if (developer) return;
  try {
    const { Developer } = await loadDeveloper();
    developer ??= new Developer(press, (search) => link.search(search), earlyLeft);
    for (const heard of early.splice(0)) developer.hear(heard);
    developer.offer(board.entities());
  } catch (error) {
    console.error("trellis developer view:", error);
    put(find(document, "[data-rows-empty]"), say.developerFailed);
  }
}

/** freshDeveloper loads it while the server is there, so that it is at hand when the server is not. */
function freshDeveloper(): void {
  setTimeout(() => {
    if (toggle.on) void openDeveloper();
    else loadDeveloper().catch(() => {}); // a press tries again, and says so
  }, 1500);
}

const aloud = find(document, "[data-aloud]");
read.addEventListener("click", () => {
  aloud.hidden = !aloud.hidden;
  read.setAttribute("aria-expanded", String(!aloud.hidden));
  const words = aloud.hidden ? "" : `${summary.textContent} ${board.aloud()}`;
  put(aloud, words);
  if (words) status.speak(words);
});
status.onTry(() => link.nudge(true));
const toggle = new Switch((on) => {
  if (on) void openDeveloper();
});
testValue();
for (const part of document.querySelectorAll<HTMLElement>("[data-scripted]")) part.hidden = false;
link.start();
loadPen(refresh);
void beside(() => import("./devices")).then((d) => d.follow(board, values)); // what was printed goes on to hold until then
const page = mark(settings.subscribe.join(" "));
beside(() => import("./tell"))
  .then((t) => t.follow({ groups: board.groups, board: page, now, hears, clock, span, usually, stay: link.stay }))
  .catch(() => {}); // nobody can ask for it then
refresh();
setInterval(refresh, 1000);
