/** What a page says while nothing is recorded, and of what was not; templates/record.go says the same. */
import type { Recording } from "./hub/protocol";

/** recordWords takes the time in words; empty where everything is recorded. */
export function recordWords(
  { why, still }: Pick<Recording, "why" | "still">,
  operator: boolean,
  since: string,
): string {
  if (why === "" || why === "past") return "";
  const [what, mine, theirs] = troubles[why] ?? unknown;
  const means = still ? "Values stand still until it can." : "Values are live but not kept.";
  return `This page's server cannot record${what} since ${since}. ${means} ${operator ? mine : theirs}`;
}

/** What is wrong, and what is to be done about it by whoever runs the server, and by anybody else. */
type Trouble = readonly [what: string, mine: string, theirs: string];

const troubles: Readonly<Record<string, Trouble>> = {
  full: [
    ": its disk is full",
    "Make room on that disk; then it goes on by itself.",
    "Whoever runs it has to make room.",
  ],
  unsynced: [
    ": its disk has been failing",
    "Check that disk, then start the server again.",
    "Whoever runs it has to check that disk.",
  ],
};

const unknown: Trouble = ["", "Its log says why.", "We keep trying."];

export function missingWords(lost: number, from: string, to: string): string {
  if (lost === 0) return "";
  const what = `${lost} ${lost === 1 ? "message was" : "messages were"} not recorded`;
  return from === to ? `${what}, at ${to}.` : `${what}, between ${from} and ${to}.`;
}

/** pastWords is for a page that gets what comes straight from the service. */
export const pastWords = "What comes now goes past this page's server. Values are live but not kept.";

export const recordsAgain = "This page's server records again.";
