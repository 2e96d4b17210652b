/** Times of a page that the server printed in UTC, in the reader's own. */
import { clock } from "../words";
import { value as say } from "../words.value";
import { put } from "./find";

const whole = new Intl.DateTimeFormat("en", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

/** localTimes writes all of them; those of the day of `near` without their day, or of the day of the time that they stand beside. */
export function localTimes(near: number): void {
  for (const time of document.querySelectorAll<HTMLTimeElement>("time[data-moment]")) {
    const at = Date.parse(time.dateTime);
    if (Number.isNaN(at)) continue;
    const before = time.dataset.moment === "beside" ? time.previousElementSibling : null;
    const day = before instanceof HTMLTimeElement ? Date.parse(before.dateTime) : near;
    put(time, "whole" in time.dataset ? whole.format(at) : clock(at, day));
  }
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
  for (const note of document.querySelectorAll("[data-zone]")) put(note, say.zone(zone.replaceAll("_", " ")));
}
