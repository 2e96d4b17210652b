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
  /** Its values come in bundles, in steps of so many seconds; 0 if they do not. */
  readonly bundles: number;
  /** The server's own words about the last loss; empty if it had none. */
  readonly words: string;
  /** Who answered in our server's place: somebody who wants people to log in first, or a gateway in front of it. */
  readonly stranger: "portal" | "gateway" | "";
}

export type Happening =
  | { readonly kind: "opened"; readonly at: number }
  | {
      readonly kind: "lost";
      readonly at: number;
      readonly code: number;
      readonly words?: string;
      readonly stranger?: State["stranger"];
    }
  | { readonly kind: "refused"; readonly at: number }
  | { readonly kind: "went"; readonly slow: boolean; readonly bundles: number }
  /** The connection was let go while nobody looked, and is wanted again. */
  | { readonly kind: "resumed"; readonly at: number }
  | { readonly kind: "nudged" };

/** Close codes of /live that change what we do or say. */
export const closed = {
  broke: 1006,
  refused: 4003,
  gone: 4004,
  taken: 4005,
  limit: 4009,
  signedOut: 4010,
  restart: 4012,
  idle: 4025,
} as const;

/** isLimit says whether a code means that there is too much of something; each of them has words of its own. */
export const isLimit = (code: number): boolean => code === closed.limit || (code >= 4020 && code <= 4024);

export function initial(at: number): State {
  return {
    link: "connecting",
    attempt: 0,
    since: at,
    lastLive: 0,
    code: 0,
    slow: false,
    bundles: 0,
    words: "",
    stranger: "",
  };
}

/** next is the only way state changes. */
export function next(state: State, happening: Happening): State {
  if (state.link === "refused") return state; // final: only signing in again helps
  switch (happening.kind) {
    case "opened":
      return { ...state, ...calm, link: "live", attempt: 0, since: happening.at, lastLive: happening.at };
    case "refused":
      return { ...state, link: "refused", since: happening.at, code: closed.refused };
    case "went":
      return { ...state, slow: happening.slow, bundles: happening.bundles };
    case "nudged":
      return { ...state, attempt: 0 };
    case "resumed": {
      const lastLive = state.link === "live" ? happening.at : state.lastLive;
      return { ...initial(happening.at), link: lastLive > 0 ? "waiting" : "connecting", lastLive };
    }
    case "lost":
      return lost(state, happening);
  }
}

const calm = { code: 0, words: "", stranger: "" } as const;

function lost(state: State, { at, code, words = "", stranger = "" }: Happening & { kind: "lost" }): State {
  if (code === closed.refused || code === closed.signedOut) return { ...state, link: "refused", since: at, code };
  if (state.link === "live") {
    return { ...state, link: "waiting", attempt: 1, since: at, lastLive: at, code, words, stranger };
  }
  // Who said that it restarts cannot say more until it is back; that nobody answers meanwhile is no news.
  const restarts = state.code === closed.restart && code === closed.broke;
  const told = code > 0 && !restarts ? { code, words } : {};
  return { ...state, ...told, attempt: state.attempt + 1, stranger };
}

const shortest = 500;
const longest = 30_000;

/** pause says how long to wait before the next try: full jitter, so that a thousand pages do not come back together. */
export function pause(state: State, random: number): number {
  const slow = state.code === closed.taken || isLimit(state.code);
  const most = Math.min(longest, (slow ? 8000 : 1000) * 2 ** Math.min(state.attempt, 10));
  return Math.round(shortest + random * (most - shortest));
}
