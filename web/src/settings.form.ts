/**
 * Changing things where they stand. The server prints a form for each of them (/?change); here they are put on the live page, and
 * what is changed in one is sent at once.
 */
import type { Wish } from "./applied";
// As in applied.ts: what the board shares with the sign-in stays in one piece.
import "./bounds";
import "./envelope";
import "./handed";
import "./signins";
import "./view/sent";
import { changePage } from "./policy";
import { find, put } from "./view/find";
import { owner } from "./words";
import { say } from "./words.settings";

type Changed = (all: readonly Wish[], moved: boolean) => Promise<void>;

const root = document.documentElement;
const within = 10_000; // the server answers in a moment, or the network has swallowed it
const settle = 1000; // new values come several at once
let changed: Changed = async () => {};
let heard = false;

/** turn shows the forms, or puts them away. */
export async function turn(then: Changed): Promise<void> {
  listen(then);
  if ("changing" in root.dataset) putAway();
  else if (await fresh(true)) open(true);
  else speak(say.notLoaded);
}

/** adopt goes on with forms that the page was printed with. */
export function adopt(then: Changed): void {
  listen(then);
  for (const form of document.querySelectorAll("[data-change-of]")) atOnce(form);
  open(true);
  history.replaceState(null, "", "/"); // a reload is the board, as where the forms were put on the live page, and says nothing of what was saved
}

/** press does what a button asks for that was there before this script. */
export async function press(then: Changed, form: HTMLFormElement, submitter: HTMLElement | null): Promise<void> {
  listen(then);
  await send(form, new FormData(form, submitter));
}

function listen(then: Changed): void {
  changed = then;
  if (heard) return;
  heard = true;
  document.addEventListener("submit", (event) => {
    const form = event.target as HTMLFormElement;
    if (event.defaultPrevented || !form.matches('form[action="/settings"]')) return;
    event.preventDefault();
    const asked = new FormData(form, event.submitter);
    if (asked.get("do") !== "change") void send(form, asked); // what was typed has been sent already
  });
  document.addEventListener("change", (event) => {
    const field = event.target as HTMLInputElement | HTMLSelectElement;
    if (field.form?.matches(".change-form")) void changeField(field.form, field);
  });
  new MutationObserver(later).observe(find(document, "[data-groups]"), { childList: true, subtree: true });
}

function open(on: boolean): void {
  root.toggleAttribute("data-changing", on);
  find(document, "[data-change-bar]").hidden = !on;
  const link = find<HTMLAnchorElement>(document, "[data-change]");
  put(link, on ? say.done : say.change);
  link.href = on ? "/" : "/?change";
  owner.again(true); // devices stand otherwise, see group.ts
}

function putAway(): void {
  open(false);
  for (const form of document.querySelectorAll("[data-change-of]")) form.remove();
}

const keyOf = (form: HTMLElement) => `${form.dataset.changeOf}\n${form.dataset.changeReading}`;

/** fresh takes what there is to change as it is now; false where the server does not answer. */
async function fresh(forms = "changing" in root.dataset): Promise<boolean> {
  const page = await changePage().catch(() => null);
  if (!page?.querySelector("[data-change-bar]")) return false;
  if (forms) placeAll(page);
  for (const part of ["[data-hidden]", "[data-change-order]"]) {
    const [now, then] = [document.querySelector(part), page.querySelector(part)];
    if (!now || !then) continue;
    if (now instanceof HTMLDetailsElement) (then as HTMLDetailsElement).open = now.open;
    now.replaceWith(then);
  }
  return true;
}

function placeAll(page: Document): void {
  const forms = new Map([...page.querySelectorAll<HTMLDetailsElement>("[data-change-of]")].map((f) => [keyOf(f), f]));
  for (const group of document.querySelectorAll<HTMLElement>("[data-group]")) {
    const entity = group.dataset.group ?? "";
    place(forms.get(`${entity}\n`), group, find(group, ".group-head"), "after");
    for (const card of group.querySelectorAll<HTMLElement>("[data-reading]")) {
      place(forms.get(`${entity}\n${card.dataset.reading}`), card, card, "append");
    }
  }
}

/** place puts a form where it belongs, in the place of the one before it, without taking anything out of somebody's hands. */
function place(form: HTMLDetailsElement | undefined, of: HTMLElement, at: HTMLElement, how: "after" | "append"): void {
  const before = of.querySelector<HTMLDetailsElement>(":scope > [data-change-of]");
  if (!form) {
    before?.remove();
    return;
  }
  atOnce(form);
  if (!before) {
    at[how](form);
    return;
  }
  form.open = before.open;
  const focused = before.contains(document.activeElement) ? document.activeElement : null;
  // Somebody is typing: what they see stays until it is sent, which brings the form anew.
  if (focused instanceof HTMLInputElement && focused.value !== focused.defaultValue) return;
  const said = before.querySelector("[data-change-said]")?.textContent ?? "";
  before.replaceWith(form);
  put(find(form, "[data-change-said]"), said);
  if (focused) takeUp(form, focused);
}

/** takeUp goes on in the field, or on the button, in which somebody was. */
function takeUp(form: HTMLElement, was: Element): void {
  const { name, value } = was as HTMLInputElement;
  const same = [...form.querySelectorAll<HTMLInputElement>("[name]")].find(
    (e) => e.name === name && (e.name !== "do" || e.value === value) && !e.hidden,
  );
  if (same?.type === "text") same.setSelectionRange(same.value.length, same.value.length);
  (same ?? find(form, "summary")).focus({ preventScroll: true });
}

/** atOnce takes away the button that nobody needs where each field is sent as it is changed. */
function atOnce(form: Element): void {
  find(form, "[data-save]").hidden = true;
}

/** changeField sends one field, so that nobody's change of another is lost. */
async function changeField(form: HTMLFormElement, field: HTMLInputElement | HTMLSelectElement): Promise<void> {
  const asked = new FormData();
  for (const name of ["entity", "reading", "in"]) asked.set(name, String(new FormData(form).get(name) ?? ""));
  asked.set("do", "change");
  if (field.name === "unit" && field.value === "=") {
    form.querySelector<HTMLInputElement>("[name=unit_own]")?.focus();
    return; // what it is comes next
  }
  if (!field.reportValidity()) return;
  asked.set(field.name === "unit_own" ? "unit" : field.name, field.value);
  if (field instanceof HTMLInputElement) field.defaultValue = field.value; // it is on its way
  await send(form, asked);
}

async function send(form: HTMLFormElement, asked: FormData): Promise<void> {
  speak("");
  const { words, all } = await post(asked);
  const said = form.querySelector("[data-change-said]");
  if (!all) {
    if (said) put(said, words);
    speak(words);
    return;
  }
  if (said) put(said, words);
  const next = asked.get("do") === "hide" ? behind(form) : null;
  const moved = ["up", "down", "order", "show"].includes(String(asked.get("do")));
  await changed(all, moved);
  await fresh();
  if (moved) document.activeElement?.scrollIntoView({ block: "nearest" });
  speak(next ? say.hidden : words);
  next?.focus();
  if (document.activeElement !== document.body) return;
  const rest = document.querySelector<HTMLElement>("[data-hidden]:not([hidden]) summary"); // what was pressed is gone
  (rest ?? find(document, "[data-change]")).focus({ preventScroll: true });
}

/** behind is where somebody goes on who has hidden something. */
function behind(form: HTMLFormElement): HTMLElement {
  const all = [...document.querySelectorAll<HTMLElement>("[data-change-of] > summary")];
  const own = form.closest("[data-group], [data-reading]")?.closest("article") ?? form.closest("[data-group]");
  const at = all.findIndex((s) => own?.contains(s));
  const next = all.slice(at + 1).find((s) => !own?.contains(s) && s.checkVisibility());
  return next ?? find(document, "[data-change]");
}

/** post gives what is set from now on unless it was refused, and the words for either. */
async function post(asked: FormData): Promise<{ words: string; all?: readonly Wish[] }> {
  const abort = new AbortController();
  const limit = setTimeout(() => abort.abort(), within);
  try {
    const answer = await fetch("/settings", {
      method: "POST",
      headers: { Accept: "application/json" },
      body: new URLSearchParams([...asked].map(([name, value]): [string, string] => [name, String(value)])),
      signal: abort.signal,
    });
    const body = (await answer.json().catch(() => ({}))) as { settings?: Wish[]; said?: string; message?: string };
    if (answer.ok && body.settings) return { words: body.said ?? "", all: body.settings };
    return { words: body.message || say.notSaved };
  } catch {
    return { words: say.notSaved };
  } finally {
    clearTimeout(limit);
  }
}

let waiting = false;

/** later gives values a form that came after the others had theirs. */
function later(): void {
  if (waiting || !("changing" in root.dataset)) return;
  const without = document.querySelector("[data-groups] [data-reading]:not(:has(> [data-change-of]))");
  if (!without) return;
  waiting = true;
  setTimeout(() => {
    waiting = false;
    if ("changing" in root.dataset) void fresh();
  }, settle);
}

function speak(words: string): void {
  put(find(document, "[data-status]"), words);
}
