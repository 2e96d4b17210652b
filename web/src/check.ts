/** "Check my connection": tries every way to the server for real and says what that means. */
import { advise, busy } from "./check/advice";
import { type Found, type Offered, offered } from "./check/found";
import { showAdvice, showBroker, showDevices, showHop, showServer, showWay } from "./check/page";
import { report } from "./check/report";
import { run } from "./check/run";
import { find, put } from "./view/find";
import { told } from "./words.check";

const main = find(document, "[data-check]");
const again = find<HTMLButtonElement>(document, "[data-again]");
const copy = find<HTMLButtonElement>(document, "[data-copy]");
const text = find(document, "[data-report]");
const page = {
  plan: (document.documentElement.dataset.ways ?? "")
    .split(" ")
    .filter((w): w is Offered => offered.some((o) => o === w)),
  secureHost: main.dataset.secureHost ?? "",
  front: main.dataset.front !== undefined,
  direct: main.dataset.direct ?? "",
};
const copiedFor = 3000;
const tries = 3; // while our server has no room for another check of this network
const waitForRoom = 6000;
let running = false;

const say = (words: string) => put(find(document, "[data-status]"), words);

/** check runs once at a time. The button stays where it is, and keeps the focus. */
async function check(first: string): Promise<void> {
  if (running) return;
  running = true;
  again.setAttribute("aria-disabled", "true");
  say(first);
  showAdvice(told.checking);
  let found = await once();
  for (let n = 1; n < tries && busy(found); n++) {
    showAdvice(told.waiting);
    await new Promise((done) => setTimeout(done, waitForRoom));
    found = await once();
  }
  const advice = advise(found);
  showAdvice(advice, found);
  put(text, report(found));
  find(document, "[data-report-panel]").hidden = false;
  say(advice.words);
  again.removeAttribute("aria-disabled");
  running = false;
}

async function once(): Promise<Found> {
  showHop("server", "checking", told.checkingShort);
  showHop("broker", "checking", told.checkingShort);
  const rows = page.direct ? (["direct", ...page.plan] as const) : page.plan;
  for (const way of rows) showWay(way, null);
  const found = await run(page, { way: showWay, broker: (b) => showBroker(b, page.front), devices: showDevices });
  for (const way of rows) showWay(way, found.ways[way]);
  showServer(found);
  showBroker(found.broker, page.front);
  return found;
}

/** copyReport copies the text, or selects it where the browser does not let us. */
async function copyReport(): Promise<void> {
  try {
    await navigator.clipboard.writeText(text.textContent ?? "");
  } catch {
    find<HTMLDetailsElement>(document, "[data-details]").open = true;
    getSelection()?.selectAllChildren(text);
    text.closest<HTMLElement>("pre")?.focus();
    say(told.selectedSaid);
    return;
  }
  say(told.copiedSaid);
  put(copy, told.copied);
  setTimeout(() => put(copy, told.copy), copiedFor);
}

/** forget tells the boards' workers of this browser to try every way anew, and those that are yet to come. */
function forget(): void {
  try {
    localStorage.removeItem("trellis-ladder");
  } catch {
    // a browser that keeps nothing
  }
  const channel = new BroadcastChannel("trellis-ladder");
  channel.postMessage({ kind: "forget" });
  channel.close();
  void check(told.forgotten);
}

for (const part of document.querySelectorAll<HTMLElement>("[data-scripted]")) part.hidden = false;
again.addEventListener("click", () => void check(told.checking));
copy.addEventListener("click", () => void copyReport());
find(document, "[data-forget]").addEventListener("click", forget);
void check(told.checking);
