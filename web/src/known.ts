/** Keeps what the ladder knows of this network from one visit to the next: a worker ends with its pages. */
import type { Known } from "./carrier/known";
import { version } from "./hub/protocol";

const place = "trellis-ladder"; // the page that checks the connection removes it

/** recall gives what was kept; nothing when that cannot be read. */
export function recall(): Known | undefined {
  try {
    const kept = JSON.parse(localStorage.getItem(place) ?? "") as { version: number; known: Known };
    return kept.version === version ? kept.known : undefined;
  } catch {
    return undefined;
  }
}

export function remember(known: Known): void {
  try {
    localStorage.setItem(place, JSON.stringify({ version, known }));
  } catch {
    // a browser that keeps nothing finds out again
  }
}
