/** What pages and the hub say to each other. A page and a worker of different ages may meet, hence the version. */
import type { Known } from "../carrier/known";
import type { State } from "../state";

export const version = 3;

/** An access key that somebody pasted on a page, and by what our server knows it again. It is kept in memory alone. */
export interface HeldKey {
  readonly key: string;
  readonly user: string;
  readonly print: string;
}

export interface HubSettings {
  readonly subscribe: readonly string[];
  readonly publish: string;
  /** Whose page it is; none for the operator. */
  readonly entity?: string;
  /** The ways that the server allows, best first; "direct" leads past it. */
  readonly ways: readonly string[];
}

/** One message as it came. */
export interface Heard {
  readonly topic: string;
  readonly payload: string;
  readonly retained: boolean;
  readonly at: number;
}

export type ToHub =
  | {
      readonly kind: "hello";
      readonly version: number;
      readonly page: string;
      readonly name: string;
      readonly settings: HubSettings;
      /** Somebody looks at the page. */
      readonly seen: boolean;
      /** What an earlier hub learned about this network. A worker has no place to keep it. */
      readonly known?: Known | undefined;
      /** The key, from the page on which it was pasted. No other page has it, and it is told to none. */
      readonly key?: HeldKey | undefined;
    }
  | { readonly kind: "seen"; readonly on: boolean }
  | { readonly kind: "bye" }
  /** Something woke the page: is the hub there, and, for a hard one, is its connection alive? The network may have changed. */
  | { readonly kind: "nudge"; readonly hard: boolean; readonly moved?: boolean }
  | { readonly kind: "publish"; readonly id: string; readonly payload: string };

/** Why a press came back: no connection in time, no answer to what was written, or the server said no. */
export type Unsent = "late" | "unsure" | "refused";

/** How the server's own link to the broker is. The words say what a person can do; empty for nothing but to wait. */
export interface Upstream {
  readonly kind: "upstream";
  readonly up: boolean;
  readonly since: number;
  readonly why: string;
  readonly words: string;
}

export type ToPage =
  | { readonly kind: "snapshot"; readonly state: State; readonly heard: readonly Heard[] }
  | { readonly kind: "state"; readonly state: State }
  | { readonly kind: "heard"; readonly heard: Heard }
  | { readonly kind: "dropped"; readonly count: number }
  | Upstream
  | { readonly kind: "accepted"; readonly id: string; readonly at: number }
  | { readonly kind: "unsent"; readonly id: string; readonly why: Unsent; readonly words: string }
  /** The machine slept, or nobody looked for long: what comes now is news. */
  | { readonly kind: "away" }
  | { readonly kind: "known"; readonly known: Known }
  | { readonly kind: "here" }
  /** This hub is of an older version than the page and has let go: start the new one. */
  | { readonly kind: "gone" };

/** randomId works on pages without https too, where crypto.randomUUID does not. */
export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(10)), (b) => b.toString(16).padStart(2, "0")).join("");
}
