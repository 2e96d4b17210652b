/**
 * Says on the board whether what it shows is recorded. It is loaded when the server says something about that, and imports
 * nothing of the board's: what two scripts share becomes a file of its own, which everybody would have to fetch.
 */
import type { Recording } from "../hub/protocol";
import { missingWords, pastWords, recordsAgain, recordWords } from "../words.record";

/** show takes how a time is said here. */
export function show(r: Recording, clock: (at: number) => string): void {
  const banner = document.querySelector<HTMLElement>("[data-record]");
  const note = document.querySelector<HTMLElement>("[data-unrecorded]");
  const status = document.querySelector("[data-status]");
  if (!banner || !note || !status) return;
  const at = (time = "") => (time ? clock(Date.parse(time)) : "");
  const was = banner.textContent;
  const words = recordWords(r, banner.dataset.record === "operator", at(r.since));
  say(banner, words);
  const past = r.why === "past";
  say(note, past ? pastWords : missingWords(r.lost ?? 0, at(r.from), at(r.to)));
  if (was !== words) status.textContent = words || (past ? pastWords : recordsAgain);
}

function say(element: HTMLElement, words: string): void {
  if (element.textContent !== words) element.textContent = words;
  element.hidden = words === "";
}
