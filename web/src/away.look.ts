/** When somebody last looked at a board, and whether that is long enough ago to say what happened since. No clock and no storage in here. */

export const longEnough = 10 * 60_000;
const mostBoards = 20; // of one browser

/** Looked is when each board was last looked at in this browser, in milliseconds of the server's clock. */
export type Looked = Readonly<Record<string, number>>;

/** absent gives since when nobody looked; 0 if that is no absence. A clock that went back says nothing. */
export function absent(last: number, now: number): number {
  return last > 0 && now - last > longEnough ? last : 0;
}

/** looked notes that somebody looks now, and forgets the boards that were looked at longest ago. */
export function looked(before: Looked, board: string, at: number): Looked {
  const others = Object.entries(before).filter(([id]) => id !== board);
  others.sort(([, a], [, b]) => b - a);
  return Object.fromEntries([[board, at] as const, ...others.slice(0, mostBoards - 1)]);
}

/** read takes what was kept, which anything on this address may have written. */
export function read(kept: string | null): Looked {
  try {
    const all: unknown = JSON.parse(kept ?? "{}");
    if (typeof all !== "object" || all === null) return {};
    return Object.fromEntries(Object.entries(all).filter(([, at]) => Number.isFinite(at)));
  } catch {
    return {};
  }
}
