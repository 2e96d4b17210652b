/** The script of the page of one value: its chart answers, its times are the reader's, and what comes in is added. */
import { mark } from "./bounds";
import { parse, when } from "./envelope";
import type { Heard, HubSettings, ToPage, Upstream } from "./hub/protocol";
import { Link } from "./link";
import { readings } from "./reading";
import { shown } from "./shown";
import { initial, type State } from "./state";
import { facts, type Stretch, wordsOf as shownOf, slide, take } from "./stretch";
import { Chart } from "./view/chart";
import { copyButtons } from "./view/copy";
import { clone, find, put } from "./view/find";
import { Status } from "./view/status";
import { tableOf } from "./view/table";
import { localTimes } from "./view/times";
import { age, capitalWord, say, sizeOf } from "./words";
import { value as words } from "./words.value";

const main = find(document, "#value");
const live = "live" in main.dataset;
const entity = main.dataset.entity ?? "";
let stretch = JSON.parse(find(document, "#drawn").textContent ?? "{}") as Stretch;
const settings = JSON.parse(find(document, "#settings").textContent ?? "{}") as HubSettings & { now: string };
const opened = Date.now();
const ahead = Date.parse(settings.now) - opened;
const skew = Math.abs(ahead) > 5000 ? ahead : 0; // as on the board
const printed = Date.parse(settings.now);
const latestShown = 10;

const root = document.querySelector<HTMLElement>("[data-chart]");
const chart = root && new Chart(root, stretch, find(document, "h1").textContent ?? "");
const table = tableOf();
const status = new Status();
let state: State = initial(opened);
let upstream: Upstream | null = null;
let at = Date.parse(find<HTMLTimeElement>(document, "[data-age]").dateTime) || 0;
let drawing = false;
const seen = new Set<string>();

function hear(message: ToPage): void {
  switch (message.kind) {
    case "snapshot":
      for (const heard of message.heard) add(heard);
      state = message.state;
      break;
    case "batch":
      for (const heard of message.heard) add(heard);
      return;
    case "state":
      state = message.state;
      break;
    case "upstream":
      upstream = message.up ? null : message;
      break;
  }
  refresh();
}

/** add takes what a message says of this value. */
function add(heard: Heard): void {
  const envelope = parse(heard.payload);
  if (envelope?.about !== entity) return;
  const id = mark(`${heard.at} ${heard.topic} ${heard.payload}`);
  if (seen.has(id)) return;
  seen.add(id);
  if (seen.size > 2000) seen.delete(seen.values().next().value ?? "");
  const arrived = Number.isNaN(envelope.received) ? heard.at + skew : envelope.received;
  const moment = when(envelope, heard.at + skew);
  const found = readings(envelope.data).find((r) => r.name === stretch.reading);
  if (!found || arrived <= printed) return; // the server has printed it
  if (moment >= at) showNow(found.value, moment, envelope.byHand);
  if (!live || envelope.byHand) return; // what a person sent was not measured
  list(found.value, moment);
  if (!chart) {
    readAgain();
    return;
  }
  stretch = take(stretch, moment, found.value);
  drawSoon();
}

/** readAgain loads a page anew that was printed before there was anything to draw; once, should that change nothing. */
function readAgain(): void {
  const [how] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  if (how?.type !== "reload") setTimeout(() => location.reload(), 1500); // it is recorded by then
}

function wordsOf(raw: string | number | boolean): { value: string; unit: string } {
  const { value, unit } = shownOf(stretch, raw);
  return { value: capitalWord(value), unit };
}

function showNow(raw: string | number | boolean, moment: number, byHand: boolean): void {
  at = moment;
  const { value, unit } = wordsOf(raw);
  put(find(document, "[data-value]"), value);
  put(find(document, "[data-unit]"), unit);
  find(document, ".now-value").dataset.size = sizeOf(value + unit);
  put(find(document, "[data-note]"), byHand ? words.byHand : "");
  find<HTMLTimeElement>(document, "[data-age]").dateTime = new Date(at).toISOString();
  showAge(Date.now());
}

function showAge(now: number): void {
  put(find(document, "[data-age]"), age(Math.max(0, now + skew - at)));
}

function list(raw: string | number | boolean, moment: number): void {
  const row = clone("latest");
  const time = find<HTMLTimeElement>(row, "time");
  const { value, unit } = wordsOf(raw);
  time.dateTime = new Date(moment).toISOString();
  put(time, new Date(moment).toLocaleTimeString("en", { hourCycle: "h23" }));
  put(find(row, "span"), unit ? `${value} ${unit}` : value);
  const all = find(document, "[data-latest-list]");
  all.prepend(row);
  while (all.children.length > latestShown) all.lastElementChild?.remove();
  find(document, "[data-latest]").hidden = false;
}

function drawSoon(): void {
  if (drawing) return;
  drawing = true;
  const draw = () => {
    drawing = false;
    drawNow();
  };
  if (document.hidden) setTimeout(draw, 250);
  else requestAnimationFrame(draw);
}

function drawNow(): void {
  stretch = slide(stretch, Math.max(stretch.to, Date.now() + skew));
  chart?.draw(stretch);
  table?.draw(stretch);
  const shown = new Date(stretch.to).toISOString();
  for (const field of document.querySelectorAll<HTMLInputElement>("[data-moment-to]")) field.value = shown;
  for (const name of ["from", "to"] as const) {
    find<HTMLTimeElement>(document, `[data-${name}]`).dateTime = new Date(stretch[name]).toISOString();
  }
  const told = facts(stretch);
  for (const fact of document.querySelectorAll<HTMLElement>(".fact")) {
    const now = told.find((f) => f.name === find(fact, "dt").textContent);
    if (!now) continue;
    put(find(fact, "[data-fact]"), now.value);
    put(find(fact, ".unit"), now.unit);
    const times = fact.querySelectorAll("time");
    for (const [i, time] of times.entries()) {
      if (now.at) time.dateTime = new Date(i === 0 ? now.at : now.until).toISOString();
    }
  }
  localTimes(stretch.to);
}

/** refresh says what is true this second. */
function refresh(): void {
  const now = Date.now();
  let what = shown(state, now, { online: navigator.onLine, secure: location.protocol === "https:", opened });
  if (what.strip === "" && upstream) {
    const strip = upstream.words || say.upstreamDown(main.dataset.linkTo ?? "", upstream.since, now);
    what = { ...what, look: "waiting", word: upstream.words ? say.stopped : say.reconnecting, strip, known: false };
  }
  status.show(what, now);
  if (at > 0) showAge(now);
}

/** The address of the page and not that of the form, so that loading it again makes no second link. */
function leaveForm(): void {
  const made = document.querySelector<HTMLElement>("[data-made]");
  if (location.pathname !== "/value") history.replaceState(null, "", find(document, "[data-moments]").dataset.href);
  made?.querySelector("input")?.select();
}

/** The date is asked for only where it counts. */
function untilDate(): void {
  const until = document.querySelector<HTMLSelectElement>("#moment-until");
  if (!until) return;
  const show = () => {
    find(document, "[data-until-date]").hidden = until.value !== "date";
  };
  until.addEventListener("change", show);
  show();
}

localTimes(stretch.to);
copyButtons();
leaveForm();
untilDate();
for (const part of document.querySelectorAll<HTMLElement>("[data-scripted]")) part.hidden = false;
const ways = (document.documentElement.dataset.ways ?? "").split(" ");
const link = new Link({ ...settings, ways }, hear);
status.onTry(() => link.nudge(true));
link.start();
refresh();
setInterval(refresh, 1000);
if (live && chart) setInterval(drawSoon, Math.max(1000, stretch.every / 20));
addEventListener("keydown", (event) => {
  const to = { "+": -1, "-": 1 }[event.key];
  const typing = (event.target as Element | null)?.closest?.("input, select, textarea");
  if (to === undefined || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const all = [...document.querySelectorAll<HTMLAnchorElement>("[data-span]")];
  const here = all.findIndex((a) => a.getAttribute("aria-current") === "true");
  all[here + to]?.click();
});
