/** The state of the connection. No clock, no DOM and no network in here. */
export type Link = "connecting" | "live" | "waiting" | "refused";

export interface State {
  readonly link: Link;
  /** How many tries failed since it was last live. */
  readonly attempt: number;
  /** When it became what it is: the start of being live, or of the trouble. */
  readonly since: number;
  /** When it was last live; 0 if never. */
  readonly lastLive: number;
  /** The close code of the last loss, or of the end; 0 if none was given. */
  readonly code: number;
  /** It is live by asking again and again, since the network lets nothing better through. */
  readonly slow: boolean;
}

export type Happening =
  | { readonly kind: "opened"; readonly at: number }
  | { readonly kind: "lost"; readonly at: number; readonly code: number }
  | { readonly kind: "refused"; readonly at: number }
  | { readonly kind: "went"; readonly slow: boolean }
  | { readonly kind: "nudged" };

/** Close codes of /live that change what we do or say. */
export const closed = { refused: 4003, taken: 4005, limit: 4009, signedOut: 4010, restart: 4012 } as const;

export function initial(at: number): State {
  return { link: "connecting", attempt: 0, since: at, lastLive: 0, code: 0, slow: false };
}

/** next is the only way state changes. */
export function next(state: State, happening: Happening): State {
  if (state.link === "refused") return state; // final: only signing in again helps
  switch (happening.kind) {
    case "opened":
      return { ...state, link: "live", attempt: 0, since: happening.at, lastLive: happening.at, code: 0 };
    case "refused":
      return { ...state, link: "refused", since: happening.at, code: closed.refused };
    case "went":
      return { ...state, slow: happening.slow };
    case "nudged":
      return { ...state, attempt: 0 };
    case "lost":
      if (happening.code === closed.refused || happening.code === closed.signedOut) {
        return { ...state, link: "refused", since: happening.at, code: happening.code };
      }
      if (state.link === "live") {
        return {
          ...state,
          link: "waiting",
          attempt: 1,
          since: happening.at,
          lastLive: happening.at,
          code: happening.code,
        };
      }
      return { ...state, attempt: state.attempt + 1, code: happening.code || state.code };
  }
}

const shortest = 500;
const longest = 30_000;

/** pause says how long to wait before the next try: full jitter, so that a thousand pages do not come back together. */
export function pause(state: State, random: number): number {
  const slow = state.code === closed.taken || state.code === closed.limit;
  const most = Math.min(longest, (slow ? 8000 : 1000) * 2 ** Math.min(state.attempt, 10));
  return Math.round(shortest + random * (most - shortest));
}
