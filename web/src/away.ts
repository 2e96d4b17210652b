/**
 * Notices that somebody comes back after more than ten minutes. What is said then comes in only when it is needed. It is bundled apart from
 * board.ts, whose script would grow by what it takes to share modules.
 */
import { absent, looked, read } from "./away.look";
import { mark } from "./bounds";
import { find } from "./view/find";

const kept = "trellis.looked";
const every = 30_000; // how exactly it is known when a machine fell asleep
const tries = 10;

const { now: printed, subscribe } = JSON.parse(find(document, "#settings").textContent ?? "{}") as {
  now: string;
  subscribe: string[];
};
const ahead = Date.parse(printed) - Date.now();
const skew = Math.abs(ahead) > 5000 ? ahead : 0; // as board.ts has it
const board = mark(subscribe.join(" "));
const root = document.documentElement;
let own = 0; // for browsers that keep nothing
let telling = 0;

/** look is called while somebody looks, and when they begin or end to. */
function look(): void {
  const at = Date.now() + skew;
  const before = recall();
  const last = Math.max(before[board] ?? 0, own);
  own = at;
  try {
    localStorage.setItem(kept, JSON.stringify(looked(before, board, at)));
  } catch {
    // it is known as long as this page is open
  }
  const since = absent(last, at);
  if (since > 0) {
    root.dataset.absent = "long"; // so that board.ts does not say in passing what the line says
    void tell(since);
  }
}

function recall() {
  try {
    return read(localStorage.getItem(kept));
  } catch {
    return {};
  }
}

/** tell goes on trying for a while: a machine that wakes has no network yet. */
async function tell(since: number): Promise<void> {
  const mine = ++telling;
  for (let n = 0; n < tries && mine === telling; n++) {
    try {
      const { tellAway } = await import("./away.line");
      await tellAway(since, Date.now() + skew);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, Math.min(30_000, 1000 * 2 ** n)));
    }
  }
}

/** aim has the links to what happened tell it in this browser's zone. */
function aim(since: number): void {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const zone = timeZone ? `zone=${encodeURIComponent(timeZone)}` : "";
  for (const a of document.querySelectorAll<HTMLAnchorElement>("[data-lately]")) a.search = zone;
  find<HTMLAnchorElement>(document, "[data-see]").search = `since=${new Date(since).toISOString()}&${zone}`;
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") {
    delete root.dataset.absent;
    aim(own || Date.now() + skew);
  }
  look();
});
aim(Date.now() + skew);
if (document.visibilityState === "visible") look();
setInterval(() => {
  if (document.visibilityState === "visible") look();
}, every);
