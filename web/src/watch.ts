/** The switch for listening when no page is open: turned without leaving the page. Without this script its form does the same. */

import { find, put } from "./view/find";
import { say } from "./words.watch";

const form = find<HTMLFormElement>(document, "[data-watch]");
const button = find<HTMLButtonElement>(form, "[role=switch]");
const within = 10_000; // the server answers in a moment, or the network has swallowed it
let turning = false;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!turning) void turn(button.value === "yes"); // without disabling the button, which would lose its focus
});

async function turn(on: boolean): Promise<void> {
  turning = true;
  button.setAttribute("aria-busy", "true");
  const refused = await ask(on);
  turning = false;
  button.removeAttribute("aria-busy");
  put(find(form, "[data-watch-said]"), refused);
  if (refused !== "") return;
  button.setAttribute("aria-checked", String(on));
  button.value = on ? "no" : "yes";
  put(find(button, ".switch-word"), on ? say.on : say.off);
}

/** ask gives the words of a refusal; none when it was done. */
async function ask(on: boolean): Promise<string> {
  const abort = new AbortController();
  const limit = setTimeout(() => abort.abort(), within);
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { Accept: "application/json" },
      body: new URLSearchParams({ on: on ? "yes" : "no" }),
      signal: abort.signal,
    });
    if (answer.ok) return "";
    const body = (await answer.json().catch(() => ({}))) as { message?: string };
    return body.message || say.notTurned;
  } catch {
    return abort.signal.aborted ? say.notAnswered : say.notTurned;
  } finally {
    clearTimeout(limit);
  }
}
