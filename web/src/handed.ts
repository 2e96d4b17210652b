/** Hands the access key from the page on which it was pasted to the board that takes its place, once, in memory. */
import type { HeldKey } from "./hub/protocol";

let held: HeldKey | undefined;

export function hand(key: HeldKey | undefined): void {
  held = key;
}

export function take(): HeldKey | undefined {
  const key = held;
  held = undefined;
  return key;
}
