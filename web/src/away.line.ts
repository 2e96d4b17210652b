/** The line that says what happened while nobody looked. It comes in when somebody comes back. */
import { find, put } from "./view/find";
import { awayWords, type Happened } from "./words.away";

const within = 15_000;

/** tellAway asks what happened and shows it; it throws where it is worth asking again. */
export async function tellAway(since: number, now: number): Promise<void> {
  const asked = new URLSearchParams({ since: new Date(since).toISOString() });
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  if (timeZone) asked.set("zone", timeZone);
  const answer = await fetch(`/history/happened?${asked}`, {
    headers: { Accept: "application/json" },
    signal: AbortSignal.timeout(within),
  });
  if (answer.status === 401 || answer.status === 403) return; // the strip says so
  if (!answer.ok) throw new Error(`what happened: ${answer.status}`);
  const to = find(document, "[data-summary]").dataset.linkTo ?? "";
  show(awayWords((await answer.json()) as Happened, since, now, to), `/happened?${asked}`);
}

function show(words: string, href: string): void {
  const line = find(document, "[data-away]");
  put(find(line, "[data-away-words]"), words);
  find<HTMLAnchorElement>(line, "[data-away-more]").href = href;
  find(line, "[data-away-close]").onclick = () => {
    find(document, "main").focus(); // where it was, there is nothing any more
    line.hidden = true;
  };
  line.hidden = false;
  put(find(document, "[data-status]"), words); // the line itself is no live region: it is said once
}
