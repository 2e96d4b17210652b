/**
 * What every board has of changing it: the switch, and an ear for what was changed elsewhere. The forms and what sends them come
 * when somebody wants to change something.
 */
import type { Wish } from "./applied";

const others = new BroadcastChannel("trellis.settings");
let shown = document.querySelector("#wishes")?.textContent ?? "";

/** show takes what is set from now on. */
async function show(all: readonly Wish[], moved = false): Promise<void> {
  const text = JSON.stringify(all);
  if (text === shown) return;
  const { apply } = await import("./applied"); // where the network swallows that, all of it is new the next time
  shown = text;
  apply(all, moved);
}

/** ask finds out what is set. Whoever is not answered shows what was set before. */
async function ask(): Promise<void> {
  try {
    const answer = await fetch("/settings", { headers: { Accept: "application/json" }, cache: "no-store" });
    if (answer.ok) await show(((await answer.json()) as { settings: Wish[] }).settings);
  } catch {
    // the next time somebody looks
  }
}

others.addEventListener("message", () => void ask());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") void ask();
});

/** changed is called with what is set after a change here. */
async function changed(all: readonly Wish[], moved: boolean): Promise<void> {
  await show(all, moved);
  others.postMessage("changed");
}

const load = () => import("./settings.form");

document.querySelector("[data-change]")?.addEventListener("click", (event) => {
  const switched = event as MouseEvent;
  if (switched.metaKey || switched.ctrlKey || switched.shiftKey) return; // another tab is wanted
  event.preventDefault();
  load().then(
    ({ turn }) => turn(changed),
    () => location.assign("/?change"), // which needs no script
  );
});
for (const form of document.querySelectorAll("[data-hidden], [data-change-bar]:not([hidden])")) {
  form.addEventListener("submit", begin, { once: true });
}
if ("changing" in document.documentElement.dataset) void load().then(({ adopt }) => adopt(changed));

/** begin sends the first press on a form that the page was printed with, and all that come after it. */
function begin(event: Event): void {
  event.preventDefault();
  const { submitter } = event as SubmitEvent;
  void load().then(({ press }) => press(changed, event.target as HTMLFormElement, submitter));
}
